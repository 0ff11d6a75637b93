"""``.in_progress``: a job as JSON, and back."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from modules.clock import iso
from modules.config.messages import first_problem
from modules.config.schema import WhisperxConfig
from modules.config.settings import TranscriptionSettings
from modules.errors import Message, TranscriberError, noted
from modules.jobs.job import (
    ADDRESSES_MAX,
    CLIENTS_MAX,
    JOB_ID_PATTERN,
    SECONDS_MAX,
    Attempt,
    ErrorInfo,
    Job,
    Priority,
    Progress,
    Status,
)
from modules.jobs.source import FileIdentity
from modules.recordings.sidecars import IN_PROGRESS, RecordingPaths, own_outputs

#: More attempts than a configuration can allow, and more texts than there are formats and names.
_ATTEMPTS_MAX = 200
_OUTPUTS_MAX = 100
_NODES_LOST_MAX = 1000
_CLIENT_CHARS = 200
_ADDRESS_CHARS = 2000
_REASON_CHARS = 500
#: Years in which a file of ours may have been written; clocks are wrong, but not by centuries.
_YEARS = range(1970, 2201)


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
        "nodes_lost": job.nodes_lost,
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
            job_id=_job_id(content["job_id"]),
            priority=Priority.from_label(content["priority"]),
            settings=_within_limits(TranscriptionSettings.model_validate(content["settings"])),
            source=FileIdentity.model_validate(source) if source else None,
            created=moment(content["creation_time"]),
            clients=_texts(content.get("api_clients"), CLIENTS_MAX, _CLIENT_CHARS),
            callback_urls=_texts(content.get("callback_urls"), ADDRESSES_MAX, _ADDRESS_CHARS),
            uploaded=content.get("uploaded") is True,
            nodes_lost=_count(content.get("nodes_lost") or 0),
            attempts=_attempts(content.get("attempts")),
            progress=Progress.model_validate(content.get("progress_info") or {}),
            position_s=_seconds(intermediate.get("position_seconds") or 0.0),
            outputs=own_outputs(name, _listed(content.get("outputs"), _OUTPUTS_MAX)),
            error=ErrorInfo.model_validate(error) if error else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as problem:
        raise TranscriberError(
            "corrupt_sidecar",
            noted(
                "{file} cannot be read: {problem}",
                file=f"{name}{IN_PROGRESS}",
                problem=_why(problem),
            ),
        ) from problem


def _why(problem: Exception) -> str:
    if isinstance(problem, ValidationError):
        return first_problem(problem)
    if isinstance(problem, KeyError):
        return noted("{key} is missing", key=problem.args[0])
    if isinstance(problem, ValueError) and problem.args:
        said = problem.args[0]
        return said if isinstance(said, Message) else str(said)[:_REASON_CHARS]
    return noted("a value of another kind")


def _within_limits(settings: TranscriptionSettings) -> TranscriptionSettings:
    """Everyone who can write to the share may have written this: the usual limits hold here too."""
    checked = WhisperxConfig.model_validate(settings.model_dump())
    return settings.model_copy(update={"language": checked.language})


def moment(text: str) -> datetime:
    """The instant that one of our files tells, in UTC. Raises ValueError."""
    found = datetime.fromisoformat(text)
    if found.year not in _YEARS:
        raise ValueError(noted("the year {year} is not possible", year=found.year))
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def shown(content: Mapping[str, Any]) -> dict[str, Any]:
    """Of a ``.in_progress`` that is only shown: what has the right form, the rest left out."""
    return {key: value for key, value in content.items() if key not in _FORMS or _FORMS[key](value)}


def is_job_id(value: object) -> bool:
    """As requests may have it: it becomes part of names of files and of addresses."""
    return isinstance(value, str) and bool(re.fullmatch(JOB_ID_PATTERN[1:-1], value))


_FORMS: dict[str, Callable[[Any], bool]] = {
    "job_id": is_job_id,
    "current_attempt": lambda value: type(value) is int and 0 <= value <= _ATTEMPTS_MAX,
    "start_time": lambda value: isinstance(value, str) and len(value) <= 64,
    "priority": lambda value: value in [each.label for each in Priority],
    "settings": lambda value: isinstance(value, dict),
    "error": lambda value: isinstance(value, dict) and isinstance(value.get("message"), str),
}


def _job_id(value: Any) -> str:
    if not is_job_id(value):
        raise ValueError(noted("job_id is no id of a job"))
    return str(value)


def _attempts(value: Any) -> tuple[Attempt, ...]:
    found = tuple(Attempt.model_validate(each) for each in _listed(value, _ATTEMPTS_MAX))
    for attempt in found:
        for text in (attempt.start_time, attempt.end_time):
            if text is not None:
                moment(text)
    return found


def _listed(value: Any, most: int) -> list[Any]:
    """A list of at most ``most``; nothing counts as an empty one. Raises ValueError."""
    value = [] if value is None else value
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(noted("a list has more than {most} items", most=most))
    return value


def _texts(value: Any, most: int, chars: int) -> tuple[str, ...]:
    found = _listed(value, most)
    if not all(isinstance(each, str) and len(each) <= chars for each in found):
        raise ValueError(noted("a text has more than {chars} characters", chars=chars))
    return tuple(found)


def _count(number: Any) -> int:
    if type(number) is not int or not 0 <= number <= _NODES_LOST_MAX:
        raise ValueError(noted("a value of another kind"))
    return number


def _seconds(number: Any) -> float:
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ValueError(noted("a position is no number"))
    if not (math.isfinite(number) and 0 <= number <= SECONDS_MAX):
        raise ValueError(noted("{number} is no position", number=str(number)[:40]))
    return float(number)
