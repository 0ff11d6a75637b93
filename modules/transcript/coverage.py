"""How much of the speech has words, and which words are longer than a word can be. Pure."""

from __future__ import annotations

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
    """Words no longer than a word can be.

    The attention gives all sound that it passed over to a word beside it. What follows a word at
    once tells where it ends, so the beginning gives way; the last word keeps its beginning.
    """
    found: list[Word] = []
    following_s: float | None = None  # where the next word began, before and after
    moved_to_s = 0.0
    for word in reversed(words):
        if word.start is None or word.end is None:
            found.append(word)
            continue
        start, end = word.start, word.end
        if following_s is not None and following_s - end <= _ADJACENT_S < moved_to_s - end:
            end = moved_to_s
        longest_s = _WORD_S + _LETTER_S * len(word.word.strip())
        if end - start > longest_s:
            start, end = (end - longest_s, end) if found else (start, start + longest_s)
        following_s, moved_to_s = word.start, start
        found.append(word.model_copy(update={"start": round(start, 3), "end": round(end, 3)}))
    return found[::-1]


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
