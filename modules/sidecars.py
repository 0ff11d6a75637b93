"""The files beside a recording: their names, and ``.in_progress`` to and from a job."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from modules.clock import iso
from modules.config.schema import WhisperxConfig
from modules.config.settings import Settings
from modules.config.types import FORMATS
from modules.errors import TranscriberError
from modules.jobs.job import Attempt, ErrorInfo, Job, Priority, Progress, Status
from modules.jobs.source import Source
from modules.storage.transfer import NAME_MAX

IN_PROGRESS = ".in_progress"
RESULT = ".result"
CHECKPOINT = ".checkpoint"
ERROR_TEXT = ".error.txt"


def sidecar_name(name: str, suffix: str) -> str:
    """The sidecar of a recording; both are paths relative to the share.

    The checkpoint is hidden. A name that would grow past the limit of the file system is cut and
    gets a hash; the file then holds the original name inside.
    """
    folder, _, base = name.rpartition("/")
    head = "." if suffix == CHECKPOINT else ""
    if len(os.fsencode(head + base + suffix)) > NAME_MAX:
        digest = hashlib.sha256(os.fsencode(base)).hexdigest()[:16]
        room = NAME_MAX - len(os.fsencode(head + suffix)) - len(digest) - 1
        base = os.fsencode(base)[:room].decode("utf-8", errors="ignore") + "~" + digest
    sidecar = head + base + suffix
    return f"{folder}/{sidecar}" if folder else sidecar


def recording_of(sidecar: str, content: Mapping[str, Any]) -> str:
    """The recording that a ``.in_progress`` or ``.result`` belongs to.

    Its own name tells, unless it was cut; then the name inside does.
    """
    for suffix in (IN_PROGRESS, RESULT):
        if sidecar.endswith(suffix):
            inside = content.get("filename")
            if isinstance(inside, str) and _fits(inside, suffix, sidecar):
                return inside
            return sidecar.removesuffix(suffix)
    raise ValueError(f"{sidecar} is no sidecar")


def _fits(name: str, suffix: str, sidecar: str) -> bool:
    try:
        return sidecar_name(name, suffix) == sidecar
    except UnicodeEncodeError:
        return False  # no file system has such a name


def own_outputs(name: str, listed: Iterable[Any]) -> tuple[str, ...]:
    """Those of the listed texts that could have been written for a recording, by their names."""
    return tuple(
        output
        for output in listed
        if isinstance(output, str)
        and (form := output.rpartition(".")[2]) in FORMATS
        and output in output_names(name, form)
    )


def output_names(name: str, form: str) -> Iterator[str]:
    """What the text of a recording may be called, the best first: by the stem, by its full name."""
    for base in (stem_of(name), name, *(f"{name} ({n})" for n in range(2, 99))):
        yield sidecar_name(base, f".{form}")


def stem_of(name: str) -> str:
    """``talk`` for ``talk.mp4``, with its folder."""
    folder, _, base = name.rpartition("/")
    stem = os.path.splitext(base)[0]
    return f"{folder}/{stem}" if folder else stem


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
        "settings": job.settings.model_dump(),
        "attempts": [attempt.model_dump() for attempt in job.attempts],
        "progress_info": job.progress.model_dump(),
        "intermediate": {
            "position_seconds": round(job.position_s, 3),
            "segments": list(job.last_segments),
            "checkpoint": sidecar_name(job.name, CHECKPOINT).rpartition("/")[2],
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
            settings=_within_limits(Settings.model_validate(content["settings"])),
            source=Source.model_validate(source) if source else None,
            created=moment(content["creation_time"]),
            clients=tuple(map(str, content.get("api_clients") or ())),
            callback_urls=tuple(map(str, content.get("callback_urls") or ())),
            attempts=tuple(Attempt.model_validate(a) for a in content.get("attempts") or ()),
            progress=Progress.model_validate(content.get("progress_info") or {}),
            position_s=_finite(intermediate.get("position_seconds") or 0.0),
            outputs=own_outputs(name, content.get("outputs") or ()),
            error=ErrorInfo.model_validate(error) if error else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise TranscriberError("corrupt_sidecar", f"{name}{IN_PROGRESS}: {problem}") from problem


def _within_limits(settings: Settings) -> Settings:
    """Anybody who can write to the share may have written this: the usual limits hold here too."""
    WhisperxConfig.model_validate(settings.model_dump())
    return settings


def moment(text: str) -> datetime:
    """The instant that one of our files tells, in UTC unless it says else. Raises ValueError."""
    told = datetime.fromisoformat(text)
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def _finite(number: Any) -> float:
    if not math.isfinite(value := float(number)):
        raise ValueError(f"{number} is not a finite number")
    return value
