"""AIFF, CAF and Wave64 files whose header says that the sound ends before it does.

A recorder that was cut off leaves the size of its first second, or of nothing. See
``headers.repair_wav`` for WAV.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from modules.audio.source import Source

#: Less than this behind the end is no sound that was forgotten, in bytes.
_LEAST = 3200
_CHUNKS_MAX = 1000
_W64 = b"riff\x2e\x91\xcf\x11"
_W64_CHUNK = bytes.fromhex("f3acd3118cd100c04f8edb8a")


@dataclass(frozen=True)
class _Family:
    """How chunks are written: ``name`` bytes of name, ``size`` bytes of size, in this ``order``;
    ``counted``: whether the size counts both, too; every chunk begins at a multiple of ``step``.
    """

    first: int
    name: int
    size: int
    order: Literal["little", "big"]
    step: int = 1
    counted: bool = False


@dataclass(frozen=True)
class _Chunk:
    """``start``: of its content in the file; ``end``: as its header says."""

    name: bytes
    start: int
    end: int


_AIFF = _Family(first=12, name=4, size=4, order="big", step=2)
_CAF = _Family(first=8, name=4, size=8, order="big")
_WAVE64 = _Family(first=40, name=16, size=8, order="little", step=8, counted=True)
_SOUND = {b"SSND", b"data", b"data" + _W64_CHUNK}


def repair_sizes(source: Source) -> None:
    """Have FFmpeg read on behind the end that the header claims, where no other chunk begins."""
    family = _family(source)
    if family is None:
        return
    found = list(_chunks(source, family))
    sound = next((chunk for chunk in found if chunk.name in _SOUND), None)
    if sound is None or source.size - sound.end < _LEAST or found[-1] is not sound:
        return
    size = source.size - sound.start + (family.name + family.size) * family.counted
    source.patch(sound.start - family.size, size.to_bytes(family.size, family.order))
    if family is _AIFF:
        _repair_count(source, found, source.size - sound.start - 8)


def _family(source: Source) -> _Family | None:
    head = source.peek(40)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _AIFF
    if head[:4] == b"caff":
        return _CAF
    return _WAVE64 if head[:8] == _W64 else None


def _chunks(source: Source, family: _Family) -> Iterator[_Chunk]:
    """The chunks of a file, as far as their names are names and they end within it."""
    offset, head = family.first, family.name + family.size
    for _ in range(_CHUNKS_MAX):
        raw = source.peek(head, offset)
        name = raw[: family.name]
        if len(raw) < head or not all(32 <= byte < 127 for byte in name[:4]):
            return
        size = int.from_bytes(raw[family.name :], family.order) - head * family.counted
        end = offset + head + size
        if size < 0 or end > source.size + 1:
            return
        yield _Chunk(name, offset + head, end)
        offset = -(-end // family.step) * family.step


def _repair_count(source: Source, chunks: list[_Chunk], size: int) -> None:
    """AIFF says besides how many frames there are."""
    for chunk in chunks:
        if chunk.name == b"COMM":
            channels, _, bits = struct.unpack(">HIH", source.peek(8, chunk.start))
            if channels and bits:
                frames = size // (channels * -(-bits // 8))
                source.patch(chunk.start + 2, frames.to_bytes(4, "big"))
