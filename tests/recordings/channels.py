"""Rows 5, 8 and 10: channels that cancel out, that make noise, or that have an unusual place."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from tests.recordings.row import QUEUE, STILL_RIGHT, Row
from tests.recordings.sound import (
    Samples,
    hiss,
    hum,
    joined,
    music,
    quieter,
    spoken,
    timecode,
    together,
    zeros,
)
from tests.recordings.waves import pcm, wav
from tests.recordings.writing import Track, written

#: Side left and side right, as WAVE_FORMAT_EXTENSIBLE numbers loudspeakers.
_SIDES = 0x600


def _file(
    container: str, codec: str, sound: Samples, rate: int = 48_000, layout: str = "stereo",
    **more: int,
) -> Callable[[], bytes]:  # fmt: skip
    return lambda: written(container, [Track(sound, codec, rate, layout, **more)])


def _opposed(name: str) -> Samples:
    return together(spoken(name), -spoken(name))


def _at(place: int, channels: int, name: str = "ru") -> Samples:
    """Speech on one of many channels, and a little noise on all others."""
    lines = [hiss(7.6, 70, seed) for seed in range(channels)]
    lines[place] = spoken(name)
    return together(*lines)


def _ambisonic(order: int, name: str = "ru") -> Samples:
    """A voice from the left: all in the first component, a part of it in the others."""
    count = (order + 1) ** 2
    shares = np.array([1.0, *np.linspace(0.9, -0.9, count - 1)], dtype=np.float32)
    return shares[:, None] * spoken(name)[None, :] / 2


def _rescued() -> Samples:
    """Half a second of silence on both sides, then noise left and speech right."""
    return together(joined(zeros(0.5), hum(7.6)), joined(zeros(0.5), spoken("queue")))


_PHASE = partial(Row, kind="channels that cancel out", met="whisperX#750")
_NOISE = partial(Row, kind="noise on one channel, speech on the other", met="SubtitleEdit#11")
_LAYOUT = partial(Row, kind="an unusual arrangement of channels", met="tried by hand")


def _noisy(channel: str) -> tuple[tuple[str, str, str], ...]:
    return (("channel", channel, "no_speech"),)


ROWS = (
    _PHASE("phase-inverted.flac", make=_file("flac", "flac", _opposed("ru"), 16_000)),
    _PHASE("phase-inverted-joint.mp3", make=_file("mp3", "libmp3lame", _opposed("ru"), 44_100)),
    _PHASE(
        "phase-inverted.m4a",
        make=_file("ipod", "aac", _opposed("queue"), 44_100),
        text=QUEUE,
    ),
    _NOISE(
        "timecode-left.flac",
        make=_file("flac", "flac", together(timecode(7.0), spoken("ru"))),
        left_out=_noisy("left"),
    ),
    _NOISE(
        "hum-left.flac",
        make=_file("flac", "flac", together(hum(7.0), spoken("ru"))),
        left_out=_noisy("left"),
    ),
    _NOISE(
        "timecode-right.wav",
        make=lambda: wav(pcm(together(spoken("ru"), timecode(7.0))), channels=2),
        left_out=_noisy("right"),
    ),
    _NOISE(
        "music-left.ogg",
        make=_file("ogg", "libopus", together(music(7.0), quieter(spoken("ru"), 12))),
        left_out=_noisy("left"),
    ),
    _NOISE(
        "hum-left-after-silence.wma",
        make=_file("asf", "wmav2", _rescued(), 44_100, bits_per_s=128_000),
        text=QUEUE,
        left_out=_noisy("left"),
    ),
    _LAYOUT(
        "mask-side-left-side-right.wav",
        make=lambda: wav(pcm(together(spoken("ru"), spoken("ru"))), channels=2, mask=_SIDES),
    ),
    _LAYOUT(
        "three-channels-without-places.wav",
        make=lambda: wav(pcm(_at(2, 3)), channels=3, mask=0),
    ),
    _LAYOUT(
        "one-rear-of-5.1.flac",
        make=_file("flac", "flac", _at(4, 6, "queue"), layout="5.1(side)"),
        text=QUEUE,
    ),
    _LAYOUT(
        "one-rear-of-7.1.m4a",
        make=_file("ipod", "aac", _at(5, 8), layout="7.1"),
        wrong=STILL_RIGHT,
    ),
    _LAYOUT(
        "ambisonic-first-order.mka",
        make=lambda: written("matroska", [
            Track(_ambisonic(1), "libopus", 48_000, "ambisonic 1", options={"mapping_family": "2"}),
        ]),
    ),
    _LAYOUT(
        "ambisonic-second-order.opus",
        make=lambda: written("ogg", [
            Track(_ambisonic(2, "queue"), "libopus", 48_000, "ambisonic 2",
                  options={"mapping_family": "2"}),
        ]),
        text=QUEUE,
    ),
)  # fmt: skip
