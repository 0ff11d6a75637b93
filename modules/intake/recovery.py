"""What becomes of the jobs of an earlier run: taken up again, ended, or kept for a lost file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from modules.clock import Clock, iso
from modules.config.schema import Config
from modules.config.settings import TranscriptionSettings
from modules.errors import StorageError, noted
from modules.jobs.backoff import between_attempts
from modules.jobs.job import WENT_DOWN, ErrorInfo, Job, Priority, Progress, Status
from modules.jobs.scheduler import Scheduler
from modules.logger import get_logger
from modules.recordings.names import is_recording
from modules.recordings.recovery import Found
from modules.recordings.state import moment
from modules.recordings.store import RecordingStore

log = get_logger("Intake")

#: What an attempt must have gained, in seconds of sound, if it is not to count as the program goes
#: down under it.
WORTH_A_DEATH_S = 60.0


class JobRecovery:
    """Puts jobs that were saved beside their recordings back into the queue.

    ``look_again(name)`` makes the watcher report a file once more. ``on_ended(job)`` is called for
    a job that had ended before a crash kept this from being noted.
    """

    def __init__(
        self,
        config: Config,
        scheduler: Scheduler,
        files: RecordingStore,
        clock: Clock,
        *,
        look_again: Callable[[str], None],
        on_ended: Callable[[Job], None],
    ) -> None:
        self._config = config
        self._scheduler = scheduler
        self._files = files
        self._clock = clock
        self._look_again = look_again
        self._on_ended = on_ended
        #: Jobs whose ``.in_progress`` was found at start without its recording, by name.
        self.orphans: dict[str, Job] = {}

    def recover(self) -> None:
        """Take in what an earlier run left: API jobs by creation, scanned ones by file time.

        Raises StorageError.
        """
        self._files.ignored.tidy()
        jobs = self._files.recovery.find_jobs(self._config.watch.recursive)
        found = []
        for item in jobs:
            with _each_for_itself(item.job.name):
                found += [item] if self._needs_job(item) else []
        found.sort(
            key=lambda f: (
                f.job.priority,
                f.job.created.timestamp()
                if f.job.priority is Priority.API
                else self._files.recovery.mtime_order(f.job),
            )
        )
        for item in found:
            with _each_for_itself(item.job.name):
                self._take_up(item.job)

    def job_of(self, name: str) -> Job | None:
        """The job of a file; also one that ``recover`` has overlooked. Raises StorageError."""
        if self._scheduler.get(name) is None:
            for found in self._files.recovery.overlooked(name):
                if self._needs_job(found):
                    self._take_up(found.job)
        return self._scheduler.get(name)

    def take_up_orphan(self, name: str) -> bool:
        """Take up the job of a recording that is back; False if none waits for it."""
        orphan = self.orphans.get(name)
        if orphan is None:
            return False
        self._take_up(orphan)
        self.orphans.pop(name)
        return True

    def trusted(self, settings: TranscriptionSettings) -> TranscriptionSettings:
        """What a state file says; but only the configuration names folders of weights."""
        configured = self._config.whisperx.model_size
        if "/" not in settings.model_size or settings.model_size == configured:
            return settings
        log.warning("A state file names the model %s; %s is used", settings.model_size, configured)
        return settings.model_copy(update={"model_size": configured})

    def _needs_job(self, found: Found) -> bool:
        """Whether there is work left; if not, what is left of the job is cleared away."""
        job, name = found.job, found.job.name
        if not is_recording(name):
            # A sync tool's conflict copy of a sidecar; what it says is about another file.
            log.warning("%s: its state belongs to no recording and is left alone", name)
            return False
        result = self._files.results.read(name)
        if result and result.get("job_id") == job.job_id:
            # The crash came between the result and the removal of the state.
            self._end(job.at_start(Status.COMPLETED))
            return False
        if found.failed and not found.moved and self._config.processing.failed == "leave":
            if not self._files.left.state_of(name):
                self._files.left.forget(name)  # it was replaced, or is gone
            return False
        if not found.has_recording:
            if self._files.manual.was_moved(job):
                # The crash came between the move to manual/ and the removal of the state.
                self._end(job.at_start(Status.FAILED))
                return False
            log.warning("%s: its recording is missing", name)
            self.orphans[name] = job
            return False
        if found.moved:
            # Dragged back from manual/ with all its files: the watcher finds it as a new one.
            self._files.drop_leftovers(name)
            return False
        return True

    def _end(self, job: Job) -> None:
        self._on_ended(job)
        self._files.states.drop(job.name)

    def _take_up(self, job: Job) -> None:
        if not job.given_up:  # or it may be on its way there, and was copied already
            self._files.manual.end_return(job.name)
        job = job.evolve(settings=self.trusted(job.settings))
        last = job.attempts[-1] if job.attempts else None
        if last and last.status == "processing":
            done_s = self._files.states.read_checkpoint(job).chunks.position_s
            gained_s = done_s - last.start_position_seconds
            job = self._close_attempt(job, gained_s >= WORTH_A_DEATH_S)
        if job.source is not None and self._files.folder.is_still(job.name, job.source):
            log.info("%s: taken up again, %d%% done", job.name, job.progress.percentage)
            self._scheduler.submit(self._with_rest_of_backoff(job))
        else:
            self._start_over(job)

    def _start_over(self, job: Job) -> None:
        """The file was replaced while no daemon ran, or was never complete."""
        with contextlib.suppress(StorageError):
            self._files.states.drop_checkpoint(job.name)
        self._look_again(job.name)
        fresh = job.evolve(
            source=None,
            attempts=(),
            nodes_lost=0,
            outputs=(),
            error=None,
            position_s=0.0,
            progress=Progress(),
        )
        self._scheduler.submit(fresh.at_start(Status.ARRIVING))

    def _with_rest_of_backoff(self, job: Job) -> Job:
        """With what is left of the wait after a failure; the clock may have been set meanwhile."""
        last = job.attempts[-1] if job.attempts else None
        retry_after_s = last.error.retry_after if last and last.error else None
        if not last or not retry_after_s or last.status != "failed" or last.end_time is None:
            return job.at_start(Status.QUEUED)
        wait_s = min(
            retry_after_s, between_attempts(self._config.processing).pause_s(last.attempt_number)
        )
        try:
            since = (self._clock.utc_now() - moment(last.end_time)).total_seconds()
        except ValueError:
            return job.at_start(Status.QUEUED)
        not_before = self._clock.monotonic() + min(wait_s, wait_s - since)
        return job.at_start(Status.WAITING).evolve(not_before=not_before)

    def _close_attempt(self, job: Job, gained: bool) -> Job:
        """An attempt that was found open counts unless it had gained enough.

        A recording that hands over a little each time before it takes the program down would
        otherwise never be found guilty.
        """
        now = self._clock.utc_now()
        if gained:
            return job.close_attempt("interrupted", now)
        number = job.attempt_number
        final = number >= self._config.processing.max_retry_attempts
        error = ErrorInfo(
            code=WENT_DOWN,
            message=noted(
                "The program or the machine went down before {worth_a_death_s:g} s were done.",
                worth_a_death_s=WORTH_A_DEATH_S,
            ),
            timestamp=iso(now),
            attempt=number,
            retry_after=None if final else 0.0,
        )
        log.warning("%s: attempt %d ended in a crash", job.name, number)
        return job.close_attempt("failed", now, 0.0, error)


@contextlib.contextmanager
def _each_for_itself(name: str) -> Iterator[None]:
    """A job that cannot be taken up is said and left out; a share that does not answer is no
    matter of one job."""
    try:
        yield
    except StorageError:
        raise
    except Exception:
        log.exception("%s: its job cannot be taken up and is left out", name)
