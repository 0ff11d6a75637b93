"""Open files that others may have put there: no link is followed, no FIFO is waited for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_regular(path: Path | str, dir_fd: int | None = None) -> IO[bytes]:
    """A regular file for reading; ``path`` is relative to ``dir_fd`` if that is given.

    Raises OSError: ELOOP for a link, EINVAL for a folder, a device, a FIFO or a socket.
    """
    descriptor = os.open(path, _FLAGS, dir_fd=dir_fd)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", os.fspath(path))
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path | str, limit_bytes: int, dir_fd: int | None = None) -> bytes:
    """The content of a regular file of at most ``limit_bytes``.

    Raises OSError as ``open_regular`` does, and EFBIG for a larger file.
    """
    with open_regular(path, dir_fd) as file:
        content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise OSError(errno.EFBIG, f"is larger than {limit_bytes} bytes", os.fspath(path))
    return content
