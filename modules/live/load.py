"""How busy live sessions keep the model, and what follows: who is admitted, and the pace."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

#: Seconds between two passes, from the best pace to the last; None: finals only.
PACES: tuple[float | None, ...] = (1.0, 2.0, 3.0, None)
#: So much of the time may live sessions keep the model busy.
BUSY_MAX = 0.85
#: A better pace is tried where it is expected to stay below this.
_EASY = 0.6
_WINDOW_S, _SETTLE_S = 10.0, 12.0
#: With this much sound unheard the pace is too fast, whatever the sums say.
_LATE_S = 3.0


class Load:
    """Sums of ``Worked.busy_s``; thread-safe. One core-second a second is the whole model."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._worked: deque[tuple[float, float]] = deque()
        self._pace = 0
        self._changed_at = monotonic()

    @property
    def step_s(self) -> float | None:
        return PACES[self._pace]

    @property
    def is_slowed(self) -> bool:
        """Whether the pace is not the best one."""
        return self._pace > 0

    @property
    def busy(self) -> float:
        """The part of the last seconds in which the model worked for sessions."""
        with self._lock:
            since = self._monotonic() - _WINDOW_S
            while self._worked and self._worked[0][0] <= since:
                self._worked.popleft()
            return sum(seconds for _, seconds in self._worked) / _WINDOW_S

    def note(self, seconds: float) -> None:
        with self._lock:
            # No pass is longer than what is looked at.
            self._worked.append((self._monotonic(), min(max(0.0, seconds), _WINDOW_S)))
            if len(self._worked) > 10_000:
                self._worked.popleft()

    def has_room(self, sessions: int) -> bool:
        """Whether one more session beside so many is expected to fit, at the slowest pace that
        still shows words while they are spoken. A single one always is: what kept the model busy
        is over."""
        if not sessions:
            return True
        slowest = next(step for step in reversed(PACES) if step is not None)
        step = self.step_s or slowest
        share = (sessions + 1) / sessions
        return self.busy * share * step / slowest <= BUSY_MAX

    def adapt(self, lag_s: float) -> bool:
        """Change the pace if it is too fast, or slower than need be; whether it was changed."""
        now, busy = self._monotonic(), self.busy
        if now - self._changed_at < _SETTLE_S:
            return False  # what the last change brought is not seen yet
        wanted = self._pace
        if (busy > BUSY_MAX or lag_s > _LATE_S + (self.step_s or 0)) and self.step_s is not None:
            wanted += 1
        elif self._pace and lag_s < _LATE_S and busy * self._gain() < _EASY:
            wanted -= 1
        if wanted == self._pace:
            return False
        self._pace, self._changed_at = wanted, now
        return True

    def _gain(self) -> float:
        """How much more work the next better pace is."""
        better, now = PACES[self._pace - 1] or 1.0, self.step_s
        return 3.0 if now is None else now / better
