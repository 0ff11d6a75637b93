"""Clients that wait for a job: a limited number, woken at once, let go when they leave."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from modules.clock import Clock
from modules.jobs.events import Event
from modules.jobs.job import Cause, Job, Status

#: How often somebody who waits looks whether the client is still there, in seconds.
LOOK_S = 1.0

Gone = Callable[[], bool]


class Waiting:
    """Places for clients that wait. Thread-safe; ``tell`` is called with every event."""

    def __init__(self, clock: Clock, places: int) -> None:
        self._clock = clock
        self._places = places
        self._lock = threading.Lock()
        self._taken = 0
        self._watches: dict[str, list[Watch]] = {}
        self._closing = threading.Event()

    @property
    def taken(self) -> int:
        """How many clients wait just now."""
        return self._taken

    @property
    def closing(self) -> bool:
        return self._closing.is_set()

    @contextlib.contextmanager
    def place(self) -> Iterator[bool]:
        """A place for the time of the block; False if all are taken, or at the end."""
        with self._lock:
            free = self._taken < self._places and not self._closing.is_set()
            self._taken += free
        try:
            yield free
        finally:
            with self._lock:
                self._taken -= free

    @contextlib.contextmanager
    def watch(self, job_id: str) -> Iterator[Watch]:
        """Sees how a job ends. What ended before the block began is not seen."""
        watch = Watch(self._clock, self._closing)
        with self._lock:
            self._watches.setdefault(job_id, []).append(watch)
        try:
            yield watch
        finally:
            with self._lock:
                self._watches[job_id].remove(watch)
                if not self._watches[job_id]:
                    del self._watches[job_id]

    def pause(self, seconds: float, gone: Gone) -> bool:
        """Wait a little; False if the client left or the program ends meanwhile."""
        return not self._closing.wait(seconds) and not gone()

    def tell(self, event: Event) -> None:
        job = event.job
        # A file that was replaced goes on as the same job.
        if not job.finished or job.cause is Cause.REPLACED:
            return
        with self._lock:
            for watch in self._watches.get(job.job_id, ()):
                watch.end(job)

    def close(self) -> None:
        """Let everybody go."""
        self._closing.set()
        with self._lock:
            for watches in self._watches.values():
                for watch in watches:
                    watch.wake()


class Watch:
    """One client's look at one job."""

    def __init__(self, clock: Clock, closing: threading.Event) -> None:
        self._clock = clock
        self._closing = closing
        self._woken = threading.Event()
        self._ended: Job | None = None

    def until_over(self, timeout_s: float, gone: Gone) -> Job | None:
        """The job as it ended; None if time, client or program ended first."""
        deadline = self._clock.monotonic() + timeout_s
        while self._ended is None and not self._closing.is_set():
            left_s = deadline - self._clock.monotonic()
            if left_s <= 0 or gone():
                break
            self._woken.wait(min(left_s, LOOK_S))
        return self._ended

    def end(self, job: Job) -> None:
        self._ended = job
        self._woken.set()

    def wake(self) -> None:
        self._woken.set()


#: What an end that is no text means for those who wait: an error's code.
def code_of(job: Job) -> str:
    """The error code for a job that ended without a text."""
    if job.status is Status.FAILED:
        return "failed"
    return {Cause.DELETED: "deleted", Cause.SUPERSEDED: "superseded"}.get(
        job.cause or Cause.GONE, "gone"
    )
