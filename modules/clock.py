"""Time, passed in so that tests can drive it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds for durations, UTC for what people read."""

    def monotonic(self) -> float:
        """Seconds since some fixed point; never runs backwards."""

    def utc_now(self) -> datetime:
        """The present moment as an aware UTC datetime."""


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def utc_now(self) -> datetime:
        return datetime.now(UTC)


class AwakeClock:
    """A clock for deadlines of what runs beside this process: while we stand still, so does it.

    The kernel's clocks go on while a process is stopped or its container is paused. Of the time
    between two looks at most ``LONGEST_LOOK_S`` count, so its owner has to look more often.
    """

    #: Who looks four times a second and is this late was not just kept waiting by a busy machine.
    LONGEST_LOOK_S = 1.0

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen = clock.monotonic()
        self._lost_s = 0.0

    def look(self) -> float:
        """How many seconds since the last look do not count."""
        now = self._clock.monotonic()
        lost_s = max(0.0, now - self._seen - self.LONGEST_LOOK_S)
        self._seen = now
        self._lost_s += lost_s
        return lost_s

    def monotonic(self) -> float:
        """Seconds that counted, since some fixed point. This is a look, too."""
        self.look()
        return self._seen - self._lost_s


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, ending in ``Z``: the only form in our files."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: object) -> datetime | None:
    """The moment in one of our ISO 8601 texts, or None."""
    try:
        moment = datetime.fromisoformat(str(text))
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
