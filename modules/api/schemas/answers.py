"""The answers of the API."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel


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


#: What any endpoint may answer; some come from the server, before the application.
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
    status: Literal[
        "pending", "processing", "completed", "error", "ignored", "skipped", "not_found"
    ]
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
    warnings: list[dict[str, Any]] = Field(
        description="what one must know of a text, such as another language than was set; "
        "as metadata.warnings of the result"
    )


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
    troubles: list[Literal["storage", "share", "model", "worker", "events", "handover", "summary"]]
    whisperx_available: bool
    models_loaded: list[str]
    memory_usage_mb: int
    paused: bool
    queue_length: int
    processing: str | None
    processing_all: list[str]


class WorkerAnswer(Answer):
    """A worker; what is not known is null. ``since``: when its state began."""

    name: str
    node: str
    device: str | None
    state: Literal["off", "starting", "loading", "waiting", "transcribing", "live", "held", "lost"]
    since: str
    model: str | None
    compute_type: str | None
    encoder: str | None
    pid: int | None
    memory_mb: int
    filename: str | None = Field(description="what it transcribes")
    job_id: str | None
    live_sessions: int
    problem: str | None = Field(description="why it does nothing, or is lost")


class PartAnswer(Answer):
    """A part of the service; ``since``: when it was first seen in this state."""

    name: str
    state: Literal["ok", "idle", "degraded", "failed", "off"]
    since: str
    why: str | None


class DetailedHealthAnswer(HealthAnswer):
    """How the service is, each part and each worker of it."""

    parts: list[PartAnswer]
    workers: list[WorkerAnswer]


class LanguageAnswer(Answer):
    """The language of the first speech; ``confidence`` 0 where there is none."""

    detected_language: str
    language_code: str
    confidence: float = Field(ge=0, le=1)


class NoStatusAnswer(RootModel[StatusAnswer | ErrorAnswer]):
    """There is no such recording or job; or no such name can be, which is seen at the address."""
