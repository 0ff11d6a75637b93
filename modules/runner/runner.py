"""take → process → publish → finish, one file at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modules.config.languages import subtitle_code
from modules.errors import NodeLostError, TranscriberError
from modules.executors.base import Executor, Outcome, RunCallbacks
from modules.executors.protocol import Transcribe
from modules.executors.tasks import model_of, task_for
from modules.jobs.job import Job, Priority, Progress, Status
from modules.jobs.scheduler import StopReason
from modules.jobs.thread_loop import ThreadLoop
from modules.logger import get_logger
from modules.outputs.result import language_of_text, result_json
from modules.runner.common import Common
from modules.runner.failure_policy import FailurePolicy
from modules.runner.job_run import JobRun
from modules.runner.outage import HOLD_S, Outage
from modules.runner.seat import InHand
from modules.transcript.transcript import Transcript

log = get_logger("Runner")

_IDLE_TICK_S = 1.0
#: A worker that does not answer is given up by looks, of which one counts a second at most.
_SILENT_TICK_S = 0.25
#: A yielding file may finish the chunks in hand, however long they take: a new start costs more.
_NO_PATIENCE = (StopReason.CANCELLED, StopReason.SHUTDOWN)


class Runner:
    """Takes the jobs of a scheduler through the executor, in a thread of its own.

    One for each worker. ``name``: of the thread. ``is_ready``: whether its worker may be given a
    job; what is set from outside.
    """

    def __init__(self, common: Common, executor: Executor, name: str = "runner") -> None:
        self._common = common
        self._config = common.config
        self._scheduler = common.scheduler
        self._executor = executor
        self._store = common.store
        self._writer = common.writer
        self._clock = common.clock
        self._sources = common.sources
        self.is_ready = True
        #: What keeps every file from being transcribed by this worker at the moment.
        self.outage = Outage(common.clock, common.store.folder.check_writable)
        self._failures = FailurePolicy(common, self.outage, lambda: executor.failed_ahead)
        self._completed = 0
        self._in_hand: InHand | None = None
        self._duty: Callable[[], None] = self._warm
        self._loop = ThreadLoop(
            name, self._next_duty, failure_pause_s=HOLD_S, on_end=executor.close, daemon=False,
            monotonic=common.clock.monotonic,
            on_error=lambda: log.exception("The runner met an unexpected error and goes on"),
        )  # fmt: skip

    @property
    def silent_s(self) -> float:
        """How long the thread has given no sign of life."""
        return self._loop.silent_s

    @property
    def finished(self) -> dict[Status, int]:
        """Files by how they ended, since the start."""
        return {Status.COMPLETED: self._completed, Status.FAILED: self._failures.given_up}

    @property
    def in_hand(self) -> InHand | None:
        """The job that it has, cancelled or not."""
        return self._in_hand

    @property
    def is_able(self) -> bool:
        """Whether its worker has a job, or could be given one."""
        return self._in_hand is not None or (self._is_there and not self.outage.holds)

    @property
    def _is_there(self) -> bool:
        return self.is_ready and not self._executor.status.is_silent

    def start(self) -> None:
        self._loop.start()

    def ask_to_stop(self) -> None:
        """Take no further job. At shutdown the scheduler lets the running one stop as well."""
        self._loop.ask_to_stop()

    def stop(self, timeout_s: float | None = None) -> bool:
        """Join the thread, which ends the child; False if it is still busy after so long."""
        return self._loop.stop(timeout_s)

    def run(self) -> None:
        """Work until stopped, in the caller's thread."""
        self._loop.run()

    def _next_duty(self) -> float:
        # The child is started before the first file comes.
        duty, self._duty = self._duty, self.tick
        duty()
        return 0.0

    def _warm(self) -> None:
        try:
            self._executor.warm(model_of(self._config.default_settings(), self._config))
        except TranscriberError as error:
            self.outage.note(error)

    def tick(self) -> None:
        """Do the next job, if one is there within a second and there is no outage."""
        self._executor.maintain()
        if not self._is_there or self.outage.blocks():
            self._loop.wait(_SILENT_TICK_S if self._executor.status.is_silent else _IDLE_TICK_S)
            return
        self._poll()
        job = self._scheduler.take(_IDLE_TICK_S)
        if job:
            self._common.expected = None
            self._process(job)
        else:
            self._prefetch_expected()

    def _prefetch_expected(self) -> None:
        name, self._common.expected = self._common.expected, None
        if name is None or self._scheduler.get(name) or self._scheduler.paused:
            return
        try:
            settings = self._common.held.settings_for(name)
            whisperx = self._config.whisperx
            if (settings.engine, settings.model_size) != (whisperx.engine, whisperx.model_size):
                return  # the child has another model, which may have to be fetched first
            spec = model_of(settings, self._config)
        except TranscriberError:
            return  # reported when it is its turn
        at = self._store.folder.at(name)
        self._executor.prefetch(task_for(at, settings, spec, self._config).command)

    def _poll(self) -> None:
        """A sign of life; and a look whether what a person had to do for a file was done."""
        self._loop.beat()
        self._common.poll()

    # --- one job ---

    def _process(self, job: Job) -> None:
        """Take a job as far as it goes. Every way that it can end begins here."""
        run: JobRun | None = None
        self._in_hand = InHand(job.name, self._clock.utc_now(), job.job_id)
        try:
            current = self._ready(job)
            if current is None:
                return
            run = JobRun(
                current, self._config, self._scheduler, self._store, self._writer, self._clock,
                self._common.handout_of(current),
            )  # fmt: skip
            self._transcribe(current, run)
        except TranscriberError as error:
            # Whether the worker can be given another job is for who looks after the workers.
            self.is_ready = self.is_ready and not isinstance(error, NodeLostError)
            self._failures.handle(job, error, run)
        except Exception as error:
            log.exception("%s: an unexpected error", job.name)
            self._failures.handle_unexpected(job, error, run)
        finally:
            if run:
                run.close()
            if self._scheduler.order_of(job.name) is not None:
                self._failures.put_back(job, "interrupted", run)
            if self._scheduler.get(job.name) is None:
                self._common.forget(job.name)
            self._in_hand = None

    def _ready(self, job: Job) -> Job | None:
        """The job with its file checked and its settings chosen; None if it goes no further."""
        current = self._sources.current(job)
        if current is None:
            return None
        if current.given_up:
            self._failures.give_up(current)
            return None
        if self._sources.is_skipped(current, self._store.subtitles):
            return None
        return self._common.settings.apply(current)

    def _transcribe(self, job: Job, run: JobRun) -> None:
        if run.resumed_at_s:
            log.info("%s: going on from the checkpoint at %.1f s", job.name, run.resumed_at_s)
        outcome = self._executor.run(
            run.task(model_of(job.settings, self._config)),
            RunCallbacks(
                on_chunk=run.on_chunk,
                on_delivery=run.on_delivery,
                # Others must not wait for a long file until their settings are looked at.
                on_tick=self._poll,
                should_stop=lambda: self._scheduler.stop_reason(job.name) is not None,
                on_accepted=lambda: self._accepted(run),
                on_started=run.on_started,
                on_standstill=run.on_standstill,
                must_hurry=lambda: self._scheduler.stop_reason(job.name) in _NO_PATIENCE,
                next_up=lambda: self._next_up(job.name),
            ),
        )
        if outcome.done is None:
            why = str(self._scheduler.stop_reason(job.name) or "interrupted")
            self._failures.put_back(job, why, run)
            return
        run.check_end(outcome)
        self._publish(job, run, outcome)

    def _accepted(self, run: JobRun) -> None:
        run.on_accepted()
        self.outage.is_over()

    def _next_up(self, running: str) -> Transcribe | None:
        """What will come after this one, to be prefetched; None if that is not certain."""
        job = self._scheduler.next_up()
        if job is None or not self._failures.may_prefetch_beside(running):
            return None
        try:
            if self._store.states.has_begun(job):
                return None
            requested = job.priority is Priority.API
            settings = job.settings if requested else self._common.held.settings_for(job.name)
            spec = model_of(settings, self._config)
        except TranscriberError:
            return None  # reported when it is its turn
        return task_for(self._store.folder.at(job.name), settings, spec, self._config).command

    def _publish(self, job: Job, run: JobRun, outcome: Outcome) -> None:
        """Texts first, then the result; then the job ends and its state is removed."""
        assert outcome.done is not None
        current = self._sources.current(job, ran=True)
        if current is None:
            return
        incomplete = outcome.facts.incomplete
        if incomplete and self._failures.leave_to_grow(current, incomplete, run):
            return
        ended = self._scheduler.update(
            job.name,
            lambda j: j.advance(Progress(stage="generating_text", percentage=99)).close_attempt(
                "completed", self._clock.utc_now(), run.ran_s
            ),
        )
        if ended is None:
            return  # cancelled meanwhile
        transcript = Transcript(run.chunks, outcome.facts.turns)
        content = result_json(ended, transcript, outcome.facts, (), self._clock.utc_now())
        timestamps = self._config.output.txt_timestamps
        took = f"{outcome.done.duration_s:.1f} s of audio in {run.ran_s:.1f} s"
        # One at a time, from the plan on: two recordings may want the same name for their texts.
        with self._writer.quiet():
            outputs = current.outputs or self._planned(job.name, content)
            content["outputs"] = list(outputs)
            finished = self._scheduler.update(job.name, lambda j: j.evolve(outputs=outputs))
            if finished is None:
                return  # cancelled, and its files removed, a moment ago
            self._writer.record(finished)
            self._common.publisher.publish(finished, transcript, content, timestamps)
            self._scheduler.release(job.name, Status.COMPLETED, took)
            self._writer.clear(job.name, self._config.processing.cleanup_temp_files)
        self._completed += 1

    def _planned(self, name: str, result: Mapping[str, Any]) -> tuple[str, ...]:
        """What the texts will be called."""
        wanted, language = self._config.output, None
        if wanted.subtitle_language and (spoken := language_of_text(result)):
            language = subtitle_code(spoken)
        return self._store.results.plan_outputs(name, wanted.formats, language)
