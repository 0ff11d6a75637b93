"""The client of a session: whether it is there, and since when no sound has come from it."""

from __future__ import annotations

from modules.live.events import Outbox, SessionEvent

#: A session to which no sound comes for so long is over: it would hold a place that others can use.
QUIET_S = 300.0


class ClientPresence:
    """Of one session; for callers that hold its lock. ``sound`` is how much has come, in whatever
    unit, and never shrinks; ``now`` is monotonic."""

    def __init__(self, now: float) -> None:
        self._outbox: Outbox | None = None
        self._left_at = self._sound_at = now
        self._sound = 0
        #: Whether a client has disconnected since the last sound.
        self._was_broken = False

    @property
    def is_connected(self) -> bool:
        return self._outbox is not None

    def is_client(self, outbox: Outbox) -> bool:
        return self._outbox is outbox

    def connect(self, outbox: Outbox) -> None:
        """This client continues the session, and replaces any other."""
        earlier, self._outbox = self._outbox, outbox
        if earlier is not None:
            earlier.replace()

    def disconnect(self, outbox: Outbox, sound: int, now: float) -> None:
        """This client has lost its connection."""
        if self._outbox is outbox:
            self.note_sound(sound, now)
            self._outbox, self._left_at, self._was_broken = None, now, True

    def send(self, event: SessionEvent) -> None:
        if self._outbox:
            self._outbox.put(event)

    def note_sound(self, sound: int, now: float) -> None:
        """Call several times a second."""
        if sound > self._sound:
            self._sound, self._sound_at, self._was_broken = sound, now, False

    def is_away(self, now: float, resume_s: float) -> bool:
        """Whether there has been no client for longer than this."""
        return self._outbox is None and now - self._left_at > resume_s

    def quiet_s(self, now: float, resume_s: float) -> float | None:
        """For how long no sound has come, if that is too long. Where the connection broke
        meanwhile, ``resume_s`` more is granted, however often it did."""
        limit_s = QUIET_S + (resume_s if self._was_broken else 0.0)
        return limit_s if now - self._sound_at > limit_s else None
