"""How much of the speech has words, and which words are longer than a word can be. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from modules.transcript.model import Segment, Word

Span = tuple[float, float]

#: So much speech in a row without words is missing text; less is a breath, a laugh, an echo.
WORDLESS_S = 1.2
#: The longest that a word can be, in seconds: this, and so much more for each letter.
_WORD_S, _LETTER_S = 1.0, 0.12
#: A word follows the one before it without a pause if no more lies between, in seconds.
_ADJACENT_S = 0.05


def shortened(words: Sequence[Word]) -> list[Word]:
    """Words no longer than a word can be; those of usual length stay where they are.

    The attention gives all sound that it passed over to a word beside it. A word that follows one
    of usual length begins where it began. Those before the first of usual length end where it
    begins.
    """
    timed = [i for i, word in enumerate(words) if word.start is not None and word.end is not None]
    first_usual = next((i for i in timed if _length_s(words[i]) <= _longest_s(words[i])), None)
    found = list(words)
    following = (math.inf, math.inf)  # where the next word began, and where it begins now
    for i in reversed(timed):
        word = words[i]
        start, end = word.start or 0.0, word.end or 0.0
        if _length_s(word) > _longest_s(word):
            if first_usual is not None and i < first_usual:
                if following[0] - end <= _ADJACENT_S:
                    end += following[1] - following[0]
                start = end - _longest_s(word)
            else:
                end = start + _longest_s(word)
            times = {"start": round(start, 3), "end": round(end, 3)}
            found[i] = word.model_copy(update=times)
        following = (word.start or 0.0, start)
    return found


def _length_s(word: Word) -> float:
    return (word.end or 0.0) - (word.start or 0.0)


def _longest_s(word: Word) -> float:
    return _WORD_S + _LETTER_S * len(word.word.strip())


def out_of_silence(words: Sequence[Word], audible: Sequence[Span]) -> list[Word]:
    """Words that begin or end in silence, moved to where sound begins or ends.

    ``audible``: spans with sound, in seconds.
    """
    found: list[Word] = []
    earliest = 0.0
    for word in words:
        if word.start is None or word.end is None:
            found.append(word)
            continue
        start, end = max(word.start, earliest), max(word.end, earliest)
        onset = next((max(a, start) for a, b in audible if b > start), start)
        if onset > start:
            start, end = onset, max(end, onset + min(end - start, _ADJACENT_S))
        heard_until = max((min(b, end) for a, b in audible if a < end), default=end)
        end = heard_until if heard_until > start else end
        found.append(word.model_copy(update={"start": round(start, 3), "end": round(end, 3)}))
        earliest = min(end, word.end) if word.end > start else end
    return found


def wordless(speech: Sequence[Span], segments: Iterable[Segment]) -> tuple[Span, ...]:
    """Where at least ``WORDLESS_S`` of speech in a row have no words; in seconds."""
    covered = sorted(span for segment in segments for span in _spans(segment))
    edges = [(-1.0, -1.0), *covered, (float("inf"), float("inf"))]
    found = []
    latest = edges[0][1]
    for start, end in edges[1:]:
        inside = [(max(a, latest), min(b, start)) for a, b in speech if a < start and b > latest]
        if sum(b - a for a, b in inside) >= WORDLESS_S:
            found.append((round(inside[0][0], 3), round(inside[-1][1], 3)))
        latest = max(latest, end)
    return tuple(found)


def seconds_of(speech: Sequence[Span], spans: Sequence[Span]) -> float:
    """How much of the speech lies in these spans."""
    return sum(max(0.0, min(b, d) - max(a, c)) for a, b in speech for c, d in spans)


def _spans(segment: Segment) -> list[Span]:
    timed = [(w.start, w.end) for w in segment.words if w.start is not None and w.end is not None]
    return timed or [(segment.start, segment.end)]
