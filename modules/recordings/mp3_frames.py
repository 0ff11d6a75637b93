"""Whether the frames of an MP3 differ in size, by a look at a few of them.

Browsers take the place of a second in an MP3 from its size. Where frames differ they are off by
seconds, in the middle of twenty minutes by two and a half (Chromium 156; docs/decisions/0033).
"""

from __future__ import annotations

import itertools
import os

_LOOKS, _LOOK_BYTES = 8, 8192
#: So many frames, one behind the other, are no chance. The first may be no sound, but a tag.
_RUN = 4
_MPEG1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = (44_100, 48_000, 32_000)


def has_variable_bit_rate(descriptor: int) -> bool:
    """Whether an MP3 says so, or frames at some places of the file have different bit rates.

    False for what is no MP3. Raises OSError.
    """
    size = os.fstat(descriptor).st_size
    start = _behind_tag(os.pread(descriptor, 10, 0))
    head = os.pread(descriptor, _LOOK_BYTES, start)
    if any(tag in head[:1024] for tag in (b"Xing", b"VBRI")):
        return True
    places = (start + (size - start) * look // _LOOKS for look in range(_LOOKS))
    looks = (_bit_rates(os.pread(descriptor, _LOOK_BYTES, place)) for place in places)
    return len(set(itertools.chain.from_iterable(looks))) > 1


def _behind_tag(head: bytes) -> int:
    """Where an ID3 tag ends, which may hold pictures."""
    if len(head) < 10 or head[:3] != b"ID3":
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return size + 10 + 10 * bool(head[5] & 0x10)


def _bit_rates(data: bytes) -> set[int]:
    """The bit rates of a run of frames somewhere in these bytes; empty without one."""
    for start in range(len(data) - 4):
        found = []
        at = start
        while frame := _frame(data[at : at + 4]):
            found.append(frame[0])
            at += frame[1]
        if len(found) >= _RUN:
            return set(found[1:])
    return set()


def _frame(head: bytes) -> tuple[int, int] | None:
    """Bit rate in kbit/s and length in bytes by the head of a frame; None if it is none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:  # layer III
        return None
    version, index, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or index in (0, 15) or rate == 3:
        return None
    is_first = version == 3
    kbits = (_MPEG1 if is_first else _MPEG2)[index]
    hertz = _RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    return kbits, (144 if is_first else 72) * kbits * 1000 // hertz + (head[2] >> 1 & 1)
