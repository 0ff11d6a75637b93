"""The words of a segment, each with its place in the text and its times. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from modules.transcript.model import Segment, Word
from modules.transcript.slicing import word_offsets


def timed_words(segment: Segment) -> tuple[Word, ...]:
    """Words that stand in the text in this order, all with times.

    Those of the segment; where it has none, or one is not in the text, the text's own, split at
    spaces. Words without times share the time between their neighbours.
    """
    words = segment.words if word_offsets(segment) else ()
    if words and all(map(is_timed, words)):
        return words
    if not words:
        words = tuple(Word(word=each) for each in segment.text.split())
        segment = segment.model_copy(update={"words": words})
    return tuple(
        word if is_timed(word) else word.model_copy(update={"start": start, "end": end})
        for word, (start, end) in zip(words, word_spans(segment), strict=True)
    )


def word_spans(segment: Segment) -> list[tuple[float, float]]:
    """The times of each word; words without times share the time between their neighbours."""
    spans: list[tuple[float, float]] = []
    for timed, group in itertools.groupby(segment.words, is_timed):
        run = list(group)
        if timed:
            spans += [(word.start or 0.0, word.end or 0.0) for word in run]
            continue
        low = spans[-1][1] if spans else segment.start
        later = segment.words[len(spans) + len(run) :]
        high = (later[0].start if later else None) or segment.end
        spans += shared_out(low, max(low, high), [len(word.word) for word in run])
    return spans


def is_timed(word: Word) -> bool:
    return word.start is not None and word.end is not None


def shared_out(low: float, high: float, lengths: Sequence[int]) -> list[tuple[float, float]]:
    """Divide the time in proportion to the lengths."""
    bounds = [0, *itertools.accumulate(lengths)]
    each = (high - low) / max(1, bounds[-1])
    return [(low + each * a, low + each * b) for a, b in itertools.pairwise(bounds)]
