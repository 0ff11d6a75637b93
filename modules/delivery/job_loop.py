"""Something is done with each finished text, once it can be, in a thread of its own.

What is to be done waits as notes on the disk. A receiver that cannot be used is nobody's fault:
then everything waits, without a count.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from modules.clock import Clock
from modules.delivery.job_notes import JobNotes, job_in, name_in
from modules.delivery.outbox import Item, Outbox
from modules.delivery.trouble import Trouble
from modules.errors import StorageError, TranscriberError
from modules.jobs.backoff import Backoff
from modules.jobs.thread_loop import ThreadLoop
from modules.logger import get_logger

log = get_logger("Outbox")

#: While nothing waits, after an unexpected error, and while the folder cannot be used.
_IDLE_S, _FAILED_S, _FOLDER_S = 3600.0, 30.0, 10.0


class JobLoop(ABC):
    """``note`` and what only tells may be called from any thread; ``handle`` is called by one.

    ``receiver``: what the texts go to, as it may be logged. ``target``: its name in the notes.
    """

    def __init__(
        self, outbox: Outbox, receiver: str, target: str, pauses: Backoff, clock: Clock
    ) -> None:
        self._outbox = outbox
        self._kind = outbox.kind
        self._receiver = receiver
        self._notes = JobNotes(outbox, target)
        self._trouble = Trouble(pauses, clock.monotonic)
        self._loop = ThreadLoop(
            str(self._kind), self.tick, failure_pause_s=_FAILED_S, monotonic=clock.monotonic,
            on_error=self._report,
        )  # fmt: skip

    @abstractmethod
    def handle(self, name: str, job_id: str) -> None:
        """Do it. Raises StorageError for the folder, TranscriberError while the receiver cannot be
        used; ``works`` is called as soon as that has answered."""

    @property
    def problem(self) -> str | None:
        """Why nothing is done at the moment."""
        return self._trouble.problem

    @property
    def waiting(self) -> int:
        """With how many texts something is still to be done."""
        return len(self._notes)

    @property
    def silent_s(self) -> float:
        """How long the thread has given no sign of life."""
        return self._loop.silent_s

    def note(self, name: str, job_id: str) -> None:
        """A text is finished; returns once that something is to be done with it is on disk.

        Never raises: where the disk is full, it is written later.
        """
        self._notes.add(name, job_id)
        self._loop.wake()

    def start(self) -> None:
        """Begin with what an earlier run left."""
        self._loop.start()

    def works(self) -> None:
        """The receiver answered."""
        if self._trouble.end():
            log.info("%s works again (%s)", self._receiver, self._kind)

    def tick(self) -> float:
        """Do what is due. Answers how many seconds may pass before the next."""
        self._notes.write_rest()
        try:
            items = self._outbox.due()
        except StorageError as error:
            log.warning("What waits cannot be read (%s): %s", self._kind, error)
            return _FOLDER_S
        for item in items:
            if self._loop.stopping:
                break
            pause_s = self._handle(item)
            if pause_s:
                return pause_s
        rest_s, next_s = _IDLE_S, self._outbox.next_due_in_s()
        if not self._notes.are_all_written:
            rest_s = _FOLDER_S
        elif next_s == math.inf:
            self._trouble.end()  # what was in the way may have been deleted
        return min(rest_s, next_s)

    def _handle(self, item: Item) -> float:
        """One attempt. Answers for how long nothing more can be done, 0 if it can."""
        self._loop.beat()
        # After an unexpected error, it must not be the first in line for ever.
        self._outbox.put_off(item, _FAILED_S)
        try:
            if not item.over:
                self.handle(name_in(item), job_in(item))
                item.over = True
            self._outbox.remove(item)
        except StorageError as error:
            log.warning("%s must wait (%s): %s", name_in(item), self._kind, error)
            self._outbox.put_off(item, _FOLDER_S)
            return _FOLDER_S
        except TranscriberError as error:
            return self._put_off(item, str(error))
        return 0.0

    def _put_off(self, item: Item, why: str) -> float:
        """Everything waits, and the one at fault goes behind the others."""
        if self._loop.stopping:
            return _IDLE_S
        pause_s = self._trouble.note(why)
        self._outbox.put_off(item, pause_s + 1)
        if self._trouble.is_worth_a_line():
            log.warning(
                "%d texts wait for %s (%s), next try in %.0f s: %s",
                self.waiting, self._receiver, self._kind, pause_s, why,
            )  # fmt: skip
        return pause_s

    def _report(self) -> None:
        log.exception("What is done with finished texts met an unexpected error (%s)", self._kind)
