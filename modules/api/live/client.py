"""One client of ``/live``: what it sends goes to the session core, what the core says to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from websockets.frames import CloseCode

from modules.api import forms, responses
from modules.api.live import messages
from modules.api.live.web_socket import WebSocket
from modules.config.settings import TranscriptionSettings
from modules.errors import StorageError, TranscriberError
from modules.intake.request import TranscriptionRequest
from modules.live.events import Outbox, Problem, SessionEvent, SessionStored
from modules.live.note import SessionNote, created_at, recording_name
from modules.live.session import Session
from modules.live.sessions import LiveSessions
from modules.live.wav import SAMPLE_BYTES

#: A connection without a session is closed after so long.
_START_S = 10.0
#: How often a client is told how much of its sound is kept.
_RECEIVED_S = 2.0
#: These are worth another try later.
_LATER = frozenset({"too_many_sessions", "too_busy", "no_room"})

#: The settings for a recording of this name with these wishes. Raises TranscriberError.
Check = Callable[[TranscriptionRequest], TranscriptionSettings]


class LiveClient:
    """For the thread of its connection. ``folder``: where the recordings of sessions land."""

    def __init__(
        self,
        web_socket: WebSocket,
        sessions: LiveSessions,
        check: Check,
        folder: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._web_socket = web_socket
        self._sessions = sessions
        self._check = check
        self._folder = folder
        self._monotonic = monotonic
        self._outbox = Outbox(web_socket.wake)
        self._session: Session | None = None
        self._missed: Iterator[SessionEvent] = iter(())
        self._half_sample = b""
        self._begun = False
        self._start_by = monotonic() + _START_S
        self._told_samples = 0
        self._told_at = monotonic()

    # --- what it sends ---

    def on_text(self, text: str) -> None:
        try:
            message = messages.parse(text)
            self._obey(message)
        except TranscriberError as error:
            self._refuse(error)

    def _obey(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "start" and not self._begun:
            self._start(messages.start(message))
        elif kind == "flush" and self._session:
            self._session.flush()
        elif kind == "stop" and self._session:
            self._session.stop()
            self._sessions.wake()
        elif not self._begun:
            raise forms.invalid("type: the first message must be start")
        elif kind not in ("flush", "stop"):
            raise forms.invalid(f"type: must be flush or stop now, got {kind[:40]!r}")

    def _start(self, asked: messages.Start) -> None:
        if asked.session is not None:
            resumed = self._sessions.resume(asked.session, asked.seq, self._outbox)
            self._session, self._missed = resumed.session, resumed.missed
            samples, seq = resumed.samples, resumed.seq
        else:
            self._session, samples, seq = self._new(asked), 0, 0
        self._begun = True
        self._told_samples = samples
        if self._session:
            self._web_socket.send(messages.ready(self._session.session_id, samples, seq))

    def _new(self, asked: messages.Start) -> Session:
        note = SessionNote(
            rate=asked.rate,
            name=asked.name,
            wishes=asked.wishes(),
            client=responses.new_client(),
            created=created_at(datetime.now()),
        )
        name = recording_name(note, self._folder)
        request = TranscriptionRequest(name, wishes=note.wishes, uploaded=True)
        return self._sessions.begin(note, self._check(request), self._outbox)

    def on_sound(self, data: bytes) -> None:
        if self._session is None:
            if not self._begun:
                self._refuse(forms.invalid("type: the first message must be start"))
            return
        data = self._half_sample + data
        whole = len(data) - len(data) % SAMPLE_BYTES
        self._half_sample = data[whole:]
        try:
            self._session.sound(data[:whole], self._outbox)
        except StorageError as error:
            self._refuse(error)

    def _refuse(self, error: TranscriberError) -> None:
        self._web_socket.send(messages.error(error))
        later = isinstance(error, StorageError) or error.code in _LATER
        self._web_socket.close(
            CloseCode.TRY_AGAIN_LATER if later else CloseCode.POLICY_VIOLATION, error.code
        )

    # --- what it is told ---

    def on_room(self) -> None:
        if self._outbox.overflowed:
            why = "what it was told was not read"
            self._web_socket.close(CloseCode.TRY_AGAIN_LATER, why)
        elif self._outbox.replaced:
            why = "another connection goes on with this session"
            self._web_socket.close(CloseCode.POLICY_VIOLATION, why)
        elif not self._begun and self._monotonic() > self._start_by:
            self._refuse(forms.invalid("type: no start came"))
        else:
            self._tell()

    def _tell(self) -> None:
        while self._web_socket.has_room:
            missed = next(self._missed, None)
            if missed is None:
                break
            self._send(missed)
        if not self._web_socket.has_room:
            return
        for event in self._outbox.take():
            self._send(event)
        self._tell_received()

    def _send(self, event: SessionEvent) -> None:
        text = messages.of_event(event)
        if text:
            self._web_socket.send(text)
        if isinstance(event, SessionStored):
            self._web_socket.close(CloseCode.NORMAL_CLOSURE, "stored")
        elif isinstance(event, Problem) and event.is_final:
            self._web_socket.close(CloseCode.INTERNAL_ERROR, event.code)

    def _tell_received(self) -> None:
        now = self._monotonic()
        if self._session is None or now - self._told_at < _RECEIVED_S:
            return
        samples, self._told_at = self._session.samples, now
        if samples != self._told_samples:
            self._told_samples = samples
            self._web_socket.send(messages.received(samples))

    def leave(self) -> None:
        """The connection is gone."""
        if self._session:
            self._session.leave(self._outbox)
