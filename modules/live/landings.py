"""Landing one session after the other; one that cannot land keeps no other from its turn."""

from __future__ import annotations

import math

from modules.clock import Clock
from modules.errors import TranscriberError
from modules.live.events import SessionStored
from modules.live.landing import Landing
from modules.logger import get_logger

log = get_logger("Live")

#: Where a landing failed for the folder's sake, it is tried again after so many seconds.
_RETRY_S = 10.0


class Landings:
    """For one thread; ``finished`` is for any."""

    def __init__(self, landing: Landing, clock: Clock) -> None:
        self._landing = landing
        self._clock = clock
        self._retry_at: dict[str, float] = {}
        #: Sessions that were stored since the start.
        self.finished = 0

    def is_due(self, session_id: str) -> bool:
        return self._clock.monotonic() >= self._retry_at.get(session_id, -math.inf)

    def land(self, session_id: str) -> SessionStored | None:
        """None if the folder is at fault: it is tried again."""
        try:
            stored = self._landing.finish(session_id)
        except TranscriberError as error:
            self._retry_at[session_id] = self._clock.monotonic() + _RETRY_S
            log.warning("A live session could not be stored, it is tried again: %s", error)
            return None
        self._retry_at.pop(session_id, None)
        self.finished += 1
        return SessionStored(stored.recording, stored.job_id)
