"""Open files that others may have placed: links are not followed, opening a FIFO does not block."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO, Any

from modules.errors import TranscriberError
from modules.storage.atomic import parse_json

#: What is no file of ours: a link, a socket, a folder, a device or a FIFO, or far too large.
NOT_OURS = frozenset({errno.ELOOP, errno.ENXIO, errno.EINVAL, errno.EISDIR, errno.EFBIG})

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def descriptor_of(path: Path | str, dir_fd: int | None = None) -> int:
    """A descriptor of a regular file for reading; ``path`` is relative to ``dir_fd`` if given.

    Raises OSError: ELOOP for a link, ENXIO for a socket, EINVAL for a folder, a device or a FIFO.
    """
    descriptor = os.open(path, _FLAGS, dir_fd=dir_fd)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", os.fspath(path))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_regular(path: Path | str, dir_fd: int | None = None) -> IO[bytes]:
    """A regular file for reading. Raises OSError as ``descriptor_of`` does."""
    return open(descriptor_of(path, dir_fd), "rb")


def read_regular(path: Path | str, limit_bytes: int, dir_fd: int | None = None) -> bytes:
    """The content of a regular file of at most ``limit_bytes``.

    Raises OSError as ``descriptor_of`` does, and EFBIG for a larger file.
    """
    with open_regular(path, dir_fd) as file:
        too_large = os.fstat(file.fileno()).st_size > limit_bytes
        content = b"" if too_large else file.read(limit_bytes + 1)
    if too_large or len(content) > limit_bytes:  # it may grow while it is read
        raise OSError(errno.EFBIG, f"is larger than {limit_bytes} bytes", os.fspath(path))
    return content


def append_regular(path: Path | str) -> IO[bytes]:
    """A regular file for appending, made if it is missing. Raises OSError as ``descriptor_of``."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    file = os.fdopen(os.open(path, flags, 0o644), "ab", buffering=0)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "is not a regular file", os.fspath(path))
    return file


def read_json(path: Path, limit_bytes: int) -> dict[str, Any]:
    """The JSON object in a regular file.

    Raises OSError as ``descriptor_of`` does, and TranscriberError ``corrupt_sidecar`` if the file
    is larger than ``limit_bytes`` or holds no JSON object.
    """
    try:
        content = read_regular(path, limit_bytes)
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        raise TranscriberError("corrupt_sidecar", f"{path.name}: {error.strerror}") from error
    return parse_json(content, path.name)
