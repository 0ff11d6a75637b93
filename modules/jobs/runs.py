"""The jobs that workers have at the moment, and which of them yields to an urgent one."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from modules.jobs.job import Job, Priority
from modules.jobs.ready_queue import ReadyQueue

#: How much the latest chunk says about how long the next one takes.
_LATEST = 0.5


class StopReason(StrEnum):
    """Why a running job must stop."""

    CANCELLED = "cancelled"
    PREEMPTED = "an urgent job waits"
    PAUSED = "paused"
    SHUTDOWN = "shutting down"


@dataclass
class Run:
    """One hand-out of a job. ``order`` rises with each; ``owner``: the thread that took it."""

    name: str
    order: int
    at: float
    owner: int = field(default_factory=threading.get_ident)
    is_cancelled: bool = False
    #: It was told to yield, and its worker may have begun to stop.
    was_told: bool = False
    #: How long a chunk takes, in seconds; None until the second one.
    pace_s: float | None = None
    has_begun: bool = False

    def came_further(self, now: float) -> None:
        """A chunk is finished."""
        if self.has_begun:
            took_s, before = now - self.at, self.pace_s
            self.pace_s = took_s if before is None else before + _LATEST * (took_s - before)
        self.at, self.has_begun = now, True

    def left_s(self, now: float) -> float:
        """Seconds until the chunk in hand will probably be finished; infinite if not known."""
        return float("inf") if self.pace_s is None else max(0.0, self.pace_s - (now - self.at))


class Runs:
    """One run per name. Not thread-safe: the scheduler's lock guards it."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._orders = itertools.count(1)

    def __contains__(self, name: object) -> bool:
        return name in self._runs

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Run]:
        """In the order of their hand-out."""
        return iter(self._runs.values())

    def begin(self, name: str, now: float) -> None:
        self._runs[name] = Run(name, next(self._orders), now)

    def cancel(self, name: str) -> None:
        self._runs[name].is_cancelled = True

    def end(self, name: str) -> None:
        del self._runs[name]

    def get(self, name: str) -> Run | None:
        return self._runs.get(name)

    def current(self, jobs: ReadyQueue) -> list[Job]:
        """The jobs that run and are still wanted.

        A cancelled one may have a successor of the same name, which only waits.
        """
        found = (None if run.is_cancelled else jobs.get(run.name) for run in self)
        return [job for job in found if job]

    def own(self, name: str) -> Run | None:
        """The run of this name, if the calling thread has it."""
        run = self._runs.get(name)
        return run if run and run.owner == threading.get_ident() else None

    def yields(self, run: Run, jobs: ReadyQueue, workers: int, now: float) -> bool:
        """Whether this one makes room: an urgent job waits, and no worker is idle for it.

        So many yield as are needed, those that are nearest to the end of their chunk.
        """
        running = self.current(jobs)
        places = {job.name: job.sequence for job in running if job.priority is Priority.SCAN}
        if run.name not in places:
            return False
        urgent = jobs.count_due(Priority.API, now, besides=self)
        free = max(0, workers - len(self)) + sum(other.is_cancelled for other in self)
        # Who was told keeps being told: its worker may have begun to stop.
        nearest = sorted(
            (other for other in self if other.name in places),
            key=lambda r: (not r.was_told, r.left_s(now), -places[r.name]),
        )[: max(0, urgent - free)]
        run.was_told = run.was_told or run in nearest
        return run in nearest
