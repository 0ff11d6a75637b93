"""The hand-over: each finished transcript goes into an RQ queue in Redis, at least once.

A Redis that is away, full or slow is nobody's fault: what is to go there waits on the disk.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from modules.clock import Clock
from modules.config.schema import HandoverConfig
from modules.delivery.job_notes import JobNotes, job_in, name_in
from modules.delivery.outbox import Item, Kind, Outbox
from modules.delivery.rq_queue import ANSWER_S, CONNECT_S, RqQueue, shown_url
from modules.delivery.trouble import Trouble
from modules.errors import StorageError, TranscriberError
from modules.jobs.backoff import Backoff
from modules.jobs.thread_loop import ThreadLoop
from modules.logger import get_logger

log = get_logger("Handover")

_PAUSES = Backoff(first_s=1.0, longest_s=60.0)
#: While nothing waits, after an unexpected error, and while the folder cannot be used.
_IDLE_S, _FAILED_S, _FOLDER_S = 3600.0, 30.0, 10.0

#: The message about a recording's text; None if that text is not there any more. It may raise
#: StorageError.
Compose = Callable[[str, str], dict[str, Any] | None]


class Queue(Protocol):
    """What ``RqQueue`` is here."""

    def add(self, job_id: str, message: dict[str, Any]) -> bool: ...

    def close(self) -> None: ...


class HandOver:
    """``note`` may be called from any thread; the queue belongs to the thread of this object."""

    def __init__(
        self,
        folder: Path,
        config: HandoverConfig,
        clock: Clock,
        compose: Compose,
        on_end: Callable[[str], None] = lambda outcome: None,
        queue: Queue | None = None,
    ) -> None:
        self._config = config
        self._clock = clock
        self._compose = compose
        self._on_end = on_end
        self._outbox = Outbox(folder, clock, Kind.HANDOVER)
        self._queue = queue or RqQueue(config)
        self._notes = JobNotes(self._outbox, config.queue, "transcript-")
        self._trouble = Trouble(_PAUSES, clock.monotonic)
        self._loop = ThreadLoop(
            "handover", self.tick, failure_pause_s=_FAILED_S, monotonic=clock.monotonic,
            on_error=lambda: log.exception("The hand-over met an unexpected error and goes on"),
        )  # fmt: skip

    @property
    def problem(self) -> str | None:
        """Why nothing is handed over at the moment."""
        return self._trouble.problem

    @property
    def waiting(self) -> int:
        """How many transcripts are still to be handed over."""
        return len(self._notes)

    @property
    def silent_s(self) -> float:
        """How long the thread has given no sign of life."""
        return self._loop.silent_s

    def note(self, name: str, job_id: str) -> None:
        """A transcript is finished; returns once that it is to be handed over is on disk.

        Never raises: where the disk is full, it is written later.
        """
        self._notes.add(name, job_id)
        self._loop.wake()

    def start(self) -> None:
        """Hand over in a thread of our own, beginning with what an earlier run left."""
        if self._config.url:
            self._loop.start()

    def stop(self) -> None:
        """End the thread; what waits stays on disk."""
        if self._loop.stop(CONNECT_S + ANSWER_S + 1):
            self._queue.close()
        else:
            log.warning("Redis hangs; what is in flight is handed over again after a restart")

    def tick(self) -> float:
        """Hand over what is due. Answers how many seconds may pass before the next."""
        self._notes.write_rest()
        try:
            items = self._outbox.due()
        except StorageError as error:
            log.warning("What waits for the hand-over cannot be read: %s", error)
            return _FOLDER_S
        for item in items:
            if self._loop.stopping:
                break
            self._loop.beat()
            pause_s = self._handle(item)
            if pause_s:
                return pause_s
        if not items and not self._outbox.next_due_in_s() < math.inf:
            self._over()  # what was in the way may have been deleted
        rest_s = _IDLE_S if self._notes.are_all_written else _FOLDER_S
        return min(rest_s, self._outbox.next_due_in_s())

    def _handle(self, item: Item) -> float:
        """One attempt. Answers for how long nothing more can be done, 0 if it can."""
        # After an unexpected error, it must not be the first in line for ever.
        self._outbox.put_off(item, _FAILED_S)
        try:
            self._attempt(item)
        except StorageError as error:
            log.warning("%s cannot be handed over yet: %s", name_in(item), error)
            self._outbox.put_off(item, _FOLDER_S)
            return _FOLDER_S
        except TranscriberError as error:
            pause_s = self._trouble.note(str(error))
            self._outbox.put_off(item, pause_s)
            self._complain(str(error), pause_s)
            return pause_s
        return 0.0

    def _attempt(self, item: Item) -> None:
        """Raises StorageError for the folder, TranscriberError for Redis."""
        if not item.over:
            self._send(item)
            item.over = True
        self._outbox.remove(item)

    def _send(self, item: Item) -> None:
        name, job_id = name_in(item), job_in(item)
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
        self._over()

    def _over(self) -> None:
        if self._trouble.end():
            log.info("Redis works again")

    def _complain(self, why: str, pause_s: float) -> None:
        if self._trouble.is_worth_a_line():
            log.warning(
                "Transcripts wait for %s: %d, next try in %.0f s: %s",
                shown_url(self._config.url or ""), self.waiting, pause_s, why,
            )  # fmt: skip
