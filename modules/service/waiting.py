"""Clients that wait for a job: a limited number, woken when it ends, released when they leave."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from modules.clock import Clock
from modules.jobs.events import Event
from modules.jobs.job import Cause, Job

#: How often a waiting request checks whether its client has disconnected, in seconds.
CHECK_S = 1.0

Disconnected = Callable[[], bool]


class Waiting:
    """Places for clients that wait. Thread-safe; ``on_event`` is called with every event."""

    def __init__(self, clock: Clock, places: int) -> None:
        self._clock = clock
        self._places = places
        self._lock = threading.Lock()
        self._taken = 0
        self._watches: dict[str, list[Watch]] = {}
        self._closing = threading.Event()

    @property
    def taken(self) -> int:
        """How many clients currently wait."""
        return self._taken

    @property
    def closing(self) -> bool:
        return self._closing.is_set()

    @contextlib.contextmanager
    def place(self) -> Iterator[bool]:
        """A place for the time of the block; False if all are taken, or after ``close``."""
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

    def pause(self, seconds: float, disconnected: Disconnected) -> bool:
        """Wait; False if the client left or the program ends meanwhile."""
        return not self._closing.wait(seconds) and not disconnected()

    def on_event(self, event: Event) -> None:
        job = event.job
        # A file that was replaced goes on as the same job.
        if not job.finished or job.cause is Cause.REPLACED:
            return
        with self._lock:
            for watch in self._watches.get(job.job_id, ()):
                watch.end(job)

    def close(self) -> None:
        """Release every client that waits, and let no more wait."""
        self._closing.set()
        with self._lock:
            for watches in self._watches.values():
                for watch in watches:
                    watch.wake()


class Watch:
    """One client that waits for one job."""

    def __init__(self, clock: Clock, closing: threading.Event) -> None:
        self._clock = clock
        self._closing = closing
        self._woken = threading.Event()
        self._ended: Job | None = None

    def until_ended(self, timeout_s: float, disconnected: Disconnected) -> Job | None:
        """The job as it ended; None if time, client or program ended first."""
        deadline = self._clock.monotonic() + timeout_s
        while self._ended is None and not self._closing.is_set():
            left_s = deadline - self._clock.monotonic()
            if left_s <= 0 or disconnected():
                break
            self._woken.wait(min(left_s, CHECK_S))
        return self._ended

    def end(self, job: Job) -> None:
        self._ended = job
        self._woken.set()

    def wake(self) -> None:
        self._woken.set()
