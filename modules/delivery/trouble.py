"""What keeps a receiver from taking anything: how long to wait, and when that is worth a line."""

from __future__ import annotations

import math
from collections.abc import Callable

from modules.jobs.backoff import Backoff

#: The same trouble is logged again so much later.
COMPLAINT_S = 600.0


class Trouble:
    """For one thread; ``problem`` may be read from any."""

    def __init__(self, pauses: Backoff, monotonic: Callable[[], float]) -> None:
        self._pauses = pauses
        self._monotonic = monotonic
        self._failures = 0
        self._complained_at = -math.inf
        #: Why nothing is taken at the moment.
        self.problem: str | None = None

    def note(self, why: str) -> float:
        """One more try failed; answers how many seconds to wait before the next."""
        if why != self.problem:
            self._complained_at = -math.inf
        self._failures, self.problem = self._failures + 1, why
        return self._pauses.pause_s(self._failures)

    def is_worth_a_line(self) -> bool:
        """Each trouble once, and then every ten minutes; asked after ``note``."""
        now = self._monotonic()
        if now - self._complained_at < COMPLAINT_S:
            return False
        self._complained_at = now
        return True

    def end(self) -> bool:
        """Something was taken; answers whether there was trouble before."""
        was_there = self.problem is not None
        self.problem, self._failures, self._complained_at = None, 0, -math.inf
        return was_there
