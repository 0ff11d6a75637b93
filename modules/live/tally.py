"""What one session adds to the statistics: how late words are told, and which of them change."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Callable, Sequence

from modules.live.events import Committed, PartialWords, SessionEvent, Utterance
from modules.live.load import Load
from modules.live.statistics import LiveStatistics, Told
from modules.transcript.agreement import plain
from modules.transcript.model import Word

#: So far apart it is remembered when sound came, in seconds, and so many times: two minutes.
_MARK_S, _MARKS = 0.1, 1200
#: A word is the one that was shown before if it begins so near to it, in seconds.
_NEAR_S = 0.5


class Tally:
    """``received`` is for the client's thread, the rest for the reader of the link."""

    def __init__(
        self, statistics: LiveStatistics, load: Load, monotonic: Callable[[], float]
    ) -> None:
        self._statistics = statistics
        self._load = load
        self._monotonic = monotonic
        self._lock = threading.Lock()
        #: Up to which second there was sound, and since when, by the monotonic clock.
        self._seconds: list[float] = [0.0]
        self._since: list[float] = [monotonic()]
        #: Words that are shown and not committed.
        self._shown: Sequence[Word] = ()

    def received(self, upto_s: float) -> None:
        """The session has so many seconds of sound now."""
        with self._lock:
            new_s = upto_s - self._seconds[-1]
            if new_s < _MARK_S:
                return
            self._seconds.append(upto_s)
            self._since.append(self._monotonic())
            if len(self._seconds) > _MARKS:
                del self._seconds[: _MARKS // 2], self._since[: _MARKS // 2]
        self._statistics.note_sound(new_s)

    def worked(self, busy_s: float) -> None:
        """A pass took so long."""
        self._load.note(busy_s)
        self._statistics.note_pass(busy_s)

    def told(self, event: SessionEvent, is_ahead: bool = False) -> None:
        """The client is told this. ``is_ahead``: it sends a file, which is late by its length."""
        if isinstance(event, PartialWords):
            new = [word for word in event.words if not _has(self._shown, word)]
            gone = [word for word in self._shown if not _has(event.words, word)]
            self._shown = event.words
            self._note("partial", new, gone, is_ahead)
        elif isinstance(event, Committed):
            end_s = event.words[-1].end or 0.0
            replaced = [word for word in self._shown if (word.start or 0.0) < end_s]
            gone = [word for word in replaced if not _has(event.words, word)]
            self._shown = [word for word in self._shown if word not in replaced]
            self._note("commit", event.words, gone, is_ahead)
        elif isinstance(event, Utterance):
            gone, self._shown = list(self._shown), ()
            delays_s = [] if is_ahead else [self._delay_s(event.end_s)]
            self._statistics.note_told("final", 0, delays_s, len(gone))

    def _note(
        self, kind: Told, words: Sequence[Word], gone: Sequence[Word], is_ahead: bool
    ) -> None:
        delays_s = [] if is_ahead else [self._delay_s(word.end or 0.0) for word in words]
        self._statistics.note_told(kind, len(words), delays_s, len(gone))

    def _delay_s(self, second: float) -> float:
        """How long ago the sound up to there came; at least, if that is no longer known."""
        with self._lock:
            at = min(bisect.bisect_left(self._seconds, second), len(self._seconds) - 1)
            return max(0.0, self._monotonic() - self._since[at])


def _has(words: Sequence[Word], wanted: Word) -> bool:
    return any(
        abs((word.start or 0.0) - (wanted.start or 0.0)) <= _NEAR_S
        and plain(word.word) == plain(wanted.word)
        for word in words
    )
