"""How right texts are, and how sure one can be of it: alignment, bootstrap, comparison. Pure.

A unit is what the bootstrap draws: the errors and the words of one recording, or of one block of
a long one. Intervals are the middle 95 % of ``ROUNDS`` draws with a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import jiwer
import numpy as np
from numpy.typing import NDArray

ROUNDS = 4000
SEED = 20240229
#: Reference words of a long recording that are drawn together: errors come in runs.
BLOCK_WORDS = 50

T = TypeVar("T")
Sums = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A figure and where it lies in 95 of 100 samples like this one."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Alignment:
    """Reference and hypothesis laid along each other at the least number of errors.

    ``errors`` has an entry for each reference word; an extra word counts where the next one of the
    reference stands, or at the last one. ``pairs`` are the places of equal words in both.
    """

    errors: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Comparison:
    """Word error rates of both on the same units; ``difference`` is ours less theirs, paired."""

    ours: Interval
    theirs: Interval
    difference: Interval

    @property
    def no_worse(self) -> bool:
        """Whether the difference may be nothing or in our favour."""
        return self.difference.low <= 0


def aligned(reference: Sequence[str], hypothesis: Sequence[str]) -> Alignment:
    """The words of both, normalised before. Raises ValueError if the reference has none."""
    if not reference:
        raise ValueError("the reference has no words")
    errors = [0] * len(reference)
    pairs: list[tuple[int, int]] = []
    for part in jiwer.process_words(" ".join(reference), " ".join(hypothesis)).alignments[0]:
        said = range(part.ref_start_idx, part.ref_end_idx)
        heard = range(part.hyp_start_idx, part.hyp_end_idx)
        if part.type == "equal":
            pairs += zip(said, heard, strict=True)
        elif part.type == "insert":
            errors[min(part.ref_start_idx, len(errors) - 1)] += len(heard)
        else:
            for place in said:
                errors[place] += 1
    return Alignment(tuple(errors), tuple(pairs))


def units_of(errors: Sequence[int], joined: bool) -> list[tuple[int, int]]:
    """Errors and words of a recording as one unit, or in blocks if it is a joined one."""
    return [(sum(part), len(part)) for part in (blocks(errors) if joined else [errors])]


def blocks(items: Sequence[T]) -> list[Sequence[T]]:
    """Stretches of about ``BLOCK_WORDS``, none of them much shorter than the others."""
    count = max(1, round(len(items) / BLOCK_WORDS))
    borders = [number * len(items) // count for number in range(count + 1)]
    return [items[start:end] for start, end in pairwise(borders)]


def rate(units: Sequence[tuple[int, int]]) -> Interval:
    """The sum of the first over the sum of the second numbers. Raises ValueError without words."""
    counted = np.array(units, dtype=float).reshape(-1, 2)
    if counted[:, 1].sum() == 0:
        raise ValueError("there is nothing to count")
    return _interval(counted.sum(axis=0), _drawn(counted), lambda sums: sums[..., 0] / sums[..., 1])


def compared(ours: Sequence[tuple[int, int]], theirs: Sequence[tuple[int, int]]) -> Comparison:
    """Both on the same units in the same order. Raises ValueError if the words differ."""
    if [words for _, words in ours] != [words for _, words in theirs]:
        raise ValueError("the units are not the same")
    counted = np.array([(a, b, n) for (a, n), (b, _) in zip(ours, theirs, strict=True)], float)
    sums, drawn = counted.sum(axis=0), _drawn(counted)
    return Comparison(
        _interval(sums, drawn, lambda s: s[..., 0] / s[..., 2]),
        _interval(sums, drawn, lambda s: s[..., 1] / s[..., 2]),
        _interval(sums, drawn, lambda s: (s[..., 0] - s[..., 1]) / s[..., 2]),
    )


def _drawn(units: Sums) -> Sums:
    """The sums of the columns for each round: as many units as there are, drawn with return."""
    count = len(units)
    times = np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), size=ROUNDS)
    return np.asarray(times @ units)


def _interval(sums: Sums, drawn: Sums, figure: Callable[[Sums], Sums]) -> Interval:
    with np.errstate(invalid="ignore"):  # a round may draw no unit that has words
        low, high = np.nanpercentile(figure(drawn), [2.5, 97.5])
    return Interval(float(figure(sums)), float(low), float(high))
