"""A user of its own, no capabilities, low priority, and limits on what may be taken.

Sources: credentials(7), capabilities(7), prctl(2), setrlimit(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import pwd
import resource
import signal
import struct
from collections.abc import Iterable
from pathlib import Path

from modules.worker.sandbox.kernel import (
    KEEP_CAPABILITIES,
    NO_NEW_PRIVILEGES,
    PARENT_DEATH_SIGNAL,
    checked,
    libc,
    prctl,
)

_NICENESS, _NICENESS_MAX = 10, 19
#: Where the kernel shares the processor among sessions, one of this niceness gets a tenth beside a
#: busy one, as 19 does beside 10 within one. At 19 it would get a hundredth; people wait for it.
_SESSION_NICENESS = 10
#: ioprio_set(2): the call, by the processor; of a process; the class that yields to all others.
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_OF_A_PROCESS, _IDLE_CLASS = 1, 3
#: What making a listening copy may take. Resident are 80 MiB, addresses 300 MiB; 24 hours of sound
#: take ten minutes.
ADDRESS_SPACE_MB, PROCESSOR_S = 1024, 7200
#: The highest: a transcription that is killed goes on from its checkpoint.
_OOM_SCORE = 1000
#: A temporary file cannot be larger, and no more files can be open.
FILE_MB, OPEN_FILES = 256, 512
#: Where the machine has no such user, the number that Linux itself uses for nobody.
_NOBODY = "nobody", 65534

_CAPABILITIES_VERSION = 0x20080522
#: To read files whatever their permissions are, as Landlock says which: the capability for that
#: alone, or the larger one that containers have in its place.
_READING = (1 << 2, 1 << 1)


def lower_priority() -> None:
    """Let what people wait for at the screen, and the API, have the processor first."""
    os.nice(_NICENESS)


def yield_to_all() -> None:
    """Take little of the processor while others want it, and of the disk only what they leave."""
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w", encoding="ascii") as file:
        file.write(str(_SESSION_NICENESS))
    os.nice(_NICENESS_MAX)
    if call := _IOPRIO_SET.get(platform.machine()):
        checked(libc().syscall(call, _OF_A_PROCESS, 0, _IDLE_CLASS << 13))


def limit_work() -> None:
    """What a listening copy of 24 hours needs, on a slow machine, and no more."""
    for what, most in (
        (resource.RLIMIT_AS, ADDRESS_SPACE_MB * 2**20),
        (resource.RLIMIT_CPU, PROCESSOR_S),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def raise_oom_score() -> None:
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write(str(_OOM_SCORE))


def limit_files() -> None:
    """No core dumps, no large files, not many open ones."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for what, most in (
        (resource.RLIMIT_FSIZE, FILE_MB * 2**20),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def forbid_new_privileges() -> None:
    prctl(NO_NEW_PRIVILEGES, 1)


def become_nobody(scratch: Path | None, devices: Iterable[Path]) -> None:
    """If this is root: become a user who owns nothing but ``scratch``.

    It can still read what only root may: the weights, or Python itself, may be in such a folder.
    So call it only where Landlock says what can be read. Raises OSError, and is root then.
    """
    if os.geteuid() != 0:
        return
    user, group = _nobody()
    groups = _groups_of(devices)
    reading = _reading()
    if not reading:
        raise OSError(errno.EPERM, "files that only root may read could not be read")
    prctl(KEEP_CAPABILITIES, 1)
    os.setgroups(groups)
    if scratch:
        os.chown(scratch, user, group)
    try:
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    except OSError:
        if scratch:
            os.chown(scratch, 0, 0)
        raise
    # Whoever changes the user is no longer told of the parent's end.
    prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    _keep_capabilities(reading)


def drop_capabilities() -> None:
    """All but the one to read files, whoever has them: root, or the user of a service."""
    if any(_permitted()):
        _keep_capabilities(_reading())


def _reading() -> int:
    """Which capability to read all files this process has; 0 for none."""
    return next((one for one in _READING if _permitted()[0] & one), 0)


def _permitted() -> tuple[int, int]:
    """The capabilities that this process has, 32 of them in each word."""
    found = ctypes.create_string_buffer(24)
    checked(libc().capget(struct.pack("Ii", _CAPABILITIES_VERSION, 0), found))
    words = struct.unpack("6I", found.raw)
    return words[1], words[4]


def _keep_capabilities(kept: int) -> None:
    """capset(2): two words for each of effective, permitted and inheritable."""
    head = struct.pack("Ii", _CAPABILITIES_VERSION, 0)
    checked(libc().capset(head, struct.pack("6I", kept, kept, 0, 0, 0, 0)))


def _nobody() -> tuple[int, int]:
    name, number = _NOBODY
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return number, number
    return entry.pw_uid, entry.pw_gid


def _groups_of(devices: Iterable[Path]) -> list[int]:
    """The groups that may use a graphics card."""
    return sorted({path.stat().st_gid for path in devices if path.exists()} - {0})
