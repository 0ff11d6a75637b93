"""What the WhisperX process gives up, tried from inside by ``tests/sandbox_probe.py``."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from modules.clock import SystemClock
from modules.executors.local.process import Child, start_child
from modules.executors.protocol import Ready
from modules.executors.tasks import task_for
from modules.weights.files import ModelSpec
from modules.worker.sandbox import landlock, seccomp, syscalls
from tests.builders import SETTINGS, a_config, until
from tests.daemon_process import PROJECT
from tests.sandbox_probe import REPORT, VARIABLE, Targets

#: How long the libraries may take on a busy machine, in seconds.
IMPORT_S = 180.0
#: How long all attempts may take.
TRIES_S = 60.0
NOBODY = 65534
CONTENT = b"content of a recording"


@dataclass
class Found:
    """What came of every attempt, by group; and what can be seen of the process from outside."""

    attempts: dict[str, dict[str, str]]
    words: str
    unsandboxed: tuple[str, ...]
    status: list[dict[str, str]]
    share: Path
    scratch: list[tuple[str, int]]
    scratch_mode: int
    victim: psutil.Process
    limits: str
    limits_before: str


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    """Everything tried once, in the real process as the daemon starts it."""
    root = tmp_path_factory.mktemp("sandbox")
    config = a_config(root)
    for folder in (config.shared_directory, config.manual_directory, config.models_directory):
        folder.mkdir()
    for name in ("talk.wav", "other.wav", "victim.wav"):
        (config.shared_directory / name).write_bytes(CONTENT)
        with contextlib.suppress(OSError):
            os.setxattr(config.shared_directory / name, "user.note", b"private")
    home = root / "home"
    home.mkdir(mode=0o755)
    secrets = [root / "config.yaml", home / "secret", config.manual_directory / "failed.wav"]
    for secret in secrets:
        secret.write_text("api: {key: secret}")
    if os.geteuid() == 0:  # or only the owner of the files would be in its way
        for path in (config.shared_directory, *config.shared_directory.iterdir(), *secrets):
            os.chown(path, NOBODY, NOBODY)
    paths = (*map(str, secrets), "/etc/passwd", "/etc/hostname", str(PROJECT / "config.yaml"))
    model = ModelSpec(name="base", path=str(config.models_directory), device="cpu", compute_type="")
    order = task_for(config.shared_directory / "talk.wav", SETTINGS, model, config).command
    listener = str(root / "listener")
    with victim() as process, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(listener)
        os.chmod(listener, 0o777)
        targets = Targets(
            process.pid, str(config.shared_directory), os.fsdecode(order.path), paths, listener
        )
        before = limits_of(process.pid)
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv(VARIABLE, targets.encoded())
            command = [sys.executable, "-m", "tests.sandbox_probe", "--cpu-threads", "1"]
            command += ["--models-directory", str(config.models_directory)]
            child = start_child(config, command, SystemClock(), model.path)
        try:
            ready = until(lambda: ready_of(child), "it was not ready", IMPORT_S)
            assert ready is not None
            child.connection.send_recording(order)
            report = child.scratch / REPORT
            until(lambda: report.exists() or child.is_dead, "it did not try all", TRIES_S)
            assert not child.is_dead, child.connection.complaints
            said = json.loads(report.read_text())
            yield Found(
                words=said.pop("words"),
                attempts=said,
                unsandboxed=ready.unsandboxed,
                status=statuses(child.process.pid),
                share=config.shared_directory,
                scratch=[(path.name, path.lstat().st_mode) for path in child.scratch.iterdir()],
                scratch_mode=stat.S_IMODE(child.scratch.stat().st_mode),
                victim=psutil.Process(process.pid),
                limits=limits_of(process.pid),
                limits_before=before,
            )
        finally:
            child.end(0)


@contextlib.contextmanager
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the user that the WhisperX process has."""
    user = NOBODY if os.geteuid() == 0 else None
    with subprocess.Popen(["sleep", "900"], user=user, group=user) as process:
        try:
            yield process
        finally:
            process.kill()


def ready_of(child: Child) -> Ready | None:
    event = child.next_event()
    return event if isinstance(event, Ready) else None


def limits_of(pid: int) -> str:
    return Path(f"/proc/{pid}/limits").read_text()


def statuses(pid: int) -> list[dict[str, str]]:
    """Of every thread, what the kernel says of it."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    texts = ((task / "status").read_text() for task in tasks)
    return [dict(line.split(":\t", 1) for line in text.splitlines()) for text in texts]


def needs(found: Found, *steps: str) -> None:
    """Skip, with the machine's own word, what this kernel does not know."""
    for line in found.unsandboxed:
        if line.startswith(steps):
            pytest.skip(line)


FILES, CALLS, USER = "reads and writes no other files", "opens no connection", "a user of its own"
#: What stays possible inside, and must: SECURITY.md says why.
POSSIBLE = {
    "descriptor": {"read the recording", "seek in the recording"},
    "scratch": {"temporary file", "temporary folder"},
    "usual": {
        "thread", "socket pair", "random", "null", "own memory", "libraries", "own affinity",
        "own limits", "signal to itself", "names of files", "poll",
    },
}  # fmt: skip
#: Which errors say that the sandbox refused, and not that the attempt was made wrongly.
REFUSALS = {"EACCES", "EPERM", "ENOSYS"}
#: Refused in another way: by a limit; by what the descriptor was opened for.
OTHERWISE = {
    "large file": "EFBIG",
    "many files": "EMFILE",
    "fwrite": "EBADF",
    "ftruncate": "EINVAL",
}


@pytest.mark.parametrize(
    "group",
    [
        "resources", "signals", "files", "descriptor", "processes", "scratch", "kernel",
        "network", "usual",
    ],
)  # fmt: skip
def test_nothing_is_possible_inside_but_what_is_written_down(found: Found, group: str) -> None:
    needs(found, FILES, CALLS)
    said = found.attempts[group]
    assert {name for name, what in said.items() if what == "done"} == POSSIBLE.get(group, set())
    wrong = {
        name: what
        for name, what in said.items()
        if what not in REFUSALS | {"done", OTHERWISE.get(name)}
    }
    assert not wrong, "these attempts failed for another reason, and prove nothing"


def test_so_many_things_are_tried(found: Found) -> None:
    assert sum(map(len, found.attempts.values())) > 210


def test_neither_the_share_nor_another_process_has_changed(found: Found) -> None:
    needs(found, FILES, CALLS)
    assert {path.name: path.read_bytes() for path in found.share.iterdir()} == dict.fromkeys(
        ("talk.wav", "other.wav", "victim.wav"), CONTENT
    )
    assert found.victim.is_running()
    assert found.victim.nice() == os.nice(0)
    assert len(found.victim.cpu_affinity()) == len(os.sched_getaffinity(0))


def test_it_cannot_take_resources_from_the_daemon(found: Found) -> None:
    """With a limit of 0 s of processor time the daemon would be gone; with one file, deaf."""
    needs(found, CALLS)
    assert found.limits == found.limits_before
    tries = [name for name in found.attempts["resources"] if "prlimit" in name]
    assert len(tries) == 17
    assert {found.attempts["resources"][name] for name in tries} <= REFUSALS


def test_it_leaves_nothing_that_another_user_could_run_as_its_own(found: Found) -> None:
    needs(found, CALLS)
    assert found.scratch_mode == 0o700
    assert {"plain", "folder"} <= {name for name, _ in found.scratch}
    assert [name for name, mode in found.scratch if mode & 0o6000] == []


def test_it_is_another_user_where_the_daemon_is_root(found: Found) -> None:
    if os.geteuid() != 0:
        pytest.skip("the daemon is not root")
    needs(found, USER)
    for status in found.status:
        assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(NOBODY)}
        assert status["Groups"].split() == []
        # To read files that only root may; Landlock says which.
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 1 << 2


def test_it_is_confined_in_all_its_threads(found: Found) -> None:
    needs(found, CALLS)
    assert len(found.status) > 1
    for status in found.status:
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_python_code_is_told_in_words(found: Found) -> None:
    assert "opens no connection" in found.words


CONFINED = """
import os, sys
from pathlib import Path
from modules.worker.sandbox import confine
{before}
root = Path(sys.argv[1])
places = confine.Places((root / "models",), root / "scratch", (root / "share",))
print(*confine.apply(places), sep="\\n")
{after}
"""


def confined(root: Path, before: str = "", after: str = "") -> list[str]:
    """What a small process that confines itself says."""
    for name in ("models", "share", "scratch"):
        (root / name).mkdir(mode=0o700, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", CONFINED.format(before=before, after=after), str(root)],
        cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def needs_landlock() -> None:
    try:
        landlock.landlock_version()
    except OSError as error:
        pytest.skip(f"this kernel has no Landlock ({error})")


def test_what_a_machine_does_not_know_is_said_and_the_rest_is_done(tmp_path: Path) -> None:
    needs_landlock()
    before = "import platform; platform.machine = lambda: 'riscv64'"
    after = "print(os.nice(0))"
    line, niceness = [line for line in confined(tmp_path, before, after) if line]
    assert line.startswith("opens no connection, starts no process (")
    assert "riscv64" in line
    assert int(niceness) == min(19, os.nice(0) + 10)


def test_a_copy_for_a_listener_keeps_a_tenth_of_a_busy_machine() -> None:
    """The least niceness would be a hundredth where sessions share the processor."""
    if not Path("/proc/self/autogroup").exists():
        pytest.skip("this kernel knows no sessions")
    code = (
        "from modules.worker.sandbox import privileges\n"
        "privileges.yield_to_all()\n"
        "print(open('/proc/self/autogroup').read())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True,
        start_new_session=True,
    )  # fmt: skip
    assert done.stdout.split("nice")[1].split() == ["10"]


def test_who_may_not_change_its_user_keeps_its_scratch_folder(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("the daemon is not root")
    before = "def no(*_): raise PermissionError(1, 'refused')\nos.setresuid = no"
    after = "(root / 'scratch' / 'file').write_text('x')\nprint(os.geteuid())"
    line, user = [line for line in confined(tmp_path, before, after) if line]
    assert line.startswith(USER)
    assert int(user) == 0


@pytest.mark.parametrize(
    ("taken", "kept"),
    [(1 << 2, 1 << 1), (1 << 1, 1 << 2), (0b110, 0)],
    ids=["docker", "one", "none"],
)
def test_root_with_fewer_capabilities_keeps_one_to_read(
    tmp_path: Path, taken: int, kept: int
) -> None:
    """Containers take the capability to read all files, and leave the one to write them as well."""
    if os.geteuid() != 0:
        pytest.skip("the daemon is not root")
    needs_landlock()
    before = (
        "import ctypes, struct\n"
        "head, both = struct.pack('Ii', 0x20080522, 0), ctypes.create_string_buffer(24)\n"
        "ctypes.CDLL(None).capget(head, both)\n"
        "words = list(struct.unpack('6I', both.raw))\n"
        f"words[0] &= ~{taken}; words[1] &= ~{taken}\n"
        "assert ctypes.CDLL(None).capset(head, struct.pack('6I', *words)) == 0"
    )
    after = (
        "import colorsys\n"
        "status = dict(l.split(':', 1) for l in open('/proc/self/status'))\n"
        "print(os.getuid(), int(status['CapEff'], 16))"
    )
    said = [line for line in confined(tmp_path, before, after) if line]
    assert said[-1] == f"{NOBODY if kept else 0} {kept}"
    assert said[0].startswith(USER) != bool(kept)


def test_without_landlock_only_the_capability_to_read_is_kept(tmp_path: Path) -> None:
    before = (
        "from modules.worker.sandbox import landlock\n"
        "def none(): raise OSError(38, 'no Landlock')\n"
        "landlock.landlock_version = none"
    )
    after = (
        "print(os.geteuid())\n"
        "print([l.split()[1] for l in open('/proc/self/status') if l.startswith('CapEff')][0])"
    )
    *missing, user, capabilities = [line for line in confined(tmp_path, before, after) if line]
    expected = [USER, FILES] if os.geteuid() == 0 else [FILES]
    assert [line.partition(" (")[0] for line in missing] == expected
    assert int(user) == os.geteuid()
    assert int(capabilities, 16) in (1 << 2, 0)


def test_a_share_among_the_weights_is_said(tmp_path: Path) -> None:
    needs_landlock()
    (tmp_path / "models" / "share").mkdir(parents=True)
    (tmp_path / "share").symlink_to(tmp_path / "models" / "share")
    (line,) = [line for line in confined(tmp_path) if line]
    assert line.startswith("reads no other files (")
    assert "share" in line


def test_weights_behind_links_can_be_read(tmp_path: Path) -> None:
    """The hub's cache is made of them; so is a folder of models that somebody put together."""
    needs_landlock()
    for name in ("blobs", "elsewhere"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(f"in {name}")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.bin").symlink_to("../blobs/file")
    (tmp_path / "models" / "large").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "deeper").symlink_to(tmp_path / "blobs" / "file")
    after = (
        "for name in ('model.bin', 'large/file', 'large/deeper'):\n"
        "    print((root / 'models' / name).read_text())"
    )
    said = [line for line in confined(tmp_path, after=after) if line]
    assert said == ["in blobs", "in elsewhere", "in blobs"]


@pytest.mark.parametrize("processor", ["x86_64", "aarch64"])
def test_every_jump_of_the_filter_ends_in_it(processor: str) -> None:
    program = seccomp.program(processor, 4711)
    assert len(program) % 8 == 0
    count = len(program) // 8
    assert count < 4096, "the kernel takes no more"
    for number in range(count):
        code = int.from_bytes(program[8 * number : 8 * number + 2], "little")
        true, false = program[8 * number + 2], program[8 * number + 3]
        if code & 0x07 == 0x05:  # a jump
            assert number + 1 + max(true, false) < count
    assert program[-8] == 0x06, "it ends with a return"


HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
    "aarch64": ("/usr/include/asm-generic/unistd.h",),
}
#: Gone from the headers, or written there in two lines.
UNSEEN = {"create_module", "name_to_handle_at", "open_by_handle_at", "sysfs", "uselib"}


@pytest.mark.parametrize("processor", ["x86_64", "aarch64"])
def test_the_numbers_are_those_of_the_kernels_headers(processor: str) -> None:
    header = next((Path(h) for h in HEADERS[processor] if Path(h).is_file()), None)
    if header is None:
        pytest.skip(f"none of {HEADERS[processor]} is here")
    words = (line.split() for line in header.read_text().splitlines())
    known = {
        w[1].removeprefix("__NR_").removeprefix("__NR3264_"): w[2]
        for w in words
        if len(w) >= 3 and w[0] == "#define" and w[2].isdigit()
    }
    ours: dict[str, Any] = syscalls.refused(processor) | syscalls.examined(processor)
    differing = {
        name: number
        for name, number in ours.items()
        if known.get(name) != str(number) and not (name in UNSEEN and name not in known)
    }
    assert not differing
    assert len(ours) > 100
    if processor == "x86_64":
        assert platform.system() == "Linux"
