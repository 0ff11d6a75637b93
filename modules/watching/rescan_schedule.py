"""When the next rescan of the folder is due."""

from __future__ import annotations

from modules.clock import Clock

#: How often to rescan while there are no events to rely on, or no folder.
DEGRADED_RESCAN_S = 5.0

#: Rescans are this many times their own cost apart, twice that while events work; those that were
#: asked for, this many.
RESCAN_COST_FACTOR = 100.0
ASKED_COST_FACTOR = 10.0
ASKED_GAP_S = 0.1


class RescanSchedule:
    """Keeps rescans rare enough that they cost little, however large the folder is.

    ``usual_s``: the pause that is configured, in seconds. ``cost_s``: what the last rescan took.
    """

    def __init__(self, clock: Clock, usual_s: float) -> None:
        self._clock = clock
        self._usual_s = usual_s
        self._ended = clock.monotonic()
        self.due = self._ended
        self.cost_s = 0.0

    def at_once(self) -> None:
        self.due = self._clock.monotonic()

    def soon(self) -> None:
        """Something asks for a rescan: earlier than usual, but not one after the other."""
        gap_s = max(ASKED_GAP_S, ASKED_COST_FACTOR * self.cost_s)
        earliest = max(self._clock.monotonic(), self._ended + gap_s)
        self.due = min(self.due, earliest)

    def ended(self, *, events_work: bool, degraded: bool) -> None:
        """A rescan is over. ``degraded``: it failed, or events should come and do not."""
        usual_s = min(self._usual_s, DEGRADED_RESCAN_S) if degraded else self._usual_s
        factor = 2 * RESCAN_COST_FACTOR if events_work else RESCAN_COST_FACTOR
        self._ended = self._clock.monotonic()
        self.due = self._ended + max(usual_s, factor * self.cost_s)
