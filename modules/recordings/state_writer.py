"""Keeps each job's ``.in_progress`` in step with the queue, whichever thread changed the job."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from modules.errors import StorageError
from modules.jobs.job import Job, Priority, Status
from modules.logger import get_logger
from modules.recordings.state_store import StateStore

log = get_logger("FileManager")


class StateWriter:
    """Writes each job as the queue has it now, not as a thread saw it a moment ago."""

    def __init__(self, states: StateStore, current: Callable[[str], Job | None]) -> None:
        self._states = states
        self._fence = states.fence
        self._current = current
        self._lock = threading.RLock()
        #: Jobs whose last change could not be saved.
        self._behind: set[str] = set()
        #: Jobs that ended, whose state could not be removed; and whether the checkpoint goes, too.
        self._ended: dict[str, bool] = {}

    def record(self, job: Job) -> None:
        """Save the job as the queue has it. Raises StorageError.

        A scanned file that only waits has no ``.in_progress``; one that yielded keeps it.
        """
        with self._lock:
            self._behind.add(job.name)
            now = self._current(job.name)
            if now is None:
                self._behind.discard(job.name)
                return
            self._ended.pop(job.name, None)
            with self._fence.held():
                if _is_worth_a_file(now):
                    self._states.save(now)
                else:
                    self._states.drop_in_progress(now.name)
            self._behind.discard(job.name)

    def record_if_possible(self, job: Job) -> None:
        """The same for transitions that must not fail; ``catch_up`` repeats one that failed."""
        try:
            self.record(job)
        except StorageError as error:
            log.warning("%s: its state could not be saved: %s", job.name, error)

    def catch_up(self) -> None:
        """Save what could not be saved when it changed, where that is possible now.

        An attempt that ended while the disk was full must not look open after a crash.
        """
        with self._lock:
            for name in sorted(self._behind):
                job = self._current(name)
                if job:
                    self.record_if_possible(job)
                else:
                    self._behind.discard(name)
            for name in list(self._ended):
                self._clear(name)

    def clear(self, name: str, with_checkpoint: bool) -> None:
        """Remove the state of a job that ended; what cannot be removed now, ``catch_up`` will."""
        with self._lock:
            self._ended[name] = with_checkpoint
            self._clear(name)

    def _clear(self, name: str) -> None:
        drop = self._states.drop if self._ended[name] else self._states.drop_in_progress
        try:
            with self._fence.held():
                drop(name)
        except StorageError as error:
            log.warning("%s: its state could not be removed: %s", name, error)
            return
        del self._ended[name]

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """No other thread saves a job while the caller finishes one and removes its files.

        Nor does another process take the folder over. Raises StorageError if one did before.
        """
        with self._lock, self._fence.held():
            yield


def _is_worth_a_file(job: Job) -> bool:
    busy = job.status in (Status.RUNNING, Status.WAITING)
    return busy or job.priority is Priority.API or bool(job.attempts)
