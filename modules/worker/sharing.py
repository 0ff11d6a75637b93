"""How files and live sessions share the model of this process.

Live passes run one at a time, on one of the model's streams. While somebody speaks, files leave
that stream free and go one chunk at a time, so that no pass waits for more than a chunk.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it takes long to import
    from modules.engines.base import Engine, Progress

#: However many speak, files get a chunk in this time, in seconds.
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
        self._files_running = 0
        self._file_began = float("-inf")

    # --- the engine ---

    def offer(self, engine: Engine) -> None:
        """From now on live passes use this engine."""
        with self._changed:
            self._engine = engine
            self._changed.notify_all()

    def withdraw(self) -> None:
        """Wait for the pass in progress; from then on none is made until an engine is offered."""
        with self._changed:
            self._engine = None
            self._changed.wait_for(lambda: not self._in_pass)

    @property
    def has_engine(self) -> bool:
        return self._engine is not None

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
    def file_turn(
        self, streams: int, progress: Progress, should_stop: Callable[[], bool]
    ) -> Iterator[bool]:
        """While a thread transcribes chunks of a file; waits until there is a stream for it.

        False if the file was stopped meanwhile.
        """
        if not self._begin_turn(streams, progress, should_stop):
            yield False
            return
        try:
            yield True
        finally:
            with self._changed:
                self._files_running -= 1
                self._changed.notify_all()

    def _begin_turn(
        self, streams: int, progress: Progress, should_stop: Callable[[], bool]
    ) -> bool:
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: self._has_room(streams), _TICK_S):
                    self._files_running += 1
                    self._file_began = self._monotonic()
                    return True
            if should_stop():
                return False
            progress()

    def _has_room(self, streams: int) -> bool:
        if not self._speaking:
            return True
        # A single stream cannot be kept free: passes and chunks take turns at it.
        room = int(not self._in_pass) if streams == 1 else max(0, streams - self._speaking)
        overdue = self._monotonic() - self._file_began >= _LEAST_EVERY_S
        return self._files_running < room or (overdue and not self._files_running)
