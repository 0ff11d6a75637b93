"""The bytes of one recording: a regular file, opened so that nothing else can stand in for it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from modules.errors import MediaError, Message, noted
from modules.storage.recording_file import open_recording_file, raise_storage_error

#: What may be read before the first sound. Headers, cover pictures and indexes of long recordings
#: stay far below it; a file that wants more is built to fill the memory.
HEADER_BYTES_MAX = 256 * 2**20
#: What may be read in one piece: a packet, a picture in a tag.
PIECE_BYTES_MAX = 64 * 2**20
_PIECE_MB = PIECE_BYTES_MAX // 2**20
#: What may be read in vain, after which the file counts as ended. Less than a piece: FFmpeg makes
#: a last packet of all that it found no sense in.
BARREN_BYTES_MAX = 32 * 2**20
#: FFmpeg reads through a buffer of this size; what is larger it reads at once, into memory.
BUFFER_BYTES = 128 * 1024

#: QuickTime may pack its index; the last four bytes are the size that it claims to unpack to.
_PACKED_INDEX = re.compile(rb"zlib.{4}cmvd(.{4})", re.DOTALL)


class Source:
    """A file-like object for PyAV: bytes only, without a name.

    FFmpeg trusts a file's extension over its content where it can see one, and finds "frames" in
    noise named .mp3; a source without a name is judged by content alone.
    """

    def __init__(self, recording: Path | int) -> None:
        """``recording``: its path, or a descriptor of it, which stays the caller's."""
        if isinstance(recording, Path):
            self._take(open_recording_file(recording))
        else:
            self._take(os.dup(recording))

    def twin(self) -> Source:
        """The same file once more, with a place of its own to read at."""
        twin = Source.__new__(Source)
        twin._take(os.dup(self._fd))
        twin._patches = self._patches
        return twin

    def _take(self, fd: int) -> None:
        self.failure: OSError | MediaError | None = None
        self.header_budget: int | None = HEADER_BYTES_MAX
        #: Whether all bytes belong to the one track that is wanted, so that none may be in vain.
        self.single_track = False
        self._position = 0
        #: Whether the file counts as ended, since so much was read and nothing came of it.
        self.gave_up = False
        self._piece = self._barren = 0
        self._seam = b""
        #: Where the file begins and ends for FFmpeg: a part of one that was chained.
        self._base = 0
        self._patches: tuple[tuple[int, bytes], ...] = ()
        self._fd = fd
        self.size = self._end = os.fstat(fd).st_size

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

    def begin(self, base: int = 0, end: int | None = None) -> None:
        """Back to the first byte, with a fresh allowance for what comes before the sound.

        ``base``: the byte of the file that is to be the first. ``end``: the one behind the last.
        """
        self._position = self._base = base
        self._end = self.size if end is None else end
        self.header_budget = HEADER_BYTES_MAX
        self.single_track = self.gave_up = False
        self._seam = b""
        self.fruitful()

    def fruitful(self) -> None:
        """A packet came of what was read so far."""
        self._piece = self._barren = 0

    def patch(self, offset: int, content: bytes) -> None:
        """Have FFmpeg read other bytes than the file has at ``offset``."""
        self._patches = (*self._patches, (offset, content))

    def peek(self, count: int, offset: int = 0) -> bytes:
        """Up to ``count`` bytes from ``offset``, not moving the position. Raises StorageError."""
        try:
            return os.pread(self._fd, count, max(0, offset))
        except OSError as error:
            raise_storage_error(error)

    def read(self, count: int) -> bytes:
        """For PyAV. What it raises is kept in ``failure``: FFmpeg may turn it into another."""
        if self.gave_up:
            return b""
        self._piece = self._piece + count if count > BUFFER_BYTES else 0
        if self._piece > PIECE_BYTES_MAX:
            self._refuse(
                noted("The file claims that one piece of it has more than {mb} MB.", mb=_PIECE_MB)
            )
        try:
            data = os.pread(
                self._fd, max(0, min(count, self._end - self._position)), self._position
            )
        except OSError as error:
            self.failure = error
            raise
        for offset, content in self._patches:
            data = _overlaid(data, offset - self._position, content)
        self._position += len(data)
        self._spend(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {
            os.SEEK_SET: self._base, os.SEEK_CUR: self._position, os.SEEK_END: self._end,
        }[whence]  # fmt: skip
        if start + offset < self._base:
            raise ValueError(f"cannot seek to {start + offset}")
        self._position = start + offset
        return self._position - self._base

    def tell(self) -> int:
        return self._position - self._base

    def raise_failure(self) -> None:
        """Raise StorageError if a read has failed, MediaError if one was refused."""
        if isinstance(self.failure, MediaError):
            raise self.failure
        if self.failure is not None:
            raise_storage_error(self.failure)

    def _spend(self, data: bytes) -> None:
        # A film may go on for hours after its sound; of zeros, or in a file that is nothing but
        # sound, there is nothing more to come.
        if self.single_track or not data.strip(b"\0"):
            self._barren += len(data)
            self.gave_up = self._barren > BARREN_BYTES_MAX
        if self.header_budget is None:
            return
        self.header_budget -= len(data)
        if self.header_budget < 0:
            self._refuse(
                noted(
                    "Before its first sound the file holds more than {mb} MB.",
                    mb=HEADER_BYTES_MAX // 2**20,
                )
            )
        packed = _PACKED_INDEX.search(self._seam + data)
        if packed and int.from_bytes(packed[1], "big") > PIECE_BYTES_MAX:
            self._refuse(noted("The index of the file unpacks to more than {mb} MB.", mb=_PIECE_MB))
        self._seam = data[-15:]

    def _refuse(self, why: Message) -> NoReturn:
        self.failure = MediaError(
            "oversized",
            why,
            remedy=noted("Export the recording again as an ordinary MP3, M4A or WAV file."),
        )
        raise self.failure


def _overlaid(data: bytes, at: int, content: bytes) -> bytes:
    """``data`` with ``content`` in place of the bytes from ``at`` on, as far as it covers them."""
    first, last = max(at, 0), min(at + len(content), len(data))
    if first >= last:
        return data
    return data[:first] + content[first - at : last - at] + data[last:]
