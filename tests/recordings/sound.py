"""Sound of which odd recordings are made: the samples, noise, and what is done to them.

Everything is float32, 16 kHz; one line of sound has the shape ``(n,)``, several ``(lines, n)``.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

RATE = 16_000
SAMPLES = Path(__file__).resolve().parents[2] / "samples"
_FILES = {"ru": "please-hold-ru.wav", "queue": "queue-ru.mp4", "en": "please-hold-en.flac"}
#: Where the sentences of a sample part, in seconds: in the middle of a pause.
PAUSES_S = {"ru": 2.26, "queue": 2.01, "en": 4.75}


@cache
def spoken(name: str) -> Samples:
    """The sound of a sample: ``ru``, ``queue`` (Russian too) or ``en``."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(str(SAMPLES / _FILES[name])) as container:
        frames = [*container.decode(audio=0), None]
        parts = [part.to_ndarray()[0] for frame in frames for part in resampler.resample(frame)]
    sound: Samples = np.concatenate(parts)
    sound.flags.writeable = False
    return sound


def said(*names: str) -> str:
    """The texts of samples, one after the other."""
    files = ((SAMPLES / _FILES[name]).with_suffix(".txt") for name in names)
    return " ".join(file.read_text("utf-8").strip() for file in files)


def first_sentence(name: str) -> Samples:
    return spoken(name)[: round(PAUSES_S[name] * RATE)]


def after_it(name: str) -> Samples:
    return spoken(name)[round(PAUSES_S[name] * RATE) :]


def zeros(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), dtype=np.float32)


def joined(*parts: Samples) -> Samples:
    return np.concatenate(parts)


def together(*lines: Samples) -> Samples:
    """Lines side by side, the shorter ones filled up with silence."""
    longest = max(map(len, lines))
    return np.stack([np.pad(line, (0, longest - len(line))) for line in lines])


def quieter(sound: Samples, decibels: float) -> Samples:
    """With its loudest sample at this level below full scale."""
    wanted = 10 ** (-decibels / 20) / float(np.abs(sound).max())
    return (sound * wanted).astype(np.float32)


def hum(seconds: float, hertz: float = 50.0) -> Samples:
    """A mains hum with its overtones: an open plug."""
    time = _time(seconds)
    tones = [np.sin(2 * np.pi * hertz * k * time) / k for k in (1, 2, 3, 5)]
    return _scaled(np.sum(tones, axis=0), 0.3)


def hiss(seconds: float, decibels: float = 40.0, seed: int = 1) -> Samples:
    """White noise whose mean level is so far below full scale."""
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (noise * 10 ** (-decibels / 20)).astype(np.float32)


def timecode(seconds: float) -> Samples:
    """Linear timecode, as cameras put on a free channel: 80 bits 25 times a second.

    Each bit begins with an edge, and a one has another edge in its middle.
    """
    bits = np.random.default_rng(2).integers(0, 2, round(seconds * 2000) + 2)
    half = np.concatenate([[1, bit] for bit in bits])
    level = np.cumprod(np.where(half, -1, 1))
    at = np.minimum((_time(seconds) * 4000).astype(int), len(level) - 1)
    return _scaled(level[at], 0.4)


def music(seconds: float) -> Samples:
    """Chords that change each half second, on a plucked string."""
    time = _time(seconds)
    found = np.zeros(len(time))
    chords = [(220, 277, 330), (196, 247, 294), (175, 220, 262), (165, 208, 247)]
    for number in range(int(seconds * 2) + 1):
        since = time - number / 2
        for hertz in chords[number % len(chords)]:
            envelope = np.where(since >= 0, np.exp(-6 * np.maximum(since, 0)), 0)
            found += envelope * np.sin(2 * np.pi * hertz * since)
    return _scaled(found, 0.3)


def _time(seconds: float) -> NDArray[np.float64]:
    return np.arange(round(seconds * RATE)) / RATE


def _scaled(wave: NDArray[np.float64], peak: float) -> Samples:
    return (wave * peak / np.abs(wave).max()).astype(np.float32)
