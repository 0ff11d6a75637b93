"""The transcript as people and players want it: txt, srt, vtt, tsv, json. Pure."""

from __future__ import annotations

import html
import json
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import pysubs2

from modules.protocol import Segment

FORMATS = ("txt", "srt", "vtt", "tsv", "json")
#: What broadcasters ask of subtitles: two lines of 42 characters, no longer than 7 s.
LINE_CHARS = 42
CUE_S = 7.0
#: In pysubs2 a backslash and braces make tags, and speech must not.
_NO_TAGS = str.maketrans("\\{}", "/()")
#: A pause that begins a new paragraph in the text.
PARAGRAPH_S = 2.0


def render(
    form: str,
    segments: Sequence[Segment],
    timestamps: bool = False,
    duration_s: float = float("inf"),
) -> str:
    """The transcript of a recording of ``duration_s`` seconds in one of ``FORMATS``.

    ``timestamps`` puts times into the txt.
    """
    if form == "txt":
        return plain_text(segments, timestamps)
    if form == "tsv":
        return _tsv(segments)
    if form == "json":
        return _json(segments)
    return _subtitles(segments, form, duration_s)


def plain_text(segments: Sequence[Segment], timestamps: bool = False) -> str:
    """Paragraphs by pauses or, with times, one line a segment."""
    if timestamps:
        lines = [f"[{clock(s.start)} - {clock(s.end)}] {s.text}" for s in segments]
        return "".join(line + "\n" for line in lines)
    paragraphs: list[list[str]] = []
    end = None
    for segment in segments:
        if end is None or segment.start - end > PARAGRAPH_S:
            paragraphs.append([])
        paragraphs[-1].append(segment.text)
        end = segment.end
    return "\n\n".join(" ".join(paragraph) for paragraph in paragraphs) + ("\n" if segments else "")


def clock(seconds: float) -> str:
    """``HH:MM:SS``."""
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _subtitles(segments: Sequence[Segment], form: str, duration_s: float) -> str:
    file = pysubs2.SSAFile()
    for cue in cues(segments, duration_s):
        lines = textwrap.wrap(cue.text.translate(_NO_TAGS), LINE_CHARS)
        if form == "vtt":
            lines = [html.escape(line, quote=False) for line in lines]
        text = "\\N".join(lines)
        file.append(
            pysubs2.SSAEvent(start=round(cue.start * 1000), end=round(cue.end * 1000), text=text)
        )
    return file.to_string(form)


def cues(segments: Sequence[Segment], duration_s: float = float("inf")) -> list[Segment]:
    """Segments cut, at words, to what fits on a screen; in order, without overlap.

    A short cue stays on for a second where it can, but not beyond ``duration_s``.
    """
    cut: list[Segment] = []
    for segment in segments:
        cut.extend(_cues_of(segment))
    shown: list[Segment] = []
    earliest = 0.0
    for index, cue in enumerate(cut):
        start = max(cue.start, earliest)
        latest = cut[index + 1].start if index + 1 < len(cut) else max(duration_s, cue.end)
        end = min(max(cue.end, start + 1.0), max(latest, start + 0.001))
        earliest = round(end, 3)
        shown.append(cue.model_copy(update={"start": start, "end": earliest}))
    return shown


@dataclass(frozen=True)
class _Piece:
    """What a cue is not cut within: a word of the text, from its first letter to the next word."""

    begin: int
    start: float
    end: float


def _cues_of(segment: Segment) -> list[Segment]:
    """Cut from the segment's own text, since not every language writes spaces between words."""
    pieces = _timed_pieces(segment) or _even_pieces(segment)
    cut: list[Segment] = []
    first = 0
    for after in range(1, len(pieces) + 1):
        whole = _cue(segment, pieces, first, after)
        if after - first > 1 and not _fits(whole):
            cut.append(_cue(segment, pieces, first, after - 1))
            first = after - 1
    return [*cut, _cue(segment, pieces, first, len(pieces))] if cut else [segment]


def _cue(segment: Segment, pieces: Sequence[_Piece], first: int, after: int) -> Segment:
    end = pieces[after].begin if after < len(pieces) else len(segment.text)
    text = segment.text[pieces[first].begin : end].strip()
    return Segment(start=pieces[first].start, end=pieces[after - 1].end, text=text)


def _fits(cue: Segment) -> bool:
    return cue.end - cue.start <= CUE_S and len(textwrap.wrap(cue.text, LINE_CHARS)) <= 2


def _timed_pieces(segment: Segment) -> list[_Piece]:
    """The words with their own times; nothing if one has none or is not in the text."""
    pieces: list[_Piece] = []
    position = 0
    for word in segment.words:
        begin = segment.text.find(word.word.strip(), position)
        if begin < 0 or word.start is None or word.end is None:
            return []
        pieces.append(_Piece(begin if pieces else 0, word.start, word.end))
        position = begin + len(word.word.strip())
    return pieces


def _even_pieces(segment: Segment) -> list[_Piece]:
    """Parts of the text, with times as if every letter took as long as the next."""
    span, letters = segment.end - segment.start, max(1, len(segment.text))
    return [
        _Piece(
            found.start(),
            segment.start + span * found.start() / letters,
            segment.start + span * found.end() / letters,
        )
        for found in re.finditer(r"\S{1,20}", segment.text)
    ] or [_Piece(0, segment.start, segment.end)]


def _tsv(segments: Sequence[Segment]) -> str:
    rows = [
        f"{round(s.start * 1000)}\t{round(s.end * 1000)}\t{' '.join(s.text.split())}"
        for s in segments
    ]
    return "\n".join(["start\tend\ttext", *rows]) + "\n"


def _json(segments: Sequence[Segment]) -> str:
    content = {
        "text": full_text(segments),
        "segments": [{"id": i, **segment_json(s)} for i, s in enumerate(segments)],
    }
    return json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def segment_json(segment: Segment) -> dict[str, object]:
    """A segment as it stands in our JSON files; what is not known is absent."""
    unknown = set() if segment.flags else {"flags"}
    return segment.model_dump(exclude_none=True, exclude=unknown)


def full_text(segments: Sequence[Segment]) -> str:
    """All segments in one line of text."""
    return " ".join(segment.text for segment in segments)
