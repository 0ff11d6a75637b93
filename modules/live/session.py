"""One session: its sound on the disk, its place in the child, and what its client is told."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection
from typing import Literal

from modules.clock import Clock
from modules.config.settings import TranscriptionSettings
from modules.errors import WorkerError, joined, noted
from modules.executors import live_protocol as child
from modules.live.child_session import ChildSession
from modules.live.draining import Draining
from modules.live.events import (
    FlushDone,
    Outbox,
    PartialWords,
    Problem,
    SessionEvent,
    SessionStored,
    SpeechChanged,
)  # fmt: skip
from modules.live.hearing import Hearing
from modules.live.link import LiveLink
from modules.live.note import SessionNote
from modules.live.presence import ClientPresence
from modules.live.said import SaidFile, line_of
from modules.live.signs import Deaths, Lane
from modules.live.sound_file import SoundFile
from modules.live.tally import Tally
from modules.live.text import SessionText
from modules.live.transcript_check import check_words
from modules.live.utterances import Utterances
from modules.logger import get_logger

log = get_logger("Live")

#: So long the child may take for what is left when a session ends.
CLOSE_S = 15.0
#: A client that is further ahead of the clock sends a file, and gets finals only.
_AHEAD_S = 10.0
_HURRY_S = 10.0  # with so much unheard, words that come are worth more than better ones
_DEADLY = noted("The WhisperX process ended several times at the same point.")

State = Literal["open", "closing", "finishing", "over"]


class Session:
    """Thread-safe. ``take`` is for the reader of its link, ``tick`` for the thread of them all, and
    ``save``, ``seal`` and ``end``, which wait for the disk, for the one that lands them."""

    def __init__(
        self, session_id: str, number: int, note: SessionNote, settings: TranscriptionSettings,
        sound: SoundFile, said: SaidFile, text: SessionText, clock: Clock, tally: Tally,
    ) -> None:  # fmt: skip
        self.session_id = session_id
        self.note = note
        self.state: State = "open"
        self._sound = sound
        self.said = said
        self._text = text
        self._clock = clock
        self._tally = tally
        self._lock = threading.Lock()
        self.utterances = Utterances()
        self._began = clock.monotonic()
        self._child = ChildSession(number, note, settings, sound)
        #: Of what the client was told; what is being told has the next number.
        self.seq = 0
        self.presence, self.draining = ClientPresence(self._began), Draining()
        self.container_bytes = 0  # of what its sound comes in
        self._closing_until, self._is_deaf = 0.0, False
        self._hearing = Hearing()
        self._pass_deaths, self._text_deaths = Deaths(), Deaths()

    # --- what it is ---

    @property
    def number(self) -> int:
        """By which the child knows it."""
        return self._child.number

    @property
    def step_s(self) -> float | None:
        return self._child.step_s

    @property
    def samples(self) -> int:
        return self._sound.samples

    @property
    def _came(self) -> int:
        """How much has come of it, of either kind."""
        return self.samples + self.container_bytes

    @property
    def received_s(self) -> float:
        return self._sound.samples / self.note.rate

    @property
    def lag_s(self) -> float:
        """How much sound was not heard yet; 0 while nobody speaks."""
        return 0.0 if self._is_deaf else self._hearing.lag_s(self.received_s, self._child.is_there)

    @property
    def is_ahead(self) -> bool:
        """Whether its sound comes faster than anybody speaks."""
        return self.received_s - (self._clock.monotonic() - self._began) > _AHEAD_S

    # --- the client ---

    def subscribe(self, outbox: Outbox) -> tuple[int, int] | None:
        """Tell this client from now on; (samples, seq): what came, and what was told before.

        None if it is over. Of what another client is sending, nothing more is kept.
        """
        with self._sound.between_appends() as samples, self._lock:
            if self.state == "over":
                return None
            self.presence.connect(outbox)
            return samples, self.seq

    def leave(self, outbox: Outbox) -> None:
        """The client's connection is gone."""
        with self._lock:
            self.presence.disconnect(outbox, self._came, self._clock.monotonic())

    def sound(self, data: bytes, outbox: Outbox | None) -> None:
        """Keep whole samples, and have them heard. Raises StorageError: none of them are kept.
        Without an ``outbox``: they were decoded, and the client may have left."""

        def is_wanted() -> bool:
            return self.state == "open" and (outbox is None or self.presence.is_client(outbox))

        self._tally.received(self._sound.append(data, is_wanted) / self.note.rate)
        with self._lock:
            self._child.announce()

    def flush(self) -> None:
        """End the utterance; ``FlushDone`` follows."""
        with self._lock:
            if not self._is_deaf:
                self._child.flush()
                return
        self.tell(FlushDone())

    def stop(self, discard: bool = False) -> bool:
        """Take no more sound; what is left is heard within ``CLOSE_S``, unless it is unwanted.

        False if it is over, or about to be stored.
        """
        with self._lock:
            if self.state not in ("open", "closing"):
                return False
            if self.state == "closing" and not discard:
                return True
            # Also for a child that is on its way, if anybody wants to know what it hears.
            waits = self.presence.is_connected and not (discard or self._is_deaf)
            self._closing_until = self._clock.monotonic() + CLOSE_S
            self.state = "over" if discard else "closing" if waits else "finishing"
            self._child.close(discard)  # its answer may come at once
            return True

    # --- the child ---

    def open_in(self, link: LiveLink, step_s: float | None) -> None:
        """Have this child hear it, from the last commit on. Raises StorageError."""
        if self._is_deaf:
            return
        descriptor = self._sound.reader()
        with self._lock:
            # Whoever saw a link open before its end was told is told of the end, by ``lose``.
            is_late = self._child.link is link or not link.is_open
            if is_late or self.state not in ("open", "closing"):
                os.close(descriptor)
                return
            said = self.utterances
            said.reopen()
            self._hearing.begin()
            text = self._text.order() if self.state == "open" else None
            self._child.open(link, descriptor, step_s, said, text)
            if self.state == "closing":
                self._child.close(discard=False)

    def lose(self, link: LiveLink, works: Collection[Lane] = ()) -> None:
        """The child is gone, with this in hand; the next goes on, if that did not end several."""
        with self._lock:
            if self._child.link is not link:
                return
            self._child.link = None
            if "text" in works and self._text_deaths.are_too_many(self._text.position_s):
                self._text.give_up(_DEADLY)
            if "pass" not in works or not self._pass_deaths.are_too_many(self.utterances.settled_s):
                return
            problem = self._fail("live_failed", _DEADLY)
        self.tell(problem)

    def take(self, link: LiveLink, event: child.LiveEvent) -> None:
        """An event of the child."""
        with self._lock:
            if self._child.link is not link or self._is_deaf or self.state == "over":
                return
            try:
                events = self._understood(event)
            except WorkerError as error:
                log.warning("A live session got what cannot be true: %s", error)
                events = [self._fail(error.code, error.message)]
        for told in events:
            self.said.add(line_of(told))
            self.tell(told)
            self._tally.told(told, self.is_ahead)

    # --- with the lock held, and quickly ---

    def _understood(self, event: child.LiveEvent) -> list[SessionEvent]:
        """What the client is told of it. Raises WorkerError."""
        received_s = self.received_s
        if isinstance(event, child.Speech | child.Worked):
            self._hearing.note(event, received_s)
        if isinstance(event, child.Partial):
            check_words(event.words, self.utterances.words, received_s)
            return [PartialWords(event.words)]
        if isinstance(event, child.Commit | child.Final | child.Skipped):
            return list(self.utterances.take(event, received_s))
        if isinstance(event, child.Flushed):
            self._child.note_flushed()
            return [FlushDone()]
        if isinstance(event, child.LiveFailed):
            return [self._fail(event.code, event.message)]
        if isinstance(event, child.Closed):
            self._finish_closing()
        elif isinstance(event, child.Text | child.TextFailed):
            self._text.note(event, received_s)
        elif isinstance(event, child.Worked):
            self._tally.worked(event.busy_s)
        elif isinstance(event, child.Speech):
            return [SpeechChanged(event.speaking, min(event.at_s, received_s))]
        return []

    def _finish_closing(self) -> None:
        if self.state == "closing":
            self.state = "finishing"

    def _fail(self, code: str, message: str) -> Problem:
        """No more is heard of it live; its sound is still taken, and transcribed at the end."""
        self._is_deaf = True
        self._hearing.begin()  # nothing is owed any more
        self._child.close(discard=True)
        self._finish_closing()
        kept = noted("The sound is still kept, and transcribed at the end.")
        return Problem(code, joined(" ", message, kept))

    # --- any thread ---

    def tell(self, event: SessionEvent) -> None:
        with self._lock:
            self.seq = getattr(event, "seq", self.seq)
            self.presence.send(event)

    # --- the clock ---

    def tick(self, step_s: float | None) -> None:
        """What time brings: the pace, what was not announced, a word about lag."""
        with self._lock:
            hurries = self.lag_s > _HURRY_S and not self.is_ahead
            self._child.set_pace(None if hurries or self.is_ahead else step_s, hurries)
            self._child.announce()
            hears = self._child.is_there or self._is_deaf
            lag = self._hearing.tick(self.received_s, hears, self.step_s)
            now = self._clock.monotonic()
            self.presence.note_sound(self._came, now)
            if now > self._closing_until:
                self._finish_closing()
        if lag:
            self.tell(lag)

    def save(self) -> None:
        """Write what was said, and what is finished of its text."""
        self.said.save()
        self._text.save()

    def seal(self) -> None:
        """What comes from now on is not kept: it is about to be stored."""
        self._text.close()
        self._sound.close()

    def end(self, stored: SessionStored | None) -> None:
        """Close its files, and tell its client where the recording is. May be called twice."""
        with self._lock:
            self.state = "over"
        self.seal()
        self.said.close()
        if stored:
            self.tell(stored)
