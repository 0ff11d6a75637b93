"""Rows 11, 12 and 28: headers that say too little or too much, and files that were put together."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache, partial

from tests.recordings.row import QUEUE, RU, Row
from tests.recordings.sound import spoken, together
from tests.recordings.waves import UNKNOWN, aiff, info, pcm, wav
from tests.recordings.writing import Track, written

_SECOND = 32_000
_ID3V1 = b"TAG" + b"Dictation".ljust(125, b"\0")


@cache
def _encoded(container: str, codec: str, name: str, rate: int = 48_000) -> bytes:
    return written(container, [Track(spoken(name), codec, rate)])


def _chain(codec: str, *names: str) -> Callable[[], bytes]:
    """Ogg files one after the other; each with a stream number of its own, as the format asks."""
    return lambda: b"".join(
        written(
            "ogg",
            [Track(together(spoken(name), spoken(name)), codec, layout="stereo")],
            options={"serial_offset": str(10 * number)},
        )
        for number, name in enumerate(names)
    )


def _two(container: str, codec: str, between: bytes = b"", rate: int = 44_100) -> bytes:
    return (
        _encoded(container, codec, "ru", rate) + between + _encoded(container, codec, "queue", rate)
    )


def _patched(data: bytes, name: bytes, at: int, value: bytes) -> bytes:
    """With other bytes at this distance behind a name."""
    start = data.index(name) + len(name) + at
    return data[:start] + value + data[start + len(value) :]


def _au(size: int) -> bytes:
    return b".snd" + struct.pack(">IIIII", 24, size, 3, 16_000, 1) + pcm(spoken("ru"), ">")


def _zeros_first() -> bytes:
    """Room that a recorder reserved before it wrote."""
    return bytes(300_000) + _encoded("mp3", "libmp3lame", "ru", 44_100)


def _w64() -> bytes:
    """As a program leaves it that was ended: the size of the sound is still that of nothing."""
    data = _encoded("w64", "pcm_s16le", "queue", 16_000)
    start = data.index(b"data\xf3\xac\xd3\x11") + 16
    return data[:start] + struct.pack("<Q", 24) + data[start + 8 :]


def _caf() -> bytes:
    data = _encoded("caf", "pcm_s16be", "ru", 16_000)
    return _patched(data, b"data", 0, struct.pack(">Q", _SECOND + 4))


def _wav(name: str = "ru", **claims: int | bytes) -> Callable[[], bytes]:
    return lambda: wav(pcm(spoken(name)), **claims)  # type: ignore[arg-type]


_STALE = partial(
    Row, kind="a header from before the end was known", met="advanced-audio-recorder#87"
)
_MISCOUNTED = partial(Row, kind="a size that is a little wrong", met="record#96")
_JOINED = partial(Row, kind="files put together", met="noScribe#229, faster-whisper#128")
_BOTH = {"text": f"{RU} {QUEUE}", "times": (("наши", 7.2, 0.5),)}

ROWS = (
    _STALE("stale-1s.wav", make=_wav(data_size=_SECOND, riff_size=_SECOND + 36), duration_s=6.94),
    _STALE(
        "stale-1s.aiff",
        make=lambda: aiff(spoken("ru"), 16_000, _SECOND + 8),
        duration_s=6.94,
        heard=False,
    ),
    _STALE("stale-0.w64", make=_w64, text=QUEUE, duration_s=7.55),
    _STALE("stale-1s.caf", make=_caf, duration_s=6.94, heard=False),
    _STALE("unknown.au", make=lambda: _au(UNKNOWN), duration_s=6.94, heard=False),
    _STALE(
        "size-0-as-streamed.wav",
        make=_wav("queue", data_size=0, riff_size=0),
        text=QUEUE,
        duration_s=7.55,
        heard=False,
    ),
    _STALE(
        "stale-riff-size-and-list-behind.wav",
        make=_wav(riff_size=_SECOND + 36, after=info("x" * 9_000)),
        duration_s=6.94,
    ),
    _STALE(
        "list-in-front-and-behind.wav",
        make=_wav(before=info(), after=info("y" * 9_000), riff_size=0),
        duration_s=6.94,
        heard=False,
    ),
    _MISCOUNTED("data-size-44-too-large.wav", make=_wav(data_size=2 * len(spoken("ru")) + 44)),
    _MISCOUNTED(
        "size-44-too-large.aiff",
        make=lambda: aiff(spoken("queue"), None, 2 * len(spoken("queue")) + 52),
        text=QUEUE,
    ),
    _MISCOUNTED(
        "size-unknown.caf",
        make=lambda: _patched(
            _encoded("caf", "pcm_s16be", "ru", 16_000), b"data", 0, b"\xff" * 8
        ),
    ),
    _JOINED("two.mp3", make=lambda: _two("mp3", "libmp3lame"), **_BOTH),
    _JOINED("two-with-tags.mp3", make=lambda: _two("mp3", "libmp3lame", _ID3V1), **_BOTH),
    _JOINED("two.aac", make=lambda: _two("adts", "aac"), **_BOTH),
    _JOINED("zeros-first.mp3", make=_zeros_first),
    _JOINED("chained.ogg", make=_chain("vorbis", "ru", "queue"), **_BOTH),
    _JOINED("chained.opus", make=_chain("libopus", "ru", "queue"), **_BOTH),
)  # fmt: skip
