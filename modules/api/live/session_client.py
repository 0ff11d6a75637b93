"""What the clients of all live protocols have in common: a session, its sound, what it says."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from websockets.frames import CloseCode

from modules.api import forms, responses
from modules.api.live.connection import Connection
from modules.config.settings import TranscriptionSettings
from modules.errors import StorageError, TranscriberError, noted
from modules.intake.request import TranscriptionRequest
from modules.live.containers import Containers
from modules.live.events import Outbox, Problem, SessionEvent, SessionStored
from modules.live.note import SILENCE_S, Container, SessionNote, created_at, recording_name
from modules.live.presence import QUIET_S
from modules.live.session import Session
from modules.live.sessions import LiveSessions
from modules.live.wav import SAMPLE_BYTES

#: A connection without a session is closed after so long.
START_S = 10.0
#: These are worth another try later.
_LATER = frozenset({"too_many_sessions", "too_busy", "no_room"})

#: The settings for a recording of this name with these wishes. Raises TranscriberError.
Check = Callable[[TranscriptionRequest], TranscriptionSettings]


@dataclass(frozen=True)
class Surroundings:
    """What every client gets. ``folder``: where the recordings of sessions land."""

    sessions: LiveSessions
    containers: Containers
    check: Check
    folder: str
    monotonic: Callable[[], float] = time.monotonic


class SessionClient(ABC):
    """For the thread of its connection; ``connection.py`` says who calls what."""

    def __init__(self, connection: Connection, around: Surroundings) -> None:
        self._connection = connection
        self._around = around
        self._outbox = Outbox(connection.wake)
        self._session: Session | None = None
        self._half_sample = b""
        self._begun = False
        self._opened_at = around.monotonic()
        self._start_by = self._opened_at + START_S

    # --- what a protocol adds ---

    @abstractmethod
    def say(self, event: SessionEvent) -> None:
        """Send what the protocol has for an event, if anything."""

    @abstractmethod
    def say_error(self, error: TranscriberError) -> None:
        """Send it; the connection is closed next, or the session ends."""

    # --- the session ---

    def _begin(
        self,
        rate: int,
        wishes: Mapping[str, Any],
        name: str | None = None,
        silence_s: float = SILENCE_S,
        container: Container | None = None,
        discarded: bool = False,
    ) -> Session:
        """``discarded``: never stored, whatever happens. Raises TranscriberError, StorageError."""
        note = SessionNote(
            rate=rate,
            name=name,
            wishes=dict(wishes),
            silence_s=silence_s,
            container=container,
            discarded=discarded,
            client=responses.new_client(),
            created=created_at(datetime.now()),
        )
        landing = recording_name(note, self._around.folder)
        request = TranscriptionRequest(landing, wishes=note.wishes, uploaded=True)
        settings = self._around.check(request)
        self._session = self._around.sessions.begin(note, settings, self._outbox)
        self._begun = True
        return self._session

    def _keep(self, data: bytes) -> None:
        """Add sound to the session; half a sample waits for its other half."""
        if self._session is None:
            return
        data = self._half_sample + data
        whole = len(data) - len(data) % SAMPLE_BYTES
        self._half_sample = data[whole:]
        try:
            self._session.sound(data[:whole], self._outbox)
        except StorageError as error:
            self._refuse(error)

    def _wait_longer(self) -> None:
        """The client has said that it means to begin, if not yet."""
        self._start_by = self._opened_at + QUIET_S

    def _stop(self) -> None:
        if self._session:
            self._session.stop()
            self._around.sessions.wake()

    def _refuse(self, error: TranscriberError) -> None:
        self.say_error(error)
        later = isinstance(error, StorageError) or error.code in _LATER
        self._connection.close(
            CloseCode.TRY_AGAIN_LATER if later else CloseCode.POLICY_VIOLATION, error.code
        )

    # --- what it is told ---

    def on_room(self) -> None:
        if self._outbox.overflowed:
            why = "what it was told was not read"
            self._connection.close(CloseCode.TRY_AGAIN_LATER, why)
        elif self._outbox.replaced:
            why = "another connection goes on with this session"
            self._connection.close(CloseCode.POLICY_VIOLATION, why)
        elif not self._begun and self._around.monotonic() > self._start_by:
            self._refuse(forms.invalid(noted("nothing came that begins a session")))
        elif self._connection.has_room:
            self._tell()

    def _tell(self) -> None:
        for event in self._outbox.take():
            self.say(event)
            if isinstance(event, SessionStored):
                self._connection.close(CloseCode.NORMAL_CLOSURE, "stored")
            elif isinstance(event, Problem) and event.is_final:
                self._connection.close(CloseCode.INTERNAL_ERROR, event.code)

    def leave(self) -> None:
        """The connection is gone. Who cannot come back has ended the session with it."""
        self._stop()
        if self._session:
            self._session.leave(self._outbox)


class MessageClient(SessionClient):
    """Of a WebSocket, whose messages are text or sound."""

    @abstractmethod
    def on_text(self, text: str) -> None:
        """A text message came."""

    @abstractmethod
    def on_sound(self, data: bytes) -> None:
        """A binary message came."""
