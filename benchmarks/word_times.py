"""How far our words' times are from the true ones. Pure.

Only words that were heard right count, as the alignment pairs them. An error is ours less the
truth, so a positive one is late.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.hearing import HeardWord
from benchmarks.phones import SpokenWord

Border = Literal["start", "end"]
#: A longer silence makes a border one at a pause.
PAUSE_S = 0.3


@dataclass(frozen=True)
class TimeError:
    """How late one border of a word is, and whether a pause is on that side of it."""

    border: Border
    at_pause: bool
    late_s: float


@dataclass(frozen=True)
class Errors:
    """Many of them: half are within the median, nine of ten within ``p90_s``; ``bias_s`` is the
    median with its sign, so that a constant shift shows."""

    words: int
    median_s: float
    p90_s: float
    bias_s: float


def time_errors(
    said: Sequence[SpokenWord], heard: Sequence[HeardWord], pairs: Iterable[tuple[int, int]]
) -> list[TimeError]:
    """Both borders of the paired words; words without times of their own are left out."""
    errors: list[TimeError] = []
    for place, found in pairs:
        truth, word = said[place], heard[found]
        if word.start_s is not None and word.end_s is not None:
            errors += [
                TimeError("start", truth.pause_before_s > PAUSE_S, word.start_s - truth.start_s),
                TimeError("end", truth.pause_after_s > PAUSE_S, word.end_s - truth.end_s),
            ]
    return errors


def summary(errors: Iterable[TimeError]) -> Errors | None:
    """The figures, or None if there is no error."""
    late_s = np.array([error.late_s for error in errors])
    if not late_s.size:
        return None
    median_s, p90_s = np.percentile(np.abs(late_s), [50, 90])
    return Errors(late_s.size, float(median_s), float(p90_s), float(np.median(late_s)))
