"""The filter of system calls: a BPF program, put together from blocks of a few lines.

What is not refused is allowed, as the engine's libraries use calls of which nobody has a list.
Of an argument only the lower 32 bits are looked at: the kernel takes no more of those examined
here. Sources: seccomp(2), Documentation/userspace-api/seccomp_filter.rst, linux/bpf_common.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterator

from modules.worker.sandbox import syscalls
from modules.worker.sandbox.kernel import checked, libc

#: An instruction: operation, lines to skip if true, if false, operand.
Line = tuple[int, int, int, int]

_LOAD, _AND, _SHIFT_RIGHT, _RETURN = 0x20, 0x54, 0x74, 0x06
_IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT = 0x15, 0x35, 0x45
#: Where the number of the call and the kind of the processor stand in ``seccomp_data``.
_AT_NUMBER, _AT_PROCESSOR, _AT_ARGUMENTS = 0, 4, 16
_ALLOW: Line = (_RETURN, 0, 0, 0x7FFF0000)
_REFUSE: Line = (_RETURN, 0, 0, 0x00050000 | errno.EACCES)
_UNKNOWN: Line = (_RETURN, 0, 0, 0x00050000 | errno.ENOSYS)

_PROCESSORS = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
#: Calls of the 32-bit interface on x86_64 have this bit.
_X32 = 0x40000000

_SET_FILTER, _ALL_THREADS = 1, 1
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_SECCOMP = {"x86_64": 317, "aarch64": 277}

#: What makes a file: O_CREAT and O_TMPFILE; and the set-user-ID and set-group-ID bits of its mode.
_MAKES, _SET_ID = 0o100 | 0o20000000, 0o6000
_CLONE_THREAD, _CLONE_NAMESPACES = 0x00010000, 0x7E020000
_AF_UNIX, _SOCK_STREAM, _SOCK_KIND = 1, 1, 0xF
#: prctl: to outlive the parent, to be read by others, where its memory is said to be, to inherit
#: orphans, to share a core, whom it lets trace it.
_PRCTL = (1, 4, 35, 36, 62, 0x59616D61)
#: fcntl: locks, whom to send which signal, leases, notices of what others do.
_FCNTL = (6, 7, 8, 10, 15, 37, 38, 1024, 1026)
#: ioctl, by their second byte: attributes of files, file systems, versions, sockets, btrfs.
_IOCTL_KINDS = (0x66, 0x58, 0x76, 0x89, 0x94)


def install() -> None:
    """Filter the system calls of all threads, for good. Raises OSError where that is not known."""
    processor = known_processor()
    filter_ = program(processor, os.getpid())
    code = ctypes.create_string_buffer(filter_, len(filter_))
    # struct sock_fprog: how many instructions, and where.
    head = struct.pack("HxxxxxxP", len(filter_) // 8, ctypes.addressof(code))
    try:
        # A positive number is a thread that cannot be filtered.
        if checked(libc().syscall(_SECCOMP[processor], _SET_FILTER, _ALL_THREADS, head)):
            raise OSError(errno.ESRCH, "a thread has another filter")
    except PermissionError:
        # A service manager may allow only the older call, which is for this thread, the only one.
        checked(libc().prctl(_PR_SET_SECCOMP, _MODE_FILTER, head, 0, 0))


def known_processor() -> str:
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _PROCESSORS:
        raise OSError(errno.ENOSYS, f"not known on {sys.platform} with {machine}")
    return machine


def program(processor: str, pid: int) -> bytes:
    """The filter of the process ``pid``, in the kernel's binary form."""
    return b"".join(struct.pack("HBBI", *line) for line in _lines(processor, pid))


def _lines(processor: str, pid: int) -> Iterator[Line]:
    yield (_LOAD, 0, 0, _AT_PROCESSOR)
    yield (_IF_EQUAL, 1, 0, _PROCESSORS[processor])
    yield _REFUSE
    yield (_LOAD, 0, 0, _AT_NUMBER)
    yield (_IF_AT_LEAST, 0, 1, _X32)
    yield _REFUSE
    yield from _new_ones(syscalls.FIRST_NEW[processor])
    for first, last in _ranges(sorted(syscalls.refused(processor).values())):
        # Within the range: refuse.
        yield (_IF_AT_LEAST, 0, 2, first)
        yield (_IF_AT_LEAST, 1, 0, last + 1)
        yield _REFUSE
    blocks = _blocks(pid)
    for name, number in syscalls.examined(processor).items():
        yield (_IF_EQUAL, 0, len(blocks[name]), number)
        yield from blocks[name]
    yield _ALLOW


def _new_ones(first: int) -> Iterator[Line]:
    """Of the newer calls a few are allowed; the others are not there."""
    allowed = [(_IF_EQUAL, len(syscalls.NEW) - i, 0, n) for i, n in enumerate(syscalls.NEW)]
    yield (_IF_AT_LEAST, 0, len(allowed) + 2, first)
    yield from allowed
    yield _UNKNOWN
    yield _ALLOW


def _ranges(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """The first and the last of each run of numbers without a gap."""
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last


# --- blocks: each ends with what is to be done with its call ---------------------------------


def _blocks(pid: int) -> dict[str, list[Line]]:
    own = _only(0, 0, pid)
    return {
        "open": _no_set_id_made(1, 2),
        "openat": _no_set_id_made(2, 3),
        "creat": _no_set_id(1),
        "mkdir": _no_set_id(1),
        "mkdirat": _no_set_id(2),
        "fcntl": _none_of(1, *_FCNTL),
        "ioctl": _none_of(1, *_IOCTL_KINDS, change=((_SHIFT_RIGHT, 0, 0, 8), (_AND, 0, 0, 0xFF))),
        "clone": _thread(0),
        "kill": _only(0, pid),
        "tgkill": _only(0, pid),
        "rt_sigqueueinfo": _only(0, pid),
        "rt_tgsigqueueinfo": _only(0, pid),
        "prlimit64": own,
        "sched_setaffinity": own,
        "sched_setscheduler": own,
        "sched_setparam": own,
        "sched_setattr": own,
        "prctl": _none_of(0, *_PRCTL),
        "socketpair": _stream(0, 1),
    }


def _load(argument: int) -> Line:
    return (_LOAD, 0, 0, _AT_ARGUMENTS + 8 * argument)


def _only(argument: int, *values: int) -> list[Line]:
    """Allowed if the argument is one of these."""
    choices = [line for value in values for line in ((_IF_EQUAL, 0, 1, value), _ALLOW)]
    return [_load(argument), *choices, _REFUSE]


def _none_of(argument: int, *values: int, change: tuple[Line, ...] = ()) -> list[Line]:
    """Refused if the argument, after a change, is one of these."""
    choices = [line for value in values for line in ((_IF_EQUAL, 0, 1, value), _REFUSE)]
    return [_load(argument), *change, *choices, _ALLOW]


def _no_set_id(mode: int) -> list[Line]:
    return [_load(mode), (_IF_ANY_BIT, 0, 1, _SET_ID), _REFUSE, _ALLOW]


def _no_set_id_made(flags: int, mode: int) -> list[Line]:
    """The mode counts only where a file may be made; elsewhere it is whatever was there."""
    return [_load(flags), (_IF_ANY_BIT, 1, 0, _MAKES), _ALLOW, *_no_set_id(mode)]


def _thread(flags: int) -> list[Line]:
    """A thread of this process, in its namespaces."""
    return [
        _load(flags),
        (_IF_ANY_BIT, 0, 1, _CLONE_NAMESPACES),
        _REFUSE,
        (_IF_ANY_BIT, 0, 1, _CLONE_THREAD),
        _ALLOW,
        _REFUSE,
    ]


def _stream(family: int, kind: int) -> list[Line]:
    """Two sockets that speak to each other alone; a datagram could be sent to others."""
    return [
        _load(family),
        (_IF_EQUAL, 1, 0, _AF_UNIX),
        _REFUSE,
        _load(kind),
        (_AND, 0, 0, _SOCK_KIND),
        (_IF_EQUAL, 0, 1, _SOCK_STREAM),
        _ALLOW,
        _REFUSE,
    ]
