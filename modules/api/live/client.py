"""One client of ``/live``: what it sends goes to the session core, what the core says to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modules.api import forms
from modules.api.live import messages
from modules.api.live.connection import Connection
from modules.api.live.session_client import MessageClient, Surroundings
from modules.errors import TranscriberError, noted
from modules.live.events import SessionEvent

#: How often a client is told how much of its sound is kept.
_RECEIVED_S = 2.0


class LiveClient(MessageClient):
    """It may come back to its session, and is then told what it missed."""

    def __init__(self, connection: Connection, around: Surroundings) -> None:
        super().__init__(connection, around)
        self._missed: Iterator[SessionEvent] = iter(())
        self._told_samples = 0
        self._told_at = around.monotonic()

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
            self._stop()
        elif not self._begun:
            raise forms.invalid(noted("type: the first message must be start"))
        elif kind not in ("flush", "stop"):
            raise forms.invalid(
                noted("type: must be flush or stop now, got {kind!r}", kind=kind[:40])
            )

    def _start(self, asked: messages.Start) -> None:
        if asked.session is not None:
            resumed = self._around.sessions.resume(asked.session, asked.seq, self._outbox)
            self._session, self._missed = resumed.session, resumed.missed
            self._begun, samples, seq = True, resumed.samples, resumed.seq
        else:
            self._begin(asked.rate, asked.wishes(), asked.name)
            samples, seq = 0, 0
        self._told_samples = samples
        if self._session:
            self._connection.send(messages.ready(self._session.session_id, samples, seq))

    def on_sound(self, data: bytes) -> None:
        if self._begun:
            self._keep(data)
        else:
            self._refuse(forms.invalid(noted("type: the first message must be start")))

    # --- what it is told ---

    def _tell(self) -> None:
        while self._connection.has_room:
            missed = next(self._missed, None)
            if missed is None:
                super()._tell()
                self._tell_received()
                return
            self.say(missed)

    def say(self, event: SessionEvent) -> None:
        text = messages.of_event(event)
        if text:
            self._connection.send(text)

    def say_error(self, error: TranscriberError) -> None:
        self._connection.send(messages.error(error))

    def _tell_received(self) -> None:
        now = self._around.monotonic()
        if self._session is None or now - self._told_at < _RECEIVED_S:
            return
        samples, self._told_at = self._session.samples, now
        if samples != self._told_samples:
            self._told_samples = samples
            self._connection.send(messages.received(samples))

    def leave(self) -> None:
        """The connection is gone; it may come back."""
        if self._session:
            self._session.leave(self._outbox)
