"""One line of sound in pieces: regrouped, from a place on, as loud as others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from modules.audio.level import levelled
from modules.audio.resampler import SAMPLE_RATE, Samples


def loud(line: Iterable[Samples], start_s: float, block_s: float) -> Iterator[Samples]:
    """One line from ``start_s`` on, made as loud as others, in blocks.

    ``line`` begins with the recording: the loudness at ``start_s`` depends on what is before it.
    """
    wanted = _skip(levelled(regroup(line, SAMPLE_RATE)), round(start_s * SAMPLE_RATE))
    return regroup(wanted, max(1, round(block_s * SAMPLE_RATE)))


def regroup(pieces: Iterable[Samples], size: int) -> Iterator[Samples]:
    """The same samples in blocks of ``size``; the last one may be shorter."""
    held: list[Samples] = []
    count = 0
    for piece in pieces:
        held.append(piece)
        count += len(piece)
        if count < size:
            continue
        joined = np.concatenate(held)
        whole = count - count % size
        for start in range(0, whole, size):
            yield joined[start : start + size].copy()
        held, count = [joined[whole:]], count - whole
    if count:
        yield np.concatenate(held)


def _skip(pieces: Iterable[Samples], count: int) -> Iterator[Samples]:
    for piece in pieces:
        if count < len(piece):
            yield piece[count:]
        count = max(0, count - len(piece))
