"""Split segments into units for subtitles, and compute the cost of a break between two. Pure.

A unit is never broken: a word with its punctuation or, in a language without spaces, a word of the
aligner or else a single character.
"""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from modules.messages import noted, translated
from modules.transcript.model import Segment
from modules.transcript.sentences import INITIALS, ends_sentence
from modules.transcript.slicing import spaceless, word_offsets
from modules.transcript.timed_words import shared_out, word_spans

#: The usual limit of broadcasters for a line of subtitles; a wide character counts as two.
LINE_CHARS = 42
#: Sentences are not joined over a longer pause.
JOIN_PAUSE_S = 1.0
#: Backslashes and braces are tags to pysubs2; speech must not become tags.
_NO_TAGS = str.maketrans("\\{}", "/()")
_CLOSERS = frozenset(".,!?;:…%)]}»”’\"'、。，．！？；：）」』】》〉・ー々")
_OPENERS = frozenset("([{«“‘¿¡（「『【《〈")
_CLAUSE_ENDS = (",", ";", ":", "—", "–", "、", "，", "；", "：")
_PUNCTUATION = "".join(_CLOSERS | _OPENERS) + "-—–"
_PYANNOTE = re.compile(r"SPEAKER_(\d+)")
#: Words that begin a phrase: a good place for a break is before them, a bad one after them.
_LEADS = frozenset(
    "a an the of in on at to for from by with into onto over under about after before until than "
    "and or but nor so as if that which who whom whose when while where because though although "
    "my your his her its our their this these those not no very "
    "в во на с со к ко о об обо от до по за из изо у для при без над под про через между перед "
    "около после и а но или либо да не ни что чтобы как если когда где куда который которая "
    "которое которые которых потому хотя пока чем то это этот эта мой моя наш ваш его её их".split()
)


@dataclass(frozen=True)
class Unit:
    """``space``: whether a space precedes it. ``is_name``: the name of a speaker, not speech."""

    text: str
    start: float
    end: float
    space: bool
    speaker: str | None = None
    is_name: bool = False


@dataclass(frozen=True)
class _Piece:
    """A slice ``begin``..``after`` of a segment's text, with its times."""

    begin: int
    after: int
    start: float
    end: float
    speaker: str | None


def speaker_name(label: str, language: str = "en") -> str:
    """The name of a speaker for readers: ``Speaker 1`` for pyannote's ``SPEAKER_00``."""
    number = _PYANNOTE.fullmatch(label)
    plain = " ".join(label.translate(_NO_TAGS).split())
    if number:
        return translated(noted("Speaker {n}", n=int(number[1]) + 1), language)
    return plain[: LINE_CHARS // 2].strip()


def width(text: str) -> int:
    """The width of a text in columns."""
    if text.isascii():
        return len(text)
    return len(text) + sum(unicodedata.east_asian_width(sign) in "WF" for sign in text)


def units(segments: Iterable[Segment], names: str | None = None) -> Iterator[Unit]:
    """Yield all words in order; starts never decrease.

    ``names``: the language in which a unit with the speaker's name comes before each change of
    speaker; None if there are none.
    """
    last: Unit | None = None
    earliest = 0.0
    for unit in itertools.chain.from_iterable(map(_of_segment, segments)):
        start = max(unit.start, earliest) if math.isfinite(unit.start) else earliest
        end = max(unit.end, start) if math.isfinite(unit.end) else start
        *done, last = _after(last, replace(unit, start=start, end=end), names)
        yield from done
        earliest = start
    if last:
        yield last


def border(before: Unit, after: Unit) -> float:
    """The cost of a break between the two; zero at the end of a sentence."""
    pause = after.start - before.end
    if before.speaker != after.speaker or ends_sentence(before.text, after.text):
        return 0.0
    return max(1.0, _grammar(before, after) - 6 * min(1.0, max(0.0, pause)))


def joint(before: Unit, after: Unit) -> float:
    """The cost of showing both in one cue: higher over ends of sentences and pauses."""
    pause = max(0.0, after.start - before.end)
    far = 40.0 if pause > JOIN_PAUSE_S else 0.0
    if before.speaker != after.speaker:
        return far + 8 + 10 * pause
    if ends_sentence(before.text, after.text):
        return far + 9 + 8 * pause
    return far + 10 * max(0.0, pause - 0.5)


def _grammar(before: Unit, after: Unit) -> float:
    text = before.text
    if before.is_name or not (after.space or spaceless(text[-1]) or spaceless(after.text[0])):
        return 30.0
    if text.endswith("."):
        return 25.0 if INITIALS.fullmatch(text) else 15.0  # an abbreviation, then: no sentence
    if text.rstrip("\"'”’»)]").endswith(_CLAUSE_ENDS):
        return 3.0
    if text.lower().lstrip(_PUNCTUATION) in _LEADS:
        return 20.0
    if not after.text.strip(_PUNCTUATION) or (text[-1].isdigit() and after.text[0].isdigit()):
        return 15.0
    return 6.0 if after.text.lower().strip(_PUNCTUATION) in _LEADS else 9.0


def _after(before: Unit | None, unit: Unit, names: str | None) -> list[Unit]:
    """The two, merged if they are one word, else with the speaker's name between them if needed."""
    same = before is not None and before.speaker == unit.speaker
    if before and same and _one_word(before, unit):
        return [replace(before, text=before.text + unit.text, end=max(before.end, unit.end))]
    found = [before] if before else []
    if names and unit.speaker and not same:
        name = f"{speaker_name(unit.speaker, names)}:"
        found.append(Unit(name, unit.start, unit.start, True, unit.speaker, is_name=True))
        unit = replace(unit, space=True)
    return [*found, unit]


def _one_word(before: Unit, after: Unit) -> bool:
    """Whether both are parts of one word, or a word and its punctuation."""
    if after.space or before.is_name or width(before.text) + width(after.text) > LINE_CHARS:
        return False
    last, first = before.text[-1], after.text[0]
    if first in _CLOSERS or last in _OPENERS or unicodedata.category(first).startswith("M"):
        return True
    return not (spaceless(last) or spaceless(first))


def _of_segment(segment: Segment) -> Iterator[Unit]:
    for piece in _pieces(segment):
        atoms = list(_atoms(segment.text, piece))
        shares = shared_out(piece.start, piece.end, [len(text) for _, text in atoms])
        for (at, text), (start, end) in zip(atoms, shares, strict=True):
            # Between two segments in Chinese or Japanese there is no space.
            space = segment.text[at - 1].isspace() if at else not spaceless(text[0])
            yield Unit(text.translate(_NO_TAGS), start, end, space, piece.speaker)


def _atoms(text: str, piece: _Piece) -> Iterator[tuple[int, str]]:
    """The words of a piece with their offsets; words too long for a line are cut anywhere."""
    for found in re.compile(r"\S+").finditer(text, piece.begin, piece.after):
        word, begin = found.group(), found.start()
        size = LINE_CHARS
        if width(word) > LINE_CHARS // 2 and any(map(spaceless, word)):
            size = 1
        for at in range(0, len(word), size):
            yield begin + at, word[at : at + size]


def _pieces(segment: Segment) -> list[_Piece]:
    """The words of the segment; the whole text as one piece if a word is not in it."""
    begins = word_offsets(segment)
    if not begins:
        return [_Piece(0, len(segment.text), segment.start, segment.end, segment.speaker)]
    bounds = [0, *begins[1:], len(segment.text)]
    return [
        _Piece(bounds[i], bounds[i + 1], start, end, word.speaker or segment.speaker)
        for i, (word, (start, end)) in enumerate(
            zip(segment.words, word_spans(segment), strict=True)
        )
    ]
