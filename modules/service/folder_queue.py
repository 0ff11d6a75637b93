"""The queue of the owner as the files in the folder tell it, for a process that only reads."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace

from modules.clock import Clock
from modules.config.schema import Config
from modules.errors import StorageError
from modules.jobs.events import Events
from modules.jobs.job import Cause, Job, Status
from modules.recordings.store import RecordingStore
from modules.service.folder_view.report import Reporter
from modules.service.folder_view.rows import State
from modules.storage.atomic import storage_errors
from modules.storage.transfer import is_taken

#: A look holds for so long, and for so many times as long as it took.
_LOOK_S, _LOOK_SHARE = 1.0, 10.0
_OPEN = (State.PROCESSING, State.QUEUED, State.PENDING)


class FolderQueue:
    """Answers what readers ask of a scheduler. Thread-safe; StorageError while the share is away.

    Files that were only found have no job here.
    """

    def __init__(self, config: Config, files: RecordingStore, clock: Clock) -> None:
        self._config = config
        self._files = files
        self._clock = clock
        self._reporter = Reporter(config, files)
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._look_at = float("-inf")

    @property
    def workers(self) -> int:
        """How many jobs the owner may run at once, if it has the same configuration."""
        return self._config.tasks_at_once

    @property
    def paused(self) -> bool:
        flag = self._files.pause_flag
        with storage_errors(flag):
            return is_taken(flag)

    @property
    def running(self) -> Job | None:
        return next((job for job in self.jobs() if job.status is Status.RUNNING), None)

    def jobs(self) -> list[Job]:
        with self._lock:
            self._look()
            return list(self._jobs.values())

    def get(self, name: str) -> Job | None:
        with self._lock:
            self._look()
            return self._jobs.get(name)

    def by_id(self, job_id: str) -> Job | None:
        return next((job for job in self.jobs() if job.job_id == job_id), None)

    def ahead_of(self, name: str) -> int | None:
        names = [job.name for job in self.jobs()]
        return names.index(name) if name in names else None

    def _look(self) -> None:
        began = self._clock.monotonic()
        if began < self._look_at:
            return
        with storage_errors(self._config.shared_directory):
            rows = self._reporter.look().rows
        found = [row for row in rows if row.state in _OPEN and row.job]
        found.sort(key=lambda row: (row.state is not State.PROCESSING, row.turn, row.name))
        self._jobs = {
            row.name: _as_it_stands(row.job, row.state is State.PROCESSING)
            for row in found
            if row.job
        }
        took_s = self._clock.monotonic() - began
        self._look_at = self._clock.monotonic() + max(_LOOK_S, _LOOK_SHARE * took_s)


def _as_it_stands(job: Job, runs: bool) -> Job:
    """The file does not say which one runs; its attempt that is open does."""
    return replace(job, status=Status.RUNNING if runs else Status.QUEUED)


class FolderEvents:
    """Publishes what has changed in the queue since the last look. For one thread.

    ``is_done``: whether a recording has its text.
    """

    def __init__(self, queue: FolderQueue, events: Events, is_done: Callable[[str], bool]) -> None:
        self._queue = queue
        self._events = events
        self._is_done = is_done
        self._before: dict[str, Job] | None = None

    def tick(self) -> float:
        """How long to wait for the next look."""
        with contextlib.suppress(StorageError):
            self._look()
        return _LOOK_S

    def _look(self) -> None:
        now = {job.name: job for job in self._queue.jobs()}
        before, self._before = self._before, now
        if before is None:
            return
        for name, job in now.items():
            known = before.get(name)
            if known is None or (known.status, known.job_id) != (job.status, job.job_id):
                self._events.publish("transition", job)
            elif known.progress != job.progress:
                self._events.publish("progress", job)
        for name in before.keys() - now.keys():
            self._events.publish("transition", self._ended(before[name]))

    def _ended(self, job: Job) -> Job:
        try:
            done = self._is_done(job.name)
        except StorageError:
            done = False
        if done:
            return replace(job, status=Status.COMPLETED)
        return replace(job, status=Status.CANCELLED, cause=Cause.GONE)
