"""What a person types, as what the index is asked and what is marked in a text. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from modules.search.stems import clean, folded, stem_of, tokens

#: Further words are ignored.
WORDS_MAX = 16
#: Shorter beginnings stand in too many words.
PREFIX_MIN = 3
#: So many spellings of one word or phrase are looked for.
_SPELLINGS_MAX = 20

_QUOTES = str.maketrans(dict.fromkeys("«»„“”‟〝〞＂", '"'))
_PART = re.compile(r'"([^"]*)("?)|[^"\s]+')


@dataclass(frozen=True)
class Spelling:
    """Stems that follow each other; of the last one its beginning only, if ``is_open``."""

    stems: tuple[str, ...]
    is_open: bool = False

    @property
    def expression(self) -> str:
        """For FTS5. Stems are letters and digits, so that nothing ends the quotes."""
        return f'"{" ".join(self.stems)}"' + ("*" if self.is_open else "")

    def length_at(self, found: Sequence[str], at: int) -> int:
        """How many of a text's stems match from one on; 0 if they do not."""
        here = found[at : at + len(self.stems)]
        if len(here) < len(self.stems):
            return 0
        *firsts, last = self.stems
        same = here[-1].startswith(last) if self.is_open else here[-1] == last
        return len(here) if same and here[:-1] == firsts else 0


@dataclass(frozen=True)
class Part:
    """A word, or words in their order; any of its spellings will do."""

    words: tuple[str, ...]
    spellings: tuple[Spelling, ...]
    #: Whether somebody has typed too little of it to tell anything.
    is_begun: bool = False

    @classmethod
    def of(cls, words: Sequence[str], is_open: bool) -> Part:
        stems = tuple(map(stem_of, words))
        spellings = [Spelling(stems)]
        is_long = len(words[-1]) >= PREFIX_MIN
        if is_open and is_long:
            spellings.append(Spelling((*stems[:-1], words[-1]), is_open=True))
        return cls(tuple(words), tuple(spellings), is_open and not is_long)

    @property
    def expression(self) -> str:
        return f"({' OR '.join(spelling.expression for spelling in self.spellings)})"

    def widened(self, near: Callable[[str], Iterable[str]]) -> Part:
        """With the stems that are ``near`` its own, too."""
        first, *others = self.spellings
        choices = [[stem, *near(stem)] for stem in first.stems]
        product = itertools.islice(itertools.product(*choices), _SPELLINGS_MAX)
        more = [Spelling(stems) for stems in product if stems != first.stems]
        if others and len(first.stems[-1]) > PREFIX_MIN:
            more.append(Spelling(first.stems, is_open=True))
        return replace(self, spellings=(*self.spellings, *more))


@dataclass(frozen=True)
class Query:
    """All parts must be in one segment, in any order."""

    parts: tuple[Part, ...]

    @property
    def expression(self) -> str:
        """For FTS5; empty if there is nothing to look for."""
        return " AND ".join(part.expression for part in self.parts)

    def without_begun(self) -> Query:
        """Without a last word of which too little is typed, if there are others."""
        return Query(tuple(part for part in self.parts if not part.is_begun) or self.parts)

    def widened(self, near: Callable[[str], Iterable[str]]) -> Query:
        """As ``Part.widened``, for when nothing was found."""
        return Query(tuple(part.widened(near) for part in self.parts))

    def marks(self, text: str) -> Iterator[tuple[int, int]]:
        """Where the words stand in the text of a hit: stretches of characters."""
        found = list(tokens(text))
        stems = [token.stem for token in found]
        spellings = [spelling for part in self.parts for spelling in part.spellings]
        at = 0
        while at < len(found):
            length = max((spelling.length_at(stems, at) for spelling in spellings), default=0)
            if length:
                yield found[at].start, found[at + length - 1].end
            at += max(1, length)

    @cached_property
    def _as_typed(self) -> re.Pattern[str]:
        words = {re.escape(word) for part in self.parts for word in part.words}
        return re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)")

    def exact(self, text: str) -> int:
        """About how many of the words stand in a text as they were typed; quick."""
        return len(set(self._as_typed.findall(folded(text))))


def parse(typed: str) -> Query:
    """Any text at all. Words in quotes follow each other; the last word may be unfinished."""
    text = clean(typed).translate(_QUOTES)
    parts: list[Part] = []
    left = WORDS_MAX
    for found in _PART.finditer(text):
        is_last = found.end() == len(text) and not found[2]
        words = [token.word for token in tokens(found[0])][:left]
        left -= len(words)
        if words:
            parts.append(Part.of(words, is_last))
    return Query(tuple(parts))
