"""The queue: order, joining, promotion, preemption, pause, cancellation.

The sole writer of a job's status. Nothing here touches the disk: ``on_change`` is called outside
the lock, and writes the job down.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable
from typing import Any

from modules.clock import Clock
from modules.jobs.job import Cause, Job, Status
from modules.jobs.joining import joined
from modules.jobs.ready_queue import ReadyQueue, turn
from modules.jobs.runs import Runs
from modules.jobs.runs import StopReason as StopReason
from modules.logger import get_logger

log = get_logger("Scheduler")

OnChange = Callable[[Job], None]


class Scheduler:
    """One job per name; API jobs before scanned ones, first in first out within each. Thread-safe.

    As many run as there are workers; the thread that took a job alone changes and releases it.
    ``on_change`` is called after every transition, ``on_progress`` when a running job
    came further; both in the thread that made the change, without the lock.
    """

    def __init__(
        self,
        clock: Clock,
        on_change: OnChange = lambda job: None,
        on_progress: OnChange = lambda job: None,
    ) -> None:
        self._clock = clock
        self._on_change = on_change
        self._on_progress = on_progress
        self._changed = threading.Condition()
        self._jobs = ReadyQueue()
        self._sequence = itertools.count(1)
        self._runs = Runs()
        self._paused = self._stopping = self._nudged = False
        #: How many jobs may run at once; ``set_workers`` changes it.
        self.workers = 1

    # --- state ---

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def running(self) -> Job | None:
        """The job that has run the longest; None also while a cancelled one is being stopped."""
        return next(iter(self.all_running()), None)

    def all_running(self) -> list[Job]:
        """The jobs that run, the one that was taken first in front."""
        with self._changed:
            return self._runs.current(self._jobs)

    def order_of(self, name: str) -> int | None:
        """The number of the calling thread's hand-out of this job; None if it has none."""
        with self._changed:
            run = self._runs.own(name)
            return run.order if run else None

    def get(self, name: str) -> Job | None:
        """The job of a file, or None if it has none that is still to be done."""
        with self._changed:
            return self._jobs.get(name)

    def by_id(self, job_id: str) -> Job | None:
        """The job with this id, or None if no job that is still to be done has it."""
        with self._changed:
            return next((job for job in self._jobs if job.job_id == job_id), None)

    def ahead_of(self, name: str) -> int | None:
        """How many jobs come before this one, running ones included; None if there is none."""
        with self._changed:
            job = self._jobs.get(name)
            if job is None:
                return None
            if job.status is Status.RUNNING:
                return 0
            own = turn(job)
            overtaken = sum(turn(other) > own for other in self._runs.current(self._jobs))
            return overtaken + sum(turn(other) < own for other in self._jobs)

    def jobs(self) -> list[Job]:
        """All jobs that are still to be done: those that run, then in the order of the queue."""
        with self._changed:
            current = self._runs.current(self._jobs)
            running = {job.name for job in current}
            waiting = sorted((j for j in self._jobs if j.name not in running), key=turn)
        return current + waiting

    def next_up(self) -> Job | None:
        """What would be taken if a running job ended now."""
        with self._changed:
            if self._paused or self._stopping:
                return None
            return min(self._jobs.due(self._clock.monotonic()), key=turn, default=None)

    def stop_reason(self, name: str | None = None) -> StopReason | None:
        """Why a running job must stop at its next chunk; None if it may go on.

        Without a name: that of the oldest run.
        """
        with self._changed:
            run = self._runs.get(name) if name else next(iter(self._runs), None)
            if run and run.is_cancelled:
                return StopReason.CANCELLED
            if self._stopping:
                return StopReason.SHUTDOWN
            if self._paused:
                return StopReason.PAUSED
            now = self._clock.monotonic()
            yields = run and self._runs.yields(run, self._jobs, self.workers, now)
            return StopReason.PREEMPTED if yields else None

    # --- changes ---

    def submit(self, job: Job) -> Job:
        """Take a job in, or join it to the one that its file has already; returns the one kept.

        An API job promotes a scanned one of the same file, and gives it its id. A new job must be
        QUEUED, ARRIVING or WAITING.
        """
        with self._changed:
            known = self._jobs.get(job.name)
            fresh = job.evolve(sequence=next(self._sequence))
            kept = joined(known, fresh) if known else fresh
            self._keep(kept)
        if kept is not known:
            self._tell(kept, "promoted" if known else "accepted")
        return kept

    def arrived(self, name: str) -> None:
        """The file of a requested job is complete: the job may run."""
        self._transition(name, Status.QUEUED, "the file is whole", only_from=Status.ARRIVING)

    def wake(self, name: str, why: str, **changes: Any) -> None:
        """A job that waits need wait no longer; it has its turn in its old place."""
        self._transition(name, Status.QUEUED, why, Status.WAITING, not_before=0.0, **changes)

    def cancel(self, name: str, cause: Cause) -> bool:
        """Forget a job at once; True if it was running, which then stops at its next chunk."""
        with self._changed:
            job = self._jobs.get(name)
            if job is None:
                return False
            was_running = job.status is Status.RUNNING
            if was_running:
                self._runs.cancel(name)
            cancelled = job.to(Status.CANCELLED, cause=cause)
            self._jobs.remove(name)
            self._changed.notify_all()
        self._tell(cancelled, cause)
        return was_running

    def pause(self) -> None:
        """Start nothing more; what runs stops at its next chunk."""
        self._set(paused=True)

    def resume(self) -> None:
        self._set(paused=False)

    def shut_down(self) -> None:
        """Let ``take`` return None and what runs stop at its next chunk."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    # --- for the runners ---

    def set_workers(self, count: int) -> None:
        """How many jobs may run at once from now on; one unless said otherwise."""
        with self._changed:
            self.workers = count
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Job | None:
        """The next job, now RUNNING; None if none became ready in time, or at shutdown."""
        deadline = self._clock.monotonic() + timeout_s
        with self._changed:
            while (job := self._pop()) is None:
                now = self._clock.monotonic()
                if self._stopping or self._nudged or now >= deadline:
                    self._nudged = False
                    return None
                self._changed.wait(max(min(deadline, self._next_retry()) - now, 0.001))
            self._runs.begin(job.name, self._clock.monotonic())
            self._nudged = False
            taken = job.to(Status.RUNNING, progress=job.progress_at("loading_model"))
            self._jobs.keep(taken)
        self._tell(taken, "its turn")
        return taken

    def nudge(self) -> None:
        """Let whoever waits for a job look at something else."""
        with self._changed:
            self._nudged = True
            self._changed.notify_all()

    def update(self, name: str, change: Callable[[Job], Job]) -> Job | None:
        """Change a running job's details, not its status; None if it was cancelled meanwhile."""
        with self._changed:
            run, job = self._runs.own(name), self._jobs.get(name)
            if job is None or run is None or run.is_cancelled:
                return None
            changed = change(job)
            if changed.status is not job.status:
                raise ValueError("only transitions change the status")
            self._jobs.keep(changed)
            if changed.position_s != job.position_s:
                run.came_further(self._clock.monotonic())
        if (changed.progress, changed.position_s) != (job.progress, job.position_s):
            self._on_progress(changed)
        return changed

    def still_runs(self, name: str) -> bool:
        """Whether the calling thread runs this job, and it was not cancelled."""
        with self._changed:
            run = self._runs.own(name)
            return name in self._jobs and run is not None and not run.is_cancelled

    def release(self, name: str, status: Status, why: str, **changes: Any) -> Job | None:
        """End the calling thread's run of a job. None if it was cancelled meanwhile.

        QUEUED and WAITING keep their place; COMPLETED and FAILED leave the queue.
        Raises ValueError, with nothing changed, if the step is not legal.
        """
        with self._changed:
            run = self._runs.own(name)
            if run is None:
                raise ValueError(f"{name} is not the running job of this thread")
            job = None if run.is_cancelled else self._jobs.get(name)
            released = job.to(status, **changes) if job else None
            self._runs.end(name)
            if released and released.finished:
                self._jobs.remove(name)
            elif released:
                self._jobs.keep(released.evolve(progress=released.progress_at("queued")))
            self._changed.notify_all()
        if released:
            self._tell(released, why)
        return released

    # --- inside, under the lock ---

    def _keep(self, job: Job) -> None:
        self._jobs.keep(job)
        self._changed.notify_all()

    @property
    def _is_full(self) -> bool:
        return self._paused or len(self._runs) >= self.workers

    def _next_retry(self) -> float:
        # While nothing can be taken, a retry that is due changes nothing.
        return math.inf if self._is_full else self._jobs.next_retry(self._runs)

    def _pop(self) -> Job | None:
        if self._is_full or self._stopping:
            return None
        # A file whose cancelled run has not ended is with a worker still.
        return self._jobs.pop(self._clock.monotonic(), besides=self._runs)

    def _set(self, *, paused: bool) -> None:
        with self._changed:
            changed = self._paused is not paused
            self._paused = paused
            self._changed.notify_all()
        if changed:
            log.info("The queue is %s", "paused" if paused else "going on")

    def _transition(
        self, name: str, status: Status, why: str, only_from: Status, **changes: Any
    ) -> None:
        with self._changed:
            job = self._jobs.get(name)
            if job is None or job.status is not only_from:
                return
            moved = job.to(status, **changes)
            self._keep(moved)
        self._tell(moved, why)

    # --- outside the lock ---

    def _tell(self, job: Job, why: str) -> None:
        log.info("%s: %s (%s)", job.name, job.status, why)
        self._on_change(job)
