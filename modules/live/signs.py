"""Signs of life of a child while it works for sessions; and how often it died of the work."""

from __future__ import annotations

import threading
from typing import Literal

from modules.executors.live_protocol import (
    LiveEvent,
    LiveFailed,
    Reading,
    TextFailed,
    Worked,
    Working,
)

Lane = Literal["pass", "text"]

#: Of the time between two looks no more counts: while this process stood still, so did the child.
_LONGEST_LOOK_S = 1.0
#: A pass has no signs of life but its end, so it has more time.
_FACTORS: dict[Lane, float] = {"pass": 3.0, "text": 1.0}  # nosec B105 # a pass of the model
#: A child that is not trusted says of no more that it works at them.
_WORKS_MAX = 1000
#: So many children may end at the same point of a session; it is not tried with another one.
_DEATHS_MAX = 3


class Signs:
    """What one child works at. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: How long it has worked at something without a sign, by the number of the session.
        self._silent_s: dict[tuple[int, Lane], float] = {}
        #: How long commands have been sent and none read; and whether one was since the last look.
        self._unread_s, self._is_sent = 0.0, False
        self._looked_at: float | None = None

    def note_sent(self) -> None:
        """A command was sent, or would have been if there were room."""
        self._is_sent = True

    def note(self, event: LiveEvent) -> None:
        with self._lock:
            if isinstance(event, Reading):
                self._unread_s = 0.0
            elif isinstance(event, Working) and event.busy:
                if len(self._silent_s) < _WORKS_MAX:
                    self._silent_s[event.session, event.lane] = 0.0
            elif isinstance(event, Working):
                self._silent_s.pop((event.session, event.lane), None)
            elif isinstance(event, Worked | LiveFailed):
                self._silent_s.pop((event.session, "pass"), None)
            elif isinstance(event, TextFailed):
                self._silent_s.pop((event.session, "text"), None)

    def hangs(self, limit_s: float, now: float) -> bool:
        """Whether it is silent for too long; to be asked several times a second.

        Between two passes it has nothing in hand, but reads what is sent: of a child that stands
        still nothing else can be seen.
        """
        with self._lock:
            since_s = 0.0 if self._looked_at is None else now - self._looked_at
            since_s, self._looked_at = min(max(0.0, since_s), _LONGEST_LOOK_S), now
            for work in self._silent_s:
                self._silent_s[work] += since_s
            if self._is_sent:  # who is sent nothing has nothing to answer
                self._unread_s, self._is_sent = self._unread_s + since_s, False
            is_unresponsive = self._unread_s > limit_s
            return is_unresponsive or any(
                silent_s > _FACTORS[lane] * limit_s
                for (_, lane), silent_s in self._silent_s.items()
            )

    def works_at(self, session: int) -> frozenset[Lane]:
        """What it had in hand of a session when it was last heard of."""
        with self._lock:
            return frozenset(lane for number, lane in self._silent_s if number == session)


class Deaths:
    """How many children ended one after the other with the same work of a session in hand."""

    def __init__(self) -> None:
        self._at_s = -1.0
        self._count = 0

    def are_too_many(self, at_s: float) -> bool:
        """One more, when the work had come to this second: whether the next is as likely to end."""
        self._count = self._count + 1 if at_s == self._at_s else 1
        self._at_s = at_s
        return self._count >= _DEATHS_MAX
