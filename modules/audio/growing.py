"""The sound of a live session while it grows, sample by sample what it will be as a file.

Lives in the child process. See decision 48.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np
from av.audio.frame import AudioFrame

from modules.audio.pieces import loud
from modules.audio.resampler import Resampler, Samples
from modules.errors import StorageError, noted

#: So much is read at once, in samples of the file.
_PIECE = 16_000


def growing_blocks(
    descriptor: int, rate: int, wait: Callable[[int], int], start_s: float = 0.0
) -> Iterator[Samples]:
    """As ``Recording.blocks`` of the finished recording, from ``start_s`` on, without an end.

    ``descriptor``: raw signed 16 bit little-endian mono sound, ``rate`` samples a second.
    ``wait(count)`` returns how many samples there are, once that is more than ``count``; what it
    raises ends this. A block comes when no later sample can change it. Raises StorageError.
    """
    return loud(_line(descriptor, rate, wait), start_s, 1.0)


def _line(descriptor: int, rate: int, wait: Callable[[int], int]) -> Iterator[Samples]:
    resampler = Resampler()
    position = 0
    while True:
        count = min(wait(position) - position, _PIECE)
        raw = os.pread(descriptor, 2 * count, 2 * position)
        if len(raw) < 2 * count:
            message = noted("The sound of a live session is not all in its file.")
            raise StorageError("live_sound_missing", message)
        position += count
        values = np.frombuffer(raw, dtype="<i2").reshape(1, -1)
        frame = AudioFrame.from_ndarray(values, format="s16", layout="mono")
        frame.sample_rate = rate
        yield from (piece[0] for piece in resampler.mix(frame))
