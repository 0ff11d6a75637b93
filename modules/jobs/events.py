"""Events about jobs, for subscribers. A slow subscriber does not delay the work."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from modules.jobs.job import Job

#: So many of the latest events are kept, for a listener that comes back after a gap.
KEPT = 1000
#: A listener that is further behind than this is sent away; it may come back and catch up.
BACKLOG = 1000

Kind = Literal["transition", "progress"]


@dataclass(frozen=True)
class Event:
    """A job as it was when it changed. Numbers rise by one; they begin anew with each start."""

    number: int
    kind: Kind
    job: Job


class Subscription:
    """One listener's events, in order. ``lost`` once it fell too far behind."""

    def __init__(self, events: list[Event], counts: bool) -> None:
        self._events = deque(events)
        self.counts = counts
        self._ready = threading.Event()
        self.lost = False

    def take(self, timeout_s: float) -> list[Event]:
        """What came since the last call; waits up to ``timeout_s`` for something."""
        if not self._events:
            self._ready.wait(timeout_s)
        self._ready.clear()
        taken = []
        while self._events:
            taken.append(self._events.popleft())
        return taken

    def wake(self) -> None:
        """End a ``take`` that waits."""
        self._ready.set()

    def put(self, event: Event) -> None:
        if len(self._events) >= BACKLOG:
            self.lost = True
        else:
            self._events.append(event)
        self._ready.set()


class Events:
    """Publishes to listeners and to ``hooks``, which must be quick. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._latest: deque[Event] = deque(maxlen=KEPT)
        self._listeners: list[Subscription] = []
        self.hooks: list[Callable[[Event], None]] = []

    def publish(self, kind: Kind, job: Job) -> None:
        with self._lock:
            event = Event(next(self._numbers), kind, job)
            # A job holds its last segments: those of all chunks of a day would fill the memory.
            if self._latest and _takes_the_place_of(self._latest[-1], event):
                self._latest.pop()
            self._latest.append(event)
            for listener in self._listeners:
                listener.put(event)
        for hook in self.hooks:
            hook(event)

    def subscribe(self, after: int | None = None, *, counts: bool = True) -> Subscription:
        """Everything from now on, and what is still known of the time after event ``after``.

        ``counts``: whether it is one of the ``listeners``, which are limited.
        """
        with self._lock:
            missed = [e for e in self._latest if after is not None and e.number > after]
            listener = Subscription(missed, counts)
            self._listeners.append(listener)
            return listener

    def unsubscribe(self, listener: Subscription) -> None:
        with self._lock:
            self._listeners.remove(listener)

    @property
    def listeners(self) -> int:
        with self._lock:
            return sum(listener.counts for listener in self._listeners)

    def wake_all(self) -> None:
        """Let every listener look whether it is still wanted."""
        with self._lock:
            for listener in self._listeners:
                listener.wake()


def _takes_the_place_of(earlier: Event, event: Event) -> bool:
    """Whether both are steps within one percent of the same job."""
    same = earlier.job.job_id == event.job.job_id and earlier.job.progress == event.job.progress
    return same and earlier.kind == event.kind == "progress"
