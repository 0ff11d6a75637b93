"""What was said in one session: committed words and ended utterances, counted and kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modules.executors.live_protocol import Commit, Final
from modules.live.events import Committed, SessionEvent, Utterance
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

    def _commit(self, words: Sequence[Word], received_s: float) -> Iterator[SessionEvent]:
        if not words:
            return
        check_words(words, self.words, received_s)
        self.words += len(words)
        self._in_utterance += len(words)
        self.settled_s = max(self.settled_s, *(word.end or 0.0 for word in words))
        self.seq += 1
        yield Committed(self.seq, tuple(words))
