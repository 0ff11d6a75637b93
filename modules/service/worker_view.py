"""The workers that transcribe, as clients are shown them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from modules.clock import Clock, iso
from modules.executors.base import ExecutorStatus, Worker, WorkerPool, WorkerStatus, combined


@dataclass(frozen=True)
class WorkerView:
    """``filename``: the recording that it transcribes, in the share; ``since``: of the state, an
    ISO time; None where that is not known."""

    worker: WorkerStatus
    filename: str | None
    live_sessions: int
    since: str | None

    @property
    def state(self) -> str:
        """A worker that transcribes may serve live sessions at the same time."""
        is_live = self.worker.state == "waiting" and self.live_sessions
        return "live" if is_live else self.worker.state


class Workers:
    """``live_sessions()``: how many the worker with the live channel serves. ``in_hand()``: by the
    name of a worker, its recording and since when."""

    def __init__(
        self,
        pool: WorkerPool,
        in_hand: Callable[[], Mapping[str, tuple[str, str | None]]],
        shared: Path,
        live_sessions: Callable[[], int],
        clock: Clock,
    ) -> None:
        self._pool = pool
        self._in_hand = in_hand
        self._shared = shared
        self._live_sessions = live_sessions
        self._clock = clock

    @property
    def restarts(self) -> Mapping[str, int]:
        """How often a worker was replaced, by reason."""
        return combined([each.executor.status for each in self._pool.workers()]).restarts

    def views(self) -> Sequence[WorkerView]:
        found: list[WorkerView] = []
        for worker in self._pool.workers():
            status = worker.executor.status
            near = [self._near(each) for each in status.workers]
            found += near or [self._far(worker, status)]
        return found

    def _near(self, worker: WorkerStatus) -> WorkerView:
        age_s = max(0.0, self._clock.monotonic() - worker.since)
        return WorkerView(
            worker,
            self._name_of(worker.recording),
            self._live_sessions() if worker.serves_live else 0,
            iso(self._clock.utc_now() - timedelta(seconds=age_s)),
        )

    def _far(self, worker: Worker, status: ExecutorStatus) -> WorkerView:
        """One on another machine, which says less of itself."""
        filename, since = self._in_hand().get(worker.name, (None, None))
        is_there = status.is_running or status.is_idle
        said = WorkerStatus(
            worker.node,
            "transcribing" if filename else "waiting" if is_there else "off",
            self._clock.monotonic(),
            model=status.model_loaded,
            device=worker.device,
            memory_mb=status.memory_mb,
        )
        return WorkerView(said, filename, 0, since)

    def _name_of(self, path: bytes | None) -> str | None:
        """Of a recording outside of the share only the last part."""
        if path is None:
            return None
        name = Path(os.fsdecode(path))
        inside = name.is_relative_to(self._shared)
        return name.relative_to(self._shared).as_posix() if inside else name.name
