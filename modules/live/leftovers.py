"""Sessions of an earlier run: landed after the start, and remembered for a day."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from modules.clock import Clock
from modules.errors import StorageError, TranscriberError, noted
from modules.live.events import Outbox, SessionStored
from modules.live.store import SessionStore
from modules.logger import get_logger

log = get_logger("Live")

#: So long a client is told where the recording of its session is.
_REMEMBERED_S = 24 * 3600.0


class Leftovers:
    """Thread-safe. ``land(session_id)``: where it is stored, None while the folder is at fault."""

    def __init__(
        self, store: SessionStore, land: Callable[[str], SessionStored | None], clock: Clock
    ) -> None:
        self._store = store
        self._land = land
        self._clock = clock
        self._lock = threading.Lock()
        #: Not landed yet: who waits to be told where it is stored, if anybody does.
        self._left: dict[str, Outbox | None] = {}
        #: Sessions of an earlier run that were read; each is landed or removed once.
        self._looked: set[str] = set()
        #: Whether all that an earlier run left is among them.
        self.are_found = False

    def find(self) -> None:
        """Look for them, until it has worked once.

        Raises StorageError if not all could be looked at: to be tried again.
        """
        if self.are_found:
            return
        failure: StorageError | None = None
        for session_id in sorted(self._store.earlier_ids() - self._looked):
            try:
                self._look_at(session_id)
            except StorageError as error:  # the others may be readable
                failure = error
        if failure:
            raise failure
        self.are_found = True

    def _look_at(self, session_id: str) -> None:
        note = self._store.note(session_id)
        is_finished = note is not None and note.finished
        if is_finished:
            self._store.remove_sound(session_id)
        with self._lock:
            # Another thread that read the note at the same time may have had it landed since.
            if session_id not in self._looked and not is_finished:
                self._left.setdefault(session_id, None)
            self._looked.add(session_id)

    def ask(self, session_id: str, outbox: Outbox) -> None:
        """Tell this client where a session that is over is stored, as soon as it is.

        Raises TranscriberError ``session_not_found``, StorageError.
        """
        failure: StorageError | None = None
        try:
            self.find()
        except StorageError as error:
            failure = error
        note = self._store.note(session_id)
        with self._lock:
            # Without a note nothing of it will land: it is being removed.
            if session_id in self._left and note and not note.discarded:
                self._left[session_id] = outbox
                return
        if note is None or not note.finished:
            note = self._store.note(session_id)  # it may have landed meanwhile
        if note is None or note.discarded or not note.finished:
            raise failure or not_found()
        outbox.put(SessionStored(note.landing, note.job_id))

    def add(self, session_id: str) -> None:
        """Something is left of a session of this run."""
        with self._lock:
            self._left[session_id] = None

    def finish_one(self, whose_turn: Callable[[Iterable[str]], str | None]) -> bool:
        """Land the one whose turn it is, if it is anybody's: whether there may be more to do at
        once."""
        with self._lock:
            left = list(self._left)
        session_id = whose_turn(left)
        if session_id is None:
            return False
        stored = self._land(session_id)
        if stored is None:
            return True
        with self._lock:
            outbox = self._left.pop(session_id)
        if outbox:
            outbox.put(stored)
        return True

    def tidy(self, is_known: Callable[[str], bool]) -> None:
        """Forget sessions that ended long ago. Raises StorageError."""
        now = self._clock.utc_now().timestamp()
        for session_id in self._store.ids():
            if is_known(session_id) or session_id in self._left:
                continue
            note = self._store.note(session_id)
            if note and note.finished and self._store.age_s(session_id, now) > _REMEMBERED_S:
                self._store.remove(session_id)


def not_found() -> TranscriberError:
    return TranscriberError(
        "session_not_found",
        noted("There is no such live session: it was discarded, ended long ago, or never was."),
        remedy=noted("Begin a new one."),
    )
