"""Clean the model's word times and compare them with the detected speech. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from modules.transcript.model import Word

#: Whisper's attention is ahead of the sound: word times are this much too early, in seconds.
_AHEAD_S = 0.035
#: The last word before a pause is extended to the end of speech, if that is this near.
_DRAWN_OUT_S = 0.25
#: A word belongs to a region of speech only if it shares more than this part of its length.
_LEAST_SHARE = 0.1


def word_of(timing: Mapping[str, Any], offset_s: float) -> Word:
    """A word of the aligner, moved by ``offset_s``; numbers that are not finite become None."""
    start, end = offset_s + float(timing["start"]), offset_s + float(timing["end"])
    confidence = float(timing["probability"])
    timed = math.isfinite(start) and math.isfinite(end)
    return Word(
        word=timing["word"],
        start=start if timed else None,
        end=end if timed else None,
        confidence=round(min(1.0, max(0.0, confidence)), 4) if math.isfinite(confidence) else None,
    )


def clean_words(words: Sequence[Word], start_s: float, end_s: float) -> list[Word]:
    """Words with finite, non-decreasing times within ``start_s``..``end_s``."""
    cleaned = []
    earliest = start_s
    for word in words:
        if word.start is None or word.end is None or not math.isfinite(word.start + word.end):
            cleaned.append(Word(word=word.word, confidence=word.confidence))
            continue
        start = min(max(word.start, earliest), end_s)
        end = min(max(word.end, start), end_s)
        cleaned.append(word.model_copy(update={"start": round(start, 3), "end": round(end, 3)}))
        earliest = end
    return cleaned


def snapped(words: Sequence[Word], speech: Sequence[tuple[float, float]]) -> list[Word]:
    """Align words that were timed by attention with regions of speech.

    A word belongs to the region of ``speech`` with which it shares most time: it does not begin
    before the region, and the last word of a region ends with it.
    """
    moved = [_within(word, speech) for word in words]
    return [
        _extended(word, following, speech)
        for word, following in itertools.zip_longest(moved, moved[1:])
        if word is not None
    ]


def _within(word: Word, speech: Sequence[tuple[float, float]]) -> Word:
    if word.start is None or word.end is None:
        return word
    start, end = word.start + _AHEAD_S, word.end + _AHEAD_S
    region = _region(start, end, speech)
    if region is not None:
        start, end = max(start, region[0]), min(end, region[1])
    return word.model_copy(update={"start": start, "end": end})


def _region(
    start: float, end: float, speech: Sequence[tuple[float, float]]
) -> tuple[float, float] | None:
    """The region that shares most time with a span, if it shares enough."""
    shared = [(min(end, b) - max(start, a), (a, b)) for a, b in speech]
    overlap, region = max(shared, default=(0.0, None))
    return region if overlap > _LEAST_SHARE * (end - start) else None


def _extended(word: Word, following: Word | None, speech: Sequence[tuple[float, float]]) -> Word:
    if word.start is None or word.end is None:
        return word
    region = _region(word.start, word.end, speech)
    next_s = following.start if following and following.start is not None else math.inf
    if region is None or next_s < region[1] or region[1] - word.end > _DRAWN_OUT_S:
        return word
    return word.model_copy(update={"end": max(word.end, region[1])})
