"""The state of files and jobs: in the queue, finished, failed, or unknown. Changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from modules.errors import TranscriberError, noted
from modules.intake.new_job import no_recording
from modules.jobs.estimates import Estimates
from modules.jobs.job import JOB_ID_PATTERN, ErrorInfo, Job, Priority, Status
from modules.jobs.queue_reader import JobLookup, QueueReader
from modules.recordings.manual import Failure
from modules.recordings.names import is_recording
from modules.recordings.store import RecordingStore
from modules.service.answers import MESSAGES, State, View, code_of_fate, view_of_result


class StatusReader:
    """Answers by file name or job id. Thread-safe."""

    def __init__(
        self, scheduler: QueueReader, files: RecordingStore, index: JobLookup, estimates: Estimates
    ) -> None:
        self._scheduler = scheduler
        self._files = files
        self._index = index
        self._estimates = estimates

    def status(self, key: str) -> View:
        """The state of a file or a job; ``key`` is a file name or a job id."""
        job, name = self.resolve(key)
        if job:
            return self.view(job)
        if name is None:
            return self._view_of_ended(key)
        return self.view_of_file(name)

    def resolve(self, key: str, *, paths: bool = True) -> tuple[Job | None, str | None]:
        """(live job, file name). No name of a recording can be a job id: it has an ending.

        ``paths``: see ``spellings.meant``. Raises TranscriberError ``ambiguous_name``.
        """
        if not re.fullmatch(JOB_ID_PATTERN, key):
            job = self._scheduler.get(key)
            name = key if job else self._files.meant(key, paths=paths)
            return job or self._scheduler.get(name), name
        job = self._scheduler.by_id(key)
        if job:
            return job, job.name
        entry = self._index.find(key)
        if entry is None or entry.fate not in (None, "completed", "failed"):
            return None, None
        return None, entry.name

    def queue(self) -> Iterator[View]:
        """Every job that is still to be done, in order."""
        jobs = self._scheduler.jobs()
        return (self._view(job, jobs) for job in jobs)

    def view(self, job: Job) -> View:
        """A job as it currently stands in the queue."""
        return self._view(job, self._scheduler.jobs())

    def view_of_file(self, name: str) -> View:
        """The state of a file without a job."""
        if not is_recording(name):
            return View(name, "not_found")
        there = self._files.folder.is_there(name)
        result = self._files.results.read(name)
        if result and (not there or self._files.results.is_result_of(name, result)):
            return view_of_result(name, result)
        kind = self._files.ignored.kind_of(name) if there else None
        if kind:
            refusal = no_recording(name, kind)
            error = {"code": refusal.code, "message": refusal.message}
            return View(name, "ignored", error=error)
        if there:
            left = self._files.left.of(name)
            return self.view_of_failure(left, name) if left else self._untouched(name)
        failure = self._files.manual.failure(name)
        return self.view_of_failure(failure) if failure else View(name, "not_found")

    def _untouched(self, name: str) -> View:
        subtitles = self._files.subtitles.beside(name)
        if subtitles is None:
            return View(name, "pending", priority=Priority.SCAN.label)
        message = f"It has subtitles already: {subtitles}."
        return View(name, "skipped", error={"code": "has_subtitles", "message": message})

    def view_of_failure(self, failure: Failure, where: str | None = None) -> View:
        """A recording that failed, in ``manual/`` unless ``where`` says otherwise."""
        state = failure.state
        return View(
            filename=failure.name,
            status="error",
            job_id=state.get("job_id"),
            current_attempt=state.get("current_attempt"),
            start_time=state.get("start_time"),
            priority=state.get("priority"),
            settings=state.get("settings"),
            error=state.get("error"),
            where=where or f"{self._files.manual.path.name}/{failure.name}",
        )

    def not_found(self, name: str) -> TranscriberError:
        """The error for a file that is not in the share."""
        if self._files.manual.has(name):
            return TranscriberError(
                "file_not_found",
                noted("{name!r} could not be transcribed before and lies in manual/.", name=name),
                remedy=noted("POST /manual/{name}/retry brings it back.", name=name),
            )
        return TranscriberError(
            "file_not_found",
            noted("There is no file {name!r} in the shared folder.", name=name),
            remedy=noted("Copy it there first, or upload it with this request."),
        )

    def lost(self, key: str, name: str | None) -> TranscriberError:
        """The error for a key without job and file: how its last job ended, if that is known."""
        entry = self._index.latest(name) if name else self._index.find(key)
        if entry and entry.fate and entry.fate != "completed":
            code = code_of_fate(entry.fate)
            message, remedy = MESSAGES[code]
            return TranscriberError(code, message, remedy=remedy)
        return self.not_found(key)

    def _view(self, job: Job, jobs: Sequence[Job]) -> View:
        state = _state_of(job)
        ahead = None if job.finished else self._scheduler.ahead_of(job.name)
        return View(
            filename=job.name,
            status=state,
            job_id=job.job_id,
            current_attempt=job.attempt_number,
            start_time=job.attempts[0].start_time if job.attempts else None,
            stage=job.progress.stage,
            percentage=100 if state == "completed" else job.progress.percentage,
            queue_position=ahead,
            eta_seconds=self._eta_s(job, ahead, jobs),
            priority=job.priority.label,
            settings=job.settings.model_dump(),
            error=job.error.model_dump() if job.error else None,
        )

    def _eta_s(self, job: Job, ahead: int | None, jobs: Sequence[Job]) -> float | None:
        if ahead is None or self._scheduler.paused:
            return None
        left_s = self._estimates.eta_s(jobs, job.name, workers=self._scheduler.workers)
        return None if left_s is None else round(left_s, 1)

    def _view_of_ended(self, job_id: str) -> View:
        """A job that ended without a text."""
        entry = self._index.find(job_id)
        if entry is None:
            return View(job_id, "not_found")
        code = code_of_fate(entry.fate)
        when, message = entry.when[:64], MESSAGES[code][0]
        error = ErrorInfo(code=code, message=message, timestamp=when, attempt=1)
        return View(entry.name, "not_found", job_id=job_id, error=error.model_dump())


def _state_of(job: Job) -> State:
    if job.status is Status.QUEUED and job.priority is Priority.SCAN and not job.attempts:
        return "pending"
    states: dict[Status, State] = {
        Status.FAILED: "error",
        Status.COMPLETED: "completed",
        Status.CANCELLED: "not_found",
    }
    return states.get(job.status, "processing")
