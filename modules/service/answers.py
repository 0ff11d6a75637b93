"""What a client is answered about a job, a text or an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from modules.errors import TranscriberError, joined, noted
from modules.jobs.job import Job, Status
from modules.outputs.notes import warnings_of
from modules.recordings.state import job_to_json

#: Why a job has no text: message and remedy by error code.
MESSAGES = {
    "failed": (
        noted("The recording could not be transcribed."),
        noted("See manual/ for what to try."),
    ),
    "deleted": (noted("The recording was deleted."), None),
    "superseded": (
        noted("The file was requested again with other settings."),
        noted("Request it again."),
    ),
    "no_recording": (
        noted("The file is no recording, and was left where it is."),
        noted("GET /status/NAME says what it is."),
    ),
    "has_subtitles": (
        noted("The recording has subtitles already, and was skipped."),
        noted("GET /status/NAME names them; a new request transcribes it all the same."),
    ),
    "gone": (noted("The file was deleted or renamed."), noted("Request it under its new name.")),
}

#: There are a handful of kinds; a file that people edit may have any number.
_WARNINGS_MAX = 20

State = Literal["pending", "processing", "completed", "error", "ignored", "skipped", "not_found"]


class JobError(TranscriberError):
    """A job that ended without a text. ``content``: its ``.in_progress``, for debug answers."""

    def __init__(self, code: str, job: Job) -> None:
        message, remedy = MESSAGES[code]
        if job.error and code == "failed":
            message = joined(" ", message, job.error.message)
        super().__init__(code, message, remedy=remedy)
        self.name = job.name
        self.debug = job.settings.debug
        self.content = job_to_json(job)


@dataclass(frozen=True)
class View:
    """The state of a file or a job, with the keys of the answer of ``/status``."""

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
    warnings: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Accepted:
    """A job that is not finished yet. ``position``: how many jobs are ahead of it."""

    job: Job
    status: Literal["started", "queued"]
    position: int
    client: str | None = None


@dataclass(frozen=True)
class Text:
    """A finished transcript: the content of the ``.result``."""

    name: str
    result: dict[str, Any]


def view_of_result(name: str, result: Mapping[str, Any]) -> View:
    """A finished recording, from the content of its ``.result``."""
    return View(
        filename=name,
        status="completed",
        job_id=result.get("job_id"),
        current_attempt=(result.get("processing_stats") or {}).get("total_attempts"),
        start_time=result.get("processing_start"),
        percentage=100,
        settings=result.get("settings"),
        warnings=tuple(warnings_of(result)[:_WARNINGS_MAX]),
    )


def code_of(job: Job) -> str:
    """The error code for a job that ended without a text."""
    if job.status is Status.FAILED:
        return "failed"
    return code_of_fate(str(job.cause))


def code_of_fate(fate: str | None) -> str:
    """The error code for a job that the index says ended like this."""
    return fate if fate in MESSAGES else "gone"
