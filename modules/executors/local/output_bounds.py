"""What a child may say of one recording: no more than can be spoken in it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from modules.errors import WorkerError, noted
from modules.executors.protocol import Done, Started, Transcribe, Transcribed
from modules.storage import beneath
from modules.transcript.model import Chunk

#: Fewer bytes per second than any codec needs; the child refuses longer recordings by the same.
BYTES_PER_S_MIN = 8
#: Chunks are cut from 30 s of sound and a second of look-ahead.
_CHUNK_S = 60.0
#: How far times may lie outside, in seconds: words are aligned in windows.
_SLACK_S = 60.0
#: The fastest speakers have 30 characters and 7 words a second, and Whisper at most 20 tokens and
#: 30 for each piece, of which a chunk has four. Ten times the one, twice the other.
_CHARS_PER_S, _WORDS_PER_S, _SPANS_PER_S, _CHUNKS_PER_S = 300, 40, 20, 20
#: The same for a chunk alone, which may be all that there is.
_CHARS, _WORDS, _SPANS, _CHUNKS = 18_000, 1_200, 600, 1000
#: All of a recording together, in bytes of JSON: twice what two days without a pause have.
_WEIGHT_MAX = 128 * 2**20
_WORD_BYTES, _SPAN_BYTES = 100, 200
#: What is said of a recording as a whole.
_NOTES_CHARS, _TURNS, _TURNS_PER_S, _NAMES, _NAME_CHARS = 100_000, 100, 4, 1000, 200


def implausible(what: str) -> WorkerError:
    """The error for an answer that no recording can be the reason for."""
    return WorkerError(
        "implausible_output",
        noted("WhisperX sent what cannot come from this recording, and was ended."),
        details=f"It sent more than a recording can hold: {what}. Its process may have been taken "
        "over.",
    )


class OutputBounds:
    """Checks the events of one task, in order. Each check raises WorkerError."""

    def __init__(self, command: Transcribe) -> None:
        self._path = Path(os.fsdecode(command.path))
        self._max_duration_s = command.max_duration_s
        #: Where each leg began, and how far it is; without legs there is one.
        self._starts = command.legs or (command.start_s,)
        self._positions = list(self._starts)
        self._may_split = command.settings.channels == "split"
        self._longest_s = 0.0
        self._has_started = False
        self._chunks = self._chars = self._words = self._spans = 0

    def credible(self, event: Started) -> Started:
        """What the container says, at most as long as the recording can be."""
        if self._has_started:
            raise implausible("it began the recording twice")
        self._has_started = True
        stated_s = event.duration_s
        if stated_s is None or self._can_last(stated_s):
            return event
        return event.model_copy(update={"duration_s": None})

    def check_chunk(self, chunk: Chunk) -> None:
        """That it goes on where the last one ended, and holds what so much sound can hold."""
        leg = self._leg(chunk)
        before_s, self._positions[leg] = self._positions[leg], chunk.position_s
        if not before_s < chunk.position_s <= before_s + _CHUNK_S:
            raise implausible(f"a chunk from {before_s:.3f} to {chunk.position_s:.3f} s")
        if not self._can_last(chunk.position_s):
            raise implausible(f"{chunk.position_s:.0f} s of sound")
        if not all(
            before_s - _SLACK_S <= time <= chunk.position_s + _SLACK_S for time in _times(chunk)
        ):
            raise implausible(f"times far from the chunk that ends at {chunk.position_s:.0f} s")
        self._check_amount(chunk)

    def _leg(self, chunk: Chunk) -> int:
        """Which line of sound a chunk goes on with; the first chunk decides how many there are."""
        is_first = not self._chunks and self._starts == (0.0,)
        if is_first and self._may_split and chunk.leg is not None:
            self._starts, self._positions = (0.0, 0.0), [0.0, 0.0]
        if (chunk.leg is None) != (len(self._positions) == 1):
            raise implausible("chunks of channels together and apart")
        return chunk.leg or 0

    def _check_amount(self, chunk: Chunk) -> None:
        texts = [part.text for part in chunk.segments] + [part.text for part in chunk.dropped]
        spoken = [word.word for segment in chunk.segments for word in segment.words]
        chars = max(sum(map(len, texts)), sum(map(len, spoken)))
        spans = len(texts) + len(chunk.wordless)
        self._chunks += 1
        self._chars += chars
        self._words += len(spoken)
        self._spans += spans
        covered_s = sum(self._positions) - sum(self._starts)
        for name, one, one_max, total, per_s in (
            ("characters", chars, _CHARS, self._chars, _CHARS_PER_S),
            ("words", len(spoken), _WORDS, self._words, _WORDS_PER_S),
            ("segments", spans, _SPANS, self._spans, _SPANS_PER_S),
            ("chunks", 1, _CHUNKS, self._chunks, _CHUNKS_PER_S),
        ):
            if one > one_max:
                raise implausible(f"{one} {name} in one chunk")
            if total > one_max + per_s * covered_s:
                raise implausible(f"{total} {name} in {covered_s:.1f} s")
        weight = 2 * self._chars + _WORD_BYTES * self._words + _SPAN_BYTES * self._spans
        if weight > _WEIGHT_MAX:
            raise implausible(f"{self._chars} characters and {self._words} words in all")

    def check_end(self, event: Transcribed | Done) -> None:
        """That what is said of the whole recording fits to it."""
        last_s = max(self._positions) - 1.0
        if not last_s <= event.duration_s or not self._can_last(event.duration_s):
            raise implausible(f"{event.duration_s:.0f} s of sound")
        said = sum(map(len, event.notes)) + sum(len(part.label) for part in event.left_out)
        if said > _NOTES_CHARS:
            raise implausible(f"notes of {said} characters")
        if isinstance(event, Done):
            self._check_turns(event)

    def _check_turns(self, done: Done) -> None:
        last_s = done.duration_s + _SLACK_S
        if len(done.turns) > _TURNS + _TURNS_PER_S * done.duration_s or not all(
            -1.0 <= turn.start <= last_s and -1.0 <= turn.end <= last_s for turn in done.turns
        ):
            raise implausible(f"{len(done.turns)} turns of speakers")
        names = {turn.speaker for turn in done.turns} | {done.diarization or ""}
        if len(names) > _NAMES or any(len(name) > _NAME_CHARS for name in names):
            raise implausible(f"{len(names)} names of speakers")

    def _can_last(self, seconds: float) -> bool:
        """Whether the recording can last so long: by its size, which may still grow."""
        if 0 <= seconds <= self._longest_s:
            return True
        self._longest_s = _SLACK_S + min(self._max_duration_s, self._size() / BYTES_PER_S_MIN)
        return 0 <= seconds <= self._longest_s

    def _size(self) -> float:
        try:
            return beneath.lstat(self._path).st_size
        except OSError:
            return float("inf")  # whether it is still there is found out elsewhere


def _times(chunk: Chunk) -> Iterable[float]:
    yield chunk.start_s
    for start, end in chunk.wordless:
        yield from (start, end)
    for dropped in chunk.dropped:
        yield from (dropped.start, dropped.end)
    for segment in chunk.segments:
        yield from (segment.start, segment.end)
        for word in segment.words:
            yield from (time for time in (word.start, word.end) if time is not None)
