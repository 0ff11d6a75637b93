"""The slow side of the disk for all sessions, in a thread of its own: what was said and chunks of
text are saved, and sessions land, one after the other. One that cannot land keeps no other from its
turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from modules.clock import Clock
from modules.errors import StorageError, TranscriberError
from modules.jobs.thread_loop import ThreadLoop
from modules.live.events import SessionStored
from modules.live.landing import Landing
from modules.live.leftovers import Leftovers
from modules.live.session import Session
from modules.live.store import SessionStore
from modules.logger import get_logger

log = get_logger("Live")

#: What failed for the folder's sake is tried again after so many seconds.
_RETRY_S = 10.0
_TICK_S, _IDLE_TICK_S, _FAILURE_PAUSE_S, _TIDY_S = 0.5, 5.0, 1.0, 3600.0


class _Reports:
    """Logs a problem with the folder once, until it changes; what met it is tried again."""

    def __init__(self) -> None:
        #: What each task met the last time it was tried.
        self._last: dict[str, str | None] = {}

    @contextmanager
    def caught(self, task: str) -> Iterator[None]:
        problem = None
        try:
            yield
        except StorageError as error:
            problem = str(error)
        if problem and problem not in self._last.values():
            log.warning("Earlier live sessions could not be looked through: %s", problem)
        self._last[task] = problem


class _StoppedError(Exception):
    """The thread is to end; the next start lands what this one did not."""


class Landings:
    """``sessions()``: all of this run; ``forget(session)``: it is stored, and no more one of them.

    ``tick`` is for the thread alone, the rest is thread-safe.
    """

    def __init__(
        self,
        landing: Landing,
        store: SessionStore,
        clock: Clock,
        sessions: Callable[[], Sequence[Session]],
        forget: Callable[[Session], None],
    ) -> None:
        self._landing = landing
        self._clock = clock
        self._sessions = sessions
        self._forget = forget
        self.leftovers = Leftovers(store, self._land, clock)
        self._find_at = clock.monotonic()
        self._reports = _Reports()
        self._retry_at: dict[str, float] = {}
        self._tidy_at = clock.monotonic()
        #: Sessions that were stored since the start.
        self.finished = 0
        self._loop = ThreadLoop(
            "live-landing", self.tick, failure_pause_s=_FAILURE_PAUSE_S, monotonic=clock.monotonic,
            on_error=lambda: log.exception("Storing live sessions met an unexpected error"),
        )  # fmt: skip

    @property
    def silent_s(self) -> float:
        return self._loop.silent_s

    def start(self) -> None:
        """Begin with what an earlier run left."""
        self._find_leftovers()
        self._loop.start()

    def stop(self, timeout_s: float) -> None:
        """End the thread, in the middle of a copy as well."""
        self._loop.stop(timeout_s)

    def wake(self) -> None:
        """A session is to be stored."""
        self._loop.wake()

    def _find_leftovers(self) -> None:
        """Until it has worked: the share may be away when the program starts."""
        if self.leftovers.are_found or self._clock.monotonic() < self._find_at:
            return
        self._find_at = self._clock.monotonic() + _RETRY_S
        with self._reports.caught("find"):
            self.leftovers.find()

    def tick(self) -> float:
        self._find_leftovers()
        sessions = self._sessions()
        for session in sessions:
            self._loop.beat()
            session.save()
        more = self._finish_one(sessions)
        more = self.leftovers.finish_one(self._whose_turn) or more
        if not more and self._clock.monotonic() >= self._tidy_at:
            self._tidy_at = self._clock.monotonic() + _TIDY_S
            known = {session.session_id for session in self._sessions()}
            with self._reports.caught("tidy"):
                self.leftovers.tidy(known.__contains__)
        return 0.0 if more else _TICK_S if sessions else _IDLE_TICK_S

    def _finish_one(self, sessions: Sequence[Session]) -> bool:
        """Land the one whose turn it is; whether there may be more to do at once."""
        finishing = {each.session_id: each for each in sessions if each.state == "finishing"}
        session_id = self._whose_turn(finishing)
        if session_id is None:
            return False
        session = finishing[session_id]
        session.seal()
        stored = self._land(session_id)
        if stored:
            session.end(stored)
            self._forget(session)
        return True

    def _whose_turn(self, ids: Iterable[str]) -> str | None:
        """Of these that are to land: one that has failed waits a while, behind those that have
        not."""
        due_at = {each: self._retry_at.get(each, -math.inf) for each in ids}
        first = min(due_at, key=due_at.__getitem__, default=None)
        return first if first and due_at[first] <= self._clock.monotonic() else None

    def _land(self, session_id: str) -> SessionStored | None:
        """None if it is tried again: the folder is at fault, or the thread is to end."""
        stored = None
        try:
            stored = self._landing.finish(session_id, self._go_on)
        except _StoppedError:
            return None
        except TranscriberError as error:
            log.warning("A live session could not be stored, it is tried again: %s", error)
            return None
        finally:
            if stored is None:  # also after an unexpected error, which would keep others waiting
                self._retry_at[session_id] = self._clock.monotonic() + _RETRY_S
        self._retry_at.pop(session_id, None)
        self.finished += stored.recording is not None
        return SessionStored(stored.recording, stored.job_id)

    def _go_on(self) -> None:
        self._loop.beat()
        if self._loop.stopping:
            raise _StoppedError
