"""Requests and answers, as they are checked and as they stand in the OpenAPI document."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from modules.config.languages import LANGUAGE_CODES
from modules.config.settings import EngineName
from modules.config.types import (
    MAX_SPEAKERS,
    MODEL_SIZES,
    PROMPT_CHARS,
    AudioTracks,
    BeamSize,
    Channels,
    ComputeType,
    Device,
    Format,
    Language,
    Prompt,
    Speakers,
    Task,
    Temperature,
    Threshold,
    VadMethod,
    is_blank,
)
from modules.jobs.job import JOB_ID_PATTERN
from modules.messages import noted

#: Longer names cannot be in any folder.
NAME_CHARS = 4096


def as_flag(value: object) -> object:
    """Forms know text only."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def as_number(value: object) -> object:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def as_whole_number(value: object) -> object:
    """To JSON, 5.0 is a whole number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value


def as_given(value: object) -> object:
    """Some clients leave the language empty, or write what JavaScript has for nothing."""
    nothing = is_blank(value) or (isinstance(value, str) and value in ("null", "undefined"))
    return None if nothing else value


def as_job_id(value: str) -> str:
    if not re.fullmatch(JOB_ID_PATTERN[1:-1], value):
        raise ValueError(noted("must have 1 to 64 letters, digits, hyphens and underscores"))
    return value


def as_address(value: str) -> str:
    if not re.match("https?://", value):
        raise ValueError(noted("must be an address that begins with http:// or https://"))
    return value


Flag = Annotated[bool, BeforeValidator(as_flag)]
Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARS)]
#: A path to a model can only be set in the configuration, so that no client reads other folders.
ModelName = Literal[MODEL_SIZES]  # type: ignore[valid-type]
LanguageCode = Annotated[
    Language,
    WithJsonSchema(
        {
            "type": "string",
            "anyOf": [{"enum": ["auto", "mixed", *sorted(LANGUAGE_CODES)]}, {"pattern": r"^\s*$"}],
            "description": "tags (pt-BR), other codes (rus) and names (Russian) are understood too",
        }
    ),
]
GivenLanguage = Annotated[LanguageCode | None, BeforeValidator(as_given)]
ZeroToOne = Annotated[
    Temperature,
    BeforeValidator(as_number),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]
PromptText = Annotated[
    Prompt, WithJsonSchema({"type": "string", "maxLength": PROMPT_CHARS, "pattern": r"\S"})
]


Beam = Annotated[
    BeamSize,
    BeforeValidator(as_whole_number),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 20}),
]
Border = Annotated[
    Threshold,
    BeforeValidator(as_number),
    WithJsonSchema({"type": "number", "minimum": 0.01, "maximum": 0.99}),
]
SpeakerCount = Annotated[
    Speakers,
    BeforeValidator(as_whole_number),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_SPEAKERS}),
]


Count = Annotated[int, BeforeValidator(as_whole_number)]
PointCount = Annotated[int, Field(ge=1, le=100_000), BeforeValidator(as_whole_number)]
JobId = Annotated[
    str,
    AfterValidator(as_job_id),
    WithJsonSchema({"type": "string", "pattern": JOB_ID_PATTERN}),
]
CallbackUrl = Annotated[
    str,
    Field(max_length=2000),
    AfterValidator(as_address),
    WithJsonSchema({"type": "string", "pattern": "^https?://", "maxLength": 2000}),
]


class Request(BaseModel):
    """Base of what clients send: no unknown keys, no conversions, finite numbers."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=()
    )


class SettingsFields(Request):
    """Settings that a request may state; what it leaves out is as configured."""

    language: GivenLanguage = None
    engine: EngineName | None = None
    model_size: ModelName | None = None
    temperature: ZeroToOne | None = None
    compute_type: ComputeType | None = None
    device: Device | None = None
    task: Task | None = None
    initial_prompt: PromptText | None = None
    hotwords: PromptText | None = None
    beam_size: Beam | None = None
    suppress_numerals: Flag | None = None
    fast_mode: Flag | None = None
    audio_tracks: AudioTracks | None = None
    channels: Channels | None = None
    vad_method: VadMethod | None = None
    vad_onset: Border | None = None
    vad_offset: Border | None = None
    diarize: Flag | None = None
    min_speakers: SpeakerCount | None = None
    max_speakers: SpeakerCount | None = None
    debug: Flag | None = None

    def wishes(self) -> dict[str, Any]:
        """The settings that are stated."""
        return self.model_dump(include=set(SettingsFields.model_fields), exclude_none=True)


class JobFields(SettingsFields):
    """What an order may say besides its settings."""

    job_id: JobId | None = None
    wait: Flag | None = None
    callback_url: CallbackUrl | None = None


class TranscribeRequest(JobFields):
    """An order for a file of the shared folder."""

    filename: Name
    force: Flag = False


class UploadRequest(JobFields):
    """The fields beside ``file`` in an upload."""

    if_exists: Literal["refuse", "rename"] = "refuse"


class DeleteRequest(Request):
    """Which recording to delete, with all that was made from it."""

    filename: Name


class KeyPath(BaseModel):
    """A file name, with ``/`` for subfolders, or a job id."""

    key: Name = Field(json_schema_extra={"example": "talk.mp3"})


class NamePath(BaseModel):
    filename: Name = Field(json_schema_extra={"example": "talk.mp3"})


class ResultQuery(Request):
    format: Format | None = None
    original: Flag = Field(default=False, description="without the corrections that people made")


class DeleteQuery(Request):
    filename: Name | None = None


class EventsQuery(Request):
    filename: Name | None = Field(default=None, description="only what happens to this file")
