"""Renames that never replace what has the name, however late it came there.

Sources: renameat2(2), RENAME_NOREPLACE; link(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os

_AT_FDCWD, _RENAME_NOREPLACE = -100, 1
#: Of file systems, kernels and C libraries that do not know the flag, or links.
UNKNOWN = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
NO_LINKS = UNKNOWN | {errno.EPERM, errno.EMLINK, errno.EXDEV}

_libc = ctypes.CDLL(None, use_errno=True)


def rename_new(source: str, target: str) -> None:
    """One step where the file system can do it. Raises OSError, FileExistsError for a taken name.

    Most local ones know the flag; NFS knows links instead. Where neither is known, the name is
    looked at and then taken, and what comes there in between is replaced.
    """
    try:
        rename_unless_taken(source, target)
    except OSError as error:
        if error.errno not in UNKNOWN:
            raise
        _link(source, target)


def rename_unless_taken(source: str, target: str) -> None:
    """The call itself. Raises OSError, EINVAL or ENOSYS where it is not known."""
    try:
        renameat2 = _libc.renameat2
    except AttributeError:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), source, None, target) from None
    old, new = os.fsencode(source), os.fsencode(target)
    if renameat2(_AT_FDCWD, old, _AT_FDCWD, new, _RENAME_NOREPLACE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), source, None, target)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        # A server may have done it, and its answer was lost: asked again it says that it is taken.
        if not (error.errno == errno.EEXIST and _is_one_file(source, target)):
            if error.errno not in NO_LINKS:
                raise
            _look_and_rename(source, target)
            return
    with contextlib.suppress(OSError):  # the next start removes what is left of a name
        os.unlink(source)


def _is_one_file(left: str, right: str) -> bool:
    try:
        return os.path.samestat(os.lstat(left), os.lstat(right))
    except OSError:
        return False


def _look_and_rename(source: str, target: str) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), source, None, target)
    os.rename(source, target)
