"""The queue: order, joining, promotion, preemption, pause, cancellation.

The sole writer of a job's status. Nothing here touches the disk: ``on_change`` is called outside
the lock, and writes the job down.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from modules.clock import Clock
from modules.jobs.job import CLIENTS_MAX, Cause, Job, Priority, Status
from modules.jobs.ready_queue import ReadyQueue, turn
from modules.logger import get_logger

log = get_logger("Scheduler")

OnChange = Callable[[Job], None]


class StopReason(StrEnum):
    """Why the running job must stop."""

    CANCELLED = "cancelled"
    PREEMPTED = "an urgent job waits"
    PAUSED = "paused"
    SHUTDOWN = "shutting down"


class Scheduler:
    """One job per name; API jobs before scanned ones, first in first out within each. Thread-safe.

    ``on_change`` is called after every transition, ``on_progress`` when the running job came
    further; both in the thread that made the change, without the lock.
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
        self._running: str | None = None
        self._cancelled = self._paused = self._stopping = False
        self._nudged = False

    # --- state ---

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def running(self) -> Job | None:
        """The job that runs; None also while a cancelled one is being stopped."""
        with self._changed:
            return self._current()

    @property
    def running_name(self) -> str | None:
        """The name whose run has not been released yet, cancelled or not."""
        return self._running

    def get(self, name: str) -> Job | None:
        """The job of a file, or None if it has none that is still to be done."""
        with self._changed:
            return self._jobs.get(name)

    def by_id(self, job_id: str) -> Job | None:
        """The job with this id, or None if no job that is still to be done has it."""
        with self._changed:
            return next((job for job in self._jobs if job.job_id == job_id), None)

    def ahead_of(self, name: str) -> int | None:
        """How many jobs come before this one, the running one included; None if there is none."""
        with self._changed:
            job = self._jobs.get(name)
            if job is None:
                return None
            if job.status is Status.RUNNING:
                return 0
            own, current = turn(job), self._current()
            overtaken = current is not None and turn(current) > own
            return overtaken + sum(turn(other) < own for other in self._jobs)

    def jobs(self) -> list[Job]:
        """All jobs that are still to be done: the running one, then in the order of the queue."""
        with self._changed:
            current = self._current()
            waiting = sorted((j for j in self._jobs if j is not current), key=turn)
        return [current, *waiting] if current else waiting

    def next_up(self) -> Job | None:
        """What would be taken if the running job ended now."""
        with self._changed:
            if self._paused or self._stopping:
                return None
            return min(self._jobs.due(self._clock.monotonic()), key=turn, default=None)

    def stop_reason(self) -> StopReason | None:
        """Why the running job must stop at its next chunk; None if it may go on."""
        with self._changed:
            if self._cancelled:
                return StopReason.CANCELLED
            if self._stopping:
                return StopReason.SHUTDOWN
            if self._paused:
                return StopReason.PAUSED
            job = self._current()
            now = self._clock.monotonic()
            if job and job.priority is Priority.SCAN and self._jobs.has_due(Priority.API, now):
                return StopReason.PREEMPTED
            return None

    # --- changes ---

    def submit(self, job: Job) -> Job:
        """Take a job in, or join it to the one that its file has already; returns the one kept.

        An API job promotes a scanned one of the same file, and gives it its id. A new job must be
        QUEUED, ARRIVING or WAITING.
        """
        with self._changed:
            known = self._jobs.get(job.name)
            fresh = job.evolve(sequence=next(self._sequence))
            kept = self._joined(known, job) if known else fresh
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
                self._cancelled = True
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

    # --- for the runner ---

    def take(self, timeout_s: float) -> Job | None:
        """The next job, now RUNNING; None if none became ready in time, or at shutdown."""
        deadline = self._clock.monotonic() + timeout_s
        with self._changed:
            while (job := self._pop()) is None:
                now = self._clock.monotonic()
                if self._stopping or self._nudged or now >= deadline:
                    self._nudged = False
                    return None
                # While paused, a retry that is due changes nothing.
                until = deadline if self._paused else min(deadline, self._jobs.next_retry())
                self._changed.wait(max(until - now, 0.001))
            self._running, self._cancelled, self._nudged = job.name, False, False
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
        """Change the running job's details, not its status; None if it was cancelled meanwhile."""
        with self._changed:
            job = self._jobs.get(name)
            if job is None or self._cancelled or self._running != name:
                return None
            changed = change(job)
            if changed.status is not job.status:
                raise ValueError("only transitions change the status")
            self._jobs.keep(changed)
        if (changed.progress, changed.position_s) != (job.progress, job.position_s):
            self._on_progress(changed)
        return changed

    def still_runs(self, name: str) -> bool:
        """Whether this job is running and was not cancelled."""
        with self._changed:
            return name in self._jobs and self._running == name and not self._cancelled

    def release(self, name: str, status: Status, why: str, **changes: Any) -> Job | None:
        """End the run of the running job. None if it was cancelled meanwhile.

        QUEUED and WAITING keep their place; COMPLETED and FAILED leave the queue.
        Raises ValueError, with nothing changed, if the step is not legal.
        """
        with self._changed:
            if self._running != name:
                raise ValueError(f"{name} is not the running job")
            job = None if self._cancelled else self._jobs.get(name)
            released = job.to(status, **changes) if job else None
            self._running, self._cancelled = None, False
            if released is None:
                self._changed.notify_all()
                return None
            if released.finished:
                self._jobs.remove(name)
            else:
                self._keep(released.evolve(progress=released.progress_at("queued")))
            self._changed.notify_all()
        self._tell(released, why)
        return released

    # --- inside, under the lock ---

    def _current(self) -> Job | None:
        # A cancelled job may have a successor of the same name, which only waits.
        return self._jobs.get(self._running) if self._running and not self._cancelled else None

    def _joined(self, known: Job, asked: Job) -> Job:
        changes: dict[str, Any] = {
            "clients": tuple(dict.fromkeys(known.clients + asked.clients))[-CLIENTS_MAX:],
            "callback_urls": tuple(dict.fromkeys(known.callback_urls + asked.callback_urls)),
            "uploaded": known.uploaded or asked.uploaded,
        }
        if asked.priority >= known.priority:
            joined = known.evolve(**changes)
            return known if joined == known else joined
        if known.not_before == math.inf:  # it waited for a person, who has acted now
            changes |= {"not_before": 0.0, "error": None}
        return known.evolve(
            priority=asked.priority, job_id=asked.job_id, sequence=next(self._sequence), **changes
        )

    def _keep(self, job: Job) -> None:
        self._jobs.keep(job)
        self._changed.notify_all()

    def _pop(self) -> Job | None:
        if self._paused or self._stopping or self._running:
            return None
        return self._jobs.pop(self._clock.monotonic())

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
