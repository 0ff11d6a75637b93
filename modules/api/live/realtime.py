"""OpenAI's realtime API, for transcription sessions alone, at ``/v1/realtime``."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from modules.api import forms
from modules.api.live import g711
from modules.api.live.connection import Connection
from modules.api.live.json_text import parsed, wire
from modules.api.live.session_client import MessageClient, Surroundings
from modules.api.live.session_object import Session as Asked
from modules.api.live.web_socket import MESSAGE_BYTES
from modules.errors import StorageError, TranscriberError, noted
from modules.live.events import (
    Committed,
    FlushDone,
    Problem,
    SessionEvent,
    SpeechChanged,
    Utterance,
)

_TRANSCRIBED = "conversation.item.input_audio_transcription"
_ID_CHARS = 512
_DECODERS: Mapping[str, Callable[[bytes], bytes]] = {
    "audio/pcm": bytes,
    "audio/pcmu": g711.mu_law,
    "audio/pcma": g711.a_law,
}


class RealtimeClient(MessageClient):
    """Each utterance is an item; its deltas are committed words, which never change."""

    def __init__(self, connection: Connection, around: Surroundings) -> None:
        super().__init__(connection, around)
        self._id = f"sess_{uuid.uuid4().hex}"
        self._asked = Asked()
        self._item: str | None = None
        self._previous: str | None = None
        self._text = ""
        #: The item was committed, by the client or by the end of its speech.
        self._is_committed = False
        self._welcomed = False

    # --- what it sends ---

    def on_sound(self, data: bytes) -> None:
        self._complain("invalid_request", "Sound comes as input_audio_buffer.append.", None)

    def on_text(self, text: str) -> None:
        message = parsed(text, MESSAGE_BYTES)
        if message is None:
            self._complain("invalid_request", "An event must be a JSON object.", None)
            return
        event_id = message.get("event_id")
        try:
            self._obey(message)
        except StorageError as error:
            self._refuse(error)
        except TranscriberError as error:
            self._complain(error.code, str(error), event_id)
            if self._session is None and error.code != "invalid_request":
                self._refuse(error)

    def _obey(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind in ("session.update", "transcription_session.update"):
            self._update(str(kind), message.get("session"))
        elif kind == "input_audio_buffer.append":
            self._append(message.get("audio"))
        elif kind == "input_audio_buffer.commit":
            self._commit()
        elif kind == "input_audio_buffer.clear":
            self._send("input_audio_buffer.cleared")
        else:
            raise forms.invalid(
                noted(
                    "type: {value!r} is not one of a transcription session; it may be "
                    "session.update or input_audio_buffer.append, commit or clear",
                    value=str(kind)[:60],
                )
            )

    def _update(self, kind: str, content: object) -> None:
        asked = Asked.of(content)
        if self._session and asked.is_other_sound(self._asked):
            raise forms.invalid(
                noted("session: the format and the language must be set before sound")
            )
        self._asked = asked
        self._wait_longer()
        self._send(f"{kind}d", session=asked.shown(self._id))

    def _append(self, audio: object) -> None:
        try:
            data = base64.b64decode(audio if isinstance(audio, str) else "", validate=True)
        except (binascii.Error, ValueError):
            data = b""
        if not data:
            raise forms.invalid(noted("audio: must be sound in Base64"))
        if self._session is None:
            asked = self._asked
            self._begin(asked.rate, asked.wishes(), silence_s=asked.silence_s)
        self._keep(_DECODERS[self._asked.format](data))

    def _commit(self) -> None:
        if self._session is None:
            raise forms.invalid(noted("There is no sound to commit"))
        self._commit_item()
        self._session.flush()

    # --- what it is told ---

    def on_room(self) -> None:
        if not self._welcomed:
            self._welcomed = True
            self._send("session.created", session=self._asked.shown(self._id))
        super().on_room()

    def say(self, event: SessionEvent) -> None:
        if isinstance(event, SpeechChanged):
            self._speech(event)
        elif isinstance(event, Committed):
            item, delta = self._current(), "".join(word.word for word in event.words)
            delta = delta if self._text else delta.lstrip()
            self._text += delta
            self._send(f"{_TRANSCRIBED}.delta", item_id=item, content_index=0, delta=delta)
        elif isinstance(event, Utterance):
            self._complete(event.text, event.end_s - event.start_s)
        elif isinstance(event, FlushDone):
            if self._item and self._is_committed:
                self._complete(self._text.strip(), 0.0)
        elif isinstance(event, Problem):
            self._complain(event.code, event.message, None)
            if self._item and self._is_committed:
                self._fail(self._item, event)

    def _speech(self, event: SpeechChanged) -> None:
        if not self._asked.detects_turns:
            return
        at_ms = round(1000 * event.at_s)
        if event.speaking:
            item = self._current()
            self._send("input_audio_buffer.speech_started", audio_start_ms=at_ms, item_id=item)
        elif ended := self._item or self._previous:
            self._send("input_audio_buffer.speech_stopped", audio_end_ms=at_ms, item_id=ended)

    def _current(self) -> str:
        if self._item is None:
            self._item, self._text, self._is_committed = f"item_{uuid.uuid4().hex}", "", False
        return self._item

    def _commit_item(self) -> None:
        item = self._current()
        if self._is_committed:
            return
        self._is_committed = True
        self._send("input_audio_buffer.committed", previous_item_id=self._previous, item_id=item)
        content = [{"type": "input_audio", "transcript": None}]
        shown = {"id": item, "type": "message", "role": "user", "status": "completed"}
        self._send(
            "conversation.item.added",
            previous_item_id=self._previous,
            item=shown | {"content": content},
        )

    def _complete(self, text: str, seconds: float) -> None:
        self._commit_item()
        self._send(
            f"{_TRANSCRIBED}.completed",
            item_id=self._current(),
            content_index=0,
            transcript=text,
            usage={"type": "duration", "seconds": round(max(0.0, seconds), 2)},
        )
        self._previous, self._item = self._item, None

    def _fail(self, item: str, problem: Problem) -> None:
        """Nothing more comes of an item that was committed."""
        error = _error(problem.code, problem.message)
        self._send(f"{_TRANSCRIBED}.failed", item_id=item, content_index=0, error=error)
        self._previous, self._item = item, None

    def say_error(self, error: TranscriberError) -> None:
        self._complain(error.code, str(error), None)

    def _complain(self, code: str, message: str, event_id: object) -> None:
        named = event_id if isinstance(event_id, str) and len(event_id) <= _ID_CHARS else None
        self._send("error", error=_error(code, message) | {"event_id": named})

    def _send(self, kind: str, **content: Any) -> None:
        event = {"type": kind, "event_id": f"event_{uuid.uuid4().hex}", **content}
        self._connection.send(wire(event))


def _error(code: str, message: str) -> dict[str, Any]:
    kind = "invalid_request_error" if code == "invalid_request" else "server_error"
    return {"type": kind, "code": code, "message": message, "param": None}
