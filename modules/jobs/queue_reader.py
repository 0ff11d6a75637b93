"""What readers ask of the queue and of the index, whoever answers: see ``Scheduler``, ``JobIndex``.

A replica answers from the folder, see ``service/folder_queue.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from modules.jobs.index import Entry
from modules.jobs.job import Job


class QueueReader(Protocol):
    """The jobs that are still to be done. Thread-safe."""

    @property
    def workers(self) -> int:
        """How many jobs may run at once."""

    @property
    def paused(self) -> bool:
        """Whether nothing new is begun."""

    def jobs(self) -> Sequence[Job]:
        """All of them, in the order of their turn."""

    def get(self, name: str) -> Job | None:
        """That of a recording."""

    def by_id(self, job_id: str) -> Job | None:
        """The one with this id."""

    def ahead_of(self, name: str) -> int | None:
        """How many come before it; None if it is not there."""


class JobLookup(Protocol):
    """What is known of jobs by their ids, also of those that ended. Thread-safe."""

    def find(self, job_id: str) -> Entry | None:
        """By its id."""

    def latest(self, name: str) -> Entry | None:
        """The last one of a recording."""
