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


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, ending in ``Z``: the only form in our files."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
