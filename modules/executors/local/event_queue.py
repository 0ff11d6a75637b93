"""Events on their way from the thread that reads them to the one that acts on them."""

from __future__ import annotations

import threading
from collections import deque

from modules.executors.protocol import Alive, Event

#: What waits at most. The child works on meanwhile, until its pipe is full too.
_EVENTS_MAX, _BYTES_MAX = 64, 2**20


class ClosedError(Exception):
    """The child has closed its end: it is dead, or will be ended."""


class ImplausibleError(Exception):
    """The child sent what no recording can be the reason for."""


class EventQueue:
    """Whoever puts an event waits while the queue is full; for one thread on each side.

    Signs of life that follow each other are one.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Event, int]] = deque()
        self._bytes = 0
        self._end: Exception | None = None
        self._is_closed = False
        self._changed = threading.Condition()

    def put(self, event: Event, size: int) -> bool:
        """Add an event whose line had ``size`` bytes; False if nobody will take it any more."""
        with self._changed:
            if isinstance(event, Alive) and self._waiting and self._waiting[-1][0] == event:
                return not self.is_over
            self._changed.wait_for(lambda: self.is_over or self._has_room(size))
            if self.is_over:
                return False
            self._waiting.append((event, size))
            self._bytes += size
            self._changed.notify_all()
            return True

    def put_end(self, error: Exception) -> None:
        """Take no more events, and have ``get`` raise an error after the last one."""
        with self._changed:
            self._end = self._end or error
            self._changed.notify_all()

    def get(self, timeout_s: float) -> Event | None:
        """The next event, or None after the time-out. Raises what was put as the end."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._waiting or self._end), timeout_s):
                return None
            if not self._waiting:
                assert self._end is not None
                raise self._end
            event, size = self._waiting.popleft()
            self._bytes -= size
            self._changed.notify_all()
            return event

    def close(self) -> None:
        """Nothing is taken any more; whoever waits in ``put`` returns."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    @property
    def is_over(self) -> bool:
        """Whether no more events are taken."""
        return self._is_closed or self._end is not None

    def _has_room(self, size: int) -> bool:
        if not self._waiting:
            return True
        return len(self._waiting) < _EVENTS_MAX and self._bytes + size <= _BYTES_MAX
