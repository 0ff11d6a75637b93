"""What a session tells its client, whatever the protocol, and the bounded way there."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from modules.transcript.model import Word

#: So much that must not be lost may wait for a client that does not read, in bytes.
WAITING_BYTES = 256 * 1024
_EVENT_BYTES, _WORD_BYTES = 200, 90


def _size_of(words: Sequence[Word]) -> int:
    """About what they are in JSON."""
    return _EVENT_BYTES + sum(_WORD_BYTES + 2 * len(word.word) for word in words)


@dataclass(frozen=True)
class PartialWords:
    """What is heard behind the last commit; the next one of these, or a commit, replaces it."""

    words: tuple[Word, ...]

    @property
    def size(self) -> int:
        return _size_of(self.words)


@dataclass(frozen=True)
class Committed:
    """Words that will not change any more. ``seq`` counts these and the finals of a session."""

    seq: int
    words: tuple[Word, ...]

    @property
    def size(self) -> int:
        return _size_of(self.words)


@dataclass(frozen=True)
class Utterance:
    """An utterance is over; all of its words were committed before."""

    seq: int
    start_s: float
    end_s: float
    text: str
    speaker: str | None = None
    language: str | None = None

    @property
    def size(self) -> int:
        return _EVENT_BYTES + 2 * len(self.text)


@dataclass(frozen=True)
class SpeechChanged:
    """Speech began or ended, at that second of the session."""

    speaking: bool
    at_s: float
    size: int = _EVENT_BYTES


@dataclass(frozen=True)
class Lag:
    """So much sound was not heard yet; ``step_s`` between two passes, None: finals only."""

    seconds: float
    step_s: float | None
    size: int = _EVENT_BYTES


@dataclass(frozen=True)
class FlushDone:
    """The utterance was ended as asked."""

    size: int = _EVENT_BYTES


@dataclass(frozen=True)
class SessionStored:
    """The last event: the sound is a recording now. None: there was no sound."""

    recording: str | None
    job_id: str | None
    size: int = _EVENT_BYTES


@dataclass(frozen=True)
class Problem:
    """Something failed. ``is_final``: nothing more comes."""

    code: str
    message: str
    is_final: bool = False
    size: int = 2 * _EVENT_BYTES


SessionEvent = (
    PartialWords | Committed | Utterance | SpeechChanged | Lag | FlushDone | SessionStored | Problem
)


@dataclass
class Outbox:
    """Events for one client, put in by any thread, taken by one. ``wake``: something is there.

    Of partials and lags only the newest is kept. Where the rest outgrows ``WAITING_BYTES``,
    nothing more is taken: ``overflowed``. ``replaced``: another client goes on with the session.
    """

    wake: Callable[[], None] = lambda: None
    overflowed: bool = False
    replaced: bool = False
    _kept: deque[SessionEvent] = field(default_factory=deque)
    _bytes: int = 0
    _partial: PartialWords | None = None
    _lag: Lag | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, event: SessionEvent) -> None:
        with self._lock:
            if isinstance(event, PartialWords):
                self._partial = event
            elif isinstance(event, Lag):
                self._lag = event
            else:
                self._keep(event)
        self.wake()

    def _keep(self, event: SessionEvent) -> None:
        if not isinstance(event, SpeechChanged):
            self._partial = None  # it was about what follows the commit before
        if self._bytes + event.size > WAITING_BYTES:
            self.overflowed = True
        if not self.overflowed:
            self._kept.append(event)
            self._bytes += event.size

    def replace(self) -> None:
        """The session has another client now."""
        self.replaced = True
        self.wake()

    def take(self) -> Sequence[SessionEvent]:
        """All that is there, in order."""
        with self._lock:
            passing = [each for each in (self._lag, self._partial) if each is not None]
            events = [*self._kept, *passing]
            self._kept.clear()
            self._bytes, self._partial, self._lag = 0, None, None
            return events
