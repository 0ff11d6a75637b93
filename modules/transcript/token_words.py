"""Words from the tokens of a CTC model, which each have a time and a probability. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from modules.transcript.model import Word

#: (text, seconds from the beginning of the chunk, logarithm of the probability).
Token = tuple[str, float, float]


@dataclass
class _Growing:
    """A word that may go on."""

    text: str = ""
    times: list[float] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)

    def add(self, part: str, at: float, logprob: float) -> None:
        self.text += part
        self.times.append(at)
        self.probabilities.append(math.exp(min(logprob, 0.0)))

    def word(self, start_s: float, end_s: float, frame_s: float) -> Word:
        start = min(start_s + self.times[0], end_s)
        end = min(max(start, start_s + self.times[-1] + frame_s), end_s)
        return Word(
            word=f" {self.text}",
            start=round(start, 3),
            end=round(end, 3),
            confidence=round(sum(self.probabilities) / len(self.probabilities), 4),
        )


def words_of(
    tokens: Iterable[Token], start_s: float, end_s: float, frame_s: float
) -> Iterator[Word]:
    """The words of a chunk that spans ``start_s``..``end_s`` seconds.

    A space, as a token or in one, begins a word. A word ends ``frame_s`` after its last token
    began, as CTC does not say how long a sound lasts. Its confidence is the mean over its tokens.
    """
    growing = _Growing()
    for token, at, logprob in tokens:
        for number, part in enumerate(token.split(" ")):
            if number and growing.text:
                yield growing.word(start_s, end_s, frame_s)
                growing = _Growing()
            if part:
                growing.add(part, at, logprob)
    if growing.text:
        yield growing.word(start_s, end_s, frame_s)
