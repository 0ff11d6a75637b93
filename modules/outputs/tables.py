"""Segments as a table with tabs: tsv. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from modules.outputs.line_breaks import speaker_name
from modules.transcript.model import Segment


def tsv(segments: Iterable[Segment]) -> str:
    """One row per segment, times in milliseconds; a column for speakers only if any is known."""
    named = any(segment.speaker for segment in segments)
    rows = [["start", "end", *(["speaker"] if named else []), "text"]]
    for s in segments:
        speaker = [speaker_name(s.speaker) if s.speaker else ""] if named else []
        times = [str(round(s.start * 1000)), str(round(s.end * 1000))]
        rows.append([*times, *speaker, " ".join(s.text.split())])
    return "".join("\t".join(row) + "\n" for row in rows)
