"""The jobs that are still to be done, and the heap of those that wait for their turn."""

from __future__ import annotations

import heapq
import operator
from collections.abc import Container, Iterator

from modules.jobs.job import Job, Priority, Status

#: The order of the queue; asked of every job of a long one, so not a function of our own.
turn = operator.attrgetter("priority", "sequence")


class ReadyQueue:
    """One job per name. Not thread-safe: the scheduler's lock guards it."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        #: (priority, sequence, name); entries that no longer match their job are skipped.
        self._heap: list[tuple[int, int, str]] = []

    def __contains__(self, name: str) -> bool:
        return name in self._jobs

    def __iter__(self) -> Iterator[Job]:
        """All jobs, in no order."""
        return iter(self._jobs.values())

    def get(self, name: str) -> Job | None:
        return self._jobs.get(name)

    def keep(self, job: Job) -> None:
        """Add a job or change it; if it waits, it gets its place."""
        self._jobs[job.name] = job
        if job.status in (Status.QUEUED, Status.WAITING):
            heapq.heappush(self._heap, (job.priority, job.sequence, job.name))

    def remove(self, name: str) -> None:
        del self._jobs[name]

    def pop(self, now: float, besides: Container[str] = ()) -> Job | None:
        """The job whose turn it is, QUEUED; it stays one of the jobs. None if none may run yet.

        ``besides``: names that are passed over, and keep their place.
        """
        waiting: list[tuple[int, int, str]] = []
        found = None
        while self._heap and found is None:
            entry = heapq.heappop(self._heap)
            job = self._jobs.get(entry[2])
            if job is None or (job.priority, job.sequence) != entry[:2]:
                continue
            if job.name in besides:
                waiting.append(entry)
                continue
            if job.status is Status.WAITING:
                if job.not_before > now:
                    waiting.append(entry)
                    continue
                job = job.to(Status.QUEUED)
            if job.status is Status.QUEUED:
                found = job
        for entry in waiting:
            heapq.heappush(self._heap, entry)
        return found

    def due(self, now: float) -> Iterator[Job]:
        """Those that could be taken now, in no order."""
        ready = (j for j in self if j.status in (Status.QUEUED, Status.WAITING))
        return (job for job in ready if job.not_before <= now)

    def count_due(self, priority: Priority, now: float, besides: Container[str] = ()) -> int:
        due = (job for job in self.due(now) if job.priority is priority)
        return sum(job.name not in besides for job in due)

    def next_retry(self, besides: Container[str] = ()) -> float:
        """When the next waiting job may run, by the monotonic clock; infinite if none waits."""
        waiting = (j for j in self if j.status is Status.WAITING and j.name not in besides)
        return min((job.not_before for job in waiting), default=float("inf"))
