"""The transcript as Markdown, for notes and wikis: md. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

from modules.outputs.base import clock
from modules.outputs.documents import Paragraph, paragraphs
from modules.transcript.model import Segment
from modules.transcript.slicing import joined_text, spaceless

#: What CommonMark, GitHub or Obsidian take for more than a character inside a line; ``==`` and
#: ``%%`` are Obsidian's. What means something at the start of a line is not here: a paragraph is
#: one line, and begins with its time.
_SPECIAL = re.compile(r"[\\`*_\[\]<>&~$#]|[=%](?=[=%])")
#: Control characters, which renderers replace.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f]")


def markdown(
    segments: Iterable[Segment], title: str = "", note: str = "", language: str = "en"
) -> str:
    """A heading, then paragraphs, each with its time: speakers in bold, doubtful segments, those
    with flags, in italics. ``note`` becomes the last paragraph."""
    heading = escaped(title)
    blocks = [f"# {heading}"] if heading else []
    blocks += map(_paragraph, paragraphs(segments, language))
    blocks += filter(None, [escaped(note)])
    return "\n\n".join(blocks) + ("\n" if blocks else "")


def escaped(text: str) -> str:
    """One line that a renderer shows as the text is."""
    return _SPECIAL.sub(r"\\\g<0>", _plain(text))


def _plain(text: str) -> str:
    return " ".join(_CONTROL.sub("", text).split())


def _paragraph(paragraph: Paragraph) -> str:
    line = f"[{clock(paragraph.segments[0].start)}]"
    if paragraph.name:
        line += f" **{escaped(paragraph.name)}:**"
    # Asterisks mark nothing between a letter and a sign such as "。": there a tag does.
    bare = any(spaceless(sign) for segment in paragraph.segments for sign in segment.text)
    start, end = ("<em>", "</em>") if bare else ("*", "*")
    before = ""
    for doubtful, run in itertools.groupby(paragraph.segments, lambda each: bool(each.flags)):
        text = joined_text(_plain(segment.text) for segment in run)
        if not text:
            continue
        blank = "" if before and (spaceless(before[-1]) or spaceless(text[0])) else " "
        line += blank + (f"{start}{escaped(text)}{end}" if doubtful else escaped(text))
        before = text
    return line
