"""Where files and orders become jobs: one place for the watcher, the API and recovery."""

from __future__ import annotations

import contextlib
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from modules.clock import Clock, iso
from modules.config.schema import Config
from modules.config.settings import TranscriptionSettings
from modules.errors import StorageError, TranscriberError
from modules.jobs.backoff import between_attempts
from modules.jobs.job import Cause, ErrorInfo, Job, Priority, Progress, Status
from modules.jobs.scheduler import Scheduler
from modules.logger import get_logger
from modules.recordings.names import is_recording
from modules.recordings.recovery import Found
from modules.recordings.state import job_from_json, moment
from modules.recordings.state_writer import StateWriter
from modules.recordings.store import RecordingStore
from modules.watching.stability import FileSample

log = get_logger("Intake")


@dataclass(frozen=True)
class TranscriptionRequest:
    """Somebody wants this file's text. ``wishes``: the settings that the request states."""

    name: str
    wishes: Mapping[str, Any] = field(default_factory=dict)
    client: str | None = None
    job_id: str | None = None
    callback_urls: tuple[str, ...] = ()
    force: bool = False


@dataclass(frozen=True)
class Taken:
    """The job of an order, and whether it is new, was there, or took the place of another."""

    job: Job
    how: Literal["queued", "joined", "superseded"]


@dataclass(frozen=True)
class Removed:
    """What a removal found: files deleted, a run interrupted, a job taken from the queue."""

    deleted: tuple[str, ...]
    interrupted: bool
    dequeued: bool


class Intake:
    """The watcher's sink, and the way in for orders. Thread-safe.

    ``is_whole(name)`` tells whether the watcher has handed the file over as it is now.
    ``look_again(name)`` has it handed over once more.
    """

    def __init__(
        self, config: Config, scheduler: Scheduler, files: RecordingStore, journal: StateWriter,
        clock: Clock,
    ) -> None:  # fmt: skip
        self._config = config
        self._scheduler = scheduler
        self._files = files
        self._journal = journal
        self._clock = clock
        #: One order, removal or return at a time. Taken before the journal's lock.
        self._ordering = threading.Lock()
        self.is_whole: Callable[[str], bool] = lambda name: False
        self.look_again: Callable[[str], None] = lambda name: None
        #: False from when another folder was mounted at the share's path, until it is taken up.
        self.is_same_share: Callable[[], bool] = lambda: True
        #: Told of a job whose end a crash kept from being told.
        self.settled: Callable[[Job], None] = lambda job: None
        #: ``.in_progress`` files whose recording is gone, found at start.
        self.orphans: dict[str, Job] = {}

    # --- the watcher's sink ---

    def whole(self, name: str, sample: FileSample) -> None:
        """A file is whole and was not seen in this state before."""
        job = self._scheduler.get(name)
        orphan = self.orphans.get(name)
        if job is None and orphan:
            self._revive(orphan)
            self.orphans.pop(name)
        elif job is None:
            self._begin(name)
        elif job.status is Status.ARRIVING:
            self._scheduler.arrived(name)
        elif job.status is Status.RUNNING and not self._is_same(job, sample):
            # A job that still waits needs nothing: the runner looks when its turn comes.
            self._start_over(job)

    def gone(self, name: str) -> None:
        """A file was deleted or renamed by hand; the share itself is there."""
        if self._scheduler.get(name) is None:
            return
        with self._journal.quiet():
            # First, because it can fail: then the watcher tells it once more.
            self._files.states.drop(name)
            self._scheduler.cancel(name, Cause.GONE)

    # --- orders ---

    def order(self, order: TranscriptionRequest) -> Taken | None:
        """Put a file in as an urgent job; None if its result is there already.

        A file that is in progress with the same settings is joined, with others it is begun anew.
        One that is still being copied is accepted and starts when it is whole. Raises
        TranscriberError if there is no such recording, the id is taken or settings beside the file
        are wrong, StorageError.
        """
        name = order.name
        self.check_name(name)
        with self._ordering:
            known = self._known(name)
            if known is None and not order.force and self._has_text(name):
                return None
            if not self._files.folder.is_there(name):
                message = f"There is no file {name!r} in the folder."
                raise TranscriberError("file_not_found", message)
            self.check_id(order)
            if known is None:
                fresh = self._ordered(order)
                self._require_same_share()
                self._files.drop_leftovers(name)
                self.orphans.pop(name, None)
                return Taken(self._put_in(fresh), "queued")
            if known.settings.agrees_with(order.wishes):
                return Taken(self._join(order, known), "joined")
            superseding = self._take_over(self._ordered(order), Cause.SUPERSEDED)
            return Taken(superseding, "superseded")

    def _known(self, name: str) -> Job | None:
        """The job of a file; it may have been overlooked at start."""
        if self._scheduler.get(name) is None:
            for found in self._files.recovery.overlooked(name):
                if self._revives(found):
                    self._revive(found.job)
        return self._scheduler.get(name)

    def check_name(self, name: str) -> None:
        """Raises TranscriberError if no recording that is looked at can have this name."""
        if not is_recording(name):
            raise TranscriberError(
                "not_a_recording",
                f"{name!r} is not the name of a recording.",
                remedy="Give a path inside the shared folder, with an ending such as .mp3 or .mp4.",
            )
        if "/" in name and not self._config.watch.recursive:
            raise TranscriberError(
                "not_a_recording",
                f"{name!r} lies in a subfolder, and those are not looked at.",
                remedy="Set watch.recursive: true, or move it up.",
            )

    def _has_text(self, name: str) -> bool:
        """Also if only the text was kept and the recording is archived elsewhere."""
        return self._files.results.is_done(name) or (
            not self._files.folder.is_there(name) and self._files.results.read(name) is not None
        )

    def check_id(self, order: TranscriptionRequest) -> None:
        """Raises TranscriberError if another file's job has the id that the order wants."""
        holder = self._scheduler.by_id(order.job_id) if order.job_id else None
        if holder and holder.name != order.name:
            raise TranscriberError(
                "job_id_taken",
                f"The job id {order.job_id!r} is in use for {holder.name!r}.",
                remedy="Choose another id, or leave it out.",
            )

    def _ordered(
        self, order: TranscriptionRequest, job_id: str | None = None, in_manual: bool = False
    ) -> Job:
        """A new job for an order. Raises TranscriberError if settings beside the file are wrong."""
        base = self._config.default_settings()
        found = self._files.settings.stated(order.name, base, order.wishes, in_manual)
        settings = base.model_copy(update={**found.wishes, **order.wishes})
        job_id = order.job_id or job_id
        return self._new(order.name, Priority.API, Status.ARRIVING, settings, order, job_id)

    def _put_in(self, fresh: Job) -> Job:
        kept = self._scheduler.submit(fresh)
        try:
            self._journal.record(kept)
        finally:  # it is in the queue, and must not stand there for ever as one on its way
            begun = self._begun(kept)
        return begun

    def _join(self, order: TranscriptionRequest, known: Job) -> Job:
        """The order joins the job that its file has; one that has begun keeps its settings."""
        if known.priority is Priority.API or self._files.states.has_begun(known):
            job_id = order.job_id or known.job_id
            return self._put_in(
                self._new(order.name, Priority.API, Status.ARRIVING, known.settings, order, job_id)
            )
        fresh = self._ordered(order, known.job_id)
        if fresh.settings == known.settings:
            return self._put_in(fresh)
        # Nobody waits for it yet: it goes on under its id, with what the files beside it want.
        return self._take_over(fresh, Cause.REPLACED)

    def _take_over(self, fresh: Job, cause: Cause) -> Job:
        """A job in the place of another; what was made with other settings is dropped."""
        with self._journal.quiet():
            # First, because it can fail; then nothing is interrupted.
            self._files.states.drop(fresh.name)
            self._scheduler.cancel(fresh.name, cause)
            return self._put_in(fresh)

    def _begun(self, job: Job) -> Job:
        if self.is_whole(job.name):
            self._scheduler.arrived(job.name)
        elif job.status is Status.ARRIVING:
            self.look_again(job.name)
        return self._scheduler.get(job.name) or job

    def remove(self, name: str) -> Removed:
        """Forget a file's job and delete the recording with all that was made from it, at once.

        Raises StorageError.
        """
        with self._ordering, self._journal.quiet():
            job = self._scheduler.get(name)
            planned = job.outputs if job else ()
            interrupted = self._scheduler.cancel(name, Cause.DELETED)
            self.orphans.pop(name, None)
            try:
                deleted = self._files.delete(name, planned)
            except StorageError:
                # It has no job any more, and may still be there, with its state.
                self._journal.clear(name, with_checkpoint=True)
                self.look_again(name)
                raise
        return Removed(tuple(deleted), interrupted, job is not None and not interrupted)

    def bring_back(self, name: str, client: str | None) -> Job:
        """Take a file out of ``manual/`` and order it afresh, as it was ordered before.

        Raises TranscriberError if it is not there, the name is taken or settings are wrong,
        StorageError.
        """
        self.check_name(name)
        with self._ordering:
            known = self._scheduler.get(name)
            job_id = known.job_id if known else None
            # Its settings are looked at where they lie; wrong, it stays where it is.
            fresh = self._ordered(self._order_again(name, client), job_id, in_manual=True)
            try:
                self._files.manual.bring_back(name, None if known else fresh)
            except StorageError:
                if not self._came_back(name):
                    raise
            self.orphans.pop(name, None)
            kept = self._put_in(fresh)
            self._files.manual.end_return(name)  # what is left to do after an interruption
            return kept

    def _came_back(self, name: str) -> bool:
        """Whether an interrupted return has the recording in the share; or its state goes again."""
        with contextlib.suppress(StorageError):
            if self._files.folder.is_there(name):
                return True
            self._files.states.drop(name)
        return False

    def _order_again(self, name: str, client: str | None) -> TranscriptionRequest:
        """A file that was only found gets the settings of today, which may have been mended."""
        state = self._files.manual.state_of(name)
        try:
            before = job_from_json(name, state) if state else None
        except TranscriberError:
            before = None
        if before is None or before.priority is not Priority.API:
            return TranscriptionRequest(name, client=client)
        wishes = self._trusted(before.settings).model_dump()
        return TranscriptionRequest(name, wishes, client, callback_urls=before.callback_urls)

    # --- at start ---

    def recover(self) -> None:
        """Take in what an earlier run left: API jobs by creation, scanned ones by file time.

        Raises StorageError.
        """
        jobs = self._files.recovery.find_jobs(self._config.watch.recursive)
        found = [f for f in jobs if self._revives(f)]
        found.sort(
            key=lambda f: (
                f.job.priority,
                f.job.created.timestamp()
                if f.job.priority is Priority.API
                else self._files.recovery.mtime_order(f.job),
            )
        )
        for item in found:
            self._revive(item.job)

    def _revives(self, found: Found) -> bool:
        """Settle what needs no job any more; True for the rest."""
        job, name = found.job, found.job.name
        if not is_recording(name):
            # A sync tool's conflict copy of a sidecar; what it says is about another file.
            log.warning("%s: its state belongs to no recording and is left alone", name)
            return False
        result = self._files.results.read(name)
        if result and result.get("job_id") == job.job_id:
            # The crash came between the result and the removal of the state.
            self.settled(job.at_start(Status.COMPLETED))
            self._files.states.drop(name)
            return False
        if not found.has_recording:
            if self._files.manual.was_moved(job):
                # The crash came between the move to manual/ and the removal of the state.
                self.settled(job.at_start(Status.FAILED))
                self._files.states.drop(name)
                return False
            log.warning("%s: its recording is gone", name)
            self.orphans[name] = job
            return False
        if found.moved:
            # Dragged back from manual/ with all its files: the watcher finds it as a new one.
            self._files.drop_leftovers(name)
            return False
        return True

    def _trusted(self, settings: TranscriptionSettings) -> TranscriptionSettings:
        """What a state file says; but only the configuration names folders of weights."""
        configured = self._config.whisperx.model_size
        if "/" not in settings.model_size or settings.model_size == configured:
            return settings
        log.warning("A state file names the model %s; %s is used", settings.model_size, configured)
        return settings.model_copy(update={"model_size": configured})

    def _revive(self, job: Job) -> None:
        if not job.given_up:  # or it may be on its way there, and was copied already
            self._files.manual.end_return(job.name)
        job = job.evolve(settings=self._trusted(job.settings))
        last = job.attempts[-1] if job.attempts else None
        if last and last.status == "processing":
            done_s = self._files.states.read_checkpoint(job).chunks.position_s
            job = self._judged(job, gained=done_s > last.start_position_seconds)
        untouched = job.source is not None and self._files.folder.is_still(job.name, job.source)
        if untouched:
            log.info("%s: taken up again, %d%% done", job.name, job.progress.percentage)
        else:
            # Copied anew while nobody looked, or never looked at: it must first be whole.
            with contextlib.suppress(StorageError):
                self._files.states.drop_checkpoint(job.name)
            job = job.evolve(
                source=None, attempts=(), outputs=(), error=None, position_s=0.0,
                progress=Progress(),
            )  # fmt: skip
            self.look_again(job.name)
        self._scheduler.submit(
            self._backing_off(job) if untouched else job.at_start(Status.ARRIVING)
        )

    def _backing_off(self, job: Job) -> Job:
        """With what is left of the wait after a failure; clocks may have jumped meanwhile."""
        last = job.attempts[-1] if job.attempts else None
        told_s = last.error.retry_after if last and last.error else None
        if not last or not told_s or last.status != "failed" or last.end_time is None:
            return job.at_start(Status.QUEUED)
        wait_s = min(told_s, between_attempts(self._config.processing).pause_s(last.attempt_number))
        try:
            since = (self._clock.utc_now() - moment(last.end_time)).total_seconds()
        except ValueError:
            return job.at_start(Status.QUEUED)
        not_before = self._clock.monotonic() + min(wait_s, wait_s - since)
        return job.at_start(Status.WAITING).evolve(not_before=not_before)

    def _judged(self, job: Job, gained: bool) -> Job:
        """An attempt that was found open counts only if it had gained no checkpoint."""
        now = self._clock.utc_now()
        if gained:
            return job.close_attempt("interrupted", now)
        number = job.attempt_number
        final = number >= self._config.processing.max_retry_attempts
        error = ErrorInfo(
            code="interrupted_before_progress",
            message="The program or the machine went down before the first piece was finished.",
            timestamp=iso(now),
            attempt=number,
            retry_after=None if final else 0.0,
        )
        log.warning("%s: attempt %d ended in a crash", job.name, number)
        return job.close_attempt("failed", now, 0.0, error)

    # --- inside ---

    def _begin(self, name: str) -> None:
        """A file that nobody works on: a new job, unless its result is there already."""
        try:
            # Not while an order puts the same file in: its state would be taken for a leftover.
            with self._ordering:
                if self._known(name) or self._files.results.is_done(name):
                    return
                self._require_same_share()
                # What may lie about is of an earlier life; our own jobs are all in the queue.
                self._files.drop_leftovers(name)
                # The settings beside it are read when its turn comes.
                settings = self._config.default_settings()
                self._scheduler.submit(self._new(name, Priority.SCAN, Status.QUEUED, settings))
        except StorageError as error:
            log.warning("%s: looking again: %s", name, error)
            self.look_again(name)

    def _require_same_share(self) -> None:
        """What lies about in another folder is no leftover. Raises StorageError."""
        if not self.is_same_share():
            raise StorageError("share_unavailable", "Another folder was mounted there just now.")

    def _new(
        self,
        name: str,
        priority: Priority,
        status: Status,
        settings: TranscriptionSettings,
        order: TranscriptionRequest | None = None,
        job_id: str | None = None,
    ) -> Job:
        _log_telegram_id(name)
        order = order or TranscriptionRequest(name)
        return Job(
            name=name,
            job_id=job_id or uuid.uuid4().hex,
            priority=priority,
            settings=settings,
            source=None,
            created=self._clock.utc_now(),
            status=status,
            clients=(order.client,) if order.client else (),
            callback_urls=order.callback_urls,
        )

    def _start_over(self, job: Job) -> None:
        """The running file was replaced: the run is dropped, and the file is new work."""
        with self._journal.quiet():
            self._files.states.drop(job.name)
            self._scheduler.cancel(job.name, Cause.REPLACED)
            fresh = self._new(
                job.name, job.priority, Status.QUEUED, job.settings, job_id=job.job_id
            )
            kept = self._scheduler.submit(
                fresh.evolve(
                    created=job.created,
                    clients=job.clients,
                    callback_urls=job.callback_urls,
                )
            )
            self._journal.record_if_possible(kept)

    def _is_same(self, job: Job, sample: FileSample) -> bool:
        """Size and mtime tell; where only the mtime differs, the bytes do."""
        source = job.source
        if source is None or (source.size, source.mtime_ns) == (sample.size, sample.mtime_ns):
            return True
        if sample.size != source.size or not self._files.folder.is_there(job.name):
            return False
        return source.surely_same_as(self._files.folder.identity(job.name))


def _log_telegram_id(name: str) -> None:
    """A Telegram id at the start of a file name is only logged."""
    found = re.match(r"(\d{5,15})(?!\d)", name.rpartition("/")[2])
    if found:
        log.info("%s: Telegram id %s", name, found.group(1))
