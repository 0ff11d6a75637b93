"""Slice segments between words, and concatenate them, together with their text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from unicodedata import east_asian_width

from modules.transcript.model import Segment
from modules.transcript.sentences import mean_confidence


def word_offsets(segment: Segment) -> list[int]:
    """The offset of each word in the text; empty if a word is not found, or there are no words.

    Words contain no spaces, and some languages write none, so words are searched for.
    """
    begins: list[int] = []
    position = 0
    for word in segment.words:
        begin = segment.text.find(word.word.strip(), position)
        if begin < 0:
            return []
        begins.append(begin)
        position = begin + len(word.word.strip())
    return begins


def slice_words(segment: Segment, begins: Sequence[int], first: int, after: int) -> Segment:
    """Words ``first`` to ``after`` with their part of the text, up to where the next word begins.

    ``begins``: the ``word_offsets`` of all words.
    """
    begin = begins[first] if first else 0
    end = begins[after] if after < len(begins) else len(segment.text)
    words = segment.words[first:after]
    start_s, end_s = _span(segment, first, after)
    return segment.model_copy(
        update={
            "start": start_s,
            "end": end_s,
            "text": segment.text[begin:end].strip(),
            "words": words,
            "confidence": mean_confidence(words),
        }
    )


def _span(segment: Segment, first: int, after: int) -> tuple[float, float]:
    """Start and end of these words in seconds; at the ends, the segment's own times."""
    starts = [word.start for word in segment.words[:after] if word.start is not None]
    known = [word.start for word in segment.words[first:after] if word.start is not None]
    ends = [word.end for word in segment.words[:after] if word.end is not None]
    latest = starts[-1] if starts else segment.start
    start = segment.start if first == 0 else (known[0] if known else latest)
    later = [word.start for word in segment.words[after:] if word.start is not None]
    end = segment.end
    if after < len(segment.words):
        end = ends[-1] if ends else (later[0] if later else segment.end)
    return start, max(start, end)


def concatenate(before: Segment, after: Segment) -> Segment:
    """Two segments as one, with the worse of Whisper's scores."""
    worse: dict[str, Any] = {
        "avg_logprob": _worse(min, before.avg_logprob, after.avg_logprob),
        "no_speech_prob": _worse(max, before.no_speech_prob, after.no_speech_prob),
        "compression_ratio": _worse(max, before.compression_ratio, after.compression_ratio),
        "temperature": _worse(max, before.temperature, after.temperature),
    }
    words = (*before.words, *after.words)
    return before.model_copy(
        update={
            **worse,
            "end": after.end,
            "text": joined_text((before.text, after.text)),
            "words": words,
            "confidence": mean_confidence(words),
            "flags": tuple(dict.fromkeys((*before.flags, *after.flags))),
        }
    )


def _worse(choose: Any, *scores: float | None) -> float | None:
    known = [score for score in scores if score is not None]
    return choose(known) if known else None


def joined_text(texts: Iterable[str]) -> str:
    """Join texts into one line, with spaces between them unless their scripts have none."""
    line: list[str] = []
    for text in filter(None, texts):
        bare = not line or spaceless(line[-1][-1]) or spaceless(text[0])
        line.append(text if bare else f" {text}")
    return "".join(line)


def spaceless(sign: str) -> bool:
    """Whether its script is written without spaces between words: CJK, Thai, Lao, Burmese."""
    if sign < "\u0e00":
        return False
    script = "\u0e00" <= sign <= "\u0eff" or "\u1000" <= sign <= "\u109f"
    return script or "\u1780" <= sign <= "\u17ff" or east_asian_width(sign) in "WF"
