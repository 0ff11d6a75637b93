"""The finished chunks of a recording: one JSON line each, appended, so that saving stays cheap."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from modules.config.settings import Frozen, TranscriptionSettings
from modules.errors import StorageError
from modules.jobs.source import FileIdentity
from modules.recordings.fence import Fence
from modules.recordings.sidecars import RESULT_BYTES_MAX
from modules.storage import beneath
from modules.storage.atomic import storage_errors
from modules.storage.safe_open import open_regular
from modules.transcript.model import Chunk

#: A longer line is no chunk of ours; what follows it is left out, too.
_LINE_BYTES_MAX = 4 * 2**20
#: More than a recording of the longest kind has; what follows is left out.
_FILE_BYTES_MAX = RESULT_BYTES_MAX
_CHUNKS_MAX = 100_000


class Header(Frozen):
    """What the chunks belong to; a checkpoint of other bytes or other settings is void."""

    settings: TranscriptionSettings
    source: FileIdentity


@dataclass(frozen=True)
class Begun:
    """Chunks that were finished before the recording was there: the checkpoint at ``path``, which
    has ``source`` in place of its identity."""

    path: Path
    source: FileIdentity


class Chunks:
    """Finished chunks, in order, packed: every look at them makes them anew, one by one.

    As objects those of ten hours would take 70 MB; packed they take a few.
    """

    def __init__(self, chunks: Iterable[Chunk] = ()) -> None:
        self._packed: list[bytes] = []
        #: How far each leg is covered where the channels are transcribed apart; None elsewhere.
        self.legs: tuple[float, float] | None = None
        #: Seconds of the recording that are covered, in both legs if there are two.
        self.position_s = 0.0
        #: The language of the first speech, as ``auto`` found it.
        self.language: str | None = None
        for chunk in chunks:
            self.append(chunk)

    def append(self, chunk: Chunk) -> None:
        self._packed.append(zlib.compress(chunk.model_dump_json(exclude_none=True).encode()))
        self.position_s = chunk.position_s
        if chunk.leg is not None:
            self.legs = leg_positions(self.legs, chunk)
            self.position_s = min(self.legs)
        self.language = self.language or chunk.language

    def __len__(self) -> int:
        return len(self._packed)

    def __iter__(self) -> Iterator[Chunk]:
        return (Chunk.model_validate_json(zlib.decompress(packed)) for packed in self._packed)


def leg_positions(before: tuple[float, float] | None, chunk: Chunk) -> tuple[float, float]:
    """How far both legs are covered once a chunk of one of them is finished."""
    first, second = before or (0.0, 0.0)
    return (chunk.position_s, second) if chunk.leg == 0 else (first, chunk.position_s)


@dataclass(frozen=True)
class Checkpoint:
    """What is done of a recording. ``size``: bytes of the file that are sound."""

    chunks: Chunks = field(default_factory=Chunks)
    size: int = 0


def read(path: Path, header: Header) -> Checkpoint:
    """The chunks of a checkpoint that belongs to ``header``; empty if there is none that does.

    A torn last line, from a crash inside a write, is left out. Raises StorageError.
    """
    with storage_errors(path):
        try:
            with open_regular(path) as file:
                return _read(iter(lambda: file.readline(_LINE_BYTES_MAX), b""), header)
        except FileNotFoundError:
            return Checkpoint()


def carried(begun: Begun, header: Header) -> Iterator[bytes]:
    """The lines of a checkpoint for ``header`` that goes on from another with the same settings;
    none if there is no such one. Raises StorageError.
    """
    before = Header(settings=header.settings, source=begun.source)
    with (
        storage_errors(begun.path),
        contextlib.suppress(FileNotFoundError),
        open_regular(begun.path) as file,
    ):
        if not _belongs(file.readline(_LINE_BYTES_MAX), before):
            return
        yield header.model_dump_json().encode() + b"\n"
        while (line := file.readline(_LINE_BYTES_MAX)).endswith(b"\n"):
            yield line


def _read(lines: Iterable[bytes], header: Header) -> Checkpoint:
    whole = itertools.takewhile(lambda line: line.endswith(b"\n"), lines)
    first = next(whole, b"")
    if not _belongs(first, header):
        return Checkpoint()
    chunks, size = Chunks(), len(first)
    for line in itertools.islice(whole, _CHUNKS_MAX):
        if size + len(line) > _FILE_BYTES_MAX:
            break
        try:
            chunks.append(Chunk.model_validate_json(line))
        except ValidationError:
            break
        size += len(line)
    return Checkpoint(chunks, size)


def _belongs(line: bytes, header: Header) -> bool:
    try:
        found = Header.model_validate_json(line)
    except ValidationError:
        return False
    return found.settings.matches(header.settings) and found.source.same_as(header.source)


class Writer:
    """Appends chunks; opened on a checkpoint that was read, whose unsound rest it cuts off.

    ``fence``: what keeps it from writing into the file of another owner.
    """

    def __init__(
        self, path: Path, header: Header, sound: Checkpoint, fence: Fence | None = None
    ) -> None:
        self._path = path
        self._held = fence.held if fence else contextlib.nullcontext
        with storage_errors(path):
            descriptor = beneath.descriptor(path, os.O_WRONLY | os.O_CREAT)
            self._file = os.fdopen(descriptor, "wb", buffering=0)
        try:
            with self._held(), storage_errors(path):
                self._file.truncate(sound.size)
                self._file.seek(0, os.SEEK_END)
            if not sound.size:
                self._write(header.model_dump_json())
        except StorageError:
            self._file.close()
            raise

    def append(self, chunk: Chunk) -> None:
        """Add a chunk; it is on the disk when this returns. Raises StorageError."""
        self._write(chunk.model_dump_json(exclude_none=True))

    def close(self) -> None:
        self._file.close()

    def _write(self, line: str) -> None:
        data = line.encode() + b"\n"
        with self._held(), storage_errors(self._path):
            if self._file.write(data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fdatasync(self._file.fileno())
