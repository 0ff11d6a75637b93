"""Words of a text, and the stem that all forms of a word share. Pure."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import snowballstemmer

from modules.search.irregular import BASES

#: An index holds for one version of the rules here, and of the stemmer.
RULES = 1
#: No word of a language is longer; what somebody else wrote into a result may be.
_WORD_CHARS = 48
#: Forms whose stems are remembered: a few MB, and almost all words of running speech.
_REMEMBERED = 20_000

#: Letters and digits, with accents that stand by themselves and apostrophes inside. Chinese and
#: Japanese signs are words of their own, as no spaces part them.
_SIGN = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_LETTER = rf"[^\W_{_SIGN}][\u0300-\u036f]*"
_WORD = re.compile(rf"[{_SIGN}]|(?:{_LETTER})+(?:['’](?:{_LETTER})+)*")
_ACCENTS = re.compile("[\u0300-\u036f]")
_CYRILLIC = re.compile("[\u0400-\u04ff]")
_FLEETING = re.compile(r"(?<=..)[ое](?=[кц]$)")

_stemmers = {True: snowballstemmer.stemmer("russian"), False: snowballstemmer.stemmer("english")}
#: A stemmer holds the word that it works on.
_stemming = threading.Lock()


@dataclass(frozen=True, slots=True)
class Token:
    """A word with its place in the text, in characters."""

    start: int
    end: int
    word: str

    @property
    def stem(self) -> str:
        return stem_of(self.word)


#: Of combining marks on one letter.
_MARKS_MAX = 8


def clean(text: str) -> str:
    """Without what no UTF-8 can hold, and without more marks on a letter than any language has: to
    put them into order takes time with the square of their number."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    if text.isascii():
        return text
    signs: list[str] = []
    marks = 0
    for sign in text:
        marks = marks + 1 if unicodedata.combining(sign) else 0
        if marks <= _MARKS_MAX:
            signs.append(sign)
    return "".join(signs)


def tokens(text: str) -> Iterator[Token]:
    """The words of a text, in order, as ``normalized``."""
    for found in _WORD.finditer(text):
        word = normalized(found[0])
        if word:
            yield Token(found.start(), found.end(), word)


def folded(text: str) -> str:
    """As ``normalized``, for a text of any length."""
    alike = unicodedata.normalize("NFC", text).casefold().replace("ё", "е")
    return _ACCENTS.sub("", alike.replace("’", "'"))


@lru_cache(_REMEMBERED)
def normalized(word: str) -> str:
    """Without case, stress marks and apostrophes, е for ё."""
    return folded(word[:_WORD_CHARS])


@lru_cache(_REMEMBERED)
def stem_of(word: str) -> str:
    """What all forms of a normalized word share, in Russian and English.

    Cyrillic words are taken for Russian, others for English: words of further languages become
    stems too, in the index and in what is looked for alike. A vowel that comes and goes before
    the last к or ц is left out: звонок, звонка.
    """
    word = BASES.get(word, word)
    is_cyrillic = bool(_CYRILLIC.search(word))
    with _stemming:
        stem: str = _stemmers[is_cyrillic].stemWord(word)
    return _FLEETING.sub("", stem) if is_cyrillic else stem.replace("'", "") or word.strip("'")
