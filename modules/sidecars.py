"""The files beside a recording: their names, and ``.in_progress`` to and from a job."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from modules.clock import iso
from modules.errors import TranscriberError
from modules.job import Attempt, ErrorInfo, Job, Priority, Progress, Settings, Source, Status

IN_PROGRESS = ".in_progress"
RESULT = ".result"
CHECKPOINT = ".checkpoint"
ERROR_TEXT = ".error.txt"
#: Bytes in a file name that every common file system allows.
_NAME_MAX = 255


def sidecar_name(name: str, suffix: str) -> str:
    """The sidecar of a recording; both are paths relative to the share.

    The checkpoint is hidden. A name that would grow past the limit of the file system is cut and
    gets a hash; the file then holds the original name inside.
    """
    folder, _, base = name.rpartition("/")
    head = "." if suffix == CHECKPOINT else ""
    if len(os.fsencode(head + base + suffix)) > _NAME_MAX:
        digest = hashlib.sha256(os.fsencode(base)).hexdigest()[:16]
        room = _NAME_MAX - len(os.fsencode(head + suffix)) - len(digest) - 1
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
            if isinstance(inside, str) and sidecar_name(inside, suffix) == sidecar:
                return inside
            return sidecar.removesuffix(suffix)
    raise ValueError(f"{sidecar} is no sidecar")


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
            settings=Settings.model_validate(content["settings"]),
            source=Source.model_validate(source) if source else None,
            created=datetime.fromisoformat(content["creation_time"]),
            clients=tuple(map(str, content.get("api_clients") or ())),
            attempts=tuple(Attempt.model_validate(a) for a in content.get("attempts") or ()),
            progress=Progress.model_validate(content.get("progress_info") or {}),
            position_s=float(intermediate.get("position_seconds") or 0.0),
            outputs=tuple(map(str, content.get("outputs") or ())),
            error=ErrorInfo.model_validate(error) if error else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise TranscriberError("corrupt_sidecar", f"{name}{IN_PROGRESS}: {problem}") from problem


def parse_json(content: bytes, what: str) -> dict[str, Any]:
    """A JSON object out of one of our files. Raises TranscriberError if it is none."""
    try:
        value = json.loads(content)
    except ValueError as problem:
        raise TranscriberError("corrupt_sidecar", f"{what}: {problem}") from problem
    if not isinstance(value, dict):
        raise TranscriberError("corrupt_sidecar", f"{what}: not a JSON object")
    return value
