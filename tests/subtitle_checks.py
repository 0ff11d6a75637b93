"""What a subtitle file must be, checked on the written file against the segments it came from.

It works the times of every letter out by itself, and takes from the program only how names of
speakers are written and how wide signs are.
"""

from __future__ import annotations

import html
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pysubs2
from pysubs2.formats.subrip import SubripFormat
from pysubs2.formats.webvtt import WebVTTFormat

from modules.outputs.line_breaks import speaker_name, width
from modules.transcript.model import Segment, Word

LINES = 2
LINE_CHARS = 42
LONGEST_S = 7.0
SHORTEST_S = 1.0
CHARS_PER_S = 20.0
#: Sentences need not be drawn together over a longer pause.
JOIN_PAUSE_S = 1.0
#: Of 25 a second.
FRAME_S = 0.04
#: Times are written in whole milliseconds.
_ROUNDING_S = 0.0021


class _Srt(SubripFormat):
    """pysubs2's own reader takes 100:00:00 for 00:00:00."""

    TIMESTAMP = re.compile(r"(\d{2,}):(\d{2}):(\d{2}),(\d{3})")


_VTT_TAG = re.compile(r"</?v(?: [^>]*)?>")
_ESCAPED = str.maketrans("\\{}", "/()")


@dataclass(frozen=True)
class _Letter:
    sign: str
    start: float | None
    end: float | None
    speaker: str | None


@dataclass(frozen=True)
class Shown:
    """A cue as it is read; ``said`` are the letters of the speech in it."""

    number: int
    start: float
    end: float
    lines: tuple[str, ...]
    said: tuple[_Letter, ...] = ()

    @property
    def columns(self) -> int:
        """Of all its lines in a row, with a space between them."""
        return width(" ".join(self.lines))

    def needs_s(self) -> float:
        """How long it should be on the screen."""
        return max(SHORTEST_S, self.columns / CHARS_PER_S)


def check_subtitles(
    text: str, form: str, segments: Sequence[Segment], duration_s: float = math.inf
) -> list[str]:
    """What is wrong with an ``srt`` or ``vtt`` of these segments; empty if nothing is.

    A cue is shorter or faster than the rules ask only if nothing could be done: it stays until the
    next cue, the recording's end or for ``LONGEST_S``, and no neighbour of the same speaker, after
    at most ``JOIN_PAUSE_S``, could be joined to it within all rules. It is longer only if it is a
    single word; cues hold at most what two lines do.
    """
    shown = read(text, form)
    problems = [problem for cue in shown for problem in _shape(cue)]
    problems += _order(shown, _limit(segments, duration_s))
    try:
        spoken = list(_with_letters(shown, segments))
    except ValueError as problem:
        return [*problems, str(problem)]
    for cue in spoken:
        problems += _timing(cue)
    ends = [cue.start for cue in shown[1:]] + [_limit(segments, duration_s)]
    for index, cue in enumerate(spoken):
        problems += _haste(spoken, index, cue, ends)
    return problems


def read(text: str, form: str) -> list[Shown]:
    """The cues of a written file; tags of speakers are taken off, and nothing else."""
    reader = WebVTTFormat if form == "vtt" else _Srt
    file = pysubs2.SSAFile()
    # The reader takes a number at the very end for that of a cue: give it one.
    lines = iter((text + "0\n").splitlines(keepends=True))
    reader.from_file(file, lines, form, keep_html_tags=True)  # type: ignore[arg-type]
    return [
        Shown(number, event.start / 1000, event.end / 1000, _lines(event.text, form))
        for number, event in enumerate(file, 1)
    ]


def _lines(text: str, form: str) -> tuple[str, ...]:
    if form == "vtt":
        text = html.unescape(_VTT_TAG.sub("", text))
    return tuple(text.split("\\N"))


def _limit(segments: Sequence[Segment], duration_s: float) -> float:
    """The recording's end; a segment that begins after it shows that it is not."""
    starts = [s.start for s in segments if s.text.strip()]
    starts += [w.start for s in segments for w in s.words if w.start is not None]
    return max([duration_s, *(start + 0.001 for start in starts)])


def _shape(cue: Shown) -> Iterator[str]:
    if not "".join(cue.lines).strip():
        yield f"cue {cue.number} is empty"
    if len(cue.lines) > LINES:
        yield f"cue {cue.number} has {len(cue.lines)} lines"
    for line in cue.lines:
        if width(line) > LINE_CHARS:
            yield f"cue {cue.number} has a line of {width(line)} characters: {line!r}"
    if cue.end <= cue.start:
        yield f"cue {cue.number} ends at {cue.end} and begins at {cue.start}"
    if cue.end - cue.start > LONGEST_S + _ROUNDING_S:
        yield f"cue {cue.number} lasts {cue.end - cue.start:.3f} s"


def _order(shown: Sequence[Shown], limit_s: float) -> Iterator[str]:
    for before, after in itertools.pairwise(shown):
        if after.start < before.start:
            yield f"cue {after.number} begins before cue {before.number}"
        elif after.start < before.end:
            yield f"cue {after.number} overlaps cue {before.number}"
    if shown and shown[-1].end > limit_s + 0.001 * len(shown):
        yield f"the last cue ends at {shown[-1].end}, the recording at {limit_s}"


def _with_letters(shown: Sequence[Shown], segments: Sequence[Segment]) -> Iterator[Shown]:
    """ValueError at the first place where what is shown is not what is said."""
    letters = list(_letters(segments))
    wanted = "".join(letter.sign for letter in letters)
    names = [re.escape(speaker_name(label)) for label in _speakers(segments)]
    name = re.compile(rf"^(?:{'|'.join(names) or '(?!)'}):(?= |$)", re.MULTILINE)
    at = 0
    for cue in shown:
        readings = _readings("\n".join(cue.lines), name)
        said = next((r for r in readings if wanted.startswith(r, at)), None)
        if said is None:
            raise ValueError(
                f"the text differs: cue {cue.number} shows {cue.lines}, "
                f"said is {wanted[at : at + 30]!r}"
            )
        after = at + len(said)
        yield Shown(cue.number, cue.start, cue.end, cue.lines, tuple(letters[at:after]))
        at = after
    if at < len(wanted):
        raise ValueError(f"the text differs: not shown is {wanted[at : at + 30]!r}")


def _readings(text: str, name: re.Pattern[str]) -> Iterator[str]:
    """Letters alone: all, or without names of speakers and the dashes before new speakers."""
    undashed = re.sub("^- ", "", text, flags=re.MULTILINE)
    for reading in (text, name.sub("", text), undashed, name.sub("", undashed)):
        yield "".join(reading.split())


def _speakers(segments: Sequence[Segment]) -> set[str]:
    words = {word.speaker for segment in segments for word in segment.words}
    return {s for s in words | {segment.speaker for segment in segments} if s}


def _letters(segments: Sequence[Segment]) -> Iterator[_Letter]:
    for segment in segments:
        text = "".join(segment.text.translate(_ESCAPED).split())
        words = [word for word in segment.words if word.word.strip()]
        spelt = "".join("".join(w.word.translate(_ESCAPED).split()) for w in words)
        each: Iterator[Word | None] = (
            (word for word in words for _ in "".join(word.word.split()))
            if spelt == text
            else itertools.repeat(None)
        )
        for sign, word in zip(text, each, strict=False):
            speaker = (word and word.speaker) or segment.speaker
            start, end = (word.start, word.end) if word else (None, None)
            yield _Letter(sign, start, end, speaker)


def _timing(cue: Shown) -> Iterator[str]:
    """A cue never comes before its first word by more than a frame."""
    first = cue.said[0].start if cue.said else None
    if first is not None and cue.start < first - FRAME_S:
        yield f"cue {cue.number} comes {first - cue.start:.3f} s before it is said"


def _haste(spoken: Sequence[Shown], index: int, cue: Shown, ends: Sequence[float]) -> Iterator[str]:
    if cue.end - cue.start >= cue.needs_s() - _ROUNDING_S:
        return
    what = f"cue {cue.number} lasts {cue.end - cue.start:.3f} s for {cue.columns} characters"
    could_s = min(ends[index] - cue.start, LONGEST_S)
    if cue.end - cue.start < min(could_s, cue.needs_s()) - _ROUNDING_S:
        yield f"{what} and could stay longer"
    for other in (index - 1, index):
        if other in range(len(spoken) - 1):
            before, after = spoken[other], spoken[other + 1]
            if _would_do(before, after, ends[other + 1]):
                yield f"{what}; cues {before.number} and {after.number} joined would do"


def _would_do(before: Shown, after: Shown, until_s: float) -> bool:
    """Whether two cues in one would break no rule."""
    said = before.said + after.said
    starts = [letter.start for letter in said if letter.start is not None]
    ends = [letter.end for letter in said if letter.end is not None]
    known = len(starts) == len(ends) == len(said) and before.said and after.said
    orderly = starts == sorted(starts) and ends == sorted(ends)
    if not known or not orderly or len({letter.speaker for letter in said}) > 1:
        return False
    pause = starts[len(before.said)] - ends[len(before.said) - 1]
    joined = Shown(0, before.start, 0.0, (*before.lines, *after.lines))
    lasts_s = min(LONGEST_S, until_s - before.start)
    # A hair's breadth inside the rules, where rounding decides nothing.
    return (
        pause <= JOIN_PAUSE_S - 0.01
        and ends[-1] - starts[0] <= LONGEST_S - 0.01
        and _fits(joined.lines)
        and lasts_s > joined.needs_s() + 0.01
    )


def _fits(lines: Sequence[str]) -> bool:
    """In two lines, by filling the first."""
    words = " ".join(lines).split()
    filled = [""]
    for word in words:
        longer = f"{filled[-1]} {word}".strip()
        if width(longer) <= LINE_CHARS:
            filled[-1] = longer
        else:
            filled.append(word)
    return len(filled) <= LINES and all(width(line) <= LINE_CHARS for line in filled)
