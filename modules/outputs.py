"""The transcript as people and players want it: txt, srt, vtt, tsv, json, docx. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from modules.documents import docx, plain_text
from modules.parts import joined_text
from modules.phrases import speaker_name
from modules.protocol import Segment
from modules.subtitles import subtitles

FORMATS = ("txt", "srt", "vtt", "tsv", "json", "docx")


def render(
    form: str,
    segments: Sequence[Segment],
    timestamps: bool = False,
    duration_s: float = math.inf,
    title: str = "",
) -> bytes:
    """The transcript of a recording of ``duration_s`` seconds as a file in one of ``FORMATS``.

    ``timestamps`` puts times into the txt, ``title`` stands above the docx. All but docx is UTF-8;
    half characters, which it cannot hold, become question marks.
    """
    if form == "docx":
        return docx(segments, title)
    return _text(form, segments, timestamps, duration_s).encode("utf-8", errors="replace")


def _text(form: str, segments: Sequence[Segment], timestamps: bool, duration_s: float) -> str:
    if form == "txt":
        return plain_text(segments, timestamps)
    if form == "tsv":
        return _tsv(segments)
    if form == "json":
        return _json(segments)
    return subtitles(segments, form, duration_s)


def _tsv(segments: Sequence[Segment]) -> str:
    """With a column for who speaks only if that is known of any segment."""
    named = any(segment.speaker for segment in segments)
    rows = [["start", "end", *(["speaker"] if named else []), "text"]]
    for s in segments:
        speaker = [speaker_name(s.speaker) if s.speaker else ""] if named else []
        times = [str(round(s.start * 1000)), str(round(s.end * 1000))]
        rows.append([*times, *speaker, " ".join(s.text.split())])
    return "".join("\t".join(row) + "\n" for row in rows)


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
    return joined_text([segment.text for segment in segments])
