"""A worker with what its runner has in hand: what views of the workers are made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from modules.executors.base import Worker


@dataclass(frozen=True)
class InHand:
    """The job that a runner has, and since when. ``name``: of the recording."""

    name: str
    since: datetime
    job_id: str | None = None


@dataclass(frozen=True)
class Seat:
    """``problem``: what keeps this worker from everything at the moment."""

    worker: Worker
    hand: InHand | None = None
    problem: str | None = None
