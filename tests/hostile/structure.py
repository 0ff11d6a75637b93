"""Where the parts of a file begin and end: chunks, boxes, pages, elements, frames."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One part: ``data[start:end]``, of which the first ``head`` bytes are its header."""

    label: str
    start: int
    head: int
    end: int


def riff(data: bytes) -> Iterator[Part]:
    """WAV and AVI; AIFF with the same chunks in the other byte order."""
    order = "<I" if data[:4] == b"RIFF" else ">I"
    yield Part("form", 0, 12, len(data))
    yield from _chunks(data, 12, len(data), order)


def _chunks(data: bytes, at: int, end: int, order: str) -> Iterator[Part]:
    while at + 8 <= end:
        kind, size = data[at : at + 4], struct.unpack_from(order, data, at + 4)[0]
        until = min(end, at + 8 + size)
        name = kind.decode("latin-1").strip()
        if kind == b"LIST":
            name = data[at + 8 : at + 12].decode("latin-1")
            yield Part(name, at, 12, until)
            if name != "movi":
                yield from _chunks(data, at + 12, until, order)
        else:
            yield Part(name, at, 8, until)
        at = until + (until - at) % 2


_FULL = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta", b"dinf"}


def boxes(data: bytes, at: int = 0, end: int | None = None) -> Iterator[Part]:
    """MP4 and MOV, boxes in boxes too."""
    end = len(data) if end is None else end
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        until = min(end, at + max(size, 8)) if size else end
        yield Part(kind.decode("latin-1").strip(), at, 8, until)
        if kind in _FULL:
            yield from boxes(data, at + 8, until)
        at = until


def pages(data: bytes) -> Iterator[Part]:
    """Ogg."""
    at, number = 0, 0
    while data[at : at + 4] == b"OggS":
        count = data[at + 26]
        head = 27 + count
        until = at + head + sum(data[at + 27 : at + head])
        yield Part(f"page{number}", at, head, until)
        at, number = until, number + 1


def flac_blocks(data: bytes) -> Iterator[Part]:
    """FLAC's metadata, and the first bytes of its sound."""
    yield Part("mark", 0, 2, 4)
    at, last = 4, False
    while not last:
        last, kind = bool(data[at] & 0x80), data[at] & 0x7F
        until = at + 4 + int.from_bytes(data[at + 1 : at + 4], "big")
        yield Part(f"block{kind}", at, 4, until)
        at = until
    yield Part("frames", at, 6, len(data))


_MASTERS = {0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE1, 0x1F43B675, 0x114D9B74}


def elements(data: bytes, at: int = 0, end: int | None = None) -> Iterator[Part]:
    """Matroska and WebM, elements in elements too."""
    end = len(data) if end is None else end
    while at < end:
        id_size = _leading(data[at])
        kind = int.from_bytes(data[at : at + id_size], "big")
        size, size_size = vint(data, at + id_size)
        head = id_size + size_size
        until = end if size is None else min(end, at + head + size)
        yield Part(f"{kind:x}", at, head, until)
        if kind in _MASTERS:
            yield from elements(data, at + head, until)
        at = until


def vint(data: bytes, at: int) -> tuple[int | None, int]:
    """A size of EBML and how many bytes it takes; None is "unknown"."""
    length = _leading(data[at])
    value = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
    return (None if value == (1 << 7 * length) - 1 else value), length


def _leading(byte: int) -> int:
    return 9 - byte.bit_length() if byte else 8


def packets(data: bytes) -> Iterator[Part]:
    """MPEG-TS: the first packet of each track and table."""
    for at in range(0, len(data), 188):
        track = int.from_bytes(data[at + 1 : at + 3], "big") & 0x1FFF
        yield Part(f"pid{track}", at, 4, at + 188)


def mp3_frames(data: bytes) -> Iterator[Part]:
    """The ID3 tag, the frame with Xing's counts, the first of the others."""
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte
    yield Part("id3", 0, 10, 10 + size)
    first = 10 + size
    second = data.index(data[first : first + 2], first + 36)
    third = data.index(data[first : first + 2], second + 36)
    yield Part("xing", first, 36, second)
    yield Part("frame", second, 4, third)


def adts_frames(data: bytes) -> Iterator[Part]:
    """The frames of bare AAC."""
    at, number = 0, 0
    while at + 7 <= len(data):
        size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        yield Part(f"frame{min(number, 2)}", at, 7, at + size)
        at, number = at + size, number + 1


def amr_frames(data: bytes) -> Iterator[Part]:
    """AMR's mark and its frames of 32 bytes at most."""
    sizes = (13, 14, 16, 18, 20, 21, 27, 32, 6, 1, 1, 1, 1, 1, 1, 1)
    yield Part("mark", 0, 3, 6)
    at, number = 6, 0
    while at < len(data):
        until = at + sizes[data[at] >> 3 & 15]
        yield Part(f"frame{min(number, 2)}", at, 1, until)
        at, number = until, number + 1


def objects(data: bytes) -> Iterator[Part]:
    """ASF: the outermost objects, and those inside its header."""
    at, number = 0, 0
    while at + 24 <= len(data):
        size = struct.unpack_from("<Q", data, at + 16)[0]
        yield Part(f"object{number}", at, 24, min(len(data), at + size))
        # The header's own objects begin 30 bytes into it.
        at, number = (30 if at == 0 else at + max(24, size)), number + 1


PARTS: dict[str, Callable[[bytes], Iterator[Part]]] = {
    "wav": riff,
    "avi": riff,
    "aiff": riff,
    "m4a": boxes,
    "mp4": boxes,
    "ogg": pages,
    "flac": flac_blocks,
    "mkv": elements,
    "webm": elements,
    "ts": packets,
    "mp3": mp3_frames,
    "aac": adts_frames,
    "amr": amr_frames,
    "wma": objects,
}


def parts(form: str, data: bytes) -> list[Part]:
    """The first part of each label, in the order of the file."""
    first: dict[str, Part] = {}
    for part in PARTS[form](data):
        first.setdefault(part.label, part)
    return list(first.values())


def find(form: str, data: bytes, label: str) -> Part:
    """The first part of that label."""
    return next(part for part in PARTS[form](data) if part.label == label)
