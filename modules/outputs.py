"""The transcript as people and players want it: txt, srt, vtt, tsv, json. Pure."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Sequence

import pysubs2

from modules.protocol import Segment, Word
from modules.segments import PAUSE_S, joined

#: What broadcasters ask of subtitles: two lines of 42 characters, no longer than 7 s.
LINE_CHARS = 42
CUE_CHARS = 2 * LINE_CHARS
CUE_S = 7.0
#: A pause that begins a new paragraph in the text.
PARAGRAPH_S = 2.0


def render(form: str, segments: Sequence[Segment], timestamps: bool = False) -> str:
    """The transcript in one of the formats; ``timestamps`` puts times into the txt."""
    return RENDERERS[form](segments) if form != "txt" else plain_text(segments, timestamps)


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


def _subtitles(segments: Sequence[Segment], form: str) -> str:
    file = pysubs2.SSAFile()
    for cue in cues(segments):
        # A backslash in speech must not become one of pysubs2's own tags.
        text = "\\N".join(textwrap.wrap(cue.text.replace("\\", "/"), balanced_width(cue.text)))
        file.append(
            pysubs2.SSAEvent(start=round(cue.start * 1000), end=round(cue.end * 1000), text=text)
        )
    return file.to_string(form)


def balanced_width(text: str) -> int:
    """A line width that makes two lines of about the same length."""
    return LINE_CHARS if len(text) > LINE_CHARS else max(1, len(text))


def cues(segments: Sequence[Segment]) -> list[Segment]:
    """Segments cut, at words, to what fits on a screen; in order and without overlap."""
    cut: list[Segment] = []
    for segment in segments:
        cut.extend(_cues_of(segment))
    shown: list[Segment] = []
    for index, cue in enumerate(cut):
        latest = cut[index + 1].start if index + 1 < len(cut) else float("inf")
        # A cue that is too short to read stays on, as long as the next one lets it.
        end = min(max(cue.end, cue.start + 1.0), max(latest, cue.start + 0.001))
        shown.append(cue.model_copy(update={"end": round(end, 3)}))
    return shown


def _cues_of(segment: Segment) -> list[Segment]:
    timed = all(word.start is not None and word.end is not None for word in segment.words)
    if not segment.words or not timed or _fits(segment.words):
        return [segment]
    groups: list[list[Word]] = [[]]
    for word in segment.words:
        if groups[-1] and not _fits([*groups[-1], word]):
            groups.append([])
        groups[-1].append(word)
    return [
        Segment(start=g[0].start or 0.0, end=g[-1].end or 0.0, text=_text(g)) for g in groups if g
    ]


def _fits(words: Sequence[Word]) -> bool:
    start, end = words[0].start or 0.0, words[-1].end or 0.0
    return end - start <= CUE_S and len(textwrap.wrap(_text(words), LINE_CHARS)) <= 2


def _text(words: Sequence[Word]) -> str:
    return joined([word.model_copy(update={"word": " " + word.word}) for word in words])


def _tsv(segments: Sequence[Segment]) -> str:
    rows = [f"{round(s.start * 1000)}\t{round(s.end * 1000)}\t{s.text}" for s in segments]
    return "\n".join(["start\tend\ttext", *rows]) + "\n"


def _json(segments: Sequence[Segment]) -> str:
    content = {
        "text": full_text(segments),
        "segments": [{"id": i, **segment_json(s)} for i, s in enumerate(segments)],
    }
    return json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def segment_json(segment: Segment) -> dict[str, object]:
    """A segment as it stands in our JSON files; what is not known is absent."""
    return segment.model_dump(exclude_none=True)


def full_text(segments: Sequence[Segment]) -> str:
    """All segments in one line of text."""
    return " ".join(segment.text for segment in segments)


RENDERERS: dict[str, Callable[[Sequence[Segment]], str]] = {
    "txt": plain_text,
    "srt": lambda segments: _subtitles(segments, "srt"),
    "vtt": lambda segments: _subtitles(segments, "vtt"),
    "tsv": _tsv,
    "json": _json,
}

__all__ = ["CUE_CHARS", "PAUSE_S", "RENDERERS", "cues", "full_text", "render", "segment_json"]
