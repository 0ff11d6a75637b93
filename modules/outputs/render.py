"""The transcript as people and players want it: txt, srt, vtt, tsv, json, docx. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from modules.outputs.documents import docx, plain_text
from modules.outputs.line_breaks import speaker_name
from modules.outputs.subtitles import subtitles
from modules.storage.atomic import to_json
from modules.transcript.model import Segment
from modules.transcript.slicing import joined_text

#: In a string its quotes would be escaped, so it stands for what it says.
_NO_SEGMENTS = b'"segments": []'


def render(
    form: str,
    segments: Iterable[Segment],
    timestamps: bool = False,
    duration_s: float = math.inf,
    title: str = "",
) -> bytes:
    """The transcript of a recording of ``duration_s`` seconds as a file in one of ``FORMATS``.

    ``segments`` are gone through several times.
    ``timestamps`` puts times into the txt, ``title`` stands above the docx. All but docx is UTF-8;
    half characters, which it cannot hold, become question marks, and in json escapes.
    """
    if form == "docx":
        return docx(segments, title)
    if form == "json":
        return b"".join(with_segments({"text": full_text(segments), "segments": []}, segments))
    return _text(form, segments, timestamps, duration_s).encode("utf-8", errors="replace")


def _text(form: str, segments: Iterable[Segment], timestamps: bool, duration_s: float) -> str:
    if form == "txt":
        return plain_text(segments, timestamps)
    if form == "tsv":
        return _tsv(segments)
    return subtitles(segments, form, duration_s)


def _tsv(segments: Iterable[Segment]) -> str:
    """With a column for who speaks only if that is known of any segment."""
    named = any(segment.speaker for segment in segments)
    rows = [["start", "end", *(["speaker"] if named else []), "text"]]
    for s in segments:
        speaker = [speaker_name(s.speaker) if s.speaker else ""] if named else []
        times = [str(round(s.start * 1000)), str(round(s.end * 1000))]
        rows.append([*times, *speaker, " ".join(s.text.split())])
    return "".join("\t".join(row) + "\n" for row in rows)


def with_segments(content: Mapping[str, Any], segments: Iterable[Segment]) -> Iterator[bytes]:
    """JSON in pieces: ``content`` as it is, with the segments in its one empty ``"segments": []``.

    The words of ten hours need not be in memory together. Raises ValueError for a number that is
    not finite.
    """
    frame = to_json(content)
    before, empty, after = frame.partition(_NO_SEGMENTS)
    assert empty, "nothing says where the segments belong"
    indent = b"\n" + b" " * (len(before) - before.rfind(b"\n") - 1)
    yield before + empty[:-1]
    begun = False
    for number, segment in enumerate(segments):
        piece = b"\n" + to_json({"id": number, **segment_json(segment)}).rstrip()
        yield b"," * begun + piece.replace(b"\n", indent + b"  ")
        begun = True
    yield indent * begun + empty[-1:] + after


def segment_json(segment: Segment) -> dict[str, object]:
    """A segment as it stands in our JSON files; what is not known is absent."""
    unknown = set() if segment.flags else {"flags"}
    return segment.model_dump(exclude_none=True, exclude=unknown)


def full_text(segments: Iterable[Segment]) -> str:
    """All segments in one line of text."""
    return joined_text(segment.text for segment in segments)
