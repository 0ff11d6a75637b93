"""All live sessions: admitted, heard by whichever child there is, landed at the end.

Sound goes into a file, from which the child reads; a child that dies is replaced and goes on. A
session ends when its client says so or stays away, or with the daemon, whose next start lands it.
"""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Iterator

from modules.clock import Clock
from modules.config.schema import Config
from modules.config.settings import TranscriptionSettings
from modules.errors import StorageError, TranscriberError
from modules.executors.live_protocol import LiveEvent
from modules.executors.local.run_monitor import slowness
from modules.jobs.thread_loop import ThreadLoop
from modules.live.events import Committed, Outbox, Problem, SessionStored, Utterance
from modules.live.landing import Landing
from modules.live.landings import Landings
from modules.live.leftovers import not_found
from modules.live.link import LiveLink
from modules.live.load import Load
from modules.live.note import SessionNote
from modules.live.resumed import Resumed
from modules.live.room import Room
from modules.live.said import SaidFile, event_of
from modules.live.session import Session
from modules.live.statistics import LiveStatistics
from modules.live.store import SessionStore
from modules.live.tally import Tally
from modules.live.text import SessionText
from modules.logger import get_logger
from modules.weights.files import ModelSpec

log = get_logger("Live")

_TICK_S, _IDLE_TICK_S, _FAILURE_PAUSE_S, _STOP_S, _DISK_S = 0.25, 5.0, 1.0, 10.0, 5.0


class LiveSessions:
    """Thread-safe. ``attach``, ``is_wanted`` and ``complaint`` are for the executor. ``model_for``:
    the weights for these settings; None if their text waits until the session has ended."""

    def __init__(
        self,
        config: Config,
        store: SessionStore,
        landing: Landing,
        clock: Clock,
        model_for: Callable[[TranscriptionSettings], ModelSpec | None] = lambda settings: None,
    ) -> None:
        self._config = config
        self._store = store
        self._landings = Landings(landing, store, clock, self.all, self._forget)
        self._leftovers = self._landings.leftovers
        self._clock = clock
        self._model_for = model_for
        self.load = Load(clock.monotonic)
        self.statistics = LiveStatistics()
        self._room = Room(config, self.load)
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._numbers = itertools.count(1)
        self._link: LiveLink | None = None
        self._disk_at = clock.monotonic()
        factor = max(1.0, slowness(config.whisperx.model_size))
        self._hang_s = factor * config.processing.worker_hang_seconds
        self._has_disk = True
        self._loop = ThreadLoop(
            "live", self._tick, failure_pause_s=_FAILURE_PAUSE_S, monotonic=clock.monotonic,
            on_error=lambda: log.exception("Live sessions met an unexpected error and go on"),
        )  # fmt: skip

    # --- state ---

    @property
    def silent_s(self) -> float:
        return max(self._loop.silent_s, self._landings.silent_s)

    @property
    def finished(self) -> int:
        """Sessions that were stored since the start."""
        return self._landings.finished

    @property
    def lag_s(self) -> float:
        """The largest of all sessions."""
        return max((session.lag_s for session in self.all()), default=0.0)

    def all(self) -> list[Session]:
        with self._lock:
            return list(self._sessions.values())

    def find(self, session_id: str) -> Session | None:
        with self._lock:
            return self._sessions.get(session_id)

    def check_room(self) -> None:
        """Raises TranscriberError if no session may begin now. Looks at no disk, which may be slow:
        what the thread saw last counts."""
        self._room.check(self.all(), self._has_disk)

    # --- clients ---

    def begin(self, note: SessionNote, settings: TranscriptionSettings, outbox: Outbox) -> Session:
        """Raises TranscriberError, StorageError."""
        sessions = self.all()
        with self.statistics.refusals():
            self._room.check(sessions, self._room.has_disk(sessions))
        session_id, sound, said = self._store.create(note)
        sound.samples_max = self._room.samples_max(note.rate)
        text = SessionText(
            settings, self._model_for(settings), sound, self._store.begun(session_id)
        )
        session = Session(
            session_id, next(self._numbers), note, settings, sound, SaidFile(said), text,
            self._clock, Tally(self.statistics, self.load, self._clock.monotonic),
        )  # fmt: skip
        session.subscribe(outbox)
        try:
            link = self._add(session)
        except TranscriberError:
            session.end(None)
            self._store.remove(session_id)
            raise
        if link:
            self._open_in(session, link)
        self.statistics.note_admission("admitted")
        log.info("A live session began (%s)", session_id[:8])
        self._loop.wake()
        return session

    def _add(self, session: Session) -> LiveLink | None:
        """The link to open it in. Raises TranscriberError if others were quicker."""
        with self._lock:
            self._room.check_count(list(self._sessions.values()))
            self._sessions[session.session_id] = session
            return self._link

    def resume(self, session_id: str, seq: int, outbox: Outbox) -> Resumed:
        """Go on with a session, of which the client was told up to ``seq``.

        Raises TranscriberError ``session_not_found``, StorageError.
        """
        session = self.find(session_id)
        facts = session.subscribe(outbox) if session else None
        if session and facts:
            return Resumed(session, *facts, self._missed(session, seq, facts[1]))
        self._leftovers.ask(session_id, outbox)
        return Resumed(None)

    def _missed(self, session: Session, seq: int, told: int) -> Iterator[Committed | Utterance]:
        unwritten = session.said.waiting()  # before the file: what is in both comes once
        for line in itertools.chain(self._store.said(session.session_id), unwritten):
            event = event_of(line)
            if event and seq < event.seq <= told:
                seq = event.seq
                yield event

    def end(self, session_id: str, discard: bool = False) -> None:
        """End it and land its sound, or ``discard`` it.

        Raises TranscriberError ``session_not_found``, StorageError.
        """
        session = self.find(session_id)
        if session is None or not session.stop(discard):
            raise not_found()
        if discard:
            self._forget(session)
            session.end(SessionStored(None, None))
            self._remove(session_id)
            log.info("A live session was discarded (%s)", session_id[:8])
        self.wake()

    def _remove(self, session_id: str) -> None:
        """Now, or what cannot be removed now later. Raises StorageError if only this run knows."""
        is_gone = False
        try:
            is_gone = self._store.discard(session_id)
        finally:
            if not is_gone:
                self._leftovers.add(session_id)

    def wake(self) -> None:
        """A session was stopped."""
        self._loop.wake()
        self._landings.wake()

    def _forget(self, session: Session) -> None:
        with self._lock:
            self._sessions.pop(session.session_id, None)

    # --- the child ---

    @property
    def is_wanted(self) -> bool:
        """Whether a child is needed: a session is open."""
        return any(session.state == "open" for session in self.all())

    @property
    def has_channel(self) -> bool:
        """Whether there is a child that hears."""
        return bool((link := self._link) and link.is_open)

    @property
    def complaint(self) -> str | None:
        """What the present child did wrong, so that it must be replaced."""
        return link.complaint if (link := self._link) else None

    @property
    def hangs(self) -> bool:
        """Whether it is that it does not come to an end with its work."""
        return bool((link := self._link) and link.hangs)

    def attach(self, channel: socket.socket) -> None:
        """A child is ready to hear live sessions, at the other end of this socket."""
        link = LiveLink(channel, self._on_event, self._on_end, self._clock.monotonic)
        with self._lock:
            earlier, self._link = self._link, link
        if earlier:
            earlier.end()
            earlier.join(_STOP_S)
        for session in self.all():
            self._open_in(session, link)

    def _open_in(self, session: Session, link: LiveLink) -> None:
        try:
            session.open_in(link, self.load.step_s)
        except StorageError as error:
            session.tell(Problem(error.code, error.message))

    def _on_event(self, link: LiveLink, event: LiveEvent) -> None:
        session = next((each for each in self.all() if each.number == event.session), None)
        if session:
            session.take(link, event)
            if session.state == "finishing":
                self._landings.wake()

    def _on_end(self, link: LiveLink) -> None:
        for session in self.all():
            session.lose(link, link.signs.works_at(session.number))
        self._loop.wake()

    # --- the thread ---

    def start(self) -> None:
        """Begin with what an earlier run left."""
        self._landings.start()
        self._loop.start()

    def stop(self) -> None:
        """End the threads. What is not landed is left to the next start."""
        self._loop.stop(_STOP_S)
        self._landings.stop(_STOP_S)
        link, self._link = self._link, None
        if link:
            link.end()
            link.join(_STOP_S)
        for session in self.all():
            session.end(None)

    def _tick(self) -> float:
        now = self._clock.monotonic()
        sessions = self.all()
        if sessions:
            self.load.adapt(max(0.0 if s.is_ahead else s.lag_s for s in sessions))
        if now >= self._disk_at:
            self._has_disk, self._disk_at = self._room.has_disk(sessions), now + _DISK_S
        if (link := self._link) and link.signs.hangs(self._hang_s, now):
            link.end("it shows no progress in a live session", hangs=True)
        for session in sessions:
            self._loop.beat()
            self._look_after(session, now)
        return _TICK_S if sessions else _IDLE_TICK_S

    def _look_after(self, session: Session, now: float) -> None:
        if session.state == "open":
            self._end_if_over(session, now)
        session.tick(self.load.step_s)

    def _end_if_over(self, session: Session, now: float) -> None:
        if session.presence.is_away(now, self._config.live.resume_seconds):
            log.info("The client of a live session stayed away (%s)", session.session_id[:8])
        elif problem := self._room.problem(session, self._has_disk):
            session.tell(problem)
        elif problem := self._room.quiet(session, now):
            session.tell(problem)
            if session.draining.begin():
                return
        else:
            return
        session.stop()
