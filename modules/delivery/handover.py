"""The hand-over: each finished transcript goes into an RQ queue in Redis, at least once.

A Redis that is away, full or slow is nobody's fault: what is to go there waits on the disk.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from modules.clock import Clock
from modules.config.schema import HandoverConfig
from modules.delivery.job_loop import JobLoop
from modules.delivery.outbox import Kind, Outbox
from modules.delivery.rq_queue import ANSWER_S, CONNECT_S, RqQueue, shown_url
from modules.jobs.backoff import Backoff
from modules.logger import get_logger

log = get_logger("Handover")

_PAUSES = Backoff(first_s=1.0, longest_s=60.0)

#: The message about a recording's text; None if that text is not there any more. It may raise
#: StorageError.
Compose = Callable[[str, str], dict[str, Any] | None]


class Queue(Protocol):
    """What ``RqQueue`` is here."""

    def add(self, job_id: str, message: dict[str, Any]) -> bool: ...

    def close(self) -> None: ...


class HandOver(JobLoop):
    """The queue belongs to the thread of this object."""

    def __init__(
        self,
        folder: Path,
        config: HandoverConfig,
        clock: Clock,
        compose: Compose,
        on_end: Callable[[str], None] = lambda outcome: None,
        queue: Queue | None = None,
    ) -> None:
        receiver = shown_url(config.url or "")
        outbox = Outbox(folder, clock, Kind.HANDOVER)
        super().__init__(outbox, receiver, config.queue, _PAUSES, clock)
        self._config = config
        self._compose = compose
        self._on_end = on_end
        self._queue = queue or RqQueue(config)

    def stop(self) -> None:
        """End the thread; what waits stays on disk."""
        if self._loop.stop(CONNECT_S + ANSWER_S + 1):
            self._queue.close()
        else:
            log.warning("Redis hangs; what is in flight is handed over again after a restart")

    def handle(self, name: str, job_id: str) -> None:
        message = self._compose(name, job_id)
        if message is None:
            log.info("%s: not handed over, its text was deleted or replaced", name)
            self._on_end("dropped")
            return
        if self._queue.add(f"transcript-{job_id}", message):
            log.info("%s: handed over to the queue %s", name, self._config.queue)
        else:
            log.info("%s: the queue %s has it already", name, self._config.queue)
        self._on_end("delivered")
        self.works()
