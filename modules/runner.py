"""take → process → publish → finish, one file at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from modules.audio_processor import AudioProcessor, Outcome
from modules.clock import Clock, iso
from modules.config import Config
from modules.errors import ModelError, StorageError, TranscriberError
from modules.explanations import explain
from modules.file_manager import FileManager
from modules.job import ErrorInfo, Job, Progress, Settings, Status
from modules.job_run import JobRun
from modules.journal import Journal
from modules.logger import get_logger
from modules.models import locate, prepare
from modules.protocol import ModelSpec
from modules.results import RunFacts, result_json, segments_of
from modules.scheduler import Scheduler

log = get_logger("Runner")

#: How long a full disk, an unreachable folder or a missing model is left alone before the next try.
HOLD_S = 10.0
_IDLE_TICK_S = 1.0


class Runner:
    """Carries the jobs of a scheduler through the worker, in a thread of its own.

    ``look_again(name)`` is called for a file that is no longer what its job was about: it is to be
    handed over again once it is whole.
    """

    def __init__(
        self,
        config: Config,
        scheduler: Scheduler,
        processor: AudioProcessor,
        files: FileManager,
        journal: Journal,
        clock: Clock,
        look_again: Callable[[str], None],
    ) -> None:
        self._config = config
        self._scheduler = scheduler
        self._processor = processor
        self._files = files
        self._journal = journal
        self._clock = clock
        self._look_again = look_again
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, name="runner")
        self._mended: Callable[[], object] | None = None
        #: Why nothing can be done just now, in plain words; None while all is well.
        self.trouble: str | None = None
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
        try:
            self._processor.warm(self._spec(self._config.default_settings()))
        except TranscriberError as error:
            self._note_trouble(error)
        while not self._stopping.is_set():
            try:
                self.tick()
            except Exception:  # the door of this thread: a surprise must not end all work
                log.exception("The runner was surprised and goes on")
                self._stopping.wait(HOLD_S)
        self._processor.close()

    def tick(self) -> None:
        """Do the next job, if one is there within a second and nothing is in the way."""
        self._processor.tend()
        if self._mended and not self._is_mended():
            self._stopping.wait(_IDLE_TICK_S)
            return
        job = self._scheduler.take(_IDLE_TICK_S)
        if job:
            self._carry(job)

    # --- one job ---

    def _carry(self, job: Job) -> None:
        """Take a job as far as it goes. Every way that it can end begins here."""
        run: JobRun | None = None
        try:
            if job.given_up:
                self._give_up(job)
                return
            if not self._is_ready(job):
                return
            current = self._scheduler.get(job.name)
            if current is None:
                return  # cancelled meanwhile
            run = JobRun(
                current, self._config, self._scheduler, self._files, self._journal, self._clock
            )
            self._transcribe(current, run)
        except StorageError as error:
            self._hold(job, error, run)
        except ModelError as error:
            if job.settings.matches(self._config.default_settings()):
                self._hold(job, error, run)  # every file would fail for it: none is to blame
            else:
                self._fail(job, error, run)
        except TranscriberError as error:
            self._fail(job, error, run)
        finally:
            if run:
                run.close()
            if self._scheduler.running_name == job.name:
                self._put_back(job, "interrupted", run)

    def _is_ready(self, job: Job) -> bool:
        """Whether the file is still what the job is about; if not, the job is settled here."""
        if not self._files.is_there(job.name):
            self._vanished(job)
            return False
        source = self._files.source(job.name)
        if job.source is None:
            self._scheduler.update(job.name, lambda j: j.evolve(source=source))
        elif not job.source.same_as(source):
            self._replaced(job)
            return False
        return True

    def _transcribe(self, job: Job, run: JobRun) -> None:
        if run.resumed_at_s:
            log.info("%s: going on from the checkpoint at %.1f s", job.name, run.resumed_at_s)
        outcome = self._processor.process(
            run.request(self._spec(job.settings)),
            on_chunk=run.on_chunk,
            on_started=run.on_started,
            should_stop=lambda: self._scheduler.stop_reason() is not None,
            on_accepted=run.on_accepted,
        )
        if outcome.done is None:
            self._put_back(job, str(self._scheduler.stop_reason() or "interrupted"), run)
            return
        self._publish(job, run, outcome)

    def _spec(self, settings: Settings) -> ModelSpec:
        """The weights for a job, made ready on the disk. Raises ModelError."""
        directory = self._config.models_directory
        source = locate(settings.model_size, directory, self._config.whisperx.allow_download)
        return ModelSpec(
            name=source.name,
            path=str(prepare(source, directory)),
            device=settings.device,
            compute_type=settings.compute_type,
        )

    # --- how it ends ---

    def _publish(self, job: Job, run: JobRun, outcome: Outcome) -> None:
        """Texts first, then the result; then the job and its state are gone."""
        assert outcome.done is not None
        if not self._is_ready(job):
            return
        formats = self._config.output.formats
        finished = self._scheduler.update(
            job.name,
            lambda j: j.evolve(
                progress=Progress(stage="generating_text", percentage=99),
                outputs=j.outputs or self._files.plan_outputs(job.name, formats),
            ).close_attempt("completed", self._clock.utc_now(), run.ran_s),
        )
        if finished is None:
            return  # cancelled meanwhile
        self._journal.record(finished)
        now = self._clock.utc_now()
        content = result_json(finished, run.chunks, _facts(outcome), finished.outputs, now)
        timestamps = self._config.output.txt_timestamps
        self._files.publish(finished, segments_of(run.chunks), content, timestamps)
        said = f"{outcome.done.duration_s:.1f} s of audio in {run.ran_s:.1f} s"
        with self._journal.quiet():
            self._scheduler.release(job.name, Status.COMPLETED, said)
            if self._config.processing.cleanup_temp_files:
                self._files.drop_state(job.name)
            else:
                self._files.drop_in_progress(job.name)
        self.finished[Status.COMPLETED] += 1

    def _vanished(self, job: Job) -> None:
        """Deleted or renamed by hand: not the file's fault, and nothing is left to do."""
        with self._journal.quiet():
            self._scheduler.cancel(job.name, "the file is gone")
            self._files.drop_state(job.name)

    def _replaced(self, job: Job) -> None:
        """Another file has this name now: what was done is void, and it waits until it is whole."""
        with self._journal.quiet():
            self._scheduler.release(
                job.name,
                Status.ARRIVING,
                "the file was replaced",
                source=None,
                attempts=(),
                position_s=0.0,
                last_segments=(),
                progress=Progress(),
                error=None,
            )
            self._files.drop_state(job.name)
            kept = self._scheduler.get(job.name)
            if kept:
                self._journal.record(kept)
        self._look_again(job.name)

    def _fail(self, job: Job, error: TranscriberError, run: JobRun | None) -> None:
        """Count the attempt; back off, or give up."""
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
        wait_s = self._config.processing.retry_backoff_seconds * 2 ** (number - 1)
        info = _info(error, number, iso(now), None if final else wait_s)
        log.error("%s: attempt %d failed: %s", job.name, number, error)
        failed = self._scheduler.update(
            job.name, lambda j: j.close_attempt("failed", now, run.ran_s if run else 0.0, info)
        )
        if failed is None:
            return
        if not final:
            self._wait(failed, f"attempt {number + 1} in {wait_s:g} s", wait_s)
            return
        try:
            self._give_up(failed)
        except StorageError as trouble:
            self._hold(failed, trouble, None)

    def _give_up(self, job: Job) -> None:
        """Move the file to ``manual/``. Raises StorageError; then it is tried again."""
        assert job.error is not None
        with self._journal.quiet():
            gone = job.to(Status.FAILED)
            # The verdict is on the disk before the move, so that a crash between finds it.
            self._files.save(gone)
            where = self._files.move_to_manual(gone, explain(gone, job.error))
            self._scheduler.release(job.name, Status.FAILED, f"moved to {where}")
        self.finished[Status.FAILED] += 1

    def _hold(self, job: Job, error: TranscriberError, run: JobRun | None) -> None:
        """The folder, the disk or the model is at fault, not the file: nothing is counted."""
        try:
            if not self._files.is_there(job.name):
                self._vanished(job)
                return
        except StorageError:
            pass  # the share itself is away, so nothing is concluded
        self._note_trouble(error)
        current = self._interrupted(job, run)
        if current:
            self._wait(current, f"waiting: {error}", HOLD_S)

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

    def _wait(self, job: Job, why: str, wait_s: float) -> None:
        not_before = self._clock.monotonic() + wait_s
        self._scheduler.release(job.name, Status.WAITING, why, not_before=not_before)

    # --- trouble that is nobody's fault ---

    def _note_trouble(self, error: TranscriberError) -> None:
        log.error("%s", error)
        self.trouble = str(error)
        if isinstance(error, ModelError):
            self._mended = lambda: self._spec(self._config.default_settings())
        else:
            self._mended = self._files.check_writable

    def _is_mended(self) -> bool:
        assert self._mended is not None
        try:
            self._mended()
        except TranscriberError as error:
            self.trouble = str(error)
            return False
        log.info("Going on: what was in the way is mended")
        self._mended = self.trouble = None
        return True


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


def _facts(outcome: Outcome) -> RunFacts:
    done, loaded = outcome.done, outcome.loaded
    assert done is not None
    assert loaded is not None
    return RunFacts(
        duration_s=done.duration_s,
        notes=done.notes,
        whisperx_version=outcome.whisperx_version,
        model_name=loaded.name,
        model_size_mb=loaded.size_mb,
        model_load_s=loaded.seconds,
        memory_peak_mb=outcome.memory_peak_mb,
        cpu_s=done.cpu_seconds,
    )
