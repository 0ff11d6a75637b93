"""Sound that begins later than the picture in an AVI file.

Few writers say so in the header. FFmpeg's, for one, only puts the blocks where they belong: each
block of sound then stands behind pictures that are seconds ahead of it, from the first to the last.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from modules.audio.source import Source

_CHUNKS_MAX = 1000
_INDEX_BYTES_MAX = 2**26
#: Blocks lie this near to their pictures, in seconds, or the file is not interleaved by time.
_NEAR_S = 1.0
#: FFmpeg believes no more.
_LATE_MAX_S = 3600.0


@dataclass(frozen=True)
class _Stream:
    """``start_at``: where its header says how many units later than others it begins. A unit is
    ``unit_s`` long and has ``unit_bytes``; 0: each block is one.
    """

    kind: bytes
    start_at: int
    start: int
    unit_s: float
    unit_bytes: int


def repair_avi(source: Source) -> None:
    """Have FFmpeg begin a sound track where its blocks lie among the pictures."""
    head = source.peek(12)
    if head[:4] != b"RIFF" or head[8:] != b"AVI ":
        return
    streams, index = _parsed(source)
    pictures = [number for number, stream in enumerate(streams) if stream.kind == b"vids"]
    if not pictures or index is None:
        return
    for number, stream in enumerate(streams):
        if stream.kind == b"auds" and not stream.start:
            late_s = _late_s(source, index, streams, pictures[0], number)
            units = round(late_s / stream.unit_s)
            if _NEAR_S < late_s < _LATE_MAX_S and units < 2**32:
                source.patch(stream.start_at, struct.pack("<I", units))


def _late_s(
    source: Source, index: tuple[int, int], streams: list[_Stream], picture: int, sound: int
) -> float:
    """How far the sound is behind the pictures beside it, if it is that throughout; else 0."""
    shown_s = heard_s = 0.0
    nearest, farthest = float("inf"), 0.0
    for number, size in _blocks(source, *index):
        if number == picture:
            shown_s += streams[picture].unit_s
        elif number == sound:
            nearest = min(nearest, shown_s - heard_s)
            farthest = max(farthest, shown_s - heard_s)
            unit_bytes = streams[sound].unit_bytes or size or 1
            heard_s += streams[sound].unit_s * size / unit_bytes  # FFmpeg skips what is empty
    return nearest if 0 <= farthest - nearest <= _NEAR_S else 0.0  # without any block: inf


def _parsed(source: Source) -> tuple[list[_Stream], tuple[int, int] | None]:
    """The streams, and where the index is: (offset, size)."""
    streams: list[_Stream] = []
    offset = 12
    for _ in range(_CHUNKS_MAX):
        head = source.peek(12, offset)
        if len(head) < 8:
            break
        size = int.from_bytes(head[4:8], "little")
        if head[:4] == b"LIST" and head[8:] in (b"hdrl", b"strl"):
            offset += 12
            continue
        if head[:4] == b"strh":
            streams.append(_stream(source, offset + 8))
        if head[:4] == b"idx1":
            return streams, (offset + 8, min(size, _INDEX_BYTES_MAX))
        offset += 8 + size + size % 2
    return streams, None


def _stream(source: Source, offset: int) -> _Stream:
    raw = source.peek(48, offset).ljust(48, b"\0")
    scale, rate, start = struct.unpack("<III", raw[20:32])
    unit_bytes = int.from_bytes(raw[44:48], "little")
    return _Stream(raw[:4], offset + 28, start, (scale or 1) / (rate or 1), unit_bytes)


def _blocks(source: Source, offset: int, size: int) -> Iterator[tuple[int, int]]:
    """(number of the stream, bytes) of each block, in the order of the file."""
    end = offset + size - size % 16
    while offset < end:
        piece = source.peek(min(2**20, end - offset), offset)
        piece = piece[: len(piece) - len(piece) % 16]
        if not piece:
            return
        for name, _, _, length in struct.iter_unpack("<4sIII", piece):
            if name[:2].isdigit():
                yield int(name[:2]), length
        offset += len(piece)
