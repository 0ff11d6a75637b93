"""What an output format is: a name, a media type and a function that writes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from modules.transcript.model import Segment


@dataclass(frozen=True)
class RenderOptions:
    """What a format may use besides the segments; each takes what concerns it.

    ``timestamps``: whether plain text has times. ``duration_s``: the length of the recording in
    seconds. ``title``: the heading of a document. ``note``: a last line for plain text and
    Markdown, which says what a reader must know; see ``notes.py``. ``language``: of the names of
    speakers in what people read, ``en`` or ``ru``.
    """

    timestamps: bool = False
    duration_s: float = math.inf
    title: str = ""
    note: str = ""
    language: str = "en"


@dataclass(frozen=True)
class OutputFormat:
    """A row of the table in ``formats.py``.

    ``name`` is also the suffix of the file, without the dot. ``media_type`` is what the API sends
    as Content-Type. ``write`` returns the whole file: the same bytes for the same arguments, and
    it may read ``segments`` several times. It opens no files and reads no clock.
    """

    name: str
    media_type: str
    write: Callable[[Iterable[Segment], RenderOptions], bytes]


def utf8(text: str) -> bytes:
    """The text as UTF-8; lone surrogates, which UTF-8 cannot hold, become question marks."""
    return text.encode("utf-8", errors="replace")


def clock(seconds: float) -> str:
    """``HH:MM:SS``."""
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
