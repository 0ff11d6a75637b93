"""The bytes of one recording: a regular file, opened so that nothing else can stand in for it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from modules.errors import MediaError, StorageError

#: What may be read before the first sound. Headers, cover pictures and indexes of long recordings
#: stay far below it; a file that wants more is built to fill the memory.
HEADER_BYTES_MAX = 256 * 2**20

_VANISHED = {errno.ENOENT, errno.ENOTDIR, errno.ESTALE}
_NOT_REGULAR = {errno.ELOOP, errno.ENXIO, errno.EISDIR}
_DENIED = {errno.EACCES, errno.EPERM}


class Source:
    """A file-like object for PyAV: bytes only, without a name.

    FFmpeg trusts a file's extension over its content where it can see one, and finds "frames" in
    noise named .mp3; a source without a name is judged by content alone.
    """

    def __init__(self, path: Path) -> None:
        self.failure: OSError | None = None
        self.header_budget: int | None = HEADER_BYTES_MAX
        self._position = 0
        self._fd = _open_regular(path)
        self.size = os.fstat(self._fd).st_size

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def fraction(self) -> float:
        """How much of the file lies behind the place that was read last, 0 to 1."""
        return min(1.0, self._position / self.size) if self.size else 1.0

    def begin(self) -> None:
        """Back to the first byte, with a fresh allowance for what comes before the sound."""
        self._position = 0
        self.header_budget = HEADER_BYTES_MAX

    def peek(self, count: int, offset: int = 0) -> bytes:
        """Up to ``count`` bytes from ``offset``, not moving the position. Raises StorageError."""
        try:
            return os.pread(self._fd, count, max(0, offset))
        except OSError as error:
            raise_storage_error(error)

    def read(self, count: int) -> bytes:
        """For PyAV. An OSError is kept in ``failure``, since FFmpeg may turn it into another."""
        try:
            data = os.pread(self._fd, count, self._position)
        except OSError as error:
            self.failure = error
            raise
        self._position += len(data)
        self._spend(len(data))
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"cannot seek to {base + offset}")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def raise_failure(self) -> None:
        """Raise StorageError if a read has failed; otherwise it was the content's fault."""
        if self.failure is not None:
            raise_storage_error(self.failure)

    def _spend(self, count: int) -> None:
        if self.header_budget is None:
            return
        self.header_budget -= count
        if self.header_budget < 0:
            raise MediaError(
                "oversized",
                f"The file holds more than {HEADER_BYTES_MAX // 2**20} MB before its first sound.",
                remedy="Export the recording again as an ordinary MP3, M4A or WAV file.",
            )


def raise_storage_error(error: OSError) -> NoReturn:
    """What an OSError about the file itself means to whoever waits for the text."""
    if error.errno in _VANISHED:
        raise StorageError(
            "file_vanished", "The file is no longer there.", details=str(error)
        ) from error
    if error.errno in _DENIED:
        raise StorageError(
            "permission_denied",
            "The file may not be read.",
            details=str(error),
            remedy="Give the transcriber read permission for it.",
        ) from error
    raise StorageError(
        "read_error",
        "The file could not be read from its disk or network share.",
        details=str(error),
        remedy="Check the disk or the network connection.",
    ) from error


def _open_regular(path: Path) -> int:
    # O_NONBLOCK: opening a FIFO would otherwise wait for a writer for ever.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, flags)
    except OSError as error:
        if error.errno in _NOT_REGULAR:
            raise _not_regular() from error
        raise_storage_error(error)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise _not_regular()
    return fd


def _not_regular() -> MediaError:
    return MediaError(
        "not_a_regular_file",
        "This is a link, a folder or a device, not a file with a recording in it.",
        remedy="Copy the recording itself into the folder.",
    )
