"""How a file or a request becomes a job. No disk, no queue."""

from __future__ import annotations

import re
import uuid
from datetime import datetime

from modules.config.settings import TranscriptionSettings
from modules.errors import TranscriberError, noted
from modules.intake.request import CheckedRequest
from modules.jobs.job import Job, Priority, Status
from modules.logger import get_logger

log = get_logger("Intake")

_TELEGRAM_ID = re.compile(r"(\d{5,15})(?!\d)")


def job_of_file(name: str, settings: TranscriptionSettings, now: datetime) -> Job:
    """A job for a complete file without a request."""
    _log_telegram_id(name)
    return Job(
        name=name,
        job_id=uuid.uuid4().hex,
        priority=Priority.SCAN,
        settings=settings,
        source=None,
        created=now,
        status=Status.QUEUED,
    )


def job_of_request(checked: CheckedRequest, now: datetime, job_id: str | None = None) -> Job:
    """An urgent job. ``job_id``: the one to use where the request states none."""
    request = checked.request
    _log_telegram_id(request.name)
    return Job(
        name=request.name,
        job_id=request.job_id or job_id or uuid.uuid4().hex,
        priority=Priority.API,
        settings=checked.settings,
        source=None,
        created=now,
        status=Status.ARRIVING,
        clients=(request.client,) if request.client else (),
        callback_urls=request.callback_urls,
        uploaded=request.uploaded,
    )


def job_of_replaced_file(job: Job) -> Job:
    """The same work from the start, as the file's content was replaced while it ran."""
    _log_telegram_id(job.name)
    return Job(
        name=job.name,
        job_id=job.job_id,
        priority=job.priority,
        settings=job.settings,
        source=None,
        created=job.created,
        status=Status.QUEUED,
        clients=job.clients,
        callback_urls=job.callback_urls,
    )


def no_recording(name: str, kind: str) -> TranscriberError:
    """The refusal of a file that is something else, as in "a text document"."""
    return TranscriberError(
        "no_recording",
        noted(
            "{name!r} is no recording: it is {kind}. It is left as it is.",
            name=name,
            kind=noted(kind),
        ),
        remedy=noted("If a recording should be there, copy it there again."),
    )


def _log_telegram_id(name: str) -> None:
    """A Telegram id at the start of a file name is only logged."""
    found = _TELEGRAM_ID.match(name.rpartition("/")[2])
    if found:
        log.info("%s: Telegram id %s", name, found.group(1))
