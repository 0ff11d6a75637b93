"""One run on a node: what it reports waits here until the daemon has it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from modules.executors.base import Outcome, RunCallbacks
from modules.executors.protocol import Started, Transcribe
from modules.executors.ray.media import Received
from modules.executors.ray.wire import (
    Accepted,
    Begin,
    Ended,
    Event,
    Line,
    Numbered,
    Poll,
    Standstill,
)
from modules.transcript.model import Chunk

#: So many events wait for the daemon at most; then the child does.
_EVENTS_MAX = 64
#: So long it waits for the daemon, in seconds, before it stops.
_UNREAD_MAX_S = 600.0
#: An answer has so many of them, or a few more.
_ANSWER_BYTES = 2**22


class NodeRun:
    """Written by the thread that runs the file, read by those that the daemon calls."""

    def __init__(self, begin: Begin, media: Received | None) -> None:
        self.begin = begin
        self.media = media
        self._events: deque[Numbered] = deque()
        self._number = 0
        self._stop = False
        self._hurry = True
        self._next_up: Transcribe | None = None
        self._changed = threading.Condition()

    def take(self, poll: Poll) -> tuple[Numbered, ...]:
        """The events after the one that the poll names; waits a moment for the first."""
        with self._changed:
            self._stop |= poll.stop
            self._hurry, self._next_up = poll.hurry, poll.next_up
            while self._events and self._events[0].number <= poll.after:
                self._events.popleft()
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: bool(self._events) or self._lacks(poll.under_way), poll.wait_s
            )
            return self._portion()

    def _portion(self) -> tuple[Numbered, ...]:
        chosen, size = [], 0
        for numbered in self._events:
            chosen.append(numbered)
            size += len(numbered.event.line) if isinstance(numbered.event, Line) else 0
            if size > _ANSWER_BYTES:
                break
        return tuple(chosen)

    def _lacks(self, under_way: tuple[int, ...]) -> bool:
        """Whether a piece of the recording is wanted that is not on its way."""
        return self.media is not None and not set(self.media.wants) <= set(under_way)

    def put(self, index: int, content: bytes) -> None:
        """Take a piece of the recording; a poll that waits may ask for another one."""
        if self.media is not None:
            self.media.put(index, content)
            with self._changed:
                self._changed.notify_all()

    def abandon(self, order: int) -> None:
        """The daemon wants nothing more of the run with this number, which may be an earlier one:
        calls are not made in the order in which they were sent."""
        if order != self.begin.order:
            return
        with self._changed:
            self._stop = self._hurry = True
            self._events.clear()
            self._changed.notify_all()

    def end(self, ended: Ended) -> None:
        """It is over; nothing follows."""
        self._put(ended)

    @property
    def is_wanted(self) -> bool:
        return not self._stop

    def callbacks(
        self,
        on_tick: Callable[[], None],
        here: Callable[[Transcribe], Transcribe | None],
    ) -> RunCallbacks:
        """For the executor that runs it. ``here``: what may come next, as it is named here."""
        return RunCallbacks(
            on_chunk=self._on_line,
            on_tick=on_tick,
            should_stop=lambda: self._stop,
            on_accepted=lambda: self._put(Accepted()),
            on_started=self._on_line,
            on_standstill=lambda seconds: self._put(Standstill(seconds=seconds)),
            must_hurry=lambda: self._hurry,
            next_up=lambda: here(self._next_up) if self._next_up else None,
        )

    @property
    def _has_room(self) -> bool:
        return self._stop or len(self._events) < _EVENTS_MAX

    def _on_line(self, event: Started | Chunk) -> None:
        self._put(Line(line=event.model_dump_json(exclude_none=True)))

    def _put(self, event: Event) -> None:
        with self._changed:
            is_last = isinstance(event, Ended)
            if not self._changed.wait_for(lambda: is_last or self._has_room, _UNREAD_MAX_S):
                self._stop = True
            self._number += 1
            self._events.append(Numbered(number=self._number, event=event))
            self._changed.notify_all()


def ended_with(outcome: Outcome) -> Ended:
    """The end of a run without an error."""
    return Ended(
        done=outcome.done,
        ran_s=outcome.ran_s,
        loaded=outcome.loaded,
        whisperx_version=outcome.whisperx_version,
        memory_peak_mb=outcome.memory_peak_mb,
    )
