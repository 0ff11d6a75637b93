"""What live sessions did since the start, counted: for ``/stats/aggregator`` and ``/metrics``."""

from __future__ import annotations

import bisect
import contextlib
import itertools
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from modules.errors import TranscriberError

#: How a client that wanted to begin was answered; other refusals are the client's own fault.
Admission = Literal["admitted", "too_many_sessions", "too_busy", "no_room"]
ADMISSIONS: tuple[Admission, ...] = ("admitted", "too_many_sessions", "too_busy", "no_room")
#: What is told, with the delay since the sound that it is about.
Told = Literal["partial", "commit", "final"]
TOLD: tuple[Told, ...] = ("partial", "commit", "final")

_DELAYS_S = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.5, 5.0, 7.5, 10.0, 20.0, 60.0)
_PASSES_S = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)


@dataclass(frozen=True)
class Distribution:
    """``counts``: values up to each of the ``bounds`` and above the one before, then the rest."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float = 0.0

    @property
    def count(self) -> int:
        return sum(self.counts)

    def quantile(self, share: float) -> float | None:
        """About the value that this share of all does not exceed; None without values.

        Even within its bounds; of what lies above the last bound only that is known.
        """
        wanted = share * self.count
        if not wanted:
            return None
        sums = list(itertools.accumulate(self.counts))
        at = bisect.bisect_left(sums, wanted)
        if at >= len(self.bounds):
            return self.bounds[-1]
        low = self.bounds[at - 1] if at else 0.0
        inside = (wanted - (sums[at] - self.counts[at])) / self.counts[at]
        return low + inside * (self.bounds[at] - low)

    def with_value(self, value: float) -> Distribution:
        """Values that are negative, infinite or no number are ignored."""
        if not (math.isfinite(value) and value >= 0):
            return self
        counts = list(self.counts)
        counts[bisect.bisect_left(self.bounds, value)] += 1
        return Distribution(self.bounds, tuple(counts), self.total + value)


def _empty(bounds: tuple[float, ...]) -> Distribution:
    return Distribution(bounds, (0,) * (len(bounds) + 1))


@dataclass(frozen=True)
class LiveFigures:
    """``delays``: of partials each word that appears, of commits each word, of finals the end of
    the utterance; in seconds since its sound came. ``words_changed``: shown, then replaced."""

    admissions: Mapping[Admission, int] = field(
        default_factory=lambda: dict.fromkeys(ADMISSIONS, 0)
    )
    events: Mapping[Told, int] = field(default_factory=lambda: dict.fromkeys(TOLD, 0))
    delays: Mapping[Told, Distribution] = field(
        default_factory=lambda: {kind: _empty(_DELAYS_S) for kind in TOLD}
    )
    passes: Distribution = field(default_factory=lambda: _empty(_PASSES_S))
    sound_s: float = 0.0
    words_shown: int = 0
    words_changed: int = 0
    words_committed: int = 0


class LiveStatistics:
    """Thread-safe; nothing here takes long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._admissions: dict[Admission, int] = dict.fromkeys(ADMISSIONS, 0)
        self._events: dict[Told, int] = dict.fromkeys(TOLD, 0)
        self._delays = {kind: _empty(_DELAYS_S) for kind in TOLD}
        self._passes = _empty(_PASSES_S)
        self._sound_s = 0.0
        self._shown = self._changed = self._committed = 0

    def note_admission(self, outcome: str) -> None:
        """A session began, or was refused with this code; other codes are not counted."""
        with self._lock:
            for known in ADMISSIONS:
                self._admissions[known] += known == outcome

    @contextlib.contextmanager
    def refusals(self) -> Iterator[None]:
        """Count what this raises."""
        try:
            yield
        except TranscriberError as error:
            self.note_admission(error.code)
            raise

    def note_sound(self, seconds: float) -> None:
        with self._lock:
            self._sound_s += seconds

    def note_pass(self, busy_s: float) -> None:
        with self._lock:
            self._passes = self._passes.with_value(busy_s)

    def note_told(self, kind: Told, words: int, delays_s: Sequence[float], changed: int) -> None:
        """An event with so many new words was told; ``delays_s``: of each, if they count."""
        with self._lock:
            self._events[kind] += 1
            self._changed += changed
            self._shown += words if kind == "partial" else 0
            self._committed += words if kind == "commit" else 0
            for delay_s in delays_s:
                self._delays[kind] = self._delays[kind].with_value(delay_s)

    def figures(self) -> LiveFigures:
        with self._lock:
            return LiveFigures(
                dict(self._admissions),
                dict(self._events),
                dict(self._delays),
                self._passes,
                self._sound_s,
                self._shown,
                self._changed,
                self._committed,
            )
