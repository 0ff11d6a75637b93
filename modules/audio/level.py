"""Quiet recordings made as loud as others, slowly, before speech is looked for.

What is loud enough stays as it is to the last bit, and so does what has no ups and downs: noise
must not become speech.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from modules.audio.resampler import SAMPLE_RATE, Samples

#: The level of loud frames below which gain sets in, and that which it leads to; in dB of full
#: scale. Between the two it sets in gradually.
_QUIET_DB, _WANTED_DB = -34.0, -24.0
_GAIN_MAX_DB = 50.0
#: Speech has at least this much between its loud and its quiet frames, in dB; hiss and hum less.
_CONTRAST_DB = 6.0
#: Levels are taken this far around, so that the gain follows a speaker and not a word.
_AROUND_S = 30
_FRAME = SAMPLE_RATE // 10
_FLOOR = 1e-7
Levels = NDArray[np.float64]


def frame_levels(samples: Samples) -> Levels:
    """The level of each tenth of a second, in dB of full scale; the last may be shorter."""
    count = -(-len(samples) // _FRAME)
    padded = np.zeros(count * _FRAME, dtype=np.float32)
    padded[: len(samples)] = samples
    power = np.square(padded.reshape(count, _FRAME)).mean(axis=1, dtype=np.float64)
    levels: Levels = 10 * np.log10(power + _FLOOR**2)
    return levels


def gain_db(levels: Levels) -> float:
    """By how much sound with these levels is to be amplified, 0 or more."""
    if not len(levels):
        return 0.0
    loud, quiet = np.percentile(levels, [95, 10])
    if loud >= _QUIET_DB or loud - quiet < _CONTRAST_DB:
        return 0.0
    wanted = min(_WANTED_DB - loud, _GAIN_MAX_DB)
    return float(min(wanted, (_QUIET_DB - loud) * 2))


def amplified(samples: Samples, before_db: float, after_db: float) -> Samples:
    """With a gain that goes from one value to the other."""
    if before_db == after_db == 0.0:
        return samples
    ramp = np.linspace(before_db, after_db, len(samples), dtype=np.float32)
    return np.clip(samples * np.float32(10) ** (ramp / 20), -1.0, 1.0).astype(np.float32)


def levelled(blocks: Iterable[Samples]) -> Iterator[Samples]:
    """Blocks of a second each, with the gain that half a minute around each asks for.

    It depends on those samples alone, so it is the same wherever a run begins.
    """
    waiting: deque[Samples] = deque()
    around: deque[Levels] = deque(maxlen=2 * _AROUND_S + 1)
    last_db: float | None = None

    def due() -> Samples:
        nonlocal last_db
        wanted_db = gain_db(np.concatenate(list(around)))
        block = amplified(waiting.popleft(), wanted_db if last_db is None else last_db, wanted_db)
        last_db = wanted_db
        return block

    for block in blocks:
        waiting.append(block)
        around.append(frame_levels(block))
        if len(waiting) > _AROUND_S:
            yield due()
    while waiting:
        yield due()
        if len(around) > _AROUND_S + 1:  # what is ahead gets less, what is behind stays
            around.popleft()
