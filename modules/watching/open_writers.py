"""Does a process have this file open for writing? Linux says so, on a local disk.

A read lease (fcntl(2), F_SETLEASE) is only granted on a file that no process has open for writing,
writable mappings included. It is given back at once.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from pathlib import Path

from modules.storage import beneath

#: Where a refused lease means a writer. Network file systems (NFSv4, CIFS) refuse with the same
#: EAGAIN when the server granted no delegation: taken for a writer, a file would wait for ever.
LEASE_FILESYSTEMS = frozenset(
    {"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "bcachefs", "zfs", "jfs", "tmpfs", "overlay"}
    | {"vfat", "exfat", "ntfs3"}
)


def ignore_lease_signals() -> None:
    """Keep SIGIO from killing the process. Main thread only; without it ``has_writer`` is blind.

    A process that opens the file during our lease makes the kernel send it to us.
    """
    signal.signal(signal.SIGIO, signal.SIG_IGN)


def leases_tell(folder: Path) -> bool:
    """Whether ``has_writer`` can be asked about files on the file system of this folder.

    False elsewhere than on Linux, and before ``ignore_lease_signals``.
    """
    safe = signal.getsignal(signal.SIGIO) != signal.SIG_DFL
    return safe and _filesystem_type(folder) in LEASE_FILESYSTEMS


def has_writer(path: Path) -> bool | None:
    """True: open for writing somewhere. False: nowhere. None: unknown.

    Unknown is usual for files of other users (no CAP_LEASE). Ask only where ``leases_tell``.
    """
    if signal.getsignal(signal.SIGIO) == signal.SIG_DFL:
        return None
    try:
        descriptor = beneath.descriptor(path, os.O_RDONLY)
    except OSError as error:
        # There is a write lease, as Samba takes one for a client that caches its writes.
        return True if error.errno == errno.EAGAIN else None
    try:
        return _lease_refused(descriptor)
    finally:
        os.close(descriptor)


def _lease_refused(descriptor: int) -> bool | None:
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    return False


def _filesystem_type(folder: Path) -> str | None:
    """The type of the mount that the folder lies on, as /proc/self/mountinfo names it."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    real = os.path.realpath(folder)
    best, found = "", None
    for line in lines:
        mount, _, rest = line.partition(" - ")
        point = _unescape(mount.split(" ")[4])
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # the later of two on one point lies on top
            best, found = point, rest.split(" ")[0]
    return found


def _unescape(point: str) -> str:
    """mountinfo writes blank, tab, newline and backslash in octal."""
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, char)
    return point
