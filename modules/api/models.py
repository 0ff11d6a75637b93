"""Requests and answers, as they are checked and as they stand in the OpenAPI document."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from modules.config.languages import LANGUAGE_CODES
from modules.config.types import (
    FORMATS,
    MAX_SPEAKERS,
    MODEL_SIZES,
    PROMPT_CHARS,
    BeamSize,
    ComputeType,
    Device,
    Language,
    Prompt,
    Speakers,
    Task,
    Temperature,
    Threshold,
    VadMethod,
)
from modules.jobs.job import JOB_ID_PATTERN

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
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value


Flag = Annotated[bool, BeforeValidator(as_flag)]
Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARS)]
#: A path to a model can only be set in the configuration, so that no client reads other folders.
ModelName = Literal[MODEL_SIZES]  # type: ignore[valid-type]
LanguageCode = Annotated[
    Language,
    WithJsonSchema({"type": "string", "enum": ["auto", "mixed", *sorted(LANGUAGE_CODES)]}),
]
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


class Request(BaseModel):
    """Base of what clients send: no unknown keys, no conversions, finite numbers."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=()
    )


class SettingsFields(Request):
    """Settings that a request may state; what it leaves out is as configured."""

    language: LanguageCode | None = None
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


class OrderFields(SettingsFields):
    """What an order may say besides its settings."""

    job_id: Annotated[str, Field(pattern=JOB_ID_PATTERN)] | None = None
    wait: Flag | None = None
    callback_url: Annotated[str, Field(pattern=r"^https?://", max_length=2000)] | None = None


class TranscribeRequest(OrderFields):
    """An order for a file of the shared folder."""

    filename: Name
    force: Flag = False


class UploadRequest(OrderFields):
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
    format: Literal[FORMATS] | None = None  # type: ignore[valid-type]


class DeleteQuery(Request):
    filename: Name | None = None


class EventsQuery(Request):
    filename: Name | None = Field(default=None, description="only what happens to this file")


class Answer(BaseModel):
    """Base of what is answered."""

    model_config = ConfigDict(protected_namespaces=())


class ErrorAnswer(Answer):
    """Every error. With ``debug`` also ``error`` and ``debug_info``."""

    status: Literal["error"]
    error_code: str
    message: str
    filename: str | None
    suggestion: str | None
    error: dict[str, Any] | None = None
    debug_info: dict[str, Any] | None = None


#: What any endpoint may answer; the server's door answers too.
COMMON: dict[Any, Any] = dict.fromkeys((400, 401, 403, 413, 422, 429, 431, 503, 507), ErrorAnswer)


class AcceptedAnswer(Answer):
    """An order that is on its way."""

    status: Literal["started", "queued"]
    message: str
    filename: str
    job_id: str
    client_id: str | None
    priority: Literal["high", "low"]
    settings: dict[str, Any]
    queue_position: int


class StatusAnswer(Answer):
    """Where a file stands; what is not known is null."""

    filename: str
    job_id: str | None
    status: Literal["pending", "processing", "completed", "error", "not_found"]
    current_attempt: int | None
    start_time: str | None
    stage: str | None
    percentage: int | None
    queue_position: int | None
    eta_seconds: float | None
    priority: str | None
    settings: dict[str, Any] | None
    error: dict[str, Any] | None
    where: str | None = Field(description="where a file lies that is no longer in shared/")


class ResultAnswer(Answer):
    """The content of NAME.result; docs/files.md explains every key."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    filename: str
    job_id: str
    duration_seconds: float
    settings: dict[str, Any]
    outputs: list[str]
    transcription: dict[str, Any]
    metadata: dict[str, Any]


class DeletedAnswer(Answer):
    status: Literal["deleted"]
    message: str
    deleted_files: list[str]
    processing_interrupted: bool
    removed_from_queue: bool


class QueueAnswer(Answer):
    paused: bool
    queue_length: int
    jobs: list[StatusAnswer]


class PausedAnswer(Answer):
    status: Literal["paused", "running"]
    message: str


class FailureAnswer(Answer):
    filename: str
    size: int
    job_id: str | None
    error: dict[str, Any] | None
    explanation: str | None


class ManualAnswer(Answer):
    files: list[FailureAnswer]


class HealthAnswer(Answer):
    """How the service is; 503 with ``unhealthy``."""

    status: Literal["healthy", "degraded", "unhealthy"]
    reasons: list[str]
    troubles: list[Literal["storage", "share", "model", "worker", "events"]]
    whisperx_available: bool
    models_loaded: list[str]
    memory_usage_mb: int
    paused: bool
    queue_length: int
    processing: str | None
