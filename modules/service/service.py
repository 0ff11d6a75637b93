"""What clients can ask of the service, whatever the protocol. The API only words the answers."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence

from modules.clock import Clock, iso
from modules.config.rules import impossible_on, settings_conflicts
from modules.config.schema import Config
from modules.delivery.webhooks import Webhooks
from modules.errors import ModelError, TranscriberError
from modules.intake.intake import Intake, Removed, Taken, TranscriptionRequest
from modules.jobs.estimates import Estimates
from modules.jobs.index import JobIndex
from modules.jobs.job import JOB_ID_PATTERN, ErrorInfo, Job, Priority, Status
from modules.jobs.scheduler import Scheduler
from modules.recordings.manual import Failure
from modules.recordings.names import is_recording
from modules.recordings.store import RecordingStore
from modules.service.answers import (
    WORDS,
    Accepted,
    JobError,
    State,
    Text,
    View,
    code_of_fate,
    completed,
    invalid,
)
from modules.service.waiting import Gone, Waiting, code_of
from modules.storage.atomic import remove, write_whole
from modules.weights.locate import locate


class TranscriptionService:
    """The services behind the API. Thread-safe."""

    def __init__(
        self,
        config: Config,
        scheduler: Scheduler,
        files: RecordingStore,
        intake: Intake,
        register: JobIndex,
        estimates: Estimates,
        waiting: Waiting,
        callbacks: Webhooks,
        clock: Clock,
        compute_types: Callable[[], Mapping[str, tuple[str, ...]]],
    ) -> None:
        self._config = config
        self._scheduler = scheduler
        self._files = files
        self._intake = intake
        self._register = register
        self._estimates = estimates
        self._waiting = waiting
        self._callbacks = callbacks
        self._clock = clock
        self._compute_types = compute_types

    # --- orders ---

    def transcribe(
        self, order: TranscriptionRequest, wait: bool | None, gone: Gone
    ) -> Accepted | Text:
        """Order a text, and wait for it if asked to, or if somebody ordered the same before.

        Raises TranscriberError: JobError if it ends without a text while the client waits.
        """
        with self._waiting.place() as may_wait:
            self._find(order.name, gone, self._config.api.search_attempts if may_wait else 1)
            self.check(order)
            taken = self._intake.order(order)
            if taken is None:
                return self._text(order.name)
            waits = taken.how == "joined" if wait is None else wait
            if waits and may_wait:
                return self._text_of(taken, order, gone)
            return self._accepted(taken.job, order)

    def check(self, order: TranscriptionRequest) -> None:
        """Raises TranscriberError if no file could be done as the order says."""
        if order.job_id is not None and not re.fullmatch(JOB_ID_PATTERN, order.job_id):
            raise TranscriberError(
                "invalid_job_id",
                f"job_id: {order.job_id!r} cannot be one.",
                remedy="Use 1 to 64 letters, digits, hyphens and underscores.",
            )
        self._intake.check_name(order.name)
        self._intake.check_id(order)
        self._check_earlier(order)
        for url in order.callback_urls:
            self._callbacks.check(url)
        self._check_settings(order)

    def _check_earlier(self, order: TranscriptionRequest) -> None:
        """The id of a finished job still leads to its text."""
        entry = self._register.find(order.job_id) if order.job_id else None
        if entry and entry.name != order.name and entry.fate in (None, "completed", "failed"):
            raise TranscriberError(
                "job_id_taken",
                f"The job id {order.job_id!r} belongs to {entry.name!r}.",
                remedy="Choose another id, or leave it out.",
            )

    def _check_settings(self, order: TranscriptionRequest) -> None:
        """With what the files beside the recording say, under what the request does."""
        base = self._config.default_settings()
        beside = self._files.settings.stated(order.name, base, order.wishes).wishes
        settings = base.model_copy(update={**beside, **order.wishes})
        size = settings.model_size
        if "/" in size and size != self._config.whisperx.model_size:
            raise invalid("model_size", size, "a path can only be set in the configuration")
        impossible = impossible_on(settings, self._compute_types())
        for names, line in (*settings_conflicts(settings), *impossible):
            raise invalid(names[0], getattr(settings, names[0]), line)
        try:
            locate(size, self._config.models_directory, self._config.whisperx.allow_download)
        except ModelError as error:
            raise TranscriberError(
                "model_unavailable", f"model_size: {error.message}", remedy=error.remedy
            ) from error

    def _find(self, name: str, gone: Gone, attempts: int) -> None:
        """A file that is not there yet may be a moment away. Raises TranscriberError."""
        self._intake.check_name(name)
        for left in range(attempts - 1, -1, -1):
            if self._files.folder.is_there(name) or self._files.results.read(name) is not None:
                return
            if not left or not self._waiting.pause(self._config.api.search_interval_seconds, gone):
                raise self._not_found(name)

    def _not_found(self, name: str) -> TranscriberError:
        if self._files.manual.has(name):
            return TranscriberError(
                "file_not_found",
                f"{name!r} could not be transcribed before and lies in manual/.",
                remedy=f"POST /manual/{name}/retry brings it back.",
            )
        return TranscriberError(
            "file_not_found",
            f"There is no file {name!r} in the shared folder.",
            remedy="Copy it there first, or upload it with this request.",
        )

    def _text_of(self, taken: Taken, order: TranscriptionRequest, gone: Gone) -> Accepted | Text:
        job = taken.job
        with self._waiting.watch(job.job_id) as watch:
            if self._scheduler.by_id(job.job_id) is None:
                return self._settled(job, None)
            ended = watch.until_over(self._config.api.wait_seconds, gone)
        current = self._scheduler.by_id(job.job_id)
        if ended is None and current:
            return self._accepted(current, order)
        return self._settled(job, ended)

    def _settled(self, job: Job, ended: Job | None) -> Text:
        """The text of a job that is over. Raises JobError if it has none."""
        if ended and ended.status is not Status.COMPLETED:
            raise JobError(code_of(ended), ended)
        result = self._files.results.read(job.name)
        if result is None or (ended is None and result.get("job_id") != job.job_id):
            entry = self._register.find(job.job_id)
            raise JobError(code_of_fate(entry.fate if entry else None), job)
        return Text(job.name, result)

    def _accepted(self, job: Job, order: TranscriptionRequest) -> Accepted:
        position = self._scheduler.ahead_of(job.name) or 0
        idle = position == 0 and not self._scheduler.paused
        return Accepted(job, "started" if idle else "queued", position, order.client)

    # --- looking ---

    def status(self, key: str) -> View:
        """Where a file or a job stands; ``key`` is a file name or a job id."""
        job, name = self._resolve(key)
        if job:
            return self.view(job)
        if name is None:
            return self._fate_of(key)
        return self._view_of_file(name)

    def view(self, job: Job) -> View:
        """A job as it stands in the queue just now."""
        return self._view(job, self._scheduler.jobs())

    def _view(self, job: Job, jobs: Sequence[Job]) -> View:
        now = job.attempts[0].start_time if job.attempts else None
        state: State = "error" if job.status is Status.FAILED else "processing"
        untouched = job.priority is Priority.SCAN and not job.attempts
        if untouched and job.status is Status.QUEUED:
            state = "pending"
        elif job.status is Status.COMPLETED:
            state = "completed"
        elif job.status is Status.CANCELLED:
            state = "not_found"
        ahead = None if job.finished else self._scheduler.ahead_of(job.name)
        return View(
            filename=job.name,
            status=state,
            job_id=job.job_id,
            current_attempt=job.attempt_number,
            start_time=now,
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
        left_s = self._estimates.eta_s(jobs, job.name)
        return None if left_s is None else round(left_s, 1)

    def _resolve(self, key: str) -> tuple[Job | None, str | None]:
        """(live job, file name). No name of a recording can be a job id: it has an ending."""
        if not re.fullmatch(JOB_ID_PATTERN, key):
            return self._scheduler.get(key), key
        job = self._scheduler.by_id(key)
        if job:
            return job, job.name
        entry = self._register.find(key)
        if entry is None or entry.fate not in (None, "completed", "failed"):
            return None, None
        return None, entry.name

    def _view_of_file(self, name: str) -> View:
        if not is_recording(name):
            return View(name, "not_found")
        there = self._files.folder.is_there(name)
        result = self._files.results.read(name)
        if result and (not there or self._files.results.is_result_of(name, result)):
            return completed(name, result)
        if there:
            return View(name, "pending", priority=Priority.SCAN.label)
        failure = self._files.manual.failure(name)
        return self._view_of_failure(failure) if failure else View(name, "not_found")

    def _view_of_failure(self, failure: Failure) -> View:
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
            where=f"{self._files.manual.path.name}/{failure.name}",
        )

    def _fate_of(self, job_id: str) -> View:
        entry = self._register.find(job_id)
        if entry is None:
            return View(job_id, "not_found")
        code = code_of_fate(entry.fate)
        error = ErrorInfo(code=code, message=WORDS[code][0], timestamp=entry.when, attempt=1)
        return View(entry.name, "not_found", job_id=job_id, error=error.model_dump())

    def result(self, key: str) -> Accepted | Text:
        """The text of a file or a job. One that waits is promoted, as by an order.

        Raises TranscriberError: not found, deleted, superseded, failed, or in ``manual/``.
        """
        job, name = self._resolve(key)
        if job is None and name and is_recording(name):
            view = self._view_of_file(name)
            if view.status == "completed":
                return self._text(name)
            if view.status == "error":
                raise TranscriberError(
                    "in_manual",
                    f"{name!r} could not be transcribed and lies in {view.where}.",
                    remedy=f"Read why beside it; POST /manual/{name}/retry tries again.",
                )
        if job is None and name is not None and not is_recording(name):
            raise self._not_found(name)
        if job is None and (name is None or not self._files.folder.is_there(name)):
            raise self._lost(key, name)
        wanted = job.name if job else str(name)
        if job and job.status is Status.FAILED:
            raise JobError("failed", job)
        if job and (job.priority is Priority.API or job.status is Status.RUNNING):
            return self._accepted(job, TranscriptionRequest(wanted))
        taken = self._intake.order(TranscriptionRequest(wanted))
        return (
            self._accepted(taken.job, TranscriptionRequest(wanted)) if taken else self._text(wanted)
        )

    def _lost(self, key: str, name: str | None) -> TranscriberError:
        entry = self._register.latest(name) if name else self._register.find(key)
        if entry and entry.fate and entry.fate != "completed":
            code = code_of_fate(entry.fate)
            message, remedy = WORDS[code]
            return TranscriberError(code, message, remedy=remedy)
        return self._not_found(key)

    def _text(self, name: str) -> Text:
        result = self._files.results.read(name)
        if result is None:
            raise self._not_found(name)
        return Text(name, result)

    def queue(self) -> Iterator[View]:
        """Every job that is still to be done, in order."""
        jobs = self._scheduler.jobs()
        return (self._view(job, jobs) for job in jobs)

    # --- acting ---

    def delete(self, key: str) -> Removed:
        """Forget and delete, at once; says what was found.

        Raises TranscriberError if there is nothing.
        """
        job, name = self._resolve(key)
        name = job.name if job else name
        if name is None:
            raise self._not_found(key)
        self._intake.check_name(name)
        removed = self._intake.remove(name)
        if not (removed.deleted or removed.interrupted or removed.dequeued):
            raise self._not_found(name)
        latest = self._register.latest(name)
        job_id = job.job_id if job else latest.job_id if latest else uuid.uuid4().hex
        self._register.note(job_id, name, "deleted", iso(self._clock.utc_now()))
        return removed

    def pause(self) -> None:
        """Start nothing more; survives a restart. Raises StorageError."""
        write_whole(self._files.pause_flag, b"")
        self._scheduler.pause()

    def resume(self) -> None:
        remove(self._files.pause_flag)
        self._scheduler.resume()

    @property
    def paused(self) -> bool:
        return self._scheduler.paused

    def failures(self) -> list[tuple[View, Failure]]:
        """What lies in ``manual/``."""
        return [(self._view_of_failure(f), f) for f in self._files.manual.failures()]

    def retry(self, name: str, client: str | None) -> Accepted:
        """Take a file back out of ``manual/``. Raises TranscriberError, StorageError."""
        job = self._intake.bring_back(name, client)
        return self._accepted(job, TranscriptionRequest(name, client=client))
