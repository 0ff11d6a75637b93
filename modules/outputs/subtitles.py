"""Write cues as srt and vtt. Pure."""

from __future__ import annotations

import html
import io
import itertools
import math
from collections.abc import Iterable

import pysubs2
from pysubs2.formats.subrip import SubripFormat
from pysubs2.formats.webvtt import WebVTTFormat

from modules.outputs.cues import Cue, cues
from modules.outputs.line_breaks import speaker_name
from modules.transcript.model import Segment


def subtitles(
    segments: Iterable[Segment], form: str, duration_s: float = math.inf, language: str = "en"
) -> str:
    """An ``srt`` or ``vtt`` file. The speaker, named in ``language``, is a voice tag in vtt, and
    part of the text at each change of speaker in srt."""
    file = pysubs2.SSAFile()
    for cue in cues(segments, duration_s, names=language if form == "srt" else None):
        start, end = round(cue.start * 1000), round(cue.end * 1000)
        text = _vtt_text(cue, language) if form == "vtt" else _srt_text(cue)
        file.append(pysubs2.SSAEvent(start=start, end=end, text=text))
    out = io.StringIO()
    (LongVtt if form == "vtt" else LongSrt).to_file(file, out, form)
    return out.getvalue()


def _srt_text(cue: Cue) -> str:
    return "\\N".join(line.text for line in cue.lines)


def _vtt_text(cue: Cue, language: str) -> str:
    """The text with voice tags; HTML is escaped, so that speech cannot become markup."""
    voices = []
    for speaker, lines in itertools.groupby(cue.lines, lambda line: line.speaker):
        text = "\\N".join(html.escape(line.text, quote=False) for line in lines)
        name = html.escape(speaker_name(speaker, language), quote=False) if speaker else ""
        voices.append(f"<v {name}>{text}</v>" if name else text)
    return "\\N".join(voices)


def _timestamp(ms: int, mark: str) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{mark}{ms:03d}"


class LongSrt(SubripFormat):
    """srt with more than two digits for hours; pysubs2 stops at 99:59:59,999."""

    @staticmethod
    def ms_to_timestamp(ms: int) -> str:
        return _timestamp(ms, ",")


class LongVtt(WebVTTFormat):
    """vtt with more than two digits for hours; pysubs2 stops at 99:59:59.999."""

    @staticmethod
    def ms_to_timestamp(ms: int) -> str:
        return _timestamp(ms, ".")
