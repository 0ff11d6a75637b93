"""What follows from an error: another attempt, the end, or a wait that counts nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from modules.clock import iso
from modules.errors import (
    ClusterAwayError,
    MediaError,
    ModelError,
    NodeLostError,
    StorageError,
    TranscriberError,
    WorkerError,
    noted,
)
from modules.jobs.backoff import between_attempts
from modules.jobs.job import Cause, Job, Status
from modules.logger import get_logger
from modules.messages import language_of_texts
from modules.recordings.error_texts import explain
from modules.runner.common import Common
from modules.runner.growth import growing
from modules.runner.job_run import JobRun
from modules.runner.outage import HOLD_S, Outage, error_info

log = get_logger("Runner")

#: A recording under which the program went down so often is run without another beside it.
ALONE_AFTER = 2
#: From so many machines on that were lost while they had a file, each counts as its own failure.
LOST_NODES = 3


class FailurePolicy:
    """Decides who is to blame, the file or what it depends on, and releases the job accordingly.

    Of one runner; what must be known of a file whichever worker it is with is in ``common``.
    ``failed_ahead()``: whether the child failed while it also had the next file in hand.
    """

    def __init__(self, common: Common, outage: Outage, failed_ahead: Callable[[], bool]) -> None:
        self._common = common
        self._config = common.config
        self._scheduler = common.scheduler
        self._store = common.store
        self._writer = common.writer
        self._sources = common.sources
        self._outage = outage
        self._clock = common.clock
        self._failed_ahead = failed_ahead
        #: Files that failed for good since the start.
        self.given_up = 0

    def may_prefetch_beside(self, name: str) -> bool:
        """Not where it must be found out which of two the child, or the program, dies of."""
        job = self._scheduler.get(name)
        alone = name in self._common.without_prefetch
        return not alone and (job is None or job.deaths < ALONE_AFTER)

    def handle(self, job: Job, error: TranscriberError, run: JobRun | None) -> None:
        """Find out who is to blame: the file, or what it depends on."""
        current = self._scheduler.get(job.name) or job
        if isinstance(error, NodeLostError):
            self._after_lost_node(current, error, run)
            return
        if run and run.began and self._may_be_the_next_ones(job.name, error):
            self.put_back(job, f"once more, alone: {error}", run)
            return
        # A child that dies while it loads its model was not given the file yet.
        of_model = isinstance(error, ModelError) or not (error.permanent or (run and run.began))
        every_file = current.settings.matches(self._config.default_settings())
        nobodys = isinstance(error, StorageError | ClusterAwayError)
        if nobodys or (of_model and every_file):
            self._hold(current, error, run)
            return
        self._blame(current, error, run)

    def leave_to_grow(self, job: Job, incomplete: str, run: JobRun) -> bool:
        """Whether a recording of which a part is missing waits, as it may still be growing.

        What was transcribed stays in the checkpoint. Raises StorageError.
        """
        error = MediaError("incomplete", noted("The recording is incomplete."), details=incomplete)
        left_s = self._common.growth.left_s(job, error)
        if left_s:
            self._leave_alone(job, error, run, left_s)
        return left_s > 0

    def handle_unexpected(self, job: Job, error: Exception, run: JobRun | None) -> None:
        """Count an error of the program as the file's own, or it would come back for ever."""
        wrapped = WorkerError(
            "unexpected_error",
            noted("The program met an unexpected error."),
            details=repr(error),
        )
        self._blame(self._scheduler.get(job.name) or job, wrapped, run)

    def give_up(self, job: Job) -> None:
        """Move the file to ``manual/``, or leave it where it is and note why.

        Raises StorageError; then it is tried again.
        """
        # Not the job's own error: what else it waited for meanwhile may have replaced it, or ended.
        reason = job.attempts[-1].error
        assert reason is not None
        with self._writer.quiet():
            if not self._scheduler.still_runs(job.name):
                return
            failed = job.to(Status.FAILED).evolve(error=reason)
            leaves = self._config.processing.failed == "leave"
            text = explain(failed, reason, self._language_of(failed), left=leaves)
            if leaves:
                self._store.left.note(failed, text)
                self._scheduler.release(job.name, Status.FAILED, "left where it is")
            else:
                # The verdict is on the disk before the move, so that a crash in between finds it.
                self._store.states.save(failed)
                where = self._store.manual.take(failed, text)
                self._scheduler.release(job.name, Status.FAILED, f"moved to {where}")
        # Dragged back at once it is the same file as before, and must be reported all the same.
        self._common.look_again(job.name)
        self.given_up += 1

    def _language_of(self, job: Job) -> str:
        """Of the text about a failure. Raises StorageError."""
        wished, spoken = self._config.messages.language, job.settings.language
        if wished == "auto" and spoken in ("auto", "mixed"):
            return language_of_texts(
                wished, self._store.states.read_checkpoint(job).chunks.language
            )
        return language_of_texts(wished, spoken)

    def put_back(self, job: Job, why: str, run: JobRun | None) -> None:
        """Give the job its place in the queue back; its attempt is not counted."""
        current = self._interrupted(job, run)
        changes = {"attempts": current.attempts} if current else {}
        self._scheduler.release(job.name, Status.QUEUED, why, **changes)

    def _after_lost_node(self, job: Job, error: NodeLostError, run: JobRun | None) -> None:
        """Machines fail by themselves, but not three under the same file."""
        if run and run.began:
            # With the job's state, or a restart of the daemon would begin to count anew.
            job = self._scheduler.update(job.name, _one_lost_node_more) or job
            if job.nodes_lost >= LOST_NODES:
                self._blame(job, error, run)
                return
        self.put_back(job, str(error), run)

    def _may_be_the_next_ones(self, name: str, error: TranscriberError) -> bool:
        """Whether the child had the next file in hand when it failed; once for each file."""
        if not isinstance(error, WorkerError) or not self._failed_ahead():
            return False
        if name in self._common.without_prefetch:
            return False
        self._common.without_prefetch.add(name)
        return True

    def _blame(self, job: Job, error: TranscriberError, run: JobRun | None) -> None:
        """Count it as the file's own failure, unless that cannot be judged at the moment."""
        try:
            self._fail(job, error, run)
        except StorageError as problem:
            self._hold(job, problem, run)

    def _fail(self, job: Job, error: TranscriberError, run: JobRun | None) -> None:
        """Count the attempt; back off, or give up. Raises StorageError if it cannot be judged."""
        if self._sources.current(job, ran=run is not None) is None:
            return  # what failed is no longer there
        now = self._clock.utc_now()
        current = self._scheduler.update(
            job.name,
            # It may have failed before the file was given away, when no attempt was open yet.
            lambda j: j if j.has_open_attempt else j.open_attempt(now),
        )
        if current is None:
            return  # cancelled meanwhile
        kind = self._kind_of_stranger(current, error)
        if kind:
            self._leave_there(current, kind)
            return
        left_s = self._common.growth.left_s(current, error)
        if left_s:
            self._leave_alone(current, error, run, left_s)
            return
        number, limits = current.attempt_number, self._config.processing
        final = error.permanent or number >= limits.max_retry_attempts
        wait_s = between_attempts(limits).pause_s(number)
        info = error_info(error, number, iso(now), None if final else wait_s)
        log.error("%s: attempt %d failed: %s", job.name, number, error)
        failed = self._scheduler.update(
            job.name, lambda j: j.close_attempt("failed", now, run.ran_s if run else 0.0, info)
        )
        if failed is None:
            return
        if final:
            self.give_up(failed)
        else:
            self._wait(failed, f"attempt {number + 1} in {wait_s:g} s", wait_s)

    def _kind_of_stranger(self, job: Job, error: TranscriberError) -> str | None:
        """What a file is that is no recording and belongs to somebody. Raises StorageError."""
        if job.uploaded or not isinstance(error, MediaError):
            return None
        return self._store.ignored.look_closely(job.name)

    def _leave_there(self, job: Job, kind: str) -> None:
        """It is no recording: it is not moved, and not tried again until it changes."""
        with self._writer.quiet():
            if not self._scheduler.still_runs(job.name):
                return
            self._store.ignored.note(job.name, kind)
            self._store.states.drop(job.name)
            cause = Cause.NO_RECORDING
            self._scheduler.release(job.name, Status.CANCELLED, cause, cause=cause)

    def _leave_alone(
        self, job: Job, error: TranscriberError, run: JobRun | None, left_s: float
    ) -> None:
        """More bytes may mend it, and the file changed a moment ago: nothing is counted yet."""
        current = self._interrupted(job, run)
        if current:
            now, number = iso(self._clock.utc_now()), current.attempt_number
            info = error_info(growing(error), number, now, round(left_s, 1))
            self._wait(
                current,
                f"it may still be growing, tried again in {left_s:.0f} s: {error}",
                left_s,
                error=info,
            )

    def _hold(self, job: Job, error: TranscriberError, run: JobRun | None) -> None:
        """The folder, the disk or the model is at fault, not the file: nothing is counted."""
        try:
            if not self._store.folder.is_there(job.name):
                self._sources.deleted(job)
                return
        except StorageError:
            pass  # the share itself is away, so nothing follows from absence
        barred = self._common.unreadable.why(job.name) if isinstance(error, StorageError) else None
        if barred:
            self._common.unreadable.hold(job.name, barred)
            error = barred
        else:
            self._outage.note(error)
        current = self._interrupted(job, run)
        if current:
            now = iso(self._clock.utc_now())
            # Why it waits; of one that is given up what it failed of is shown until it is moved.
            info = None
            if not current.given_up:
                info = error_info(error, current.attempt_number, now, HOLD_S)
            # One that may not be read is woken by ``poll``: it must not come and go meanwhile.
            wait_s = math.inf if barred else HOLD_S
            self._wait(current, f"waiting: {error}", wait_s, error=info or current.error)

    def _interrupted(self, job: Job, run: JobRun | None) -> Job | None:
        now, ran_s = self._clock.utc_now(), run.ran_s if run else 0.0
        return self._scheduler.update(
            job.name, lambda j: j.close_attempt("interrupted", now, ran_s)
        )

    def _wait(self, job: Job, why: str, wait_s: float, **changes: Any) -> None:
        not_before = self._clock.monotonic() + wait_s
        self._scheduler.release(job.name, Status.WAITING, why, not_before=not_before, **changes)


def _one_lost_node_more(job: Job) -> Job:
    return job.evolve(nodes_lost=job.nodes_lost + 1)
