"""Turn words with times into segments: sentences, cut at punctuation and pauses. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from modules.transcript.model import Segment, Word
from modules.transcript.word_times import clean_words

#: A longer silence between two words ends a segment even without punctuation.
PAUSE_S = 1.0
#: A longer segment is cut at its best place.
MAX_SEGMENT_S = 12.0
MAX_SEGMENT_CHARS = 160
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？")
_CLAUSE_ENDS = (",", ";", ":", "-", "–", "—")
_CLOSERS, _OPENERS = "\"'”’»)]}", "\"'“‘«([{"
#: Abbreviations that are followed by more of the sentence.
_BEFORE_SOMETHING = frozenset(
    "mr. mrs. ms. dr. st. vs. e.g. i.e. no. nos. prof. gen. rev. fig. vol. pp. ca. cf. mt. ft. "
    "т.е. т.к. т.н. ул. им. см. ср. стр. рис. гл. ст. кв. корп. просп. пер. наб. обл. акад. проф. "
    "доц. тов. гр. св. ок. тел. доп. напр. тыс. млн. млрд. трлн. пос. дер. исп. зам. пом.".split()
)
#: Abbreviations that may end a sentence; it ended if a capital letter follows.
_PERHAPS_LAST = frozenset(
    "etc. jr. sr. inc. ltd. co. corp. a.m. p.m. u.s. u.k. "
    "т.д. т.п. др. пр. гг. вв. руб. коп. долл. шт. чел. мин. сек. ч. экз. н.э.".split()
)
INITIALS = re.compile(r"(?:[^\W\d_]\.-?)+")


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
    ends = ends_sentence(before.word, following.word)
    if before.end is None or following.start is None:
        return ends
    return ends or following.start - before.end > PAUSE_S


def ends_sentence(word: str, following: str | None = None) -> bool:
    """True if a word closes a sentence: abbreviations and initials do not, nor does anything before
    a small letter. ``following``: the next word, if there is one."""
    bare = word.strip().rstrip(_CLOSERS)
    if not bare.endswith(_SENTENCE_ENDS):
        return False
    first = next((sign for sign in following or "" if sign.isalnum()), "")
    if first.islower():
        return False
    small = bare.lower().lstrip(_OPENERS)
    if small in _PERHAPS_LAST:
        return first.isupper()
    return small not in _BEFORE_SOMETHING and not INITIALS.fullmatch(small)


def _halved(group: list[Word]) -> list[list[Word]]:
    """The group, cut in two at its best place again and again while it is too long."""
    timed = [word for word in group if word.start is not None and word.end is not None]
    span = (timed[-1].end or 0.0) - (timed[0].start or 0.0) if timed else 0.0
    if not is_too_long(len(group), span, len(joined(group))):
        return [group]
    cut = best_cut(group)
    return _halved(group[:cut]) + _halved(group[cut:])


def is_too_long(words: int, span_s: float, chars: int) -> bool:
    """Whether a sentence is to be cut although it has not ended."""
    return words >= 4 and (span_s > MAX_SEGMENT_S or chars > MAX_SEGMENT_CHARS)


def best_cut(group: Sequence[Word]) -> int:
    """The index of the word before which a sentence is best cut."""
    return max(range(1, len(group)), key=lambda i: _cut_merit(group, i))


def _cut_merit(group: Sequence[Word], i: int) -> float:
    """The merit of a cut before word ``i``: higher at clause ends, at pauses and in the middle."""
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
