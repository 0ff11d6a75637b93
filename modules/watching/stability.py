"""Is this file finished? Pure: the moment and the look at the file are passed in.

A file is complete when nothing about it changed over several looks that span its hold time, and
no process is known to have it open for writing. File times are compared, never trusted as times:
clocks jump, and tools set them.
"""

from __future__ import annotations

import heapq
import os
from dataclasses import dataclass, replace

#: A short burst of looks within one pause of the writer proves nothing; nor does one look late.
SAMPLES_MIN = 3

#: The looks at a file are spread over its hold time, so that thousands of files cost little.
LOOKS_PER_HOLD = 4
PACE_MIN_S = 0.1

#: How soon a file that is still written, or that could not be looked at, is looked at again.
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class FileSample:
    """One look at a file. Times in nanoseconds, as the file system gives them."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int

    @classmethod
    def of(cls, stat: os.stat_result) -> FileSample:
        return cls(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev)


@dataclass(frozen=True, slots=True)
class Stillness:
    """How long a file has held still: ``samples`` equal looks from ``since`` to ``last``.

    ``closed``: a writer closed it, or it was moved in, after its last change.
    """

    sample: FileSample
    since: float
    last: float
    samples: int = 1
    closed: bool = False

    def after(self, sample: FileSample, now: float) -> Stillness:
        """With one more look taken into account."""
        if sample != self.sample:
            return Stillness(sample, now, now)
        return replace(self, last=now, samples=self.samples + 1)


@dataclass(frozen=True, slots=True)
class StabilityRule:
    """How long a file must hold still: ``settle_s`` once it was closed, else ``stable_s``."""

    settle_s: float
    stable_s: float

    def hold_s(self, still: Stillness) -> float:
        # An empty file that was closed is often a placeholder whose writer comes back at once.
        return self.settle_s if still.closed and still.sample.size else self.stable_s

    def holds(self, still: Stillness) -> bool:
        """Whether the looks alone say that the file is finished."""
        return still.samples >= SAMPLES_MIN and still.last - still.since >= self.hold_s(still)

    def is_whole(self, still: Stillness, has_writer: bool | None) -> bool:
        """``has_writer`` None means unknown: then holding still decides alone."""
        return has_writer is not True and self.holds(still)

    def pace_s(self, still: Stillness) -> float:
        """Seconds until the next look is worth its cost."""
        return max(PACE_MIN_S, self.hold_s(still) / LOOKS_PER_HOLD)


@dataclass(slots=True)
class _Candidate:
    due: float
    still: Stillness | None = None
    closed_hint: bool = False


class StabilityTracker:
    """The files that are not known to be complete yet, and when to look at each again.

    Knows nothing of where looks and hints come from. Not thread-safe: one thread drives it.
    """

    def __init__(self, rule: StabilityRule) -> None:
        self._rule = rule
        self._candidates: dict[str, _Candidate] = {}
        self._heap: list[tuple[float, str]] = []

    def __contains__(self, name: str) -> bool:
        return name in self._candidates

    def __len__(self) -> int:
        return len(self._candidates)

    def expect(self, name: str, now: float, *, closed: bool = False) -> None:
        """Look at this file now. ``closed``: it was closed or moved in just before."""
        candidate = self._candidates.setdefault(name, _Candidate(due=now))
        candidate.closed_hint = candidate.closed_hint or closed
        self._schedule(name, candidate, now)

    def next_due(self) -> float | None:
        """The moment of the earliest look, None if there is nothing to look at."""
        while self._heap:
            due, name = self._heap[0]
            if name in self._candidates and self._candidates[name].due == due:
                return due
            heapq.heappop(self._heap)
        return None

    def pop_due(self, now: float) -> str | None:
        """A file whose look is due. Left alone after that, it comes back after ``RETRY_S``."""
        due = self.next_due()
        if due is None or due > now:
            return None
        name = heapq.heappop(self._heap)[1]
        self._schedule(name, self._candidates[name], now + RETRY_S)
        return name

    def observe(self, name: str, sample: FileSample, now: float) -> Stillness:
        """Note a look at a file that is expected, and when the next one is due."""
        candidate = self._candidates[name]
        still = candidate.still.after(sample, now) if candidate.still else None
        still = still or Stillness(sample, now, now)
        if candidate.closed_hint:
            still = replace(still, closed=True)
        candidate.still, candidate.closed_hint = still, False
        # A file that held still long enough and is not dropped has a writer: no hurry.
        wait_s = RETRY_S if self._rule.holds(still) else self._rule.pace_s(still)
        self._schedule(name, candidate, now + wait_s)
        return still

    def seen(self, name: str) -> bool:
        """Whether the file was there at any look since it is expected."""
        return name in self._candidates and self._candidates[name].still is not None

    def drop(self, name: str) -> None:
        """Complete, deleted, or of no interest."""
        self._candidates.pop(name, None)

    def start_over(self, now: float) -> None:
        """Forget how long files did not change: the share could not be read for a while."""
        for name, candidate in self._candidates.items():
            candidate.still, candidate.closed_hint = None, False
            self._schedule(name, candidate, now)

    def _schedule(self, name: str, candidate: _Candidate, due: float) -> None:
        candidate.due = due
        heapq.heappush(self._heap, (due, name))
