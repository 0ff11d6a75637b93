"""The Wyoming protocol, which Home Assistant speaks: each utterance is a session of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from websockets.frames import CloseCode

from modules import __version__
from modules.api import forms
from modules.api.live.session_client import SessionClient, Surroundings
from modules.api.live.wyoming_connection import WyomingConnection
from modules.api.schemas.requests import GivenLanguage, Request
from modules.config.languages import LANGUAGE_CODES
from modules.config.schema import Config
from modules.errors import TranscriberError, noted
from modules.live.events import (
    Committed,
    FlushDone,
    Outbox,
    Problem,
    SessionEvent,
    SessionStored,
    Utterance,
)
from modules.live.note import Rate
from modules.transcript.model import Word

_HOTWORDS_CHARS = 1000
_OF_US = {"name": "audio-transcriber", "url": ""}
Terms = Annotated[list[str], Field(max_length=1000)]


class _Lenient(Request):
    model_config = ConfigDict(extra="ignore")


class Transcribe(_Lenient):
    """What is asked for; the name of a model is let pass, as there is one."""

    language: GivenLanguage = None
    transcript_names: Terms | None = None
    transcript_terms: Terms | None = None

    def wishes(self) -> dict[str, Any]:
        terms = [*(self.transcript_names or ()), *(self.transcript_terms or ())]
        words = ", ".join(" ".join(term.split()) for term in terms if term.strip())[
            :_HOTWORDS_CHARS
        ]
        found = {"language": self.language, "hotwords": words or None}
        return {key: value for key, value in found.items() if value is not None}


class Shape(_Lenient):
    """What sound is like: signed 16 bit, mono."""

    rate: Rate
    width: Literal[2]
    channels: Literal[1]


class WyomingClient(SessionClient):
    """``audio-stop`` is answered by the text, after which the next utterance may begin."""

    _connection: WyomingConnection

    def __init__(self, connection: WyomingConnection, around: Surroundings, config: Config) -> None:
        super().__init__(connection, around)
        self._config = config
        self._asked = Transcribe()
        self._is_stopped = False
        self._texts: list[str] = []
        self._committed: list[Word] = []
        self._language: str | None = None

    # --- what it sends ---

    def on_event(self, kind: str, data: Mapping[str, Any], payload: bytes) -> None:
        self._wait_longer()
        try:
            self._obey(kind, data, payload)
        except TranscriberError as error:
            self._refuse(error)

    def on_nonsense(self, error: TranscriberError) -> None:
        self._refuse(error)

    def _obey(self, kind: str, data: Mapping[str, Any], payload: bytes) -> None:
        """Whatever else is sent is let pass, as the protocol wants it."""
        if kind == "describe":
            self._connection.send_event("info", info(self._config))
        elif kind == "ping":
            self._connection.send_event("pong", {"text": str(data.get("text") or "")[:1000]})
        elif self._is_stopped:
            if kind in ("transcribe", "audio-start", "audio-chunk"):
                raise forms.invalid(noted("{kind}: the text of before is still due", kind=kind))
        elif kind == "transcribe":
            self._asked = forms.checked(Transcribe, dict(data))
        elif kind == "audio-start":
            self._ready_for(data)
        elif kind == "audio-chunk":
            self._ready_for(data)
            self._keep(payload)
        elif kind == "audio-stop":
            self._stop_listening()

    def _ready_for(self, data: Mapping[str, Any]) -> None:
        shape = forms.checked(Shape, dict(data))
        if self._session is None:
            is_kept = self._config.live.wyoming_keep
            self._begin(shape.rate, self._asked.wishes(), discarded=not is_kept)
        elif self._session.note.rate != shape.rate:
            raise forms.invalid(noted("rate: must be the same for all sound"))

    def _stop_listening(self) -> None:
        if self._session is None:
            self._answer()
        else:
            self._is_stopped = True
            self._session.flush()

    # --- what it is told ---

    def say(self, event: SessionEvent) -> None:
        if isinstance(event, Committed):
            self._committed += event.words
        elif isinstance(event, Utterance):
            self._texts.append(event.text)
            self._committed = []
            self._language = event.language or self._language
        elif isinstance(event, FlushDone) and self._is_stopped:
            self._answer()
            self._leave_session()
        elif isinstance(event, Problem):
            self._send_error(event.code, event.message)
            self._connection.close(CloseCode.INTERNAL_ERROR)
        elif isinstance(event, SessionStored):
            self._answer()  # it was ended from elsewhere

    def say_error(self, error: TranscriberError) -> None:
        self._send_error(error.code, str(error))

    def _send_error(self, code: str, message: str) -> None:
        self._connection.send_event("error", {"text": message, "code": code})

    def _answer(self) -> None:
        rest = "".join(word.word for word in self._committed).strip()
        text = " ".join(filter(None, [*self._texts, rest]))
        language = {"language": self._language} if self._language else {}
        self._connection.send_event("transcript", {"text": text} | language)
        self._texts, self._committed, self._asked = [], [], Transcribe()
        self._is_stopped = False

    def _leave_session(self) -> None:
        """Have it stored, or discarded, and be ready for the next one."""
        if self._session is None:
            return
        if self._config.live.wyoming_keep:
            self._stop()
        else:
            with contextlib.suppress(TranscriberError):  # it is over already
                self._around.sessions.end(self._session.session_id, discard=True)
        self._session.leave(self._outbox)
        self._session, self._outbox = None, Outbox(self._connection.wake)
        self._begun, self._half_sample = False, b""
        self._opened_at = self._around.monotonic()
        self._wait_longer()

    def leave(self) -> None:
        self._leave_session()


def info(config: Config) -> dict[str, Any]:
    """What this is, as Home Assistant wants to know it."""
    about = {"attribution": _OF_US, "installed": True, "version": __version__}
    model = about | {
        "name": config.whisperx.model_size,
        "description": config.whisperx.engine,
        "languages": sorted(LANGUAGE_CODES),
    }
    program = about | {
        "name": "audio-transcriber",
        "description": "Speech to text on your own machine",
        "models": [model],
        "supports_transcript_streaming": False,
    }
    return {"asr": [program]}
