"""How files and live sessions share the model of this process.

Live passes run one at a time, on one of the model's streams. While one or two speak, files leave
that stream free and go one chunk at a time, so that no pass waits for more than a chunk; with each
further speaker they leave one more. The texts of sessions that grow are made as those of files are,
and the two take turns.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # it takes long to import
    from modules.engines.base import Engine, Progress
    from modules.weights.files import ModelSpec

#: Chunks of a file, or of a session that grows.
Kind = Literal["file", "growing"]

#: However many speak, each kind gets a chunk in this time, in seconds.
_LEAST_EVERY_S = 30.0
#: A waiting file reports progress, and hears of a stop, this often, in seconds.
_TICK_S = 0.5


class Sharing:
    """Thread-safe. Nothing here waits for longer than a pass or a chunk takes."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._engine: Engine | None = None
        self._in_pass = False
        self._sessions = self._speaking = 0
        #: Chunks in progress and those that wait, by kind; and when the latest of each began.
        self._running: dict[Kind, int] = {"file": 0, "growing": 0}
        self._waiting: dict[Kind, int] = {"file": 0, "growing": 0}
        self._began: dict[Kind, float] = {"file": -math.inf, "growing": -math.inf}
        self._latest: Kind = "growing"
        #: How many hold the engine for longer than a pass.
        self._leases = 0

    # --- the engine ---

    def offer(self, engine: Engine) -> None:
        """From now on live passes use this engine."""
        with self._changed:
            self._engine = engine
            self._changed.notify_all()

    def withdraw(self) -> None:
        """Wait for the pass in progress, and until all leases have ended; from then on there are
        none until an engine is offered."""
        with self._changed:
            self._engine = None
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._in_pass and not self._leases)

    @property
    def has_engine(self) -> bool:
        return self._engine is not None

    @contextmanager
    def lease(self, spec: ModelSpec, is_over: Callable[[], bool]) -> Iterator[Engine | None]:
        """The engine, once it is one with these weights; None if it ``is_over`` before.

        Whoever has it asks ``is_offered`` at least twice a second, and lets go when it is not.
        """
        with self._changed:
            while not is_over() and not (self._engine and self._engine.spec == spec):
                self._changed.wait(_TICK_S)
            engine = None if is_over() else self._engine
            self._leases += engine is not None
        try:
            yield engine
        finally:
            with self._changed:
                self._leases -= engine is not None
                self._changed.notify_all()

    def is_offered(self, engine: Engine) -> bool:
        """Whether it was not withdrawn."""
        return self._engine is engine

    @contextmanager
    def one_pass(self) -> Iterator[Engine | None]:
        """The engine for one pass, or None if there is none. One pass at a time in all."""
        with self._changed:
            self._changed.wait_for(lambda: not self._in_pass)
            engine = self._engine
            self._in_pass = engine is not None
        try:
            yield engine
        finally:
            with self._changed:
                if engine is not None:
                    self._in_pass = False
                self._changed.notify_all()

    # --- files ---

    def live(self, sessions: int, speaking: int) -> None:
        """So many sessions are open, and in so many somebody speaks."""
        with self._changed:
            self._sessions, self._speaking = sessions, speaking
            self._changed.notify_all()

    @property
    def is_live(self) -> bool:
        """Whether a session is open, so that files should go one chunk at a time."""
        return self._sessions > 0

    @contextmanager
    def turn(
        self, kind: Kind, streams: int, progress: Progress, should_stop: Callable[[], bool]
    ) -> Iterator[bool]:
        """While a thread transcribes chunks; waits until there is a stream for it.

        False if it was stopped meanwhile.
        """
        if not self._begin_turn(kind, streams, progress, should_stop):
            yield False
            return
        try:
            yield True
        finally:
            with self._changed:
                self._running[kind] -= 1
                self._changed.notify_all()

    def _begin_turn(
        self, kind: Kind, streams: int, progress: Progress, should_stop: Callable[[], bool]
    ) -> bool:
        with self._queued(kind):  # also while it reports: it would lose its turn to the other kind
            while True:
                with self._changed:
                    if self._changed.wait_for(lambda: self._has_room(kind, streams), _TICK_S):
                        self._running[kind] += 1
                        self._latest, self._began[kind] = kind, self._monotonic()
                        return True
                if should_stop():
                    return False
                progress()

    @contextmanager
    def _queued(self, kind: Kind) -> Iterator[None]:
        """Count among those that wait."""
        with self._changed:
            self._waiting[kind] += 1
        try:
            yield
        finally:
            with self._changed:
                self._waiting[kind] -= 1
                self._changed.notify_all()  # the other kind may be next

    def _has_room(self, kind: Kind, streams: int) -> bool:
        other: Kind = "growing" if kind == "file" else "file"
        if self._running[kind] + self._running[other] < self._room(streams):
            # Where both wait, they take turns.
            return not self._waiting[other] or self._latest != kind
        overdue = self._monotonic() - self._began[kind] >= _LEAST_EVERY_S
        return overdue and not self._running[kind]

    def _room(self, streams: int) -> float:
        """How many chunks may be in progress."""
        if not self._speaking:
            return streams if self._sessions else math.inf
        if streams == 1:  # it cannot be kept free: passes and chunks take turns at it
            return int(not self._in_pass)
        # Passes go one at a time, and those of two sessions take less than a core.
        return max(0, streams - max(1, self._speaking - 1))
