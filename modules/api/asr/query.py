"""The query of a request to whisper-asr-webservice's endpoints, and the settings it means."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from modules.api.asr.format import OUTPUTS
from modules.api.schemas import requests
from modules.config.types import MAX_SPEAKERS, PROMPT_CHARS, Speakers, Task

_SPELLINGS = {
    "true": True, "1": True, "yes": True, "on": True,
    "false": False, "0": False, "no": False, "off": False,
    "": None,
}  # fmt: skip


def as_loose_flag(value: object) -> object:
    """A flag as Python, JavaScript and web forms write it; empty is not given."""
    if not isinstance(value, str):
        return value
    return _SPELLINGS.get(value.lower(), value)


LooseFlag = Annotated[
    bool | None,
    BeforeValidator(as_loose_flag),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "boolean"},
                {"type": "integer", "enum": [0, 1]},
                {"type": "string", "enum": ["True", "False", "yes", "no", "on", "off", ""]},
            ]
        }
    ),
]
SpeakerCount = Annotated[
    Speakers | None,
    BeforeValidator(requests.as_whole_number),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_SPEAKERS}),
]
LoosePrompt = Annotated[str, Field(max_length=PROMPT_CHARS)]


class UploadQuery(requests.Request):
    """What both endpoints know. Whatever else a client sends is let pass."""

    model_config = ConfigDict(extra="ignore")

    encode: LooseFlag = Field(
        default=None,
        description="false: the part is raw sound, 16 bits, little-endian, 16 kHz, mono",
    )
    video_file: Annotated[str, Field(max_length=requests.NAME_CHARS)] = Field(
        default="", description="the path of the film that raw sound is from; only gives it a name"
    )

    @property
    def is_raw(self) -> bool:
        return self.encode is False


class AsrQuery(UploadQuery):
    """What ``/asr`` knows besides."""

    task: Task = "transcribe"
    language: requests.GivenLanguage = Field(default=None, description="detected if not given")
    output: Literal[OUTPUTS] = "txt"  # type: ignore[valid-type]
    word_timestamps: LooseFlag = Field(default=None, description="words in the JSON")
    vad_filter: LooseFlag = Field(default=None, description="no effect: speech is always detected")
    diarize: LooseFlag = None
    min_speakers: SpeakerCount = None
    max_speakers: SpeakerCount = None
    initial_prompt: LoosePrompt = ""
    hotwords: LoosePrompt = ""

    def wishes(self, configured_size: str) -> dict[str, Any]:
        """The settings that are meant. What is not given is as whisper-asr-webservice has it,
        or as configured where that has a choice of its own."""
        found: dict[str, Any] = {
            "task": self.task,
            "language": self.language or detecting(configured_size),
            "initial_prompt": self.initial_prompt.strip() or None,
        }
        if self.hotwords.strip():
            found["hotwords"] = self.hotwords.strip()
        if self.diarize is not None:
            found["diarize"] = self.diarize
        if self.diarize:
            counts = {"min_speakers": self.min_speakers, "max_speakers": self.max_speakers}
            found |= {key: count for key, count in counts.items() if count is not None}
        return found


def detecting(configured_size: str) -> str:
    """The language that has it detected; a model for English knows no other."""
    return "en" if configured_size.endswith(".en") else "auto"
