"""What the queue costs with many jobs in it: the real scheduler, here, with nothing logged."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from modules.clock import SystemClock
from modules.jobs.job import Cause, Job, Priority, Status
from modules.jobs.scheduler import Scheduler
from tests.builders import a_job

#: How often each operation is done; those that look at every job less often.
SAMPLES, LISTINGS = 500, 20


@dataclass(frozen=True)
class Operation:
    """Something that is done to a queue of so many jobs; the median, in microseconds."""

    name: str
    jobs: int
    median_us: float


def operations(count: int) -> list[Operation]:
    """Every operation on a queue of ``count`` scanned files, which stays about as long."""
    queue = Scheduler(SystemClock())
    names = [f"{number:07}.mp3" for number in range(count)]
    jobs = [a_job(name) for name in names]
    began = time.perf_counter()
    for job in jobs:
        queue.submit(job)
    found = [Operation("fill it, each job", count, 1e6 * (time.perf_counter() - began) / count)]
    for name, action, times in _actions(queue, names):
        samples = sorted(_timed(action) for _ in range(times))
        found.append(Operation(name, count, 1e6 * statistics.median(samples)))
    return found


def _actions(queue: Scheduler, names: list[str]) -> Iterator[tuple[str, Callable[[], object], int]]:
    samples = min(SAMPLES, len(names) // 5)
    # Not the first ones, which stand at the head of the queue and of every search.
    promoted = iter(names[len(names) // 2 :])
    cancelled = iter(names[-samples:])
    fresh = (a_job(f"late-{number}.mp3") for number in range(samples))
    middle = queue.get(names[len(names) // 2])
    assert middle is not None
    yield "submit", lambda: queue.submit(next(fresh)), samples
    yield "join", lambda: queue.submit(a_job(middle.name)), samples
    yield "get", lambda: queue.get(middle.name), samples
    yield "by id", lambda: queue.by_id(middle.job_id), LISTINGS
    yield "position", lambda: queue.ahead_of(middle.name), LISTINGS
    yield "listing", queue.jobs, LISTINGS
    yield "cancel", lambda: queue.cancel(next(cancelled), Cause.DELETED), samples
    yield "take and release", lambda: _carry(queue), samples
    running = queue.take(0)
    assert running is not None
    yield "must it stop?", queue.stop_reason, LISTINGS
    yield "progress", lambda: queue.update(running.name, lambda job: job), samples
    queue.release(running.name, Status.COMPLETED, "done")
    yield "promote", lambda: queue.submit(_urgent(next(promoted))), samples


def _urgent(name: str) -> Job:
    return a_job(name, priority=Priority.API)


def _carry(queue: Scheduler) -> None:
    job = queue.take(0)
    assert job is not None
    queue.release(job.name, Status.COMPLETED, "done")


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
