"""The messages of ``/live``: JSON texts in and out. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field

from modules.api import forms
from modules.api.live.json_text import TEXT_CHARS, parsed
from modules.api.schemas.requests import GivenLanguage, SettingsFields
from modules.errors import TranscriberError, noted
from modules.live.events import (
    Committed,
    FlushDone,
    Lag,
    PartialWords,
    Problem,
    SessionEvent,
    SessionStored,
    SpeechChanged,
    Utterance,
)
from modules.live.note import NAME_CHARS, Rate
from modules.transcript.model import Word


class Start(SettingsFields):
    """Begin a session, or go on with ``session``, of which the client knows up to ``seq``."""

    type: Literal["start"]
    language: GivenLanguage = None
    rate: Rate = 16_000
    name: str | None = Field(default=None, max_length=NAME_CHARS)
    session: str | None = Field(default=None, max_length=64)
    seq: int = Field(default=0, ge=0)


def parse(text: str) -> dict[str, Any]:
    """A message with its ``type``. Raises TranscriberError ``invalid_request``."""
    if len(text) > TEXT_CHARS:
        raise forms.invalid(
            noted("a message may have {text_chars} characters", text_chars=TEXT_CHARS)
        )
    message = parsed(text)
    if message is None:
        raise forms.invalid(noted("a text message must be a JSON object"))
    if not isinstance(message.get("type"), str):
        raise forms.invalid(noted("type: must be start, flush or stop"))
    return message


def start(message: dict[str, Any]) -> Start:
    """Raises TranscriberError ``invalid_request``."""
    return forms.checked(Start, message)


def ready(session_id: str, samples: int, seq: int) -> bytes:
    return _text("ready", session=session_id, received_samples=samples, seq=seq)


def received(samples: int) -> bytes:
    return _text("received", received_samples=samples)


def error(problem: TranscriberError) -> bytes:
    return _text("error", error_code=problem.code, message=str(problem))


def of_event(event: SessionEvent) -> bytes | None:
    """None for what this protocol has no word for."""
    if isinstance(event, PartialWords):
        words = _words(event.words)
        return _text("partial", text="".join(w["word"] for w in words).strip(), words=words)
    if isinstance(event, Committed):
        return _text("commit", seq=event.seq, words=_words(event.words))
    if isinstance(event, Utterance):
        return _text(
            "final", seq=event.seq, start=event.start_s, end=event.end_s, text=event.text,
            speaker=event.speaker,
        )  # fmt: skip
    if isinstance(event, Lag):
        return _text("lag", seconds=event.seconds, step=event.step_s)
    if isinstance(event, SessionStored):
        return _text("stored", recording=event.recording, job_id=event.job_id)
    if isinstance(event, Problem):
        return _text("error", error_code=event.code, message=event.message)
    assert isinstance(event, FlushDone | SpeechChanged)
    return None


def _words(words: Iterable[Word]) -> list[dict[str, Any]]:
    keys = {"word", "start", "end", "confidence"}
    return [word.model_dump(include=keys) for word in words]


def _text(kind: str, **content: Any) -> bytes:
    text = json.dumps({"type": kind, **content}, ensure_ascii=False, allow_nan=False)
    # Names that are not UTF-8 hold lone surrogates.
    return text.encode("utf-8", errors="backslashreplace")
