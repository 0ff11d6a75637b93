"""Assign the words of a transcript to the speakers, and tell whether it has several. Pure."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from modules.transcript.model import Segment, Turn, Word
from modules.transcript.slicing import slice_words, word_offsets

#: A word outside all turns belongs to the nearest one up to this far away.
NEAR_S = 1.0
#: A single word between words of another speaker is an error, unless such a pause separates it.
PAUSE_S = 0.3
#: What diarization calls a speaker; any other name was given by a person.
_LABEL = re.compile(r"SPEAKER_\d+")


def with_speakers(segments: Iterable[Segment], turns: Sequence[Turn]) -> Iterator[Segment]:
    """The segments with the speakers of ``turns``, cut between words where the speaker changes.

    Words, text and order do not change; a part's times and confidence are those of its words.
    Without turns the segments are returned unchanged.
    """
    if not turns:
        return iter(segments)
    spoken = _Turns(turns)
    return (part for segment in segments for part in _parts(segment, spoken))


def without_lone_label(segments: Iterable[Segment]) -> Iterable[Segment]:
    """The segments, for readers: where one person speaks, the label of diarization says nothing.

    A name that a person gave stays. ``segments`` and what is returned can be read several times.
    """
    found: set[str] = set()
    for segment in segments:
        found.update(filter(None, (segment.speaker, *(word.speaker for word in segment.words))))
        if len(found) > 1:
            return segments
    return _Unlabelled(segments) if any(map(_LABEL.fullmatch, found)) else segments


@dataclass(frozen=True)
class _Unlabelled:
    segments: Iterable[Segment]

    def __iter__(self) -> Iterator[Segment]:
        return (_whole(segment, None) for segment in self.segments)


def spoken_by(segments: Iterable[Segment], speaker: str) -> tuple[Segment, ...]:
    """The segments, all of them and all of their words by one speaker."""
    return tuple(_whole(segment, speaker) for segment in segments)


class _Turns:
    """Turns indexed by time; they may overlap. A lookup takes logarithmic time."""

    def __init__(self, turns: Iterable[Turn]) -> None:
        self._turns = sorted(turns, key=lambda turn: (turn.start, turn.end))
        # The running maximum of the ends never decreases, so it can be searched by bisection.
        self._ends = list(itertools.accumulate((turn.end for turn in self._turns), max))

    def speaker(self, start: float, end: float) -> str | None:
        """Who speaks most in the span, else the speaker of the nearest turn; None if none is."""
        shares: Counter[str] = Counter()
        gaps: list[tuple[float, str]] = []
        for turn in self._near(start, end):
            shared = min(turn.end, end) - max(turn.start, start)
            if shared > 0:
                shares[turn.speaker] += shared  # type: ignore[assignment]  # counts seconds
            elif -shared <= NEAR_S:
                gaps.append((-shared, turn.speaker))
        if shares:
            return shares.most_common(1)[0][0]
        return min(gaps, key=lambda gap: gap[0])[1] if gaps else None

    def _near(self, start: float, end: float) -> Iterable[Turn]:
        first = bisect_left(self._ends, start - NEAR_S)
        return itertools.takewhile(
            lambda turn: turn.start <= end + NEAR_S, itertools.islice(self._turns, first, None)
        )


def _parts(segment: Segment, spoken: _Turns) -> list[Segment]:
    begins = word_offsets(segment)
    if not begins:
        return [_whole(segment, spoken.speaker(segment.start, segment.end))]
    speakers = _steady(segment.words, _of_words(segment.words, spoken))
    if None in speakers:  # then all are None: a word without a turn takes its neighbour's
        return [_whole(segment, spoken.speaker(segment.start, segment.end))]
    cuts = [0, *(i for i in range(1, len(speakers)) if speakers[i] != speakers[i - 1])]
    if len(cuts) == 1:
        return [_whole(segment, speakers[0])]
    edges = [*cuts, len(speakers)]
    return [
        _whole(slice_words(segment, begins, first, after), speakers[first])
        for first, after in itertools.pairwise(edges)
    ]


def _of_words(words: Sequence[Word], spoken: _Turns) -> list[str | None]:
    """The speaker of each word; without one, that of the word before, else of the word after."""
    speakers = [
        None if word.start is None or word.end is None else spoken.speaker(word.start, word.end)
        for word in words
    ]
    return _filled(_filled(speakers)[::-1])[::-1]


def _filled(speakers: Sequence[str | None]) -> list[str | None]:
    filled: list[str | None] = []
    for speaker in speakers:
        filled.append(speaker or (filled[-1] if filled else None))
    return filled


def _steady(words: Sequence[Word], speakers: Sequence[str | None]) -> list[str | None]:
    """Correct single words of another speaker in the middle of continuous speech."""
    steady = list(speakers)
    for i in range(1, len(words) - 1):
        amid = steady[i - 1] == speakers[i + 1] != steady[i]
        if amid and not (_pause(words[i - 1], words[i]) or _pause(words[i], words[i + 1])):
            steady[i] = steady[i - 1]
    return steady


def _pause(before: Word, after: Word) -> bool:
    if before.end is None or after.start is None:
        return False
    return after.start - before.end >= PAUSE_S


def _whole(segment: Segment, speaker: str | None) -> Segment:
    words = tuple(word.model_copy(update={"speaker": speaker}) for word in segment.words)
    return segment.model_copy(update={"speaker": speaker, "words": words})
