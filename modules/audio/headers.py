"""What the headers of WAV and Ogg files say of their own end, where FFmpeg believes too much."""

from __future__ import annotations

from modules.audio.source import Source

#: Less than this may be missing at the end of a WAV file: headers are counted wrong by some.
_SLACK_S = 0.1
_UNKNOWN_SIZE = 0xFFFFFFFF
_CHUNKS_MAX = 1000
_PAGES_MAX = 10_000_000


def repair_wav(source: Source) -> None:
    """Have FFmpeg read on behind the end that a WAV file claims, where sound goes on there.

    A writer that was cut off leaves the size of its first second; over 4 GiB the size wraps.
    """
    data = _wav_data(source)
    if data is None:
        return
    offset, size, bytes_per_s = data
    end = offset + size + size % 2
    if source.size - end >= max(_SLACK_S * bytes_per_s, 64) and not _is_chunk(source, end):
        source.patch(offset - 4, _UNKNOWN_SIZE.to_bytes(4, "little"))


def is_cut_off(source: Source) -> bool:
    """Whether a WAV, AVI or Ogg file ends in the middle; FFmpeg passes over both in silence."""
    head = source.peek(8)
    if head[:4] != b"RIFF":
        return head[:4] == b"OggS" and not _last_page_whole(source)
    end, slack = 8 + int.from_bytes(head[4:], "little"), 1.0
    if data := _wav_data(source):
        offset, size, bytes_per_s = data
        end, slack = offset + size, _SLACK_S * bytes_per_s
    # A writer that streams does not know the size and claims 2 or 4 GB.
    return source.size + slack < end < 0x7FFF0000


def is_chained(source: Source) -> bool:
    """Whether an Ogg file is several recordings one after the other: its length is then unknown."""
    if source.peek(4) != b"OggS":
        return False
    tail = _last_page(source)
    return len(tail) >= 27 and tail[14:18] not in _first_serials(source)


def next_link(source: Source, start: int) -> int | None:
    """Where the recording in a chained Ogg file begins that follows the one at ``start``."""
    offset, body = start, False
    for _ in range(_PAGES_MAX):
        page = source.peek(27 + 255, offset)
        if len(page) < 27 or page[:4] != b"OggS":
            return None
        begins = bool(page[5] & 2)
        if begins and body:
            return offset
        body = body or not begins
        offset += 27 + page[26] + sum(page[27 : 27 + page[26]])
    return None


def has_frame_count(source: Source) -> bool:
    """Whether an MP3 begins with a Xing, Info or VBRI header."""
    head = source.peek(10)
    offset = 0
    if head[:3] == b"ID3":
        # The size of the tag, cover picture included, in four bytes of seven bits.
        offset = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
    first = source.peek(2048, offset)
    return any(tag in first for tag in (b"Xing", b"Info", b"VBRI"))


def _wav_data(source: Source) -> tuple[int, int, int] | None:
    """(offset, claimed size, bytes a second) of the samples of a RIFF/WAVE file, if it has any."""
    if source.peek(4) != b"RIFF" or source.peek(4, 8) != b"WAVE":
        return None
    offset, bytes_per_s = 12, 0
    for _ in range(_CHUNKS_MAX):
        head = source.peek(8, offset)
        if len(head) < 8:
            return None
        size = int.from_bytes(head[4:], "little")
        if head[:4] == b"fmt ":
            bytes_per_s = int.from_bytes(source.peek(4, offset + 16), "little")
        if head[:4] == b"data":
            return (offset + 8, size, bytes_per_s) if bytes_per_s else None
        offset += 8 + size + size % 2
    return None


def _is_chunk(source: Source, offset: int) -> bool:
    """Whether another chunk of a RIFF file begins here: a name of four letters and a size that the
    file has room for.
    """
    head = source.peek(8, offset)
    named = len(head) == 8 and all(32 <= byte < 127 for byte in head[:4])
    return named and offset + 8 + int.from_bytes(head[4:], "little") <= source.size + 1


def _last_page(source: Source) -> bytes:
    """An Ogg page is at most 65,307 bytes: 27, the count and sizes of its segments, and those."""
    tail = source.peek(65_307, source.size - 65_307)
    return tail[tail.rfind(b"OggS") :] if b"OggS" in tail else b""


def _last_page_whole(source: Source) -> bool:
    page = _last_page(source)
    if len(page) < 27 or len(page) < 27 + page[26]:
        return False
    return len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])


def _first_serials(source: Source) -> set[bytes]:
    """The numbers of the streams that an Ogg file begins with."""
    serials: set[bytes] = set()
    offset = 0
    while True:
        page = source.peek(27 + 255, offset)
        if len(page) < 27 or page[:4] != b"OggS" or not page[5] & 2:
            return serials
        serials.add(page[14:18])
        offset += 27 + page[26] + sum(page[27 : 27 + page[26]])
