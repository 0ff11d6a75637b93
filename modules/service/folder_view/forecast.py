"""What is still to be done, in which order, and how long it will take, as far as the folder tells.

The order of files that were only found is that of their times, as at a start of the daemon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from modules.config.settings import TranscriptionSettings
from modules.jobs.estimates import Estimates, Line
from modules.jobs.job import Job
from modules.service.folder_view.rows import Row, State

_OPEN = (State.PROCESSING, State.QUEUED, State.PENDING)


@dataclass(frozen=True)
class Waiting:
    """A recording that is still to be done; so many are ``ahead`` of it.

    ``left_s``: seconds until its text is there.
    """

    row: Row
    ahead: int
    left_s: float | None


def forecast(
    rows: Sequence[Row],
    estimates: Estimates,
    settings: TranscriptionSettings,
    now: datetime,
    paused: bool,
    order: Sequence[str] = (),
    workers: int = 1,
) -> list[Waiting]:
    """Those that are still to be done, by their turn. ``order``: as the daemon tells it.

    ``workers``: how many are done at the same time.

    Nothing is estimated while the queue is paused.
    """
    places = {name: place for place, name in enumerate(order)}
    waiting = [row for row in rows if row.state in _OPEN]
    waiting.sort(key=lambda row: (places.get(row.name, len(places)), row.turn, row.name))
    speed = estimates.speed(settings)
    found, line = [], None if paused else Line(workers)
    for place, row in enumerate(waiting):
        own = _left_s(row, estimates, speed, now) if line else None
        # After one of which nothing is known, nothing is known.
        line = line if own is not None else None
        left_s = line.add(own) if line and own is not None else None
        found.append(Waiting(row, place, left_s))
    return found


def _left_s(row: Row, estimates: Estimates, speed: float | None, now: datetime) -> float | None:
    """Seconds of work that a recording still needs, or None if that is not known."""
    if row.job:
        return estimates.remaining_s(_with_duration(row.job), *_own_pace(row, now))
    length = estimates.duration_s(row.name, row.size)
    return length / speed if length is not None and speed else None


def _with_duration(job: Job) -> Job:
    """The length is not in the file; what is done and its share of the whole tell it."""
    share = job.progress.percentage / 100
    return job.evolve(duration_s=job.position_s / share) if share else job


def _own_pace(row: Row, now: datetime) -> tuple[float | None, float | None]:
    """Seconds that the open attempt has run, and of audio that it gained; if that is known."""
    job = row.job
    last = job.attempts[-1] if job and job.attempts else None
    if job is None or last is None or row.state is not State.PROCESSING or last.running_seconds:
        return None, None  # interrupted before: when it went on stands nowhere
    try:
        ran_s = (now - datetime.fromisoformat(last.start_time)).total_seconds()
    except (ValueError, TypeError):
        return None, None
    return ran_s, job.position_s - last.start_position_seconds
