"""What was said in one session: committed words and ended utterances, counted and kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modules.errors import noted
from modules.executors.live_protocol import Commit, Final, Skipped
from modules.live.events import Committed, Problem, SessionEvent, Utterance
from modules.live.transcript_check import check_text, check_time, check_words
from modules.transcript.model import Turn, Word

#: So many utterances of each voice are remembered.
_TURNS = 2


class Utterances:
    """For one thread at a time. What was committed never changes: of a final, only the words
    behind the committed ones count."""

    def __init__(self) -> None:
        #: Of the last event; events are counted from 1 on.
        self.seq = 0
        #: Before this second everything was said.
        self.settled_s = 0.0
        self.language: str | None = None
        self.words = 0
        self._in_utterance = 0
        self._spoken: dict[str, list[Turn]] = {}

    def reopen(self) -> None:
        """A new child goes on from ``settled_s``, and knows nothing of the words before."""
        self._in_utterance = 0

    def commit(self, event: Commit, received_s: float) -> Iterator[SessionEvent]:
        """Raises WorkerError for what cannot be true."""
        self.language = event.language or self.language
        yield from self._commit(event.words, received_s)

    def take(self, event: Commit | Final | Skipped, received_s: float) -> Iterator[SessionEvent]:
        """Raises WorkerError for what cannot be true."""
        if isinstance(event, Commit):
            return self.commit(event, received_s)
        if isinstance(event, Final):
            return self.final(event, received_s)
        return self.skip(event, received_s)

    def final(self, event: Final, received_s: float) -> Iterator[SessionEvent]:
        """Raises WorkerError for what cannot be true."""
        check_text(event.text)
        for time_s in (event.start_s, event.end_s):
            check_time(time_s, received_s)
        self.language = event.language or self.language
        yield from self._commit(event.words[self._in_utterance :], received_s)
        self._in_utterance = 0
        self.settled_s = max(self.settled_s, event.end_s)
        self.seq += 1
        self._note_speaker(event)
        yield Utterance(
            self.seq, event.start_s, event.end_s, event.text, event.speaker, self.language
        )

    @property
    def speakers(self) -> tuple[Turn, ...]:
        """Some of what each voice said, by which another child knows it again."""
        return tuple(turn for turns in self._spoken.values() for turn in turns)

    def _note_speaker(self, event: Final) -> None:
        if event.speaker and len(self._spoken.setdefault(event.speaker, [])) < _TURNS:
            turn = Turn(start=event.start_s, end=event.end_s, speaker=event.speaker)
            self._spoken[event.speaker].append(turn)

    def skip(self, event: Skipped, received_s: float) -> Iterator[SessionEvent]:
        """Raises WorkerError for what cannot be true."""
        for time_s in (event.from_s, event.to_s):
            check_time(time_s, received_s)
        self._in_utterance = 0
        self.settled_s = max(self.settled_s, event.to_s)
        missing = noted(
            "This machine is too busy: what was said between {from_s:.0f} and {to_s:.0f} s is not "
            "shown now. The sound is kept, and transcribed at the end.",
            from_s=event.from_s,
            to_s=event.to_s,
        )
        yield Problem("live_skipped", missing)

    def _commit(self, words: Sequence[Word], received_s: float) -> Iterator[SessionEvent]:
        if not words:
            return
        check_words(words, self.words, received_s)
        self.words += len(words)
        self._in_utterance += len(words)
        self.settled_s = max(self.settled_s, *(word.end or 0.0 for word in words))
        self.seq += 1
        yield Committed(self.seq, tuple(words))
