"""The fields of a request for a text, as OpenAI's clients send them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from flask import Request
from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from modules.api import forms
from modules.api.openai.format import GRANULARITIES, RESPONSE_FORMATS
from modules.api.schemas import requests
from modules.config.types import PROMPT_CHARS

#: Those that may come several times; clients write them with or without brackets.
_LISTS = ("timestamp_granularities", "include", "keywords", "languages")
_FLAGS = {
    **dict.fromkeys(("true", "True", "1"), True),
    **dict.fromkeys(("false", "False", "0", ""), False),
}


def _as_flag(value: object) -> object:
    """Python's clients write True, those of shells 1."""
    return _FLAGS.get(value, value) if isinstance(value, str) else value


Flag = Annotated[
    bool,
    BeforeValidator(_as_flag),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "string", "enum": [*_FLAGS]}]}),
]
Word = Annotated[str, Field(max_length=requests.NAME_CHARS)]


class SpeechRequest(requests.Request):
    """The fields beside ``file``. What only OpenAI or other servers like it know is let pass."""

    model_config = ConfigDict(extra="ignore")

    model: Word = "whisper-1"
    language: requests.GivenLanguage = None
    languages: list[requests.GivenLanguage] = Field(default_factory=list)
    prompt: Annotated[str, Field(max_length=PROMPT_CHARS)] | None = None
    keywords: list[Word] = Field(default_factory=list)
    response_format: Literal[RESPONSE_FORMATS] = "json"  # type: ignore[valid-type]
    temperature: requests.ZeroToOne | None = None
    timestamp_granularities: list[Literal[GRANULARITIES]] = Field(  # type: ignore[valid-type]
        default_factory=list
    )
    include: list[Word] = Field(default_factory=list)
    stream: Flag = False

    @property
    def with_logprobs(self) -> bool:
        return "logprobs" in self.include

    def wishes(self, size: str, task: str) -> dict[str, Any]:
        """The settings of the job, done with the model ``size``."""
        stated = {
            "model_size": size,
            "task": task,
            "language": self._language(size),
            "initial_prompt": (self.prompt or "").strip() or None,
            "hotwords": _that_fit(self.keywords),
            "temperature": self.temperature,
            "diarize": True if self.response_format == "diarized_json" else None,
        }
        return {
            key: value
            for key, value in stated.items()
            if value is not None or key == "initial_prompt"
        }

    def _language(self, size: str) -> str:
        """OpenAI detects the language of what comes without one, or with several to choose from."""
        possible = {each for each in self.languages if each}
        only = possible.pop() if len(possible) == 1 else None
        return self.language or only or ("en" if size.endswith(".en") else "auto")


def asked(request: Request) -> SpeechRequest:
    """The checked fields of a form. Raises TranscriberError."""
    found: dict[str, Any] = {}
    for key in request.form:
        name, values = key.removesuffix("[]"), request.form.getlist(key)
        if name in _LISTS:
            found.setdefault(name, []).extend(values)
        elif key in SpeechRequest.model_fields:
            found[key] = forms.only_value(key, values)
    return forms.checked(SpeechRequest, found)


def _that_fit(keywords: Iterable[str]) -> str | None:
    """As many of the words as Whisper can take, with commas between them."""
    fitting: Sequence[str] = ()
    for word in filter(None, map(str.strip, keywords)):
        longer = (*fitting, word)
        if len(", ".join(longer)) > PROMPT_CHARS:
            break
        fitting = longer
    return ", ".join(fitting) or None
