"""Which words of live speech may be committed. Pure.

Each pass over the newest sound brings words; its last ones may still change. Two passes in a row
that agree on a word commit it (LocalAgreement of whisper_streaming), and nothing that was committed
changes. Words carry their own leading spaces, and have times.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from modules.transcript.model import Segment, Word
from modules.transcript.word_times import clean_words

#: A word that ends nearer to the end of the sound may be cut off: so it is not committed, and much
#: nearer not shown, in seconds.
HELD_BACK_S, _NOT_SHOWN_S = 0.4, 0.1
#: A word that is less probable is shown once two passes mean it.
_PROBABLE = 0.7
#: Where the last words and those of the pass are less probable on average, the speech is hard for
#: the model, and a word has to be as probable as this.
_SURE, _PROBABLE_WHERE_HARD, _LAST = 0.85, 0.85, 6
#: Behind what is shown a word may begin so much before its end, in seconds.
_OVERLAP_S = 0.3
#: Two passes mean the same word if its times differ by no more, in seconds.
_SAME_S = 0.3
#: Times are rounded by less, in seconds.
_ROUNDED_S = 0.05
#: By so many committed words at most their end is found in what was heard again.
_AGAIN = 5
#: A forced commit leaves the words of this last stretch, in seconds.
_LEFT_S = 3.0

Words = tuple[Word, ...]


@dataclass(frozen=True)
class Agreement:
    """The words of one utterance. ``from_s``: what lies before belongs to an earlier one.

    ``pending``: what the last pass heard behind the committed words; ``earlier``: the one before.
    Passes of two kinds may take turns, and each agree with its own kind alone.
    """

    from_s: float = 0.0
    committed: Words = ()
    pending: Words = ()
    earlier: Words = ()

    @property
    def committed_s(self) -> float:
        """Up to where the words are committed."""
        return self.committed[-1].end or 0.0 if self.committed else self.from_s

    def heard(self, words: Sequence[Word], until_s: float) -> tuple[Agreement, Words]:
        """After a pass over sound up to ``until_s``: the new state, and what it commits."""
        rest = self._behind(words)
        old = [word for word in rest if _end(word) <= until_s - HELD_BACK_S]
        count = max(_agreed(self.pending, old), _agreed(self.earlier, old))
        return self._with(rest, count, self.pending)

    def forced(self, until_s: float) -> tuple[Agreement, Words]:
        """Commit the oldest pending words, up to the longest pause among them."""
        old = sum(_end(word) <= until_s - _LEFT_S for word in self.pending)
        following = [*(_start(word) for word in self.pending[1:]), until_s]
        pauses = [(following[i] - _end(self.pending[i]), i + 1) for i in range(old)]
        count = max(pauses)[1] if pauses else 0
        return self._with(self.pending, count, self.earlier)

    @property
    def is_doubtful(self) -> bool:
        """Whether a pending word is not probable, so that another pass should follow soon."""
        return any(_probability(word) < _PROBABLE for word in self.pending)

    def shown(self, until_s: float, before: Words = ()) -> Words:
        """The pending words that are likely to stay, up to the first one that is not.

        ``before``: what was shown, which stays until it is committed or replaced by a commit: a
        word that two passes hear differently would otherwise change back and forth.
        """
        kept = tuple(word for word in before if _start(word) >= self.committed_s - _ROUNDED_S)
        end_s = _end(kept[-1]) if kept else -math.inf
        least = self._least()
        likely = itertools.takewhile(lambda w: self._is_likely(w, until_s, least), self.pending)
        behind = (w for w in likely if _middle(w) > end_s and _start(w) > end_s - _OVERLAP_S)
        return (*kept, *behind)

    def _least(self) -> float:
        """How probable a word has to be that is shown when it is heard for the first time."""
        words = (*self.committed[-_LAST:], *self.pending)
        mean = sum(map(_probability, words)) / max(1, len(words))
        return _PROBABLE if mean >= _SURE else _PROBABLE_WHERE_HARD

    def _is_likely(self, word: Word, until_s: float, least: float) -> bool:
        return _end(word) <= until_s - _NOT_SHOWN_S and (
            _probability(word) >= least or any(_is_same(word, other) for other in self.earlier)
        )

    def finished(self, words: Sequence[Word]) -> Words:
        """All words of the utterance: the committed ones, and ``words`` behind them."""
        rest = self._behind(words)
        return self._with(rest, len(rest), ())[0].committed

    def _with(self, rest: Words, count: int, before: Words) -> tuple[Agreement, Words]:
        """With the first of the words committed; ``before``: of an earlier pass."""
        new = tuple(clean_words(rest[:count], self.committed_s, math.inf))
        changed = replace(self, committed=self.committed + new, pending=rest[count:])
        return replace(changed, earlier=changed._behind(before)), new

    def _behind(self, words: Sequence[Word]) -> Words:
        """The words that are not among the committed ones."""
        timed = tuple(word for word in words if word.start is not None and word.end is not None)
        again = self._heard_again(timed)
        if again:
            return timed[again:]
        first = next((i for i, w in enumerate(timed) if _middle(w) >= self.committed_s), len(timed))
        return timed[first:]

    def _heard_again(self, words: Words) -> int:
        """How many words there are up to the last committed one; 0 if it is not among them."""
        for count in range(min(_AGAIN, len(self.committed)), 0, -1):
            tail = self.committed[-count:]
            for begin in range(len(words) - count + 1):
                if all(map(_is_same, tail, words[begin : begin + count])):
                    return begin + count
        return 0


def spaced(segments: Sequence[Segment]) -> list[Word]:
    """The words of segments with their leading spaces; signs alone belong to the word before."""
    found: list[Word] = []
    for segment in segments:
        rest = segment.text
        for index, word in enumerate(segment.words):
            before, sign, rest = rest.partition(word.word)
            space = " " if before[-1:].isspace() or (not index and _has_spaces(segment)) else ""
            text = space + (sign or word.word)
            if found and not plain(text):
                text = found[-1].word + text
                end = max(_end(found[-1]), _end(word))
                found[-1] = found[-1].model_copy(update={"word": text, "end": end})
            else:
                found.append(word.model_copy(update={"word": text}))
    return found


def _has_spaces(segment: Segment) -> bool:
    """Whether words are parted in this language; one word alone does not tell."""
    return len(segment.words) < 2 or " " in segment.text.strip()


def _agreed(before: Sequence[Word], now: Sequence[Word]) -> int:
    """How many words from the first on are the same."""
    different = (i for i, pair in enumerate(zip(before, now, strict=False)) if not _is_same(*pair))
    return next(different, min(len(before), len(now)))


def _probability(word: Word) -> float:
    return 1.0 if word.confidence is None else word.confidence


def _is_same(one: Word, other: Word) -> bool:
    near = abs(_start(one) - _start(other)) <= _SAME_S and abs(_end(one) - _end(other)) <= _SAME_S
    return near and plain(one.word) == plain(other.word)


def plain(text: str) -> str:
    """Without case and punctuation."""
    return re.sub(r"[\W_]+", "", text).lower().replace("ё", "е")


def _start(word: Word) -> float:
    return word.start or 0.0


def _end(word: Word) -> float:
    return word.end or 0.0


def _middle(word: Word) -> float:
    return (_start(word) + _end(word)) / 2
