"""Prepares the next recording in the child, so that its text can begin at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modules.worker.pipes import Assignment, OpenFile

if TYPE_CHECKING:
    from modules.worker.transcription import Transcription

Facts = tuple[int, ...]


@dataclass(frozen=True)
class _Made:
    """``facts``: of the file, before anything was read of it."""

    assignment: Assignment
    facts: Facts
    transcription: Transcription
    future: Future[None]


class Prefetcher:
    """Holds one recording at most. Its thread runs beside the streams of the one before it."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._made: _Made | None = None
        self._running: Future[None] | None = None

    def begin(
        self,
        assignment: Assignment,
        make: Callable[[Assignment], Transcription],
        is_idle: bool = False,
    ) -> None:
        """Begin to prepare a recording, unless that has begun already.

        ``is_idle``: nothing else is done meanwhile, so a short one is transcribed as well.
        """
        if self._made and (is_idle or self._made.assignment.command == assignment.command):
            return  # of several that arrive together the first is done first
        self.drop()
        if self._running and not self._running.done():
            return  # one that is not needed any more; others would wait behind it
        made = make(assignment)
        facts = _facts(assignment.recording)
        self._running = self._pool.submit(made.prepare, is_idle)
        self._made = _Made(assignment, facts, made, self._running)

    def take(self, assignment: Assignment) -> Transcription | None:
        """What was prefetched for this very command and these very bytes, or None.

        Waits until it is ready. Raises what went wrong with it.
        """
        made = self._made
        if made is None or made.future.cancel() or not _is_for(made, assignment):
            self.drop()
            return None
        self._made = None
        made.transcription.number(assignment.command.task_id)
        made.future.result()
        return made.transcription

    def drop(self) -> None:
        """Close what was prefetched, now or as soon as its thread has ended."""
        made, self._made = self._made, None
        if made:
            made.future.cancel()
            made.future.add_done_callback(lambda done: made.transcription.close())


def _is_for(made: _Made, assignment: Assignment) -> bool:
    number = made.assignment.command.task_id
    same = made.assignment.command == assignment.command.model_copy(update={"task_id": number})
    facts = _facts(assignment.recording)
    # Where times have no fractions, a file may be other bytes with the same time.
    return same and made.facts == facts and facts[-1] % 1_000_000 != 0


def _facts(recording: OpenFile) -> Facts:
    """What changes whenever the bytes of a file do, and where another has its name."""
    found = os.fstat(recording.descriptor)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
