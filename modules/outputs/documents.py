"""The transcript as running text, in paragraphs: txt and docx. Pure."""

from __future__ import annotations

import io
import itertools
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from modules.outputs.base import clock
from modules.outputs.line_breaks import speaker_name
from modules.transcript.model import Segment
from modules.transcript.sentences import ends_sentence
from modules.transcript.slicing import joined_text

if TYPE_CHECKING:
    from docx.document import Document
    from docx.text.paragraph import Paragraph as DocxParagraph

#: A longer pause after a sentence begins a new paragraph.
PARAGRAPH_S = 2.0
#: A longer paragraph ends at a shorter pause.
LONG_CHARS = 400
LONG_PAUSE_S = 0.7
#: Speech without pauses is split at the end of a sentence, at about this length.
FULL_CHARS = 600
#: Characters that XML 1.0 does not allow.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_GREY = 0x80
#: The oldest date that a zip can hold; the current date would change the bytes each time.
_NO_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Paragraph:
    """Segments of one speaker, without words; ``name`` is set where the speaker changes."""

    name: str | None
    segments: tuple[Segment, ...]


def paragraphs(segments: Iterable[Segment], language: str = "en") -> Iterator[Paragraph]:
    """Split at changes of speaker, and after the end of a sentence: at long pauses, or where a
    paragraph is long enough."""
    before = None
    for group in _groups(segments):
        now = group[0].speaker
        name = speaker_name(now, language) if now and now != before else None
        yield Paragraph(name, tuple(group))
        before = now


def _groups(segments: Iterable[Segment]) -> Iterator[list[Segment]]:
    group: list[Segment] = []
    length = 0
    for segment in segments:
        if group and _parts(group[-1], segment, length):
            yield group
            group, length = [], 0
        group.append(segment.model_copy(update={"words": ()}))
        length += len(segment.text) + 1
    if group:
        yield group


def _parts(before: Segment, after: Segment, length: int) -> bool:
    if before.speaker != after.speaker:
        return True
    pause = after.start - before.end
    is_pause = pause > (LONG_PAUSE_S if length > LONG_CHARS else PARAGRAPH_S)
    # Half a sentence more is as far from that length as half a sentence less.
    is_full = length + len(after.text) / 2 > FULL_CHARS
    if not is_pause and not is_full:
        return False
    # After a long pause the next word says nothing: it may have any letter.
    following = None if pause > PARAGRAPH_S else after.text.partition(" ")[0]
    return ends_sentence(before.text.rpartition(" ")[2], following)


def plain_text(
    segments: Iterable[Segment], timestamps: bool = False, note: str = "", language: str = "en"
) -> str:
    """Paragraphs separated by empty lines; with ``timestamps``, one line per segment.

    ``note`` becomes the last line.
    """
    text = _lines(segments, language) if timestamps else _paragraphs(segments, language)
    return "\n".join(filter(None, [text, note and f"{note}\n"]))


def _lines(segments: Iterable[Segment], language: str) -> str:
    return "".join(
        f"[{clock(s.start)} - {clock(s.end)}] {_named(s.speaker, language)}{s.text}\n"
        for s in segments
    )


def _paragraphs(segments: Iterable[Segment], language: str) -> str:
    texts = [
        (f"{paragraph.name}: " if paragraph.name else "")
        + joined_text([segment.text for segment in paragraph.segments])
        for paragraph in paragraphs(segments, language)
    ]
    return "\n\n".join(texts) + ("\n" if texts else "")


def _named(speaker: str | None, language: str) -> str:
    return f"{speaker_name(speaker, language)}: " if speaker else ""


def docx(segments: Iterable[Segment], title: str = "", language: str = "en") -> bytes:
    """A document for Word: the same segments and title always give the same bytes.

    Every paragraph begins with its time; doubtful segments, those with flags, are in italics.
    """
    from docx import Document  # imported here, because it slows the start and is rarely used

    document = Document()
    _clear_template_properties(document, title)
    if title:
        document.add_heading(_xml(title), level=0)
    for paragraph in paragraphs(segments, language):
        _add(document.add_paragraph(), paragraph)
    out = io.BytesIO()
    document.save(out)
    return _undated(out.getvalue())


def _clear_template_properties(document: Document, title: str) -> None:
    """Replace the author, comments and dates of python-docx's template."""
    properties = document.core_properties
    properties.title = _xml(title)[:255]  # python-docx refuses longer ones
    properties.author = properties.comments = ""
    properties.created = properties.modified = datetime(*_NO_DATE)


def _add(to: DocxParagraph, paragraph: Paragraph) -> None:
    from docx.shared import Pt, RGBColor

    time = to.add_run(f"[{clock(paragraph.segments[0].start)}] ")
    time.font.size = Pt(8)
    time.font.color.rgb = RGBColor(_GREY, _GREY, _GREY)
    if paragraph.name:
        to.add_run(f"{_xml(paragraph.name)}: ").bold = True
    groups = itertools.groupby(paragraph.segments, lambda segment: bool(segment.flags))
    for index, (doubtful, run) in enumerate(groups):
        text = joined_text([segment.text for segment in run])
        to.add_run(_xml(f" {text}" if index else text)).italic = doubtful or None


def _xml(text: str) -> str:
    """Without characters that XML does not allow, such as lone surrogates."""
    return _NOT_XML.sub("", text)


def _undated(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as dated, zipfile.ZipFile(out, "w") as undated:
        for name in dated.namelist():
            entry = zipfile.ZipInfo(name, _NO_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            undated.writestr(entry, dated.read(name))
    return out.getvalue()
