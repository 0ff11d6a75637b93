"""Deepgram's protocol for live sound, at ``/v1/listen``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field
from websockets.frames import CloseCode

from modules import __version__
from modules.api import forms
from modules.api.live import g711
from modules.api.live.connection import Connection
from modules.api.live.container_sound import ContainerSound
from modules.api.live.json_text import parsed, wire
from modules.api.live.session_client import MessageClient, Surroundings
from modules.api.schemas.requests import GivenLanguage, Request
from modules.config.types import PROMPT_CHARS
from modules.errors import TranscriberError, noted
from modules.live import containers
from modules.live.events import (
    Committed,
    FlushDone,
    PartialWords,
    Problem,
    SessionEvent,
    SessionStored,
    SpeechChanged,
    Utterance,
)
from modules.live.note import (
    RATE_MAX,
    RATE_MIN,
    SILENCE_MAX_S,
    SILENCE_MIN_S,
    SILENCE_S,
    Container,
)
from modules.live.session import Session
from modules.transcript.model import Word

_DECODERS = {"linear16": bytes, "mulaw": g711.mu_law, "alaw": g711.a_law}
#: These say what is in a container, and so say nothing.
_IN_CONTAINERS = frozenset({"ogg-opus", "flac"})
#: Of Deepgram: so many hotwords, and letters of one.
_KEYTERMS_MAX, _KEYTERM_CHARS = 100, 100
_PUNCTUATION = '.,!?;:…«»"“”()'


def _whole(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 9 else value


def _flag(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


Flag = Annotated[bool, BeforeValidator(_flag)]
Whole = Annotated[int, BeforeValidator(_whole)]


class ListenQuery(Request):
    """What is understood of the address; the rest is let pass, as only Deepgram knows it."""

    model_config = ConfigDict(extra="ignore")

    encoding: Literal["linear16", "mulaw", "alaw"] | None = None
    sample_rate: Annotated[Whole, Field(ge=RATE_MIN, le=RATE_MAX)] = 8000
    channels: Annotated[Whole, Field(ge=1, le=1)] = 1
    language: GivenLanguage = None
    interim_results: Flag = False
    vad_events: Flag = False
    endpointing: Annotated[Whole, Field(ge=0, le=10_000)] | None = None
    utterance_end_ms: Annotated[Whole, Field(ge=1000, le=5000)] | None = None
    keyterm: Annotated[
        list[Annotated[str, Field(max_length=_KEYTERM_CHARS)]], Field(max_length=_KEYTERMS_MAX)
    ] = Field(default_factory=list)

    @property
    def silence_s(self) -> float:
        """Of silence that ends an utterance."""
        if not self.endpointing:
            return SILENCE_S
        return min(SILENCE_MAX_S, max(SILENCE_MIN_S, self.endpointing / 1000))

    def wishes(self) -> dict[str, Any]:
        terms = ", ".join(term for term in self.keyterm if term.strip())[:PROMPT_CHARS]
        found: dict[str, Any] = {"hotwords": terms} if terms else {}
        # Their word for "several" is our "auto": one session is in one language.
        language = "auto" if self.language == "multi" else self.language
        return found | ({"language": language} if language else {})


def query_of(given: Mapping[str, Sequence[str]]) -> ListenQuery:
    """Raises TranscriberError for what cannot be served."""
    single = {key: values[-1] for key, values in given.items() if key != "keyterm"}
    if single.get("encoding") in _IN_CONTAINERS:
        del single["encoding"]
    if single.get("language") == "multi":
        single["language"] = "auto"
    terms = [each for key in ("keyterm", "keywords") for each in given.get(key, ())]
    return forms.checked(ListenQuery, single | {"keyterm": terms})


class DeepgramClient(MessageClient):
    """One utterance comes as several results, of which those that are final do not overlap."""

    def __init__(self, connection: Connection, around: Surroundings, query: ListenQuery) -> None:
        super().__init__(connection, around)
        self._query = query
        self._decode = _DECODERS[query.encoding or "linear16"]
        self._container: ContainerSound | None = None
        if query.encoding is None:
            self._container = ContainerSound(around.containers, self._begin_container)
        self._request_id = str(uuid.uuid4())
        #: Committed words that were not in a final result yet.
        self._held: list[Word] = []
        self._start_s = 0.0
        self._last_word_s = 0.0

    # --- what it sends ---

    def on_sound(self, data: bytes) -> None:
        if not data:
            self._close_stream()
            return
        try:
            if self._container:
                self._container.add(data)
                return
            if self._session is None:
                asked = self._query
                self._begin(asked.sample_rate, asked.wishes(), silence_s=asked.silence_s)
            self._keep(self._decode(data))
        except TranscriberError as error:
            self._refuse(error)

    def _begin_container(self, kind: Container) -> Session:
        asked = self._query
        return self._begin(
            containers.RATE, asked.wishes(), silence_s=asked.silence_s, container=kind
        )

    def _flush(self) -> None:
        if self._container:
            self._container.flush()
        elif self._session:
            self._session.flush()

    def _stop(self) -> None:
        if not (self._container and self._container.finish()):
            super()._stop()

    def _close_stream(self) -> None:
        if self._session:
            self._stop()
        else:
            self._send(self._metadata())
            self._connection.close(CloseCode.NORMAL_CLOSURE, "closed")

    def on_text(self, text: str) -> None:
        kind = (parsed(text) or {}).get("type")
        if kind == "KeepAlive":
            self._wait_longer()
        elif kind == "Finalize":
            self._flush()
        elif kind == "CloseStream":
            self._close_stream()
        else:
            self._refuse(forms.invalid(noted("type: must be KeepAlive, Finalize or CloseStream")))

    # --- what it is told ---

    def on_room(self) -> None:
        if self._container and self._container.failure:
            self._refuse(self._container.failure)
        else:
            super().on_room()

    def say(self, event: SessionEvent) -> None:
        if isinstance(event, SpeechChanged):
            if event.speaking and self._query.vad_events:
                self._send({"type": "SpeechStarted", "channel": [0, 1], "timestamp": event.at_s})
        elif isinstance(event, Committed):
            self._release()
            self._held = list(event.words)
            self._interim(())
        elif isinstance(event, PartialWords):
            self._interim(event.words)
        elif isinstance(event, Utterance):
            self._result(self._held, is_final=True, speech_final=True)
            self._held = []
            if self._query.utterance_end_ms:
                end = {"channel": [0, 1], "last_word_end": self._last_word_s}
                self._send({"type": "UtteranceEnd"} | end)
        elif isinstance(event, FlushDone):
            self._result(self._held, is_final=True, from_finalize=True)
            self._held = []
        elif isinstance(event, SessionStored):
            self._release()
            self._send(self._metadata())
        elif isinstance(event, Problem):
            self._send_error(event.code, event.message)

    def say_error(self, error: TranscriberError) -> None:
        self._send_error(error.code, str(error))

    def _send_error(self, code: str, message: str) -> None:
        self._send({"type": "Error", "variant": code, "description": message, "message": message})

    def _release(self) -> None:
        """The words that were held back for the end of their utterance, as it did not come."""
        if self._held:
            self._result(self._held, is_final=True)
            self._held = []

    def _interim(self, words: Sequence[Word]) -> None:
        if self._query.interim_results and (self._held or words):
            self._result([*self._held, *words])

    def _result(
        self,
        words: Sequence[Word],
        *,
        is_final: bool = False,
        speech_final: bool = False,
        from_finalize: bool = False,
    ) -> None:
        start_s = self._start_s
        end_s = max([start_s, *(word.end for word in words if word.end is not None)])
        found = [_word(word) for word in words]
        sure = [word["confidence"] for word in found]
        alternative = {
            "transcript": "".join(word.word for word in words).strip(),
            "confidence": round(sum(sure) / len(sure), 4) if sure else 0.0,
            "words": found,
        }
        if is_final:
            self._start_s, self._last_word_s = end_s, end_s
        self._send(
            {
                "type": "Results",
                "channel_index": [0, 1],
                "start": round(start_s, 3),
                "duration": round(end_s - start_s, 3),
                "is_final": is_final,
                "speech_final": speech_final,
                "from_finalize": from_finalize,
                "channel": {"alternatives": [alternative]},
                "metadata": {
                    "request_id": self._request_id,
                    "model_uuid": self._request_id,
                    "model_info": {"name": "whisper", "version": __version__, "arch": "whisper"},
                },
            }
        )

    def _metadata(self) -> dict[str, Any]:
        session = self._session
        return {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self._request_id,
            "sha256": "",
            "created": session.note.created if session else "",
            "duration": round(session.received_s, 3) if session else 0.0,
            "channels": 1,
        }

    def _send(self, content: dict[str, Any]) -> None:
        self._connection.send(wire(content))


def _word(word: Word) -> dict[str, Any]:
    plain = word.word.strip()
    return {
        "word": plain.strip(_PUNCTUATION).lower() or plain,
        "start": word.start or 0.0,
        "end": word.end or 0.0,
        "confidence": word.confidence or 0.0,
        "punctuated_word": plain,
    }
