"""How much of a text a model is given at once, and where it is cut. Pure.

What does not fit into a model's window is often dropped by its server without a word, so sizes are
estimated on the safe side and, once a server has counted, measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modules.outputs.base import clock
from modules.outputs.line_breaks import speaker_name
from modules.transcript.model import Segment
from modules.transcript.sentences import ends_sentence

#: Characters of one token until they are measured: of alphabets other than the Latin one, and of
#: that. Tokenizers of today need fewer tokens than this says, old ones hardly more.
_OTHER_CHARS, _LATIN_CHARS = 2.0, 3.0
#: A text of which more than this is not ASCII counts as one in another alphabet.
_OTHER_SHARE = 0.2
#: No tokenizer gets more characters of prose into a token on average.
MOST_CHARS = 8.0
#: What was measured holds for other parts of a text but for this much.
_SLACK = 0.9
#: A part of an answer's window at most, and tokens at most and at least.
_ANSWER_SHARE, _ANSWER_MOST, _ANSWER_LEAST = 0.25, 2048, 256
#: Tokens that a server adds around two messages.
_FRAME = 64
#: The first part of a longer text is this small, so that no window cuts it: it is what others are
#: measured by.
FIRST_TOKENS = 800
#: So much of a part is looked at, from its end, for a better place to cut.
_LOOK_BACK = 0.3
#: The next part begins with so much of the one before.
_OVERLAP = 0.06


@dataclass(frozen=True)
class Line:
    """What was said, with its time, as a model gets it."""

    start: float
    speaker: str
    text: str

    def __str__(self) -> str:
        name = f"{self.speaker}: " if self.speaker else ""
        return f"[{clock(self.start)}] {name}{self.text}"


@dataclass
class Budget:
    """Tokens of one request: ``window`` for question and answer together.

    ``chars_per_token`` is None until a server has counted.
    """

    window: int
    chars_per_token: float | None = None
    #: The most that was seen: fewer tokens than it says were not read.
    most_chars: float | None = None

    @property
    def answer_tokens(self) -> int:
        share = int(self.window * _ANSWER_SHARE)
        return max(_ANSWER_LEAST, min(_ANSWER_MOST, share))

    def chars(self, text: str) -> float:
        """Characters of such a text that make a token, rather too few."""
        if self.chars_per_token is not None:
            return self.chars_per_token * _SLACK
        others = sum(not each.isascii() for each in text)
        return _OTHER_CHARS if others > _OTHER_SHARE * len(text) else _LATIN_CHARS

    def room(self, instructions: str, sample: str) -> int:
        """How many characters of a text like ``sample`` fit beside instructions."""
        used = len(instructions) / min(self.chars(instructions), self.chars(sample))
        rest = self.window - self.answer_tokens - _FRAME - used
        return max(0, int(rest * self.chars(sample)))

    def measure(self, chars: int, tokens: int) -> None:
        """A server counted. The least that was seen holds for what fits: it is the safe side."""
        seen = min(MOST_CHARS, chars / tokens)
        self.chars_per_token = min(seen, self.chars_per_token or seen)
        self.most_chars = max(seen, self.most_chars or seen)


def lines_of(segments: Sequence[Segment], language: str) -> list[Line]:
    """A text as lines; segments are sentences, or parts of long ones. ``language``: of the summary,
    and so of the names of speakers."""
    names = "ru" if language == "ru" else "en"
    return [
        Line(segment.start, speaker_name(segment.speaker, names) if segment.speaker else "", text)
        for segment in segments
        if (text := " ".join(segment.text.split()))
    ]


def in_pieces(lines: Sequence[Line], most: int) -> list[Line]:
    """The lines, those that are longer than ``most`` characters cut at spaces."""
    return [piece for line in lines for piece in _short(line, max(1, most))]


def next_part(lines: Sequence[Line], begin: int, room: int) -> tuple[list[Line], int | None]:
    """A part of at most ``room`` characters, and where the next one begins; None after the last.

    It ends where a speaker or a sentence does, and the next one overlaps it a little: each line is
    in one part at least.
    """
    end = _filled(lines, begin, room)
    if end == len(lines):
        return list(lines[begin:]), None
    end = _better(lines, begin, end)
    return list(lines[begin:end]), end - _overlapping(lines, begin, end, room)


def halves(part: Sequence[Line]) -> list[list[Line]]:
    """A part in two, for a model whose answer about all of it was too long."""
    middle = _better(part, 0, max(1, len(part) // 2))
    return [list(part[:middle]), list(part[middle:])]


def _short(line: Line, most: int) -> list[Line]:
    """A line in pieces, cut at spaces, if it is too long for a part."""
    text, found = line.text, []
    while len(text) > most:
        at = text.rfind(" ", 1, most)
        at = at if at > 0 else most
        found.append(Line(line.start, line.speaker, text[:at]))
        text = text[at:].strip()
    return [*found, Line(line.start, line.speaker, text)] if text else found


def _filled(lines: Sequence[Line], begin: int, limit: int) -> int:
    """Where a part ends that is as long as it may be; it has one line at least."""
    size, end = 0, begin
    while end < len(lines):
        size += len(str(lines[end])) + 1
        if size > limit and end > begin:
            break
        end += 1
    return end


def _better(lines: Sequence[Line], begin: int, end: int) -> int:
    """A place before ``end`` where somebody else goes on to speak, or a sentence ends."""
    least = max(begin + 1, end - int((end - begin) * _LOOK_BACK))
    for place in range(end, least - 1, -1):
        if place < len(lines) and lines[place].speaker != lines[place - 1].speaker:
            return place
    for place in range(end, least - 1, -1):
        if ends_sentence(lines[place - 1].text.rpartition(" ")[2], None):
            return place
    return end


def _overlapping(lines: Sequence[Line], begin: int, end: int, limit: int) -> int:
    """How many lines of a part the next one begins with: never all of them."""
    size, count = 0, 0
    for line in reversed(lines[begin + 1 : end]):
        size += len(str(line)) + 1
        if size > limit * _OVERLAP and count:
            break
        count += 1
        if size > limit * _OVERLAP:
            break
    return min(count, max(0, end - begin - 1))
