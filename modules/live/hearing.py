"""How far the child has heard a session, and when that is worth telling."""

from __future__ import annotations

from modules.executors.live_protocol import Speech, Worked
from modules.live.events import Lag

#: Lag is worth a word from here on, above the step; and again when it has changed so much.
_LATE_S, _LAG_CHANGE_S = 1.5, 0.5
_ROUNDING_S = 0.05


class Hearing:
    """For one thread at a time; reading is safe from any."""

    def __init__(self) -> None:
        self._speaking = False
        self._heard_s = 0.0
        #: Up to here there was speech whose final may not be made yet.
        self._owed_s = 0.0
        self._told = Lag(0.0, 1.0)

    def begin(self) -> None:
        """A child opens the session; whether somebody speaks it will say."""
        self._speaking, self._owed_s = False, 0.0

    def note(self, event: Speech | Worked, received_s: float) -> None:
        if isinstance(event, Worked):
            self._heard_s = max(self._heard_s, min(event.upto_s, received_s))
            return
        self._speaking = event.speaking
        at_s = min(max(0.0, event.at_s), received_s)
        if event.speaking:
            # Until now it counted as heard; a child that catches up says so long afterwards.
            self._heard_s = at_s
        else:
            self._owed_s = at_s

    def lag_s(self, received_s: float, has_child: bool) -> float:
        """How much sound was not heard yet; 0 while nobody speaks."""
        if has_child and self._is_idle:
            return 0.0
        return max(0.0, received_s - self._heard_s)

    @property
    def _is_idle(self) -> bool:
        """Nobody speaks, and what was spoken was heard."""
        return not self._speaking and self._heard_s >= self._owed_s - _ROUNDING_S

    def tick(self, received_s: float, has_child: bool, step_s: float | None) -> Lag | None:
        """What the client is to be told, if anything."""
        if has_child and self._is_idle:
            self._heard_s = received_s
        lag = Lag(round(self.lag_s(received_s, has_child), 1), step_s)
        moved = abs(lag.seconds - self._told.seconds) >= _LAG_CHANGE_S
        if lag.step_s != self._told.step_s or (moved and (_is_late(lag) or _is_late(self._told))):
            self._told = lag
            return lag
        return None


def _is_late(lag: Lag) -> bool:
    return lag.seconds > (lag.step_s or 1.0) + _LATE_S
