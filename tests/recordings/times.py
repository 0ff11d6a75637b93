"""Rows 2, 28 and 30: late tracks, slow clocks, gaps, and pauses in which nothing is heard."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from itertools import pairwise

from tests.recordings.row import QUEUE, RU, Row
from tests.recordings.sound import RATE, Samples, after_it, first_sentence, joined, spoken, zeros
from tests.recordings.waves import pcm, wav
from tests.recordings.writing import Track, clock, gap, late, written

_LATE_S = 5.0


def _late(container: str, codec: str, film: str, name: str = "ru") -> Callable[[], bytes]:
    track = Track(spoken(name), codec, place=late(_LATE_S))
    return lambda: written(container, [track], film, film_s=13)


def _late_by_header() -> bytes:
    """AVI says once for each track how many blocks later it begins."""
    data = written("avi", [Track(spoken("ru"), "pcm_s16le", 16_000)], "mpeg4", film_s=13)
    start = data.index(b"auds") + 28
    assert data[start : start + 4] == bytes(4)
    return data[:start] + struct.pack("<I", round(_LATE_S * RATE)) + data[start + 4 :]


def _drifting(container: str, codec: str, factor: float) -> Callable[[], bytes]:
    sound = joined(spoken("ru"), zeros(5), spoken("queue"), zeros(3))
    return lambda: written(container, [Track(sound, codec, place=clock(factor))], "mpeg4")


def _interrupted(container: str, codec: str, gap_s: float, film: str = "") -> Callable[[], bytes]:
    sound = joined(spoken("ru"), zeros(1), spoken("queue"))
    track = Track(sound, codec, place=gap(7.4, gap_s))
    # Written as to a pipe: no duration and no index.
    return lambda: written(container, [track], film, options={"live": "1"})


def _paused(name: str, seconds: float) -> Samples:
    """The pauses of a speaker, replaced by nothing at all."""
    return joined(first_sentence(name), zeros(seconds), after_it(name))


def _cut(sound: Samples, seconds: float, *at_s: float) -> Samples:
    """Silence put in at these seconds of the sound."""
    edges = [0, *(round(s * RATE) for s in at_s), len(sound)]
    parts = [sound[a:b] for a, b in pairwise(edges)]
    return joined(*(each for part in parts for each in (part, zeros(seconds))))


_LATER = partial(Row, kind="sound that begins after the picture", met="subgen#305, bazarr#3154")
_CLOCK = partial(Row, kind="timestamps and samples that differ", met="faster-whisper#128")
_PAUSE = partial(Row, kind="pauses of digital silence", met="tried by hand")

ROWS = (
    _LATER("late.mkv", make=_late("matroska", "aac", "mpeg4"), times=(("данный", 5.12, 0.3),)),
    _LATER(
        "late-h264.mkv",
        make=_late("matroska", "libopus", "libx264"),
        times=(("данный", 5.12, 0.3),),
    ),
    _LATER(
        "late.mp4",
        make=_late("mp4", "aac", "libx264", "queue"),
        text=QUEUE,
        times=(("наши", 5.3, 0.3),),
    ),
    _LATER("late.ts", make=_late("mpegts", "mp2", "mpeg2video"), times=(("данный", 5.12, 0.3),)),
    _LATER("late-ac3.avi", make=_late("avi", "ac3", "mpeg4"), heard=False),
    _LATER(
        "late-mp3.avi",
        make=_late("avi", "libmp3lame", "mpeg4", "queue"),
        text=QUEUE,
        times=(("наши", 5.3, 0.3),),
    ),
    _LATER(
        "late-pcm.avi",
        make=_late("avi", "pcm_s16le", "mpeg4"),
        heard=False,
    ),
    _LATER("late-by-header.avi", make=_late_by_header, times=(("данный", 5.12, 0.3),)),
    _CLOCK(
        "slow-by-6-percent.mkv",
        make=_drifting("matroska", "aac", 1.06),
        text=f"{RU} {QUEUE}",
        times=(("данный", 0.13, 0.3), ("наши", 12.24 * 1.06, 0.3)),
    ),
    _CLOCK(
        "slow-by-3-percent.mp4",
        make=_drifting("mp4", "aac", 1.03),
        text=f"{RU} {QUEUE}",
        times=(("данный", 0.13, 0.3), ("наши", 12.24 * 1.03, 0.3)),
    ),
    _CLOCK(
        "fast-by-4-percent.mkv",
        make=_drifting("matroska", "libopus", 0.96),
        text=f"{RU} {QUEUE}",
        times=(("данный", 0.13, 0.3), ("наши", 12.24 * 0.96, 0.3)),
    ),
    _CLOCK(
        "gap-90s-no-duration.webm",
        make=_interrupted("webm", "libopus", 90),
        text=f"{RU} {QUEUE}",
        times=(("наши", 98.2, 0.3),),
    ),
    _CLOCK(
        "gap-20s-no-duration.mkv",
        make=_interrupted("matroska", "aac", 20, "mpeg4"),
        text=f"{RU} {QUEUE}",
        times=(("наши", 28.2, 0.3),),
    ),
    _PAUSE(
        "zeros-between-sentences.wav",
        make=lambda: wav(pcm(_paused("ru", 2.5))),
        times=(("пожалуйста", 2.40 + 2.5, 0.15),),
    ),
    _PAUSE(
        "zeros-within-sentences.wav",
        make=lambda: wav(pcm(_cut(spoken("ru"), 2.5, 1.08, 4.28))),
        times=(("операторы", 1.08 + 2.5, 0.15), ("ваш", 4.38 + 5.0, 0.15)),
    ),
    _PAUSE(
        "zeros-within-sentences.flac",
        make=lambda: written("flac", [
            Track(_cut(spoken("queue"), 1.5, 2.01, 4.19), "flac", 16_000),
        ]),
        text=QUEUE,
        times=(("пожалуйста", 2.16 + 1.5, 0.15), ("ваш", 4.30 + 3.0, 0.3)),
    ),
)  # fmt: skip
