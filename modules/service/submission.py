"""How a client gets a text: a request is submitted, waited for, and answered."""

from __future__ import annotations

from dataclasses import replace

from modules.config.schema import Config
from modules.errors import TranscriberError, noted
from modules.intake.request import TranscriptionRequest
from modules.intake.requests import Requests, Submitted
from modules.jobs.job import Job, Priority, Status
from modules.jobs.queue_reader import JobLookup, QueueReader
from modules.recordings.names import is_recording
from modules.recordings.store import RecordingStore
from modules.service.answers import Accepted, JobError, Text, code_of, code_of_fate
from modules.service.request_checks import RequestChecks
from modules.service.status import StatusReader
from modules.service.waiting import Disconnected, Waiting


class Submission:
    """Submits requests and answers with the text or the accepted job. Thread-safe."""

    def __init__(
        self,
        config: Config,
        scheduler: QueueReader,
        files: RecordingStore,
        requests: Requests,
        checks: RequestChecks,
        status: StatusReader,
        index: JobLookup,
        waiting: Waiting,
    ) -> None:
        self._config = config
        self._scheduler = scheduler
        self._files = files
        self._requests = requests
        self._checks = checks
        self._status = status
        self._index = index
        self._waiting = waiting

    def submit(self, request: TranscriptionRequest) -> Submitted | None:
        """Check a request and put it in; None if its result is there already.

        Raises TranscriberError, StorageError.
        """
        return self._requests.submit(self._checks.check(request))

    def promote(self, request: TranscriptionRequest) -> Submitted | None:
        """``submit`` for a request with no settings of its own, which refuses less.

        Raises TranscriberError, StorageError.
        """
        request = replace(request, name=self._files.meant(request.name))
        return self._requests.submit(self._checks.check_plain(request))

    def transcribe(
        self, request: TranscriptionRequest, wait: bool | None, disconnected: Disconnected
    ) -> Accepted | Text:
        """Submit, and wait if asked to; where ``wait`` is None, if the job was there already.

        Raises TranscriberError: JobError if it ends without a text while the client waits.
        """
        with self._waiting.place() as may_wait:
            attempts = self._config.api.search_attempts if may_wait else 1
            name = self._find(request.name, disconnected, attempts)
            request = replace(request, name=name)
            submitted = self.submit(request)
            if submitted is None:
                return self._text(request.name)
            waits = submitted.outcome == "joined" if wait is None else wait
            if waits and may_wait:
                return self._wait_for(submitted.job, request.client, disconnected)
            return self.accepted(submitted.job, request.client)

    def result(self, key: str) -> Accepted | Text:
        """The text of a file or a job. One that waits is promoted, as by a request.

        Raises TranscriberError: not found, deleted, superseded, failed, or in ``manual/``.
        """
        job, name = self._status.resolve(key)
        if job:
            return self._result_of_job(job)
        if name is None:
            raise self._status.lost(key, None)
        return self._result_of_file(key, name)

    def accepted(self, job: Job, client: str | None) -> Accepted:
        """The answer for a job that is not finished."""
        position = self._scheduler.ahead_of(job.name) or 0
        idle = position < self._scheduler.workers and not self._scheduler.paused
        return Accepted(job, "started" if idle else "queued", position, client)

    def text_of(self, job: Job, ended: Job | None) -> Text:
        """The text of a finished job. Raises JobError if it has none."""
        if ended and ended.status is not Status.COMPLETED:
            raise JobError(code_of(ended), ended)
        result = self._files.results.read(job.name)
        if result is None or (ended is None and result.get("job_id") != job.job_id):
            entry = self._index.find(job.job_id)
            raise JobError(code_of_fate(entry.fate if entry else None), job)
        return Text(job.name, result)

    def _result_of_job(self, job: Job) -> Accepted | Text:
        if job.status is Status.FAILED:
            raise JobError("failed", job)
        if job.priority is Priority.API or job.status is Status.RUNNING:
            return self.accepted(job, None)
        return self._promote(job.name)

    def _result_of_file(self, key: str, name: str) -> Accepted | Text:
        if not is_recording(name):
            raise self._status.not_found(name)
        view = self._status.view_of_file(name)
        if view.status == "completed":
            return self._text(name)
        if view.status == "error" and self._files.folder.is_there(name):
            raise TranscriberError(
                "failed",
                noted(
                    "{name!r} could not be transcribed: {get}",
                    name=name,
                    get=(view.error or {}).get("message", ""),
                ),
                remedy=noted("POST /manual/{name}/retry tries again.", name=name),
            )
        if view.status == "error":
            raise TranscriberError(
                "in_manual",
                noted(
                    "{name!r} could not be transcribed and lies in {where}.",
                    name=name,
                    where=view.where,
                ),
                remedy=noted(
                    "Read why beside it; POST /manual/{name}/retry tries again.", name=name
                ),
            )
        if not self._files.folder.is_there(name):
            raise self._status.lost(key, name)
        return self._promote(name)

    def _promote(self, name: str) -> Accepted | Text:
        submitted = self.promote(TranscriptionRequest(name))
        return self.accepted(submitted.job, None) if submitted else self._text(name)

    def _find(self, asked: str, disconnected: Disconnected, attempts: int) -> str:
        """Wait for a file that may be on its way; returns its name on the disk.

        Raises TranscriberError if it does not come.
        """
        for left in range(attempts - 1, -1, -1):
            name = self._files.meant(asked, paths=True)
            self._checks.check_name(name)
            if self._files.folder.is_there(name) or self._files.results.read(name) is not None:
                return name
            interval_s = self._config.api.search_interval_seconds
            if not left or not self._waiting.pause(interval_s, disconnected):
                raise self._status.not_found(name)
        raise ValueError("there must be one attempt at least")

    def _wait_for(
        self, job: Job, client: str | None, disconnected: Disconnected
    ) -> Accepted | Text:
        with self._waiting.watch(job.job_id) as watch:
            if self._scheduler.by_id(job.job_id) is None:
                return self.text_of(job, None)
            ended = watch.until_ended(self._config.api.wait_seconds, disconnected)
        current = self._scheduler.by_id(job.job_id)
        if ended is None and current:
            return self.accepted(current, client)
        return self.text_of(job, ended)

    def _text(self, name: str) -> Text:
        result = self._files.results.read(name)
        if result is None:
            raise self._status.not_found(name)
        return Text(name, result)
