"""Answers in words: JSON for what the services return, and for every error."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from flask import Response

from modules.api.languages import said, said_error
from modules.config.schema import Config
from modules.errors import StorageError, TranscriberError, noted
from modules.jobs.job import Priority
from modules.outputs.formats import OUTPUT_FORMATS, render
from modules.outputs.notes import reader_language, text_note
from modules.recordings.sidecars import stem_of
from modules.service.answers import Accepted, JobError, Text, View
from modules.service.worker_view import Workers
from modules.transcript.model import Segment

#: Error codes to HTTP statuses; what is not here is 500, or 503 where the folder is at fault.
STATUSES = {
    "bad_request": 400,
    "unauthorized": 401,
    "cross_site": 403,
    "live_disabled": 403,
    "unknown_host": 403,
    "file_not_found": 404,
    "model_not_found": 404,
    "no_text_yet": 404,
    "session_not_found": 404,
    "not_a_recording": 404,
    "upload_not_found": 404,
    "ambiguous_name": 409,
    "edit_conflict": 409,
    "edit_depends": 409,
    "too_many_corrections": 409,
    "edits_unreadable": 409,
    "in_manual": 409,
    "job_id_taken": 409,
    "name_taken": 409,
    "summaries_off": 409,
    "superseded": 409,
    "upload_finished": 409,
    "wrong_offset": 409,
    "deleted": 410,
    "gone": 410,
    "upload_expired": 410,
    "unsupported_version": 412,
    "body_too_large": 413,
    "no_recording": 415,
    "has_subtitles": 409,
    "not_playable": 415,
    "unsupported_media_type": 415,
    "wrong_content_type": 415,
    "invalid_request": 422,
    "invalid_settings": 422,
    "invalid_job_id": 422,
    "model_unavailable": 422,
    "callback_refused": 422,
    "too_many_callbacks": 422,
    "failed": 422,
    "upload_locked": 423,
    "too_many_requests": 429,
    "too_many_listeners": 429,
    "too_many_uploads": 429,
    "timeout": 503,
    "not_on_replica": 503,
    "owner_away": 503,
    "live_needs_local_worker": 503,
    "too_busy": 503,
    "too_many_sessions": 503,
    "no_room": 507,
}


#: After so many seconds a folder that could not be used may be tried again.
STORAGE_RETRY_S = 10

_BEGUN = {"started": noted("Transcription started"), "queued": noted("Transcription queued")}


def as_json(content: Mapping[str, Any], status: int = 200) -> Response:
    """Names that are not UTF-8 become escapes, as in the files."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    data = text.encode("utf-8", errors="backslashreplace")
    response = Response(data, status, content_type="application/json")
    response.vary.add("Accept-Language")
    return response


def as_workers(workers: Workers | None) -> list[dict[str, Any]]:
    """Each of them, in the language of the request; none on a replica, which has no workers."""
    views = workers.views() if workers else ()
    return [view.as_json() | {"problem": said(view.problem)} for view in views]


def new_client() -> str:
    return uuid.uuid4().hex


def accepted(answer: Accepted) -> Response:
    """202, with the address where the job can be watched."""
    job = answer.job
    response = as_json(
        {
            "status": answer.status,
            "message": said(_BEGUN[answer.status]),
            "filename": job.name,
            "job_id": job.job_id,
            "client_id": answer.client,
            "priority": "high" if job.priority is Priority.API else "low",
            "settings": job.settings.model_dump(),
            "queue_position": answer.position,
        },
        202,
    )
    response.headers["Location"] = f"/status/{job.job_id}"
    return response


def result(found: Text) -> Response:
    """The whole ``.result``."""
    return as_json(found.result)


def text(found: Text, form: str, segments: Iterable[Segment], config: Config) -> Response:
    """The segments of a transcript in one of the formats, to be saved as a file."""
    duration_s = float(found.result.get("duration_seconds") or float("inf"))
    title = stem_of(found.name).rpartition("/")[2]
    wished, timestamps = config.messages.language, config.output.txt_timestamps
    note, language = text_note(found.result, wished), reader_language(found.result, wished)
    data = render(form, segments, timestamps, duration_s, title, note, language)
    response = Response(data, content_type=OUTPUT_FORMATS[form].media_type)
    response.headers["Content-Disposition"] = disposition(f"{title}.{form}")
    return response


def disposition(name: str) -> str:
    """RFC 6266: a plain name for old clients, the true one, in UTF-8, for all others."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    encoded = quote(name.encode("utf-8", errors="replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def view(found: View, language: str | None = None) -> dict[str, Any]:
    """``language``: for an answer that outlives its request."""
    content = asdict(found)
    content["error"] = said_error(found.error, language)
    content["settings"] = dict(found.settings) if found.settings else None
    content["warnings"] = list(map(dict, found.warnings))
    return content


def error_status(problem: TranscriberError) -> int:
    return 503 if isinstance(problem, StorageError) else STATUSES.get(problem.code, 500)


def error(
    problem: TranscriberError, filename: str | None = None, *, config: Config, debug: bool = False
) -> Response:
    """An error as all of ours look; with debug, what is known of the job besides."""
    status = error_status(problem)
    content: dict[str, Any] = {
        "status": "error",
        "error_code": problem.code,
        "message": said(problem.message),
        "filename": problem.name if isinstance(problem, JobError) else filename,
        "suggestion": said(problem.remedy),
    }
    if isinstance(problem, JobError) and (debug or problem.debug):
        content |= _debug(problem.content, config)
    answer = as_json(content, status)
    if isinstance(problem, StorageError):
        answer.headers["Retry-After"] = str(STORAGE_RETRY_S)
    return answer


def _debug(state: Mapping[str, Any], config: Config) -> dict[str, Any]:
    attempts = state["attempts"]
    timeline = [
        {
            "attempt": attempt["attempt_number"],
            "started": attempt["start_time"],
            "status": attempt["status"],
            "error": attempt["error"],
        }
        for attempt in attempts
    ]
    return {
        "error": state["error"],
        "debug_info": {
            "in_progress_content": dict(state),
            "full_error_history": attempts,
            "processing_timeline": timeline,
            "waiting_clients": state["api_clients"],
            "timeout_settings": {
                "wait_seconds": config.api.wait_seconds,
                "timeout_seconds": config.processing.timeout_seconds,
                "max_retry_attempts": config.processing.max_retry_attempts,
                "retry_backoff_seconds": config.processing.retry_backoff_seconds,
            },
        },
    }
