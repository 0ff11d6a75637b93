"""The workers that transcribe, as clients are shown them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from modules.clock import Clock
from modules.executors.base import ExecutorStatus, WorkerPool, WorkerStatus, combined


@dataclass(frozen=True)
class WorkerView:
    """``filename``: the recording that it transcribes, in the share; ``since``: of the state."""

    worker: WorkerStatus
    filename: str | None
    live_sessions: int
    since: datetime

    @property
    def state(self) -> str:
        """A worker that transcribes may serve live sessions at the same time."""
        is_live = self.worker.state == "waiting" and self.live_sessions
        return "live" if is_live else self.worker.state


class Workers:
    """``live_sessions()``: how many the worker with the live channel serves."""

    def __init__(
        self, pool: WorkerPool, shared: Path, live_sessions: Callable[[], int], clock: Clock
    ) -> None:
        self._pool = pool
        self._shared = shared
        self._live_sessions = live_sessions
        self._clock = clock

    @property
    def restarts(self) -> Mapping[str, int]:
        """How often a worker was replaced, by reason."""
        return self._status.restarts

    def views(self) -> Sequence[WorkerView]:
        now, monotonic = self._clock.utc_now(), self._clock.monotonic()
        return [
            WorkerView(
                worker,
                self._name_of(worker.recording),
                self._live_sessions() if worker.serves_live else 0,
                now - timedelta(seconds=max(0.0, monotonic - worker.since)),
            )
            for worker in self._status.workers
        ]

    @property
    def _status(self) -> ExecutorStatus:
        return combined([worker.executor.status for worker in self._pool.workers()])

    def _name_of(self, path: bytes | None) -> str | None:
        """Of a recording outside of the share only the last part."""
        if path is None:
            return None
        name = Path(os.fsdecode(path))
        inside = name.is_relative_to(self._shared)
        return name.relative_to(self._shared).as_posix() if inside else name.name
