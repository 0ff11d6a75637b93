"""What a client gets to know of a job, a text or a mistake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from modules.errors import TranscriberError
from modules.jobs.job import Job
from modules.recordings.state import job_to_json

WORDS = {
    "failed": ("The recording could not be transcribed.", "See manual/ for what to try."),
    "deleted": ("The recording was deleted.", None),
    "superseded": ("Somebody ordered this file with other settings.", "Order it again."),
    "gone": ("The file was deleted or renamed.", "Order it under its new name."),
}

State = Literal["pending", "processing", "completed", "error", "not_found"]


class JobError(TranscriberError):
    """A job that ended without a text. ``content``: its ``.in_progress``, for debug answers."""

    def __init__(self, code: str, job: Job) -> None:
        message, remedy = WORDS[code]
        if job.error and code == "failed":
            message = f"{message} {job.error.message}"
        super().__init__(code, message, remedy=remedy)
        self.name = job.name
        self.debug = job.settings.debug
        self.content = job_to_json(job)


@dataclass(frozen=True)
class View:
    """Where a file stands, as ``/status`` says it."""

    filename: str
    status: State
    job_id: str | None = None
    current_attempt: int | None = None
    start_time: str | None = None
    stage: str | None = None
    percentage: int | None = None
    queue_position: int | None = None
    eta_seconds: float | None = None
    priority: str | None = None
    settings: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    where: str | None = None


@dataclass(frozen=True)
class Accepted:
    """An order that is on its way. ``client`` names who asked."""

    job: Job
    how: Literal["started", "queued"]
    position: int
    client: str | None = None


@dataclass(frozen=True)
class Text:
    """A finished transcript: the content of the ``.result``."""

    name: str
    result: dict[str, Any]


def completed(name: str, result: Mapping[str, Any]) -> View:
    return View(
        filename=name,
        status="completed",
        job_id=result.get("job_id"),
        current_attempt=(result.get("processing_stats") or {}).get("total_attempts"),
        start_time=result.get("processing_start"),
        percentage=100,
        settings=result.get("settings"),
    )


def code_of_fate(fate: str | None) -> str:
    return fate if fate in WORDS else "gone"


def invalid(key: str, value: object, rule: str) -> TranscriberError:
    got = "" if ", got " in rule else f", got {value!r}"
    return TranscriberError("invalid_settings", f"{key}: {rule}{got}.")
