"""take → process → publish → finish, one file at a time."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

from modules.clock import Clock, iso
from modules.config.schema import Config
from modules.errors import ModelError, StorageError, TranscriberError, WorkerError
from modules.executors.base import Outcome, RunCallbacks
from modules.executors.local.executor import LocalExecutor
from modules.executors.protocol import Transcribe
from modules.executors.tasks import model_of, request_for
from modules.jobs.job import Cause, ErrorInfo, Job, Priority, Progress, Status
from modules.jobs.scheduler import Scheduler, StopReason
from modules.logger import get_logger
from modules.outputs.result import result_json
from modules.recordings.explanations import explain
from modules.recordings.settings_files import SettingsError
from modules.recordings.state_writer import StateWriter
from modules.recordings.store import RecordingStore
from modules.runner.held_settings import HeldSettings
from modules.runner.job_run import JobRun
from modules.runner.outage import HOLD_S, Outage
from modules.runner.publishing import Publisher
from modules.transcript.transcript import Transcript

log = get_logger("Runner")

_IDLE_TICK_S = 1.0
#: A yielding file may finish the chunks in hand, however long they take: a new start costs more.
_NO_PATIENCE = (StopReason.CANCELLED, StopReason.SHUTDOWN)


class Runner:
    """Carries the jobs of a scheduler through the worker, in a thread of its own.

    ``look_again(name)`` is called for a file that is no longer what its job was about: it is to be
    handed over again once it is whole.
    """

    def __init__(
        self,
        config: Config,
        scheduler: Scheduler,
        processor: LocalExecutor,
        files: RecordingStore,
        publisher: Publisher,
        journal: StateWriter,
        clock: Clock,
        look_again: Callable[[str], None],
    ) -> None:
        self._config = config
        self._scheduler = scheduler
        self._processor = processor
        self._files = files
        self._publisher = publisher
        self._journal = journal
        self._clock = clock
        self._look_again = look_again
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, name="runner")
        #: What is in the way of all work just now.
        self.trouble = Outage(clock, files.folder.check_writable)
        #: Files whose worker died while it had the next one in hand: they get it for themselves.
        self._alone: set[str] = set()
        self._settings = HeldSettings(config, files, clock, lambda: processor.compute_types)
        #: Files by how they ended, since the start.
        self.finished = {Status.COMPLETED: 0, Status.FAILED: 0}

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let the running file stop at its next chunk, end the worker, and come home."""
        self._stopping.set()
        self._scheduler.shut_down()
        if self._thread.ident is not None:
            self._thread.join()

    def run(self) -> None:
        """Work until stopped. The worker is started ahead of the first file."""
        duty: Callable[[], None] = self._warm
        while not self._stopping.is_set():
            try:
                duty()
            except Exception:  # the door of this thread: a surprise must not end all work
                log.exception("The runner was surprised and goes on")
                self._stopping.wait(HOLD_S)
            duty = self.tick
        self._processor.close()

    def _warm(self) -> None:
        try:
            self._processor.warm(model_of(self._config.default_settings(), self._config))
        except TranscriberError as error:
            self.trouble.note(error)

    def tick(self) -> None:
        """Do the next job, if one is there within a second and nothing is in the way."""
        self._processor.tend()
        if self.trouble.blocks():
            self._stopping.wait(_IDLE_TICK_S)
            return
        self._tend_settings()
        job = self._scheduler.take(_IDLE_TICK_S)
        if job:
            self._carry(job)

    # --- one job ---

    def _carry(self, job: Job) -> None:
        """Take a job as far as it goes. Every way that it can end begins here."""
        run: JobRun | None = None
        try:
            current = self._checked(job)
            if current is None:
                return
            if current.given_up:
                self._give_up(current)
                return
            current = self._with_settings(current)
            if current is None:
                return
            run = JobRun(
                current, self._config, self._scheduler, self._files, self._journal, self._clock
            )
            self._transcribe(current, run)
        except TranscriberError as error:
            self._went_wrong(job, error, run)
        except Exception as error:  # counted, or the same surprise would come for ever
            log.exception("%s: the program was surprised", job.name)
            surprise = WorkerError("unexpected_error", f"The program was surprised: {error!r}")
            self._blame(self._scheduler.get(job.name) or job, surprise, run)
        finally:
            if run:
                run.close()
            if self._scheduler.running_name == job.name:
                self._put_back(job, "interrupted", run)
            if self._scheduler.get(job.name) is None:
                self._alone.discard(job.name)

    def _checked(self, job: Job, ran: bool = False) -> Job | None:
        """The job, with the identity of its file known; None if it is settled or was cancelled.

        A file that is gone, or no longer what the job is about, is settled here. ``ran``: it was
        read from end to end since it was checked before.
        """
        if not self._files.folder.is_there(job.name):
            self._vanished(job)
            return None
        source = self._files.folder.identity(job.name)
        known = job.source or source
        if not (known.surely_same_as(source) if ran else known.same_as(source)):
            self._replaced(job)
            return None
        if known.mtime_ns == source.mtime_ns:
            source = known  # read while somebody wrote, a new one would be about no file at all
        return self._scheduler.update(job.name, lambda j: j.evolve(source=source))

    def _with_settings(self, job: Job) -> Job | None:
        """A found file as the settings beside it want it; None if it waits until they are mended.

        An ordered file has them from its order; one that has begun keeps those that it began with.
        """
        if job.priority is Priority.API or self._files.states.has_begun(job):
            return job
        try:
            chosen = self._settings.settings_for(job.name)
        except SettingsError as error:
            # Taken up again by _tend_settings, so that it does not come and go meanwhile.
            changes = {"error": self._settings_info(job, error), "not_before": math.inf}
            self._scheduler.release(job.name, Status.WAITING, error.in_short, **changes)
            kept = self._scheduler.get(job.name)
            if kept and kept.priority is Priority.API:  # ordered this very moment
                self._scheduler.wake(kept.name, "ordered", error=None)
            return None
        return self._scheduler.update(
            # An order that promoted it just now has settled its settings.
            job.name,
            lambda j: j if j.priority is Priority.API else j.evolve(settings=chosen, error=None),
        )

    def _settings_info(self, job: Job, error: SettingsError) -> ErrorInfo:
        return _info(error, job.attempt_number, iso(self._clock.utc_now()), HOLD_S)

    def _tend_settings(self) -> None:
        """Give files whose settings were mended, or are wrong in another way, their turn."""
        for name, error in self._settings.changes(self._waits_for_settings):
            job = self._scheduler.get(name)
            if job:
                info = self._settings_info(job, error) if error else None
                self._scheduler.wake(name, "the settings beside it were changed", error=info)

    def _waits_for_settings(self, name: str) -> bool:
        job = self._scheduler.get(name)
        if job is None or job.priority is Priority.API or job.attempts:
            return False
        return job.status in (Status.QUEUED, Status.WAITING)

    def _transcribe(self, job: Job, run: JobRun) -> None:
        if run.resumed_at_s:
            log.info("%s: going on from the checkpoint at %.1f s", job.name, run.resumed_at_s)
        outcome = self._processor.process(
            run.request(model_of(job.settings, self._config)),
            RunCallbacks(
                on_chunk=run.on_chunk,
                should_stop=self._must_stop,
                on_accepted=lambda: self._accepted(run),
                on_started=run.on_started,
                must_hurry=lambda: self._scheduler.stop_reason() in _NO_PATIENCE,
                next_up=lambda: self._next_up(job.name),
            ),
        )
        if outcome.done is None:
            self._put_back(job, str(self._scheduler.stop_reason() or "interrupted"), run)
            return
        self._publish(job, run, outcome)

    def _must_stop(self) -> bool:
        """Asked several times a second; others must not wait for a long file to be looked at."""
        self._tend_settings()
        return self._scheduler.stop_reason() is not None

    def _next_up(self, running: str) -> Transcribe | None:
        """What will be ordered after this one, to be made ready; None if that is not certain."""
        job = self._scheduler.next_up()
        if running in self._alone or job is None:
            return None
        try:
            if self._files.states.has_begun(job):
                return None
            ordered = job.priority is Priority.API
            settings = job.settings if ordered else self._settings.settings_for(job.name)
            spec = model_of(settings, self._config)
        except TranscriberError:
            return None  # told when it is its turn
        return request_for(self._files.folder.at(job.name), settings, spec, self._config).order

    def _accepted(self, run: JobRun) -> None:
        run.on_accepted()
        self.trouble.is_over()

    # --- how it ends ---

    def _went_wrong(self, job: Job, error: TranscriberError, run: JobRun | None) -> None:
        """Find out who is to blame: the file, or what it stands on."""
        current = self._scheduler.get(job.name) or job
        if run and run.began and self._may_be_the_next_ones(job.name, error):
            self._put_back(job, f"once more, alone: {error}", run)
            return
        # A worker that dies while it loads its model was not given the file yet.
        of_model = isinstance(error, ModelError) or not (error.permanent or (run and run.began))
        every_file = current.settings.matches(self._config.default_settings())
        if isinstance(error, StorageError) or (of_model and every_file):
            self._hold(current, error, run)
            return
        self._blame(current, error, run)

    def _may_be_the_next_ones(self, name: str, error: TranscriberError) -> bool:
        """Whether the worker had the next file in hand when it failed; once for each file."""
        ahead = isinstance(error, WorkerError) and self._processor.failed_ahead
        if not ahead or name in self._alone:
            return False
        self._alone.add(name)
        return True

    def _blame(self, job: Job, error: TranscriberError, run: JobRun | None) -> None:
        """Count it as the file's own failure, unless nobody can judge just now."""
        try:
            self._fail(job, error, run)
        except StorageError as trouble:
            self._hold(job, trouble, run)

    def _publish(self, job: Job, run: JobRun, outcome: Outcome) -> None:
        """Texts first, then the result; then the job and its state are gone."""
        assert outcome.done is not None
        current = self._checked(job, ran=True)
        if current is None:
            return
        formats = self._config.output.formats
        outputs = current.outputs or self._files.results.plan_outputs(job.name, formats)
        finished = self._scheduler.update(
            job.name,
            lambda j: (
                j.evolve(outputs=outputs)
                .advance(Progress(stage="generating_text", percentage=99))
                .close_attempt("completed", self._clock.utc_now(), run.ran_s)
            ),
        )
        if finished is None:
            return  # cancelled meanwhile
        now = self._clock.utc_now()
        transcript = Transcript(run.chunks, outcome.facts.turns)
        content = result_json(finished, transcript, outcome.facts, outputs, now)
        timestamps = self._config.output.txt_timestamps
        said = f"{outcome.done.duration_s:.1f} s of audio in {run.ran_s:.1f} s"
        with self._journal.quiet():
            if not self._is_wanted(job):
                return  # cancelled, and its files removed, a moment ago
            self._journal.record(finished)
            self._publisher.publish(finished, transcript, content, timestamps)
            self._scheduler.release(job.name, Status.COMPLETED, said)
            self._journal.clear(job.name, self._config.processing.cleanup_temp_files)
        self.finished[Status.COMPLETED] += 1

    def _vanished(self, job: Job) -> None:
        """Deleted or renamed by hand: not the file's fault, and nothing is left to do."""
        with self._journal.quiet():
            self._scheduler.cancel(job.name, Cause.GONE)
            self._files.states.drop(job.name)

    def _replaced(self, job: Job) -> None:
        """Another file has this name now: what was done is void, and it waits until it is whole."""
        with self._journal.quiet():
            # First, because it can fail; then the job is held, and looked at again.
            self._files.states.drop(job.name)
            self._scheduler.release(
                job.name,
                Status.ARRIVING,
                "the file was replaced",
                source=None,
                attempts=(),
                position_s=0.0,
                last_segments=(),
                progress=Progress(),
                outputs=(),
                error=None,
            )
            kept = self._scheduler.get(job.name)
            if kept:
                self._journal.record_if_possible(kept)
        self._look_again(job.name)

    def _fail(self, job: Job, error: TranscriberError, run: JobRun | None) -> None:
        """Count the attempt; back off, or give up. Raises StorageError if nobody can judge."""
        if self._checked(job, ran=run is not None) is None:
            return  # what failed is no longer there, so nobody is to blame
        now = self._clock.utc_now()
        current = self._scheduler.update(
            job.name,
            # It may have failed before the file was given away, when no attempt was open yet.
            lambda j: j if _is_open(j) else j.open_attempt(now),
        )
        if current is None:
            return  # cancelled meanwhile
        number = current.attempt_number
        final = error.permanent or number >= self._config.processing.max_retry_attempts
        wait_s = self._config.processing.backoff_s(number)
        info = _info(error, number, iso(now), None if final else wait_s)
        log.error("%s: attempt %d failed: %s", job.name, number, error)
        failed = self._scheduler.update(
            job.name, lambda j: j.close_attempt("failed", now, run.ran_s if run else 0.0, info)
        )
        if failed is None:
            return
        if final:
            self._give_up(failed)
        else:
            self._wait(failed, f"attempt {number + 1} in {wait_s:g} s", wait_s)

    def _give_up(self, job: Job) -> None:
        """Move the file to ``manual/``. Raises StorageError; then it is tried again."""
        assert job.error is not None
        with self._journal.quiet():
            if not self._is_wanted(job):
                return
            gone = job.to(Status.FAILED)
            # The verdict is on the disk before the move, so that a crash between finds it.
            self._files.states.save(gone)
            where = self._files.manual.take(gone, explain(gone, job.error))
            self._scheduler.release(job.name, Status.FAILED, f"moved to {where}")
        # Dragged back at once it is the same file as ever, and must be handed over all the same.
        self._look_again(job.name)
        self.finished[Status.FAILED] += 1

    def _hold(self, job: Job, error: TranscriberError, run: JobRun | None) -> None:
        """The folder, the disk or the model is at fault, not the file: nothing is counted."""
        try:
            if not self._files.folder.is_there(job.name):
                self._vanished(job)
                return
        except StorageError:
            pass  # the share itself is away, so nothing is concluded
        self.trouble.note(error)
        current = self._interrupted(job, run)
        if current:
            now = iso(self._clock.utc_now())
            # Why it waits; one that is given up keeps the reason for that, to be explained.
            told = None if current.given_up else _info(error, current.attempt_number, now, HOLD_S)
            self._wait(current, f"waiting: {error}", HOLD_S, error=told or current.error)

    def _is_wanted(self, job: Job) -> bool:
        """Whether nobody has cancelled the running job."""
        return self._scheduler.update(job.name, lambda j: j) is not None

    def _put_back(self, job: Job, why: str, run: JobRun | None) -> None:
        """Give the job its place in the queue back; its attempt is not counted."""
        current = self._interrupted(job, run)
        changes = {"attempts": current.attempts} if current else {}
        self._scheduler.release(job.name, Status.QUEUED, why, **changes)

    def _interrupted(self, job: Job, run: JobRun | None) -> Job | None:
        now, ran_s = self._clock.utc_now(), run.ran_s if run else 0.0
        return self._scheduler.update(
            job.name, lambda j: j.close_attempt("interrupted", now, ran_s)
        )

    def _wait(self, job: Job, why: str, wait_s: float, **changes: Any) -> None:
        not_before = self._clock.monotonic() + wait_s
        self._scheduler.release(job.name, Status.WAITING, why, not_before=not_before, **changes)


def _is_open(job: Job) -> bool:
    return bool(job.attempts) and job.attempts[-1].status == "processing"


def _info(
    error: TranscriberError, attempt: int, timestamp: str, retry_after: float | None
) -> ErrorInfo:
    return ErrorInfo(
        code=error.code,
        message=str(error),
        details=error.details,
        timestamp=timestamp,
        attempt=attempt,
        retry_after=retry_after,
    )
