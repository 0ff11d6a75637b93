"""Turn words with times into segments: sentences, cut at punctuation and pauses. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from modules.protocol import Segment, Word

#: A longer silence between two words ends a segment even without punctuation.
PAUSE_S = 1.0
#: A segment that grows past this is cut at its best place.
MAX_SEGMENT_S = 12.0
MAX_SEGMENT_CHARS = 160
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？")
_CLAUSE_ENDS = (",", ";", ":", "-", "–", "—")
_CLOSERS = "\"'”’»)]}"
_ABBREVIATIONS = frozenset(
    "mr. mrs. ms. dr. st. vs. etc. e.g. i.e. no. jr. sr. prof. "
    "т.е. т.д. т.п. т.к. др. пр. г. гг. ул. д. им. руб. коп. тыс. млн. млрд. см. стр. рис.".split()
)


def word_of(timing: Mapping[str, Any], offset_s: float) -> Word:
    """A word of the aligner, moved by ``offset_s``; what is not a finite number is left out."""
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
    """Words whose times are finite, never run backwards and stay inside ``start_s``..``end_s``."""
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


def sentences(
    words: Sequence[Word], start_s: float, end_s: float, fallback_text: str
) -> list[Segment]:
    """Segments of a chunk that spans ``start_s``..``end_s`` seconds.

    Without words the chunk is one segment of ``fallback_text``; without text there is none.
    """
    cleaned = clean_words(words, start_s, end_s)
    if not cleaned:
        text = fallback_text.strip()
        return [Segment(start=start_s, end=end_s, text=text)] if text else []
    groups: list[list[Word]] = [[]]
    for word in cleaned:
        if groups[-1] and _ends_segment(groups[-1], word):
            groups.append([])
        groups[-1].append(word)
    pieces = [piece for group in groups for piece in _halved(group)]
    return _with_times(pieces, start_s, end_s)


def joined(words: Sequence[Word]) -> str:
    """The text of words that carry their own leading spaces."""
    return "".join(word.word for word in words).strip()


def _ends_segment(group: Sequence[Word], following: Word) -> bool:
    before = group[-1]
    if before.end is None or following.start is None:
        return ends_sentence(before.word)
    return following.start - before.end > PAUSE_S or ends_sentence(before.word)


def ends_sentence(word: str) -> bool:
    """True if a word closes a sentence; abbreviations and initials do not."""
    bare = word.strip().rstrip(_CLOSERS)
    if not bare.endswith(_SENTENCE_ENDS):
        return False
    initial = len(bare) == 2 and bare[0].isupper() and bare[1] == "."
    return not initial and bare.lower() not in _ABBREVIATIONS


def _halved(group: list[Word]) -> list[list[Word]]:
    """The group, cut in two at its best place again and again while it is too long."""
    timed = [word for word in group if word.start is not None and word.end is not None]
    span = (timed[-1].end or 0.0) - (timed[0].start or 0.0) if timed else 0.0
    if len(group) < 4 or (span <= MAX_SEGMENT_S and len(joined(group)) <= MAX_SEGMENT_CHARS):
        return [group]
    cut = max(range(1, len(group)), key=lambda i: _cut_merit(group, i))
    return _halved(group[:cut]) + _halved(group[cut:])


def _cut_merit(group: list[Word], i: int) -> float:
    """How good a place before word ``i`` is: clause ends and pauses are, and the middle is."""
    before, after = group[i - 1], group[i]
    pause = 0.0
    if before.end is not None and after.start is not None:
        pause = min(after.start - before.end, PAUSE_S)
    clause = 0.5 if before.word.rstrip().endswith(_CLAUSE_ENDS) else 0.0
    return pause + clause - abs(2 * i / len(group) - 1)


def _with_times(pieces: list[list[Word]], start_s: float, end_s: float) -> list[Segment]:
    segments = []
    earliest = start_s
    known = [[word.start for word in piece if word.start is not None] for piece in pieces]
    for index, piece in enumerate(pieces):
        text = joined(piece)
        if not text:
            continue
        starts = known[index]
        ends = [word.end for word in piece if word.end is not None]
        start = max(earliest, starts[0]) if starts else earliest
        # A piece without times lasts until one with times begins.
        latest = next((later[0] for later in known[index + 1 :] if later), end_s)
        end = max(start, ends[-1] if ends else latest)
        words = tuple(word.model_copy(update={"word": word.word.strip()}) for word in piece)
        segments.append(
            Segment(
                start=round(start, 3),
                end=round(end, 3),
                text=text,
                confidence=mean_confidence(words),
                words=words,
            )
        )
        earliest = end
    return segments


def mean_confidence(words: Sequence[Word]) -> float | None:
    """The mean of the words' confidences, a probability in 0..1; None where no word has one."""
    known = [word.confidence for word in words if word.confidence is not None]
    return round(sum(known) / len(known), 4) if known else None
