"""The finished chunks of a recording: one JSON line each, appended, so that saving stays cheap."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from modules.atomic import storage_errors
from modules.errors import StorageError
from modules.job import Frozen, Settings, Source
from modules.protocol import Chunk


class Header(Frozen):
    """What the chunks belong to; a checkpoint of other bytes or other settings is void."""

    settings: Settings
    source: Source


@dataclass(frozen=True)
class Checkpoint:
    """All finished chunks, in order. ``size``: bytes of the file that are sound."""

    chunks: tuple[Chunk, ...] = ()
    size: int = field(default=0, compare=False)

    @property
    def position_s(self) -> float:
        """Seconds of the recording that are covered."""
        return self.chunks[-1].position_s if self.chunks else 0.0

    @property
    def language(self) -> str | None:
        """The language of the first speech, as ``auto`` settled it."""
        return next((chunk.language for chunk in self.chunks if chunk.language), None)


def read(path: Path, header: Header) -> Checkpoint:
    """The chunks of a checkpoint that belongs to ``header``; empty if there is none that does.

    A torn last line, from a crash inside a write, is left out. Raises StorageError.
    """
    with storage_errors(path):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return Checkpoint()
    lines = content.split(b"\n")[:-1]
    try:
        if not lines or not _belongs(lines[0], header):
            return Checkpoint()
    except ValidationError:
        return Checkpoint()
    chunks: list[Chunk] = []
    size = len(lines[0]) + 1
    for line in lines[1:]:
        try:
            chunks.append(Chunk.model_validate_json(line))
        except ValidationError:
            break
        size += len(line) + 1
    return Checkpoint(tuple(chunks), size)


def _belongs(line: bytes, header: Header) -> bool:
    found = Header.model_validate_json(line)
    return found.settings.matches(header.settings) and found.source.same_as(header.source)


class Writer:
    """Appends chunks; opened on a checkpoint that was read, whose unsound rest it cuts off."""

    def __init__(self, path: Path, header: Header, sound: Checkpoint) -> None:
        self._path = path
        with storage_errors(path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.fdopen(os.open(path, flags, 0o644), "wb", buffering=0)
        try:
            with storage_errors(path):
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
        with storage_errors(self._path):
            if self._file.write(data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fdatasync(self._file.fileno())
