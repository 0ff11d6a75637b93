"""``.in_progress``: a job as JSON, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from modules.clock import iso
from modules.config.schema import WhisperxConfig
from modules.config.settings import TranscriptionSettings
from modules.errors import TranscriberError
from modules.jobs.job import Attempt, ErrorInfo, Job, Priority, Progress, Status
from modules.jobs.source import FileIdentity
from modules.recordings.sidecars import IN_PROGRESS, RecordingPaths, own_outputs


def job_to_json(job: Job) -> dict[str, Any]:
    """What ``.in_progress`` says of a job."""
    first = job.attempts[0].start_time if job.attempts else None
    return {
        "filename": job.name,
        "status": "error" if job.status is Status.FAILED else "processing",
        "creation_time": iso(job.created),
        "start_time": first,
        "attempt": job.attempt_number,
        "current_attempt": job.attempt_number,
        "should_continue": job.status is not Status.FAILED,
        "priority": job.priority.label,
        "job_id": job.job_id,
        "api_clients": list(job.clients),
        "callback_urls": list(job.callback_urls),
        "uploaded": job.uploaded,
        "settings": job.settings.model_dump(),
        "attempts": [attempt.model_dump() for attempt in job.attempts],
        "progress_info": job.progress.model_dump(),
        "intermediate": {
            "position_seconds": round(job.position_s, 3),
            "segments": list(job.last_segments),
            "checkpoint": RecordingPaths(job.name).checkpoint.rpartition("/")[2],
        },
        "source": job.source.model_dump() if job.source else None,
        "outputs": list(job.outputs),
        "error": job.error.model_dump() if job.error else None,
    }


def job_from_json(name: str, content: Mapping[str, Any]) -> Job:
    """The job of a ``.in_progress``. Raises TranscriberError if it makes no sense."""
    try:
        source, error = content.get("source"), content.get("error")
        intermediate = content.get("intermediate") or {}
        return Job(
            name=name,
            job_id=str(content["job_id"]),
            priority=Priority.from_label(content["priority"]),
            settings=_within_limits(TranscriptionSettings.model_validate(content["settings"])),
            source=FileIdentity.model_validate(source) if source else None,
            created=moment(content["creation_time"]),
            clients=tuple(map(str, content.get("api_clients") or ())),
            callback_urls=tuple(map(str, content.get("callback_urls") or ())),
            uploaded=content.get("uploaded") is True,
            attempts=tuple(Attempt.model_validate(a) for a in content.get("attempts") or ()),
            progress=Progress.model_validate(content.get("progress_info") or {}),
            position_s=_finite(intermediate.get("position_seconds") or 0.0),
            outputs=own_outputs(name, content.get("outputs") or ()),
            error=ErrorInfo.model_validate(error) if error else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise TranscriberError("corrupt_sidecar", f"{name}{IN_PROGRESS}: {problem}") from problem


def _within_limits(settings: TranscriptionSettings) -> TranscriptionSettings:
    """Everyone who can write to the share may have written this: the usual limits hold here too."""
    checked = WhisperxConfig.model_validate(settings.model_dump())
    return settings.model_copy(update={"language": checked.language})


def moment(text: str) -> datetime:
    """The instant that one of our files tells, in UTC unless it says else. Raises ValueError."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _finite(number: Any) -> float:
    if not math.isfinite(value := float(number)):
        raise ValueError(f"{number} is not a finite number")
    return value
