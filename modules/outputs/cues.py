"""Split segments into subtitle cues by the usual rules of subtitling. Pure.

Dynamic programming over the words finds the split with the lowest cost: unreadable cues cost most,
then breaks inside a phrase, then cues that join sentences.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from modules.outputs.line_breaks import JOIN_PAUSE_S, LINE_CHARS, Unit, border, joint, units, width
from modules.transcript.model import Segment

#: The longest and shortest time of a cue, and how many characters per second are readable.
LONGEST_S = 7.0
SHORTEST_S = 1.0
CHARS_PER_S = 20.0
_DASH = "- "
#: More than any join within ``JOIN_PAUSE_S``, so that cues are joined if that makes them readable.
_UNREADABLE = 30.0
_A_CUE = 4.0
#: A break should not leave so few characters of a sentence on either side.
_SCRAP_CHARS = 16
_SCRAP = 12.0
#: After this many words, a long pause at the end of a sentence ends a block, which is split into
#: cues on its own: the sums over its words need not be kept for ten hours of speech. After four
#: times as many, a pause or an end of a sentence is enough.
_STRETCH_WORDS = 500


@dataclass(frozen=True)
class Line:
    """A line of a cue; ``speaker`` is who says it."""

    text: str
    speaker: str | None = None


@dataclass(frozen=True)
class Cue:
    """One or two lines, shown from ``start`` to ``end`` (seconds, whole milliseconds)."""

    start: float
    end: float
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        """The lines as a player displays them."""
        return "\n".join(line.text for line in self.lines)


def cues(
    segments: Iterable[Segment], duration_s: float = math.inf, names: str | None = None
) -> Iterator[Cue]:
    """Yield every word once, in order, in cues that do not overlap.

    A cue has at most two lines of ``LINE_CHARS`` and lasts ``SHORTEST_S`` to ``LONGEST_S``. A cue
    that is too fast to read extends into the silence after it, but not beyond ``duration_s``.
    ``names``: the language in which the text names the speaker at each change, if it does.
    """
    free_ms = 0
    for spoken, following_s in _stretches(units(segments, names)):
        limit_s = duration_s if following_s is None else following_s
        track = _Track(spoken, limit_s)
        bounds = _cheapest(len(spoken), track.furthest, track.cost)
        texts = [track.lines(i, j) for i, j in itertools.pairwise(bounds)]
        times = _shown(track, bounds, texts, limit_s, free_ms)
        for (start, end), lines in zip(times, texts, strict=True):
            yield Cue(start / 1000, end / 1000, lines)
        free_ms = times[-1][1]


def _stretches(spoken: Iterable[Unit]) -> Iterator[tuple[list[Unit], float | None]]:
    """Blocks of words, each with the start of the next block, None after the last."""
    stretch: list[Unit] = []
    for unit in spoken:
        if len(stretch) >= _STRETCH_WORDS and _ends(stretch, unit):
            yield stretch, unit.start
            stretch = []
        stretch.append(unit)
    if stretch:
        yield stretch, None


def _ends(stretch: Sequence[Unit], following: Unit) -> bool:
    last = stretch[-1]
    signs = (following.start - last.end > JOIN_PAUSE_S, border(last, following) == 0)
    enough = any if len(stretch) >= 4 * _STRETCH_WORDS else all
    return not last.is_name and enough(signs)


class _Track:
    """The words with prefix sums, so that the cost of any cue ``i``..``j`` takes constant time."""

    def __init__(self, spoken: Sequence[Unit], duration_s: float) -> None:
        self.spoken = spoken
        count = len(spoken)
        self._starts = [unit.start for unit in spoken]
        self._starts.append(max(duration_s, self._starts[-1]) if spoken else 0.0)
        self._spaces = [int(unit.space) for unit in spoken] + [0]
        lengths = (width(unit.text) + unit.space for unit in spoken)
        self._sums = [0, *itertools.accumulate(lengths)]
        pairs = list(itertools.pairwise(spoken))
        self._borders = self._unsplit([0.0, *(border(a, b) for a, b in pairs), 0.0])
        self._joints = list(itertools.accumulate((joint(a, b) for a, b in pairs), initial=0.0))
        self._turns = [count] * (count + 1)
        for i in range(count - 2, -1, -1):
            same = spoken[i].speaker == spoken[i + 1].speaker
            self._turns[i] = self._turns[i + 1] if same else i + 1
        self._line_ends = self._reach(LINE_CHARS)

    def columns(self, i: int, j: int) -> int:
        return self._sums[j] - self._sums[i] - self._spaces[i]

    def _unsplit(self, borders: Sequence[float]) -> list[float]:
        """Raise the cost of breaks that leave only a word or two of a sentence on one side."""
        ends = [i for i, cost in enumerate(borders) if cost == 0]
        dearer = list(borders)
        for first, last in itertools.pairwise(ends):
            for i in range(first + 1, last):
                rest = min(self._sums[i] - self._sums[first], self._sums[last] - self._sums[i])
                dearer[i] += _SCRAP * max(0.0, 1 - rest / _SCRAP_CHARS)
        return dearer

    def _reach(self, limit: int) -> list[int]:
        """For each word the end of the longest line that begins with it."""
        ends = []
        end = 0
        for i in range(len(self.spoken)):
            end = max(end, i + 1)
            while end < len(self.spoken) and self.columns(i, end + 1) <= limit:
                end += 1
            ends.append(end)
        return [*ends, len(self.spoken)]

    def furthest(self, i: int) -> int:
        """The end of the longest cue that begins with word ``i``: by its lines and its time."""
        end = self._turns[i]
        two_lines = self._line_ends[self._line_ends[i]]
        if two_lines < end:
            end = two_lines
        elif self.columns(i, end) <= LINE_CHARS - len(_DASH):
            end = self._answer(end)
        alone = i + 1 + self.spoken[i].is_name
        latest = self.spoken[i].start + LONGEST_S
        while end > alone and self.spoken[end - 1].end > latest:
            end -= 1
        return end

    def _answer(self, turn: int) -> int:
        """The end of the words of a second speaker that fit into one line after a dash."""
        end = turn
        limit = min(self._turns[turn], len(self.spoken))
        while end < limit and self.columns(turn, end + 1) <= LINE_CHARS - len(_DASH):
            end += 1
        return end

    def cost(self, i: int, j: int) -> float:
        if self.spoken[j - 1].is_name:
            return math.inf
        columns = self.columns(i, j) + 2 * len(_DASH) * (self._turns[i] < j)
        time_s = min(LONGEST_S, self._starts[j] - self._starts[i])
        total = _A_CUE + self._borders[j] + self._joints[j - 1] - self._joints[i]
        total += 2 * (1 - min(1.0, columns / (2 * LINE_CHARS))) ** 2
        said_s = self.spoken[j - 1].end - self._starts[i]
        if said_s < SHORTEST_S:
            total += 6 * (SHORTEST_S - said_s)
        missing_s = max(columns / CHARS_PER_S, SHORTEST_S) - time_s
        return total + _UNREADABLE * (1 + missing_s) if missing_s > 0 else total

    def lines(self, i: int, j: int) -> tuple[Line, ...]:
        """The text of a cue, broken at the cheapest place; the upper line is preferably shorter."""
        turn = self._turns[i]
        if turn < j:
            return self._line(i, turn, _DASH), self._line(turn, j, _DASH)
        if self.columns(i, j) <= LINE_CHARS:
            return (self._line(i, j),)
        cut = min(range(i + 1, j), key=lambda k: self._unbalance(i, k, j))
        return self._line(i, cut), self._line(cut, j)

    def _unbalance(self, i: int, cut: int, j: int) -> float:
        upper, lower = self.columns(i, cut), self.columns(cut, j)
        over = max(0, upper - LINE_CHARS) + max(0, lower - LINE_CHARS)
        return 1000 * over + self._borders[cut] + 0.3 * abs(upper - lower) + (upper > lower)

    def _line(self, i: int, j: int, dash: str = "") -> Line:
        parts = [(" " if unit.space else "") + unit.text for unit in self.spoken[i:j]]
        return Line(dash + "".join(parts).lstrip(" "), self.spoken[i].speaker)


def _cheapest(
    count: int, furthest: Callable[[int], int], cost: Callable[[int, int], float]
) -> list[int]:
    """The bounds 0..``count`` of the split with the lowest cost; a part that begins at i ends at
    ``furthest(i)`` or before."""
    totals = [0.0] + [math.inf] * count
    before = [0] * (count + 1)
    for i in range(count):
        if totals[i] == math.inf:
            continue
        for j in range(i + 1, furthest(i) + 1):
            total = totals[i] + cost(i, j)
            if total < totals[j]:
                totals[j], before[j] = total, i
    bounds = [count]
    while bounds[-1]:
        bounds.append(before[bounds[-1]])
    return bounds[::-1]


def _shown(
    track: _Track,
    bounds: Sequence[int],
    texts: Sequence[tuple[Line, ...]],
    limit_s: float,
    free_ms: int,
) -> list[tuple[int, int]]:
    """Start and end of each cue in milliseconds; none starts before ``free_ms``."""
    times: list[tuple[int, int]] = []
    starts = [round(track.spoken[i].start * 1000) for i in bounds[:-1]]
    limit = max(limit_s * 1000, starts[-1] + 1)
    for index, wanted in enumerate(starts):
        start = max(wanted, times[-1][1] if times else free_ms)
        said = round(track.spoken[bounds[index + 1] - 1].end * 1000)
        columns = sum(width(line.text) for line in texts[index]) + len(texts[index]) - 1
        readable = start + max(SHORTEST_S, columns / CHARS_PER_S) * 1000
        following = starts[index + 1] if index + 1 < len(starts) else limit
        end = min(max(said, readable), start + LONGEST_S * 1000, following)
        times.append((start, max(start + 1, math.floor(end))))
    return times
