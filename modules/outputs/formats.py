"""The table of output formats, and the function that renders a transcript in one of them. Pure.

A new format is one file in this package, one row here and its name in ``config/types.py``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from modules.outputs.base import OutputFormat, RenderOptions, utf8
from modules.outputs.documents import docx, plain_text
from modules.outputs.markdown import markdown
from modules.outputs.segments_json import transcript_json
from modules.outputs.subtitles import subtitles
from modules.outputs.tables import tsv
from modules.transcript.model import Segment
from modules.transcript.speakers import without_lone_label

_ROWS = (
    OutputFormat(
        "txt",
        "text/plain; charset=utf-8",
        lambda s, o: utf8(plain_text(s, o.timestamps, o.note, o.language)),
    ),
    OutputFormat(
        "srt",
        "application/x-subrip; charset=utf-8",
        lambda s, o: utf8(subtitles(s, "srt", o.duration_s, o.language)),
    ),
    OutputFormat(
        "vtt",
        "text/vtt; charset=utf-8",
        lambda s, o: utf8(subtitles(s, "vtt", o.duration_s, o.language)),
    ),
    OutputFormat("tsv", "text/tab-separated-values; charset=utf-8", lambda s, _: utf8(tsv(s))),
    OutputFormat("json", "application/json", lambda s, _: transcript_json(s)),
    OutputFormat(
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        lambda s, o: docx(s, o.title, o.language),
    ),
    OutputFormat(
        "md",
        "text/markdown; charset=utf-8",
        lambda s, o: utf8(markdown(s, o.title, o.note, o.language)),
    ),
)
#: Every format by its name, in the order of ``config.types.FORMATS``.
OUTPUT_FORMATS = {row.name: row for row in _ROWS}


def render(
    form: str,
    segments: Iterable[Segment],
    timestamps: bool = False,
    duration_s: float = math.inf,
    title: str = "",
    note: str = "",
    language: str = "en",
) -> bytes:
    """The transcript of a recording of ``duration_s`` seconds as a file in format ``form``.

    ``segments`` are read several times. ``timestamps`` puts times into the txt, ``title`` is the
    heading of docx and md, ``note`` the last line of txt and md, ``language`` that of the names of
    speakers in these and in subtitles. The label of a person who speaks alone is only in the
    json. Raises KeyError for a name that is not in the table.
    """
    options = RenderOptions(timestamps, duration_s, title, note, language)
    shown = segments if form == "json" else without_lone_label(segments)
    return OUTPUT_FORMATS[form].write(shown, options)
