"""What an attacker in the decoder would try, tried inside the real WhisperX process.

``report`` runs every attempt and writes what came of it, "done" or the name of an error, into a
file in the scratch folder. The test that starts it says in the environment variable
``SANDBOX_PROBE`` where things are; see ``Targets``.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import mmap
import os
import platform
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modules.worker import main as worker
from modules.worker.pipes import Assignment
from modules.worker.sandbox import privileges, syscalls

VARIABLE = "SANDBOX_PROBE"
REPORT = "probe.json"
_MACHINE = platform.machine()
_SET_UID = 0o4755


@dataclass(frozen=True)
class Targets:
    """``victim``: a process of the same user. ``share``: a folder with the recording, ``other.wav``
    and ``victim.wav``. ``secrets``: files that are nobody's business. ``listener``: a Unix socket
    in the share."""

    victim: int
    share: str
    recording: str
    secrets: tuple[str, ...]
    listener: str

    def encoded(self) -> str:
        return json.dumps(asdict(self))


def _call(name: str, *arguments: Any) -> int:
    """A system call by name, past the C library."""
    known = syscalls.refused(_MACHINE) | syscalls.examined(_MACHINE)
    return _numbered(known[name], *arguments)


def _numbered(number: int, *arguments: Any) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    returned = libc.syscall(ctypes.c_long(number), *words)
    if returned < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return int(returned)


def _write(path: str, mode: str = "ab") -> None:
    with open(path, mode) as file:
        file.write(b"x")


def _made(path: str, mode: int) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, mode))


def _run_written(path: str) -> None:
    """What it holds is no program, so that this one goes on if it is allowed."""
    _made(path, 0o755)
    os.execv(path, ["program"])


def _exits(run: Callable[[], int]) -> None:
    """A call that returns in a new process as well: that one ends at once."""
    if run() == 0:
        os._exit(0)


def _datagram_to(path: str) -> None:
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with a, b:
        a.sendto(b"hello", path)


def _many_files() -> None:
    opened: list[int] = []
    try:
        while len(opened) <= privileges.OPEN_FILES:
            opened.append(os.open(os.devnull, os.O_RDONLY))
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _large_file() -> None:
    with tempfile.TemporaryFile() as file:
        file.truncate(privileges.FILE_MB * 2**20 + 1)


def _of_32_bits() -> None:
    """getpid by the 32-bit interface of x86: ``mov eax, 20; int 0x80; ret``."""
    code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"
    with mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as page:
        page.write(code)
        place = ctypes.c_char.from_buffer(page)
        function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(place))
        returned = function()
        del place, function
    if returned < 0:
        raise OSError(-returned, "refused")


def _signal_by_pipe(victim: int) -> None:
    """The kernel would send the signal when something can be read."""
    reading, writing = os.pipe()
    try:
        fcntl.fcntl(reading, fcntl.F_SETOWN, victim)
    finally:
        os.close(reading)
        os.close(writing)


def _close(ends: tuple[socket.socket, socket.socket]) -> None:
    for end in ends:
        end.close()


def _thread() -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def _resource_attempts(victim: int) -> dict[str, Callable[[], Any]]:
    mask = ctypes.create_string_buffer(struct.pack("Q", 1) + bytes(120))
    limit = struct.pack("QQ", 0, 0)
    return {
        **{
            f"prlimit {number} of another": lambda number=number: _call(  # type: ignore[misc]
                "prlimit64", victim, number, limit, None
            )
            for number in range(16)
        },
        "prlimit by the library": lambda: resource.prlimit(victim, resource.RLIMIT_NOFILE, (1, 1)),
        "reading limits of another": lambda: resource.prlimit(victim, resource.RLIMIT_NOFILE),
        "setpriority": lambda: os.setpriority(os.PRIO_PROCESS, victim, 19),
        "setpriority of the user": lambda: os.setpriority(os.PRIO_USER, 0, 19),
        "affinity": lambda: _call("sched_setaffinity", victim, 128, mask),
        "scheduler": lambda: _call("sched_setscheduler", victim, 3, struct.pack("i", 0)),
        "ioprio": lambda: _call("ioprio_set", 1, victim, 0x6000),
        "move pages": lambda: _call("migrate_pages", victim, 64, mask, mask),
    }


def _signal_attempts(victim: int) -> dict[str, Callable[[], Any]]:
    information = bytes(128)
    return {
        "kill": lambda: os.kill(victim, signal.SIGCONT),
        "kill 0": lambda: os.kill(victim, 0),
        "kill all": lambda: os.kill(-1, 0),
        "kill the parent": lambda: os.kill(os.getppid(), 0),
        "kill a group": lambda: os.killpg(victim, 0),
        "tgkill": lambda: _call("tgkill", victim, victim, 0),
        "tkill": lambda: _call("tkill", victim, 0),
        "sigqueue": lambda: _call("rt_sigqueueinfo", victim, 18, information),
        "tgsigqueue": lambda: _call("rt_tgsigqueueinfo", victim, victim, 18, information),
        "pidfd": lambda: _numbered(434, victim, 0),
        "pidfd signal": lambda: _numbered(424, 0, 0, None, 0),
        "pidfd file": lambda: _numbered(438, 0, 0, 0),
        "signal by a pipe": lambda: _signal_by_pipe(victim),
        "ptrace": lambda: _call("ptrace", 0x4206, victim, 0, 0),
        "reads memory": lambda: _call("process_vm_readv", victim, None, 0, None, 0, 0),
        "writes memory": lambda: _call("process_vm_writev", victim, None, 0, None, 0, 0),
        "kcmp": lambda: _call("kcmp", victim, victim, 0, 0, 0),
        "advises memory": lambda: _numbered(440, 0, None, 0, 0, 0),
        **{
            f"/proc/PID/{name}": lambda name=name: open(f"/proc/{victim}/{name}").read(1)  # type: ignore[misc]
            for name in ("environ", "cmdline", "maps", "mem", "status")
        },
        "/proc/PID/fd": lambda: os.listdir(f"/proc/{victim}/fd"),
        "/proc": lambda: os.listdir("/proc"),
    }


def _file_attempts(targets: Targets) -> dict[str, Callable[[], Any]]:
    share, file = targets.share, targets.recording
    other, victim = f"{share}/other.wav", f"{share}/victim.wav"
    attempts: dict[str, Callable[[], Any]] = {
        "read the recording by name": lambda: Path(file).read_bytes(),
        "read another recording": lambda: Path(other).read_bytes(),
        "list the share": lambda: os.listdir(share),
        "write": lambda: _write(other),
        "make": lambda: _write(f"{share}/new"),
        "remove": lambda: os.unlink(victim),
        "rename": lambda: os.rename(victim, f"{share}/renamed"),
        "take out": lambda: os.rename(victim, f"{tempfile.gettempdir()}/taken"),
        "truncate": lambda: os.truncate(other, 0),
        "folder": lambda: os.mkdir(f"{share}/sub"),
        "symlink": lambda: os.symlink("/etc/passwd", f"{share}/link"),
        "link": lambda: os.link(other, f"{tempfile.gettempdir()}/hard"),
        "watch": lambda: _call("inotify_add_watch", 0, share.encode(), 0x100),
        "inotify": lambda: _call("inotify_init1", 0),
        "fanotify": lambda: _call("fanotify_init", 0, 0),
        "handle": lambda: _call("name_to_handle_at", -100, other.encode(), bytes(128), None, 0),
        "by handle": lambda: _call("open_by_handle_at", -100, bytes(128), 0),
        "getxattr": lambda: os.getxattr(other, "user.note"),
        "openat2": lambda: _numbered(437, -100, b"/dev/null", bytes(24), 24),
        "list xattr": lambda: os.listxattr(other),
        "terminal": lambda: os.close(os.open("/dev/tty", os.O_RDWR)),
        "shared memory": lambda: _write("/dev/shm/probe"),
        "disks": lambda: os.listdir("/dev"),
    }
    for what, path in (("a recording", other), ("the share", share), ("scratch", _scratch_file())):
        attempts |= {
            f"chmod {what}": lambda path=path: os.chmod(path, 0o777),  # type: ignore[misc]
            f"chown {what}": lambda path=path: os.chown(path, os.getuid(), -1),  # type: ignore[misc]
            f"lchown {what}": lambda path=path: os.lchown(path, os.getuid(), -1),  # type: ignore[misc]
            f"utime {what}": lambda path=path: os.utime(path, (1, 1)),  # type: ignore[misc]
            f"setxattr {what}": lambda path=path: os.setxattr(path, "user.a", b"b"),  # type: ignore[misc]
            f"removexattr {what}": lambda path=path: os.removexattr(path, "user.note"),  # type: ignore[misc]
            f"fchmodat2 {what}": lambda path=path: _numbered(452, -100, path.encode(), 511, 0),  # type: ignore[misc]
            f"file_setattr {what}": lambda path=path: _numbered(  # type: ignore[misc]
                469, -100, path.encode(), bytes(32), 32, 0
            ),
        }
    for secret in targets.secrets:
        attempts[f"read {secret}"] = lambda secret=secret: open(secret, "rb").read(1)  # type: ignore[misc]  # noqa: SIM115
    return attempts


def _descriptor_attempts(fd: int) -> dict[str, Callable[[], Any]]:
    return {
        "read the recording": lambda: os.pread(fd, 10, 0),
        "seek in the recording": lambda: os.lseek(fd, 0, os.SEEK_END),
        "fwrite": lambda: os.write(fd, b"x"),
        "ftruncate": lambda: os.ftruncate(fd, 0),
        "fchmod": lambda: os.fchmod(fd, 0o777),
        "fchown": lambda: os.fchown(fd, os.getuid(), -1),
        "futimes": lambda: os.utime(fd, (1, 1)),
        "fsetxattr": lambda: os.setxattr(fd, "user.a", b"b"),
        "flock": lambda: fcntl.flock(fd, fcntl.LOCK_SH),
        "lockf": lambda: fcntl.fcntl(fd, fcntl.F_SETLK, struct.pack("hhlli", 0, 0, 0, 0, 0)),
        "lease": lambda: fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK),
        "notify": lambda: fcntl.fcntl(fd, fcntl.F_NOTIFY, 1),
        "attributes": lambda: fcntl.ioctl(fd, 0x40086602, struct.pack("l", 0x40)),
        "project": lambda: fcntl.ioctl(fd, 0x401C5820, bytes(28)),
        "clone range": lambda: fcntl.ioctl(fd, 0x40049409, fd),
        "open it again": lambda: os.close(os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)),
        "open it to write": lambda: os.close(os.open(f"/proc/self/fd/{fd}", os.O_RDWR)),
        "link it": lambda: _call(
            "linkat", -100, f"/proc/self/fd/{fd}".encode(), -100,
            f"{tempfile.gettempdir()}/hard".encode(), 0x400,
        ),
    }  # fmt: skip


def _process_attempts() -> dict[str, Callable[[], Any]]:
    true = b"/bin/true"
    nothing = ctypes.create_string_buffer(8)
    attempts: dict[str, Callable[[], Any]] = {
        "fork": lambda: _exits(os.fork),
        "clone": lambda: _exits(lambda: _call("clone", 17, 0, 0, 0, 0)),
        "clone3": lambda: _exits(
            lambda: _numbered(435, struct.pack("8Q", 0, 0, 0, 0, 17, 0, 0, 0), 64)
        ),
        "namespaces of a thread": lambda: _call("clone", 0x10000000 | 0x10000, 0, 0, 0, 0),
        # Of a program that is not there: one that is would take the place of this one.
        "execve": lambda: _call("execve", b"/none", nothing, nothing),
        "execveat": lambda: _call("execveat", -100, b"/none", nothing, nothing, 0),
        "spawn": lambda: os.waitpid(os.posix_spawn(true, [true], {}), 0),
        "subprocess": lambda: subprocess.run([true], check=True),
        "setsid": os.setsid,
        "setpgid": lambda: os.setpgid(0, 0),
        "user namespace": lambda: _call("unshare", 0x10000000),
        "mount namespace": lambda: _call("unshare", 0x00020000),
        "setns": lambda: _call("setns", 0, 0),
        "setuid": lambda: os.setuid(0),
        "setgid": lambda: os.setgid(0),
        "setresuid": lambda: os.setresuid(0, 0, 0),
        "setgroups": lambda: os.setgroups([0]),
        "setfsuid": lambda: _call("setfsuid", 0),
        "capset": lambda: _call("capset", struct.pack("Ii", 0x20080522, 0), bytes(24)),
        "personality": lambda: _call("personality", 0x0040000),
        "outlive the parent": lambda: _call("prctl", 1, 0, 0, 0, 0),
        "dumpable": lambda: _call("prctl", 4, 1, 0, 0, 0),
        "be traced": lambda: _call("prctl", 0x59616D61, -1, 0, 0, 0),
        "subreaper": lambda: _call("prctl", 36, 1, 0, 0, 0),
        "tell other memory": lambda: _call("prctl", 35, 8, 0, 0, 0),
    }
    if _MACHINE == "x86_64":
        attempts |= {
            "vfork": lambda: _exits(lambda: _call("fork")),
            "x32": lambda: _numbered(0x40000000 | 39),
            "32 bits": _of_32_bits,
            "iopl": lambda: _call("iopl", 3),
            "ioperm": lambda: _call("ioperm", 0x80, 1, 1),
            "ldt": lambda: _call("modify_ldt", 0, nothing, 8),
        }
    return attempts


def _scratch_file() -> str:
    path = f"{tempfile.gettempdir()}/file"
    _write(path)
    return path


def _scratch_attempts() -> dict[str, Callable[[], Any]]:
    scratch = tempfile.gettempdir()
    return {
        "temporary file": lambda: _write(f"{scratch}/plain"),
        "temporary folder": lambda: os.mkdir(f"{scratch}/folder"),
        "set-uid by open": lambda: _made(f"{scratch}/setuid", _SET_UID),
        "set-gid by open": lambda: _made(f"{scratch}/setgid", 0o2755),
        "set-uid without a name": lambda: os.close(
            os.open(scratch, os.O_TMPFILE | os.O_RDWR, _SET_UID)
        ),
        "set-uid by mknod": lambda: os.mknod(f"{scratch}/node", 0o100000 | _SET_UID),
        "set-gid folder": lambda: os.mkdir(f"{scratch}/sub", 0o6777),
        "fifo": lambda: os.mkfifo(f"{scratch}/fifo"),
        "device": lambda: os.mknod(f"{scratch}/device", 0o020666, os.makedev(1, 3)),
        "symlink in scratch": lambda: os.symlink("/etc/passwd", f"{scratch}/link"),
        "large file": _large_file,
        "many files": _many_files,
        "run what was written": lambda: _run_written(f"{scratch}/program"),
    }


def _kernel_attempts() -> dict[str, Callable[[], Any]]:
    some = ctypes.create_string_buffer(128)
    return {
        "keyctl": lambda: _call("keyctl", 0, -3, 0, 0, 0),
        "add_key": lambda: _call("add_key", b"user", b"probe", b"x", 1, -3),
        "request_key": lambda: _call("request_key", b"user", b"probe", None, -3),
        "shmget": lambda: _call("shmget", 0, 4096, 0o1600),
        "semget": lambda: _call("semget", 0, 1, 0o1600),
        "msgget": lambda: _call("msgget", 0, 0o1600),
        "mq_open": lambda: _call("mq_open", b"probe", 0o102, 0o600, None),
        "bpf": lambda: _call("bpf", 0, some, 128),
        "perf": lambda: _call("perf_event_open", some, 0, -1, -1, 0),
        "userfaultfd": lambda: _call("userfaultfd", 0),
        "io_uring": lambda: _numbered(425, 1, some),
        "io_uring_enter": lambda: _numbered(426, 0, 0, 0, 0, None, 0),
        "io_uring_register": lambda: _numbered(427, 0, 0, None, 0),
        "open_tree": lambda: _numbered(428, -100, b"/", 0),
        "fsopen": lambda: _numbered(430, b"tmpfs", 0),
        "memfd_secret": lambda: _numbered(447, 0),
        "mount": lambda: _call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
        "umount": lambda: _call("umount2", b"/tmp", 0),
        "pivot_root": lambda: _call("pivot_root", b"/", b"/"),
        "chroot": lambda: os.chroot("/"),
        "swapon": lambda: _call("swapon", b"/none", 0),
        "reboot": lambda: _call("reboot", 0, 0, 0, None),
        "hostname": lambda: _call("sethostname", b"probe", 5),
        "domainname": lambda: _call("setdomainname", b"probe", 5),
        "module": lambda: _call("init_module", some, 0, b""),
        "kexec": lambda: _call("kexec_load", 0, 0, None, 0),
        "quota": lambda: _call("quotactl", 0x800002 << 8, None, 0, some),
        "acct": lambda: _call("acct", None),
        "syslog": lambda: _call("syslog", 10, None, 0),
        "clock": lambda: _call("clock_settime", 0, struct.pack("qq", 0, 0)),
        "sync": lambda: _call("sync"),
        "splice": lambda: _call("splice", 0, None, 1, None, 1, 0),
        "vmsplice": lambda: _call("vmsplice", 1, None, 0, 0),
    }


def _network_attempts(targets: Targets) -> dict[str, Callable[[], Any]]:
    return {
        "tcp": lambda: socket.socket(),
        "udp": lambda: socket.socket(type=socket.SOCK_DGRAM),
        "ipv6": lambda: socket.socket(socket.AF_INET6),
        "unix": lambda: socket.socket(socket.AF_UNIX),
        "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "packet": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
        "vsock": lambda: socket.socket(socket.AF_VSOCK),
        "datagram to a socket": lambda: _datagram_to(targets.listener),
        "connect": lambda: _call("connect", 0, b"\x01\x00/tmp/x", 9),
        "bind": lambda: _call("bind", 0, b"\x01\x00\x00probe", 8),
        "listen": lambda: _call("listen", 0, 1),
        "lookup": lambda: socket.getaddrinfo("localhost", 80),
    }


def _usual_attempts() -> dict[str, Callable[[], Any]]:
    """What must go on to work."""
    return {
        "thread": _thread,
        "socket pair": lambda: _close(socket.socketpair()),
        "random": lambda: Path("/dev/urandom").open("rb").read(1),
        "null": lambda: _write(os.devnull),
        "own memory": lambda: Path("/proc/self/statm").read_text(),
        "libraries": lambda: Path(os.__file__).read_bytes(),
        "own affinity": lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)),
        "own limits": lambda: resource.getrlimit(resource.RLIMIT_NOFILE),
        "signal to itself": lambda: os.kill(os.getpid(), 0),
        "names of files": lambda: os.stat("/etc/passwd"),
        "poll": lambda: select.select([], [], [], 0),
    }


def _tried(attempts: dict[str, Callable[[], Any]]) -> dict[str, str]:
    said = {}
    for name, attempt in attempts.items():
        try:
            attempt()
            said[name] = "done"
        except OSError as error:
            said[name] = errno.errorcode.get(error.errno or 0, str(error))
        except Exception as error:  # noqa: BLE001 - how else it failed is a finding, too
            said[name] = repr(error)
    return said


def report(inbox: Any) -> None:
    """Try everything with the recording that comes first, in a thread that is started now."""
    targets = Targets(**json.loads(os.environ[VARIABLE]))
    assignment = inbox.next(60)
    assert isinstance(assignment, Assignment)
    groups = {
        "resources": _resource_attempts(targets.victim),
        "signals": _signal_attempts(targets.victim),
        "files": _file_attempts(targets),
        "descriptor": _descriptor_attempts(assignment.recording.descriptor),
        "processes": _process_attempts(),
        "scratch": _scratch_attempts(),
        "kernel": _kernel_attempts(),
        "network": _network_attempts(targets),
        "usual": _usual_attempts(),
    }
    found: dict[str, Any] = {"words": _words()}
    thread = threading.Thread(
        target=lambda: found.update({name: _tried(group) for name, group in groups.items()})
    )
    thread.start()
    thread.join()
    path = Path(tempfile.gettempdir(), REPORT)
    path.with_suffix(".new").write_text(json.dumps(found))
    path.with_suffix(".new").rename(path)
    time.sleep(600)


def _words() -> str:
    try:
        socket.create_connection(("127.0.0.1", 9))
    except OSError as error:
        return str(error)
    return "connected"


if __name__ == "__main__":
    worker.die_with_parent(int(sys.argv[sys.argv.index("--parent") + 1]))
    worker.Worker.run = lambda self: report(self._inbox)  # type: ignore[method-assign]
    worker.main()
