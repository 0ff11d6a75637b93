"""The lines that Whisper is known to write where nobody speaks. They are in ``known_lines.tsv``.

Case, accents, punctuation, digits and spaces do not count. A line is known only if it is all of a
text: a sentence that contains the same words is not.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Literal

from modules import PACKAGE_FOLDER

#: Only subtitles have it; somebody could say it; people say it every day.
Kind = Literal["credit", "perhaps", "polite"]

LIST = PACKAGE_FOLDER / "transcript" / "known_lines.tsv"
#: From what is said least to what is said most: a text of several lines is as doubtful as the last.
_ORDER: tuple[Kind, ...] = ("credit", "perhaps", "polite")
_NAME = "*"
#: Small words inside names and between two of them.
_PARTICLES = frozenset("and und et e y og och i и та a de da di del van von der la le".split())
#: A name has at most 5 words; 3 in a script without capitals; 6 signs in one without spaces.
_NAME_MOST, _CASED, _CASELESS, _WIDE = 30, 6, 10, 5
#: The first sign that East Asian scripts may have; testing for it is faster than asking each sign.
_FIRST_WIDE = "\u1100"
_ENDS = re.compile(r"[.!?;,]+(?:\s+|$)|[…。、，！？،؟।]+")
_BRACKETED = re.compile(r"\W*(?:[\[(*♪【<][^\[\]()*♪【】<>]*[\])*♪】>]\W*)+")
_NOTES = frozenset("♩♪♫♬🎵🎶🎼")
#: How many words before the sound may say what kind it is: "ТИХАЯ ГРУСТНАЯ МУЗЫКА".
_DESCRIBING, _SOUND_WORDS = 2, 4


@dataclass(frozen=True)
class KnownLine:
    """What kind of line a text is, and whether it stands there several times in a row."""

    kind: Kind
    repeated: bool = False


@dataclass(frozen=True)
class _Word:
    """``key`` is what is compared; ``cost``: how much of a name it can be, 0 if it is none.

    ``begins``: it is not written together with what is before it.
    """

    key: str
    cost: int
    begins: bool = True


@dataclass(frozen=True)
class _Lines:
    """``whole``: lines by their letters; ``named``: those with a name, by their first word."""

    whole: dict[str, Kind] = field(default_factory=dict)
    named: dict[str, list[tuple[tuple[str, ...], Kind]]] = field(default_factory=dict)
    sounds: set[str] = field(default_factory=set)


class _Letters(dict[int, str]):
    """For ``str.translate``: letters without accents, all else becomes a space."""

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        parts = unicodedata.normalize("NFKD", sign)
        letters = "".join(part for part in parts if unicodedata.category(part)[0] == "L")
        plain = unicodedata.normalize("NFC", letters).replace("ı", "i")
        mark = unicodedata.category(sign) in ("Mn", "Mc", "Cf")
        self[code] = found = plain or ("" if mark else " ")
        return found


_LETTERS = _Letters()


@lru_cache(maxsize=64)
def known_line(text: str) -> KnownLine | None:
    """Whether all of a text is a line that Whisper is known to invent, or several of them."""
    words = _words(text)
    once = _period(words)
    kind = _kind(once)
    if kind:
        return KnownLine(kind, len(once) < len(words))
    kind = _kind(words) or _kind_of_several(text) or ("polite" if _names_sounds(once) else None)
    return KnownLine(kind) if kind else None


def is_sound(text: str) -> bool:
    """Whether it describes a sound as subtitles do: in capitals, in brackets, or by notes."""
    bare = unicodedata.normalize("NFKC", text).strip()
    words = _words(bare)
    if not words:
        return not any(map(str.isalnum, bare)) and not _NOTES.isdisjoint(bare)
    if _BRACKETED.fullmatch(bare):
        return _names_sounds(words, _DESCRIBING)
    return bare.isupper() and sum(map(str.isalpha, bare)) > 3 and _names_sounds(words)


def letters_of(text: str) -> int:
    """How long a text takes to say, in letters; a sign of a wide script counts as two."""
    return sum(len(word.key) * (2 if word.cost == _WIDE else 1) for word in _words(text))


def _words(text: str) -> list[_Word]:
    """The words of a text; each sign of an East Asian script is one of its own."""
    found = []
    for piece in unicodedata.normalize("NFKC", text).split():
        address = "." in piece.strip(".")
        for plain in piece.translate(_LETTERS).split():
            if max(plain) < _FIRST_WIDE:
                found.append(_Word(plain.casefold(), _cost(plain, address)))
            else:
                found += _signs(plain)
    return found


def _signs(mixed: str) -> Iterator[_Word]:
    for wide, run in itertools.groupby(mixed, _is_wide):
        if wide:
            yield from (_Word(sign, _WIDE, begins=i == 0) for i, sign in enumerate(run))
        else:
            plain = "".join(run)
            yield _Word(plain.casefold(), _cost(plain, address=False))


def _is_wide(sign: str) -> bool:
    return unicodedata.east_asian_width(sign) in "WF"


def _cost(word: str, address: bool) -> int:
    if word.upper() == word.lower():
        return _CASELESS
    return _CASED if address or word != word.lower() or word in _PARTICLES else 0


def _period(words: list[_Word]) -> list[_Word]:
    """The words once, if they are the same ones over and over."""
    keys = [word.key for word in words]
    for length in range(1, len(keys) // 2 + 1):
        if len(keys) % length == 0 and keys == keys[:length] * (len(keys) // length):
            return words[:length]
    return words


def _kind(words: Sequence[_Word]) -> Kind | None:
    if not words:
        return None
    lines = _lines()
    whole = lines.whole.get("".join(word.key for word in words))
    kinds = [kind for line, kind in lines.named.get(words[0].key, ()) if _fits(line, words)]
    return min((kind for kind in (whole, *kinds) if kind), key=_ORDER.index, default=None)


def _kind_of_several(text: str) -> Kind | None:
    """The kind of a text whose every part, between punctuation, is a known line."""
    kinds: list[Kind] = []
    for piece in filter(None, map(_words, _ENDS.split(text))):
        kind = _kind(_period(piece))
        if kind is None:
            return None
        kinds.append(kind)
    return max(kinds, key=_ORDER.index, default=None)


def _fits(line: Sequence[str], words: Sequence[_Word]) -> bool:
    if not line:
        return not words
    if line[0] == _NAME:
        sizes = range(1, min(len(words), _NAME_MOST // _WIDE) + 1)
        return any(_is_name(words[:n]) and _fits(line[1:], words[n:]) for n in sizes)
    return bool(words) and words[0].key == line[0] and _fits(line[1:], words[1:])


def _is_name(words: Sequence[_Word]) -> bool:
    costs = [word.cost for word in words]
    return (
        words[0].begins
        and all(costs)
        and sum(costs) <= _NAME_MOST
        and words[-1].key not in _PARTICLES
    )


def _names_sounds(words: Sequence[_Word], after: int = 0) -> bool:
    """Whether it is one sound after another, each with at most two words before it.

    ``after``: how many words may follow the last one.
    """
    keys = [word.key for word in words]
    index = describing = found = 0
    while index < len(keys):
        sizes = range(min(_SOUND_WORDS, len(keys) - index), 0, -1)
        sounds = _lines().sounds
        size = next((n for n in sizes if "".join(keys[index : index + n]) in sounds), 0)
        describing = 0 if size else describing + 1
        found += size
        if describing > _DESCRIBING:
            return False
        index += size or 1
    return found > 0 and describing <= after


@cache
def _lines() -> _Lines:
    """The list, read when it is first needed. Raises OSError, and ValueError for a wrong line."""
    lines = _Lines()
    for row in LIST.read_text(encoding="utf-8").splitlines():
        if row.startswith("#"):
            continue
        _, kind, text = row.split("\t")
        if kind == "sound":
            lines.sounds.add("".join(word.key for word in _words(text)))
        else:
            _add(lines, _ORDER[_ORDER.index(kind)], text)
    return lines


def _add(lines: _Lines, kind: Kind, text: str) -> None:
    before, *after = ([word.key for word in _words(part)] for part in text.split(_NAME))
    if after:
        line = (*before, *(key for part in after for key in (_NAME, *part)))
        lines.named.setdefault(line[0], []).append((line, kind))
        return
    key = "".join(before)
    lines.whole[key] = min(kind, lines.whole.get(key, kind), key=_ORDER.index)
