"""What the WhisperX process gives up before it opens the first recording.

It reads files from unknown senders with code that has had vulnerabilities. So it writes nothing but
temporary files, opens no connection and signals no other process; and it has the lowest priority,
and is the first to be killed when the machine runs out of memory.
Sources: seccomp(2), landlock(7), prctl(2), proc_pid_oom_score_adj(5).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
import tempfile
from collections.abc import Callable
from typing import Any

_NICENESS = 10
#: The highest: a transcription that is killed goes on from its checkpoint.
_OOM_SCORE = 1000

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 22, 38
_SECCOMP_MODE_FILTER = 2
_RETURN_ALLOW, _RETURN_ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
#: Where the number of the call and the kind of the processor stand in ``seccomp_data``.
_AT_NUMBER, _AT_PROCESSOR = 0, 4
#: By processor: its audit number; the calls socket, connect and ptrace. The one of io_uring_setup,
#: through which sockets can be had as well, is the same everywhere.
_PROCESSORS = {"x86_64": (0xC000003E, (41, 42, 101)), "aarch64": (0xC00000B7, (198, 203, 117))}
_IO_URING_SETUP = 425
#: Calls of the 32-bit interface on x86_64 have this bit.
_X32 = 0x40000000

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_VERSION = 1
_PATH_BENEATH = 1
_WRITE_FILE = 1 << 1
#: Removing and making files and folders of all kinds; later versions add linking and truncating.
_CHANGES = _WRITE_FILE | sum(1 << bit for bit in range(4, 13))
_REFER, _TRUNCATE = (2, 1 << 13), (3, 1 << 14)
#: No abstract Unix sockets and no signals beyond the process and what it starts.
_SCOPES = (6, 0b11)
#: The graphics card is spoken to by writing to its devices.
_DEVICES = "/dev"

#: Python's audit events of everything that reaches for the network.
_CONNECTING = frozenset(
    f"socket.{what}"
    for what in (
        "connect", "sendto", "sendmsg", "getaddrinfo", "gethostbyname", "gethostbyaddr",
        "getnameinfo",
    )
)  # fmt: skip


def apply(online: bool) -> tuple[str, ...]:
    """Give up what transcribing does not need, for good. Call before any thread is started.

    ``online``: models may be fetched, so it must connect and write. Returns what this machine does
    not know or not allow, a line each.
    """
    steps: list[tuple[str, Callable[[], None]]] = [
        ("lower priority", _lower_priority),
        ("first to be killed when memory runs out", _raise_oom_score),
        ("no core dumps", _forbid_core_dumps),
        ("no new privileges", _forbid_new_privileges),
    ]
    if not online:
        steps += [("writes nothing", _forbid_writing), ("opens no connection", _forbid_connections)]
    missing = []
    for what, step in steps:
        try:
            step()
        except (OSError, AttributeError, ValueError) as error:
            missing.append(f"{what} ({error})")
    return tuple(missing)


def _lower_priority() -> None:
    """Let what people wait for at the screen, and the API, have the processor first."""
    os.nice(_NICENESS)


def _raise_oom_score() -> None:
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write(str(_OOM_SCORE))


def _forbid_core_dumps() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _forbid_new_privileges() -> None:
    _checked(_libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def _forbid_connections() -> None:
    # The hook first: it tells Python code in words what the kernel only refuses.
    sys.addaudithook(_refuse_with_a_message)
    program = _filter(*_PROCESSORS[_processor()])
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: how many instructions, and where.
    head = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    _checked(_libc().prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, head, 0, 0))


def _refuse_with_a_message(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _CONNECTING:
        raise PermissionError(
            "whisperx.allow_download is off, so the WhisperX process opens no connection"
        )


def _processor() -> str:
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _PROCESSORS:
        raise OSError(errno.ENOSYS, f"not known on {sys.platform} with {machine}")
    return machine


def _filter(processor: int, calls: tuple[int, ...]) -> bytes:
    """A BPF program that refuses some calls, and every call of another processor's interface."""
    refused = (*calls, _IO_URING_SETUP)
    # Each line: operation, lines to skip if true, if false, operand.
    rest = len(refused) + 2  # from the line after the first comparison to the refusal
    lines = [
        (_LOAD, 0, 0, _AT_PROCESSOR),
        (_JUMP_IF_EQUAL, 0, rest + 1, processor),
        (_LOAD, 0, 0, _AT_NUMBER),
        (_JUMP_IF_AT_LEAST, rest - 1, 0, _X32),
        *((_JUMP_IF_EQUAL, len(refused) - i, 0, call) for i, call in enumerate(refused)),
        (_RETURN, 0, 0, _RETURN_ALLOW),
        (_RETURN, 0, 0, _RETURN_ERRNO | errno.EACCES),
    ]
    return b"".join(struct.pack("HBBI", *line) for line in lines)


def _forbid_writing() -> None:
    """Landlock: files that are open stay so; it can open devices and temporary files for it."""
    _processor()
    libc = _libc()
    version = landlock_version()
    handled = _CHANGES | sum(bit for since, bit in (_REFER, _TRUNCATE) if version >= since)
    scopes = _SCOPES[1] if version >= _SCOPES[0] else 0
    # struct landlock_ruleset_attr: files, network, scopes; older kernels know only the beginning.
    attributes = struct.pack("QQQ", handled, 0, scopes)[: 24 if version >= 6 else 8]
    rules = _checked(libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0))
    try:
        _allow(rules, _WRITE_FILE, _DEVICES)
        _allow(rules, handled, tempfile.gettempdir())
        _checked(libc.syscall(_LANDLOCK_RESTRICT, rules, 0))
    finally:
        os.close(rules)


def _allow(rules: int, changes: int, folder: str) -> None:
    beneath = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", changes, beneath)
        _checked(_libc().syscall(_LANDLOCK_ADD, rules, _PATH_BENEATH, rule, 0))
    finally:
        os.close(beneath)


def landlock_version() -> int:
    """The version of the kernel's interface. Raises OSError where it has none."""
    return _checked(_libc().syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(returned: int) -> int:
    if returned < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return returned
