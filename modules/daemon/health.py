"""How the service is, in one answer: healthy, degraded or unhealthy, and why."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psutil

from modules.executors.base import ExecutorStatus, WorkerPool, combined
from modules.jobs.scheduler import Scheduler
from modules.live.sessions import LiveSessions
from modules.runner.runners import Runners
from modules.service.metrics import Observation
from modules.service.worker_view import Workers
from modules.watching.watcher import Watcher

#: What can be wrong: for every file, with the folder's events, with the worker.
KINDS = ("storage", "share", "model", "worker", "events", "handover", "summary")

#: Less free disk than this is worth a word, in MiB.
LOW_DISK_MB = 500
#: A thread gives a sign of life several times a second, but for one move of a huge recording to
#: another volume, and one look at 100,000 files of a slow share.
HANG_S = 900.0


class Sender(Protocol):
    """What sends something on, such as the hand-over."""

    @property
    def problem(self) -> str | None: ...

    @property
    def waiting(self) -> int: ...


@dataclass(frozen=True)
class Health:
    """Looks at the parts when asked; keeps nothing."""

    shared: Path
    scheduler: Scheduler
    pool: WorkerPool
    runner: Runners
    watcher: Watcher
    #: How long each thread has given no sign of life, in seconds, by its name.
    silent_s: dict[str, Callable[[], float]] = field(default_factory=dict)
    #: By kind: why nothing is sent at the moment, and how much waits.
    senders: dict[str, Sender] = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        """The answer of ``/health``; ``status`` unhealthy means that no file can be done now."""
        broken, worse = self._broken(), self._worse()
        status = "unhealthy" if broken else "degraded" if worse else "healthy"
        statuses = statuses_of(self.pool)
        worker = combined(statuses)
        loaded = dict.fromkeys(status.model_loaded for status in statuses if status.model_loaded)
        running = [job.name for job in self.scheduler.all_running()]
        return {
            "status": status,
            "reasons": [*broken, *worse],
            "troubles": self.troubles(),
            "whisperx_available": worker.is_running,
            "models_loaded": [name.removeprefix("faster-whisper-") for name in loaded],
            "memory_usage_mb": self._own_memory_mb() + worker.memory_mb,
            "paused": self.scheduler.paused,
            "queue_length": len(self.scheduler.jobs()),
            "processing": running[0] if running else None,
            "processing_all": running,
        }

    def troubles(self) -> list[str]:
        """Which of ``KINDS`` there are; all of them end by themselves if they can."""
        held = self.runner.outage.kind
        away = not self.watcher.available
        there = {kind: sender.problem is not None for kind, sender in self.senders.items()}
        there |= {
            "share": away or held == "share",
            "worker": self._lacks_worker() or held == "worker",
            "events": not away and self.watcher.health().events == "degraded",
        }
        return [kind for kind in KINDS if there.get(kind, held == kind)]

    def _lacks_worker(self) -> bool:
        worker = combined(statuses_of(self.pool))
        return not (worker.is_running or worker.is_idle)

    def _broken(self) -> list[str]:
        found = [self.runner.outage.reason] if self.runner.outage.reason else []
        if not self.watcher.available:
            found.append(f"the shared folder is unavailable: {self.watcher.health().problem}")
        for name, silent_s in self.silent_s.items():
            if (seconds := silent_s()) > HANG_S:
                found.append(f"the thread {name} has hung for {seconds:.0f} s")
        return found

    def _worse(self) -> list[str]:
        found = []
        watch = self.watcher.health()
        if watch.available and watch.events == "degraded":
            found.append(f"no file system events, rescanning instead: {watch.problem}")
        if self.scheduler.paused:
            found.append("the queue is paused")
        if self._lacks_worker():
            found.append("the WhisperX process is not running")
        found += self.runner.troubled
        for kind, sender in self.senders.items():
            if problem := sender.problem:
                found.append(f"{sender.waiting} recordings wait ({kind}): {problem}")
        try:
            free_mb = shutil.disk_usage(self.shared).free // 2**20
        except OSError:
            return found
        if free_mb < LOW_DISK_MB:
            found.append(f"only {free_mb} MB of disk are free")
        return found

    @staticmethod
    def _own_memory_mb() -> int:
        return int(psutil.Process().memory_info().rss / 2**20)


def statuses_of(pool: WorkerPool) -> list[ExecutorStatus]:
    """Of all its workers."""
    return [worker.executor.status for worker in pool.workers()]


def observe(
    health: Health, workers: Workers, waiting: int, listeners: int, live: LiveSessions
) -> Observation:
    """What ``/metrics`` shows of this moment, besides what it has counted."""
    report, worker = health.report(), combined(statuses_of(health.pool))
    return Observation(
        queue_length=report["queue_length"],
        paused=report["paused"],
        memory_mb={
            "daemon": report["memory_usage_mb"] - worker.memory_mb,
            "worker": worker.memory_mb,
        },
        restarts=dict(worker.restarts),
        waiting_clients=waiting,
        listeners=listeners,
        healthy=report["status"] != "unhealthy",
        troubles={kind: kind in report["troubles"] for kind in KINDS},
        outbox={kind: sender.waiting for kind, sender in health.senders.items()},
        live_sessions=len(live.all()),
        live_lag_s=live.lag_s,
        live_busy=live.load.busy,
        live=live.statistics.figures(),
        workers=workers.views(),
    )
