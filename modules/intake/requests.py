"""What a client's request does to the queue: a new job, one to join, a removal, a return."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from modules.clock import Clock
from modules.config.settings import TranscriptionSettings
from modules.errors import StorageError, TranscriberError, noted
from modules.intake.new_job import job_of_request, no_recording
from modules.intake.recovery import JobRecovery
from modules.intake.request import CheckedRequest, TranscriptionRequest
from modules.jobs.job import ADDRESSES_MAX, Cause, Job, Priority, Status
from modules.jobs.scheduler import Scheduler
from modules.recordings.state import job_from_json
from modules.recordings.state_writer import StateWriter
from modules.recordings.store import RecordingStore


@dataclass(frozen=True)
class Submitted:
    """The job of a request, and whether it is new, was there, or took the place of another."""

    job: Job
    outcome: Literal["queued", "joined", "superseded"]


@dataclass(frozen=True)
class Removed:
    """What a removal found: files deleted, a run interrupted, a job taken from the queue."""

    deleted: tuple[str, ...]
    interrupted: bool
    dequeued: bool


class Requests:
    """Carries out requests, each under ``one_at_a_time``. Thread-safe.

    The functions are those of ``Intake``; ``require_same_share`` raises StorageError.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        files: RecordingStore,
        writer: StateWriter,
        clock: Clock,
        recovery: JobRecovery,
        one_at_a_time: threading.Lock,
        *,
        is_complete: Callable[[str], bool],
        look_again: Callable[[str], None],
        require_same_share: Callable[[], None],
        on_placed: Callable[[str, tuple[int, int, int]], None],
    ) -> None:
        self._scheduler = scheduler
        self._files = files
        self._writer = writer
        self._clock = clock
        self._recovery = recovery
        self._one_at_a_time = one_at_a_time
        self._is_complete = is_complete
        self._look_again = look_again
        self._require_same_share = require_same_share
        self._on_placed = on_placed

    def submit(self, checked: CheckedRequest) -> Submitted | None:
        """Put a file in as an urgent job; None if its result is there already.

        A file that is in progress with the same settings is joined, with others it is started
        again. One that is still being copied is accepted and starts when it is complete. Raises
        TranscriberError if there is no such recording or the id is taken, StorageError.
        """
        request, name = checked.request, checked.request.name
        with self._one_at_a_time:
            known = self._recovery.job_of(name)
            if known is None and not request.force and self._has_text(name):
                return None
            if not self._files.folder.is_there(name):
                message = noted("There is no file {name!r} in the folder.", name=name)
                raise TranscriberError("file_not_found", message)
            self.require_free_id(request)
            if known is None:
                self._require_same_share()
                self._require_recording(request)
                self._files.drop_leftovers(name)
                if request.begun:
                    self._files.states.adopt(name, checked.settings, request.begun)
                self._recovery.orphans.pop(name, None)
                return Submitted(self._put_in(self._job(checked)), "queued")
            if known.settings.agrees_with(request.wishes):
                _require_few_callbacks(request, known)
                return Submitted(self._join(checked, known), "joined")
            superseding = self._take_over(self._job(checked), Cause.SUPERSEDED)
            return Submitted(superseding, "superseded")

    def _require_recording(self, request: TranscriptionRequest) -> None:
        """Raises TranscriberError for somebody's text or picture with the name of a recording."""
        kind = None if request.uploaded else self._files.ignored.look(request.name)
        if kind:
            raise no_recording(request.name, kind)

    def require_free_id(self, request: TranscriptionRequest) -> None:
        """Raises TranscriberError if another file's job has the id that the request states.

        The check of a request calls it early; here it is repeated, as only the lock makes it hold.
        """
        holder = self._scheduler.by_id(request.job_id) if request.job_id else None
        if holder and holder.name != request.name:
            raise TranscriberError(
                "job_id_taken",
                noted(
                    "The job id {job_id!r} is in use for {name!r}.",
                    job_id=request.job_id,
                    name=holder.name,
                ),
                remedy=noted("Choose another id, or leave it out."),
            )

    def remove(self, name: str) -> Removed:
        """Forget a file's job and delete the recording with all that was made from it, at once.

        Raises StorageError.
        """
        with self._one_at_a_time, self._writer.quiet():
            job = self._scheduler.get(name)
            planned = job.outputs if job else ()
            interrupted = self._scheduler.cancel(name, Cause.DELETED)
            self._recovery.orphans.pop(name, None)
            try:
                deleted = self._files.delete(name, planned)
            except StorageError:
                # It has no job any more, and may still be there, with its state.
                self._writer.clear(name, with_checkpoint=True)
                self._look_again(name)
                raise
        return Removed(tuple(deleted), interrupted, job is not None and not interrupted)

    def if_idle(self, name: str, action: Callable[[], None]) -> bool:
        """Do something with the files of a recording that has no job, while it can get none.

        False, and nothing is done, if it has one. Raises StorageError, and what ``action`` raises.
        """
        with self._one_at_a_time:
            if self._recovery.job_of(name) or name in self._recovery.orphans:
                return False
            self._require_same_share()
            action()
        return True

    def settings_kept(self, name: str) -> TranscriptionSettings | None:
        """The settings of a file's job that a request without its own no longer changes."""
        with self._one_at_a_time:
            job = self._recovery.job_of(name)
        return job.settings if job and self._keeps_settings(job) else None

    def repeated(self, name: str, client: str | None) -> TranscriptionRequest:
        """A request for a file that failed, with the settings of the one that it failed under.

        A file without a request gets the current ones, which may have been corrected.
        """
        state = self._files.manual.state_of(name) or self._files.left.state_of(name)
        try:
            before = job_from_json(name, state) if state else None
        except TranscriberError:
            before = None
        if before is None or before.priority is not Priority.API:
            return TranscriptionRequest(name, client=client)
        wishes = self._recovery.trusted(before.settings).model_dump()
        return TranscriptionRequest(name, wishes, client, callback_urls=before.callback_urls)

    def bring_back(self, checked: CheckedRequest) -> Job:
        """Take a file out of ``manual/`` and put it in as a new job.

        Raises TranscriberError if it is not there or the name is taken, StorageError.
        """
        name = checked.request.name
        with self._one_at_a_time:
            known = self._scheduler.get(name)
            fresh = self._job(checked, known.job_id if known else None)
            tried = self._files.manual.source_of(name)
            try:
                self._files.manual.bring_back(name, None if known else fresh)
            except StorageError:
                if not self._came_back(name):
                    raise
            self._recovery.orphans.pop(name, None)
            self._note_placed(name, tried)
            kept = self._put_in(fresh)
            self._files.manual.end_return(name)  # what is left to do after an interruption
            return kept

    def _has_text(self, name: str) -> bool:
        """Also if only the text was kept and the recording is archived elsewhere."""
        return self._files.results.is_done(name) or (
            not self._files.folder.is_there(name) and self._files.results.read(name) is not None
        )

    def _job(self, checked: CheckedRequest, job_id: str | None = None) -> Job:
        return job_of_request(checked, self._clock.utc_now(), job_id)

    def _put_in(self, fresh: Job) -> Job:
        kept = self._scheduler.submit(fresh)
        try:
            self._writer.record(kept)
        finally:  # it is in the queue, and must not stay there as one that is still being copied
            started = self._started(kept)
        return started

    def _started(self, job: Job) -> Job:
        if self._is_complete(job.name):
            self._scheduler.arrived(job.name)
        elif job.status is Status.ARRIVING:
            self._look_again(job.name)
        return self._scheduler.get(job.name) or job

    def _join(self, checked: CheckedRequest, known: Job) -> Job:
        """Join the job that the file has; one that has begun keeps its settings."""
        fresh = self._job(checked, known.job_id)
        if self._keeps_settings(known):
            fresh = fresh.evolve(settings=known.settings)
        if fresh.settings == known.settings:
            return self._put_in(fresh)
        # No client waits for it yet: it keeps its id, with the settings beside the file.
        return self._take_over(fresh, Cause.REPLACED)

    def _keeps_settings(self, job: Job) -> bool:
        return job.priority is Priority.API or self._files.states.has_begun(job)

    def _take_over(self, fresh: Job, cause: Cause) -> Job:
        """A job in the place of another; what was made with other settings is dropped."""
        with self._writer.quiet():
            # First, because it can fail; then nothing is interrupted.
            self._files.states.drop(fresh.name)
            self._scheduler.cancel(fresh.name, cause)
            return self._put_in(fresh)

    def _note_placed(self, name: str, tried: tuple[int, int] | None) -> None:
        """The very file that failed has been whole since, and nothing needs to be waited for."""
        with contextlib.suppress(StorageError):
            state = self._files.folder.state_of(name)
            if state[:2] == tried:
                self._on_placed(name, state)

    def _came_back(self, name: str) -> bool:
        """Whether an interrupted return left the recording in the share; if not, drop its state."""
        with contextlib.suppress(StorageError):
            if self._files.folder.is_there(name):
                return True
            self._files.states.drop(name)
        return False


def _require_few_callbacks(request: TranscriptionRequest, known: Job) -> None:
    if len({*known.callback_urls, *request.callback_urls}) > ADDRESSES_MAX:
        raise TranscriberError(
            "too_many_callbacks",
            noted(
                "callback_url: at most {most} addresses are called about "
                "{name!r}, got one more: {address!r}.",
                most=ADDRESSES_MAX,
                name=request.name,
                address=request.callback_urls[0],
            ),
            remedy=noted("Use an address that is called anyway, or GET /result when it is done."),
        )
