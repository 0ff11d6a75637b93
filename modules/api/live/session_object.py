"""The session that a client of OpenAI's realtime API asks for, in its present form or the earlier.

What only OpenAI knows is let pass.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from modules.api import forms
from modules.api.schemas.requests import GivenLanguage, PromptText, Request
from modules.config.types import PROMPT_CHARS
from modules.errors import noted
from modules.live.note import SILENCE_MAX_S, SILENCE_MIN_S, SILENCE_S

#: What the earlier form calls them.
_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
_RATES = {"audio/pcm": 24_000, "audio/pcmu": 8000, "audio/pcma": 8000}


class _Lenient(Request):
    model_config = ConfigDict(extra="ignore")


class _Format(_Lenient):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: Annotated[int, Field(ge=8000, le=48_000)] | None = None


def _as_format(value: object) -> object:
    return {"type": _FORMATS[value]} if isinstance(value, str) and value in _FORMATS else value


class _Transcription(_Lenient):
    """``languages`` and ``keywords`` are what newer models have in place of the other two."""

    model: Annotated[str, Field(max_length=200)] | None = None
    language: GivenLanguage = None
    languages: Annotated[list[GivenLanguage], Field(max_length=100)] | None = None
    prompt: PromptText | None = None
    keywords: (
        Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=100)] | None
    ) = None

    @model_validator(mode="after")
    def one_language(self) -> Self:
        """A session has one language, or finds it out."""
        if self.language is None and self.languages:
            several = len(self.languages) > 1
            self.__dict__["language"] = "auto" if several else self.languages[0]
        return self

    @property
    def hotwords(self) -> str | None:
        terms = [*filter(None, [self.prompt]), *(self.keywords or ())]
        return ", ".join(term for term in terms if term.strip())[:PROMPT_CHARS] or None


class _Turns(_Lenient):
    type: str = "server_vad"
    silence_duration_ms: Annotated[int, Field(ge=0, le=60_000)] | None = None


class _Input(_Lenient):
    format: Annotated[_Format, BeforeValidator(_as_format)] = _Format()
    transcription: _Transcription | None = None
    turn_detection: _Turns | None = _Turns()


class Session:
    """What is asked for, with what holds where nothing is said."""

    def __init__(self, given: _Input | None = None) -> None:
        self._input = given or _Input()
        self._transcription = self._input.transcription or _Transcription()

    @classmethod
    def of(cls, content: object) -> Session:
        """Raises TranscriberError ``invalid_request``."""
        if not isinstance(content, dict):
            raise forms.invalid(noted("session: must be an object"))
        if content.get("type", "transcription") != "transcription":
            raise forms.invalid(
                noted("session.type: must be transcription; there is nobody to talk to")
            )
        audio = content.get("audio")
        given = audio.get("input") if isinstance(audio, dict) else _earlier(content)
        return cls(forms.checked(_Input, given if isinstance(given, dict) else {}))

    @property
    def format(self) -> str:
        return self._input.format.type

    @property
    def rate(self) -> int:
        return self._input.format.rate or _RATES[self.format]

    @property
    def detects_turns(self) -> bool:
        return self._input.turn_detection is not None

    @property
    def silence_s(self) -> float:
        """Of silence that ends an utterance."""
        turns = self._input.turn_detection
        if turns is None or not turns.silence_duration_ms:
            return SILENCE_S
        return min(SILENCE_MAX_S, max(SILENCE_MIN_S, turns.silence_duration_ms / 1000))

    def wishes(self) -> dict[str, Any]:
        found = {"language": self._transcription.language, "hotwords": self._transcription.hotwords}
        return {key: value for key, value in found.items() if value}

    def is_other_sound(self, other: Session) -> bool:
        """Whether a session that has begun with ``other`` cannot become this one."""
        mine, theirs = ((each.format, each.rate, each.wishes()) for each in (self, other))
        return bool(mine != theirs)

    def shown(self, session_id: str) -> dict[str, Any]:
        """As OpenAI shows it."""
        turns = self._input.turn_detection
        heard = {
            "format": {"type": self.format, "rate": self.rate},
            "transcription": self._transcription.model_dump(),
            "noise_reduction": None,
            "turn_detection": turns.model_dump() if turns else None,
        }
        return {
            "id": session_id,
            "object": "realtime.transcription_session",
            "type": "transcription",
            "audio": {"input": heard},
        }


def _earlier(content: dict[str, Any]) -> dict[str, Any]:
    names = {
        "input_audio_format": "format",
        "input_audio_transcription": "transcription",
        "turn_detection": "turn_detection",
    }
    return {new: content[old] for old, new in names.items() if old in content}
