"""Names that want to be something else: commands, options, formats, our own files."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator

from tests.hostile.case import Case, result, text
from tests.hostile.sound import beep, speech

#: Names in which a shell, an option parser, a format string or a terminal would see a meaning.
_NAMES = (
    "line\nbreak.mp3",
    "carriage\rreturn.mp3",
    "tab\tand\x0bmore.mp3",
    "-rf.mp3",
    "--config=evil.yaml.mp3",
    "--help.mp3",
    "-.mp3",
    "a:b.mp3",
    "file:talk.mp3",
    "concat:a|b.mp3",
    "pipe:0.mp3",
    "http:127.0.0.1.mp3",
    "single'quote.mp3",
    'double"quote.mp3',
    "back`tick`.mp3",
    "back\\slash.mp3",
    "$(touch x).mp3",
    "${HOME}.mp3",
    ";rm -rf x;.mp3",
    "| cat.mp3",
    "& touch x &.mp3",
    "a > x.mp3",
    "%s%n%d.mp3",
    "%2e%2e%2f.mp3",
    "{0.__class__}.mp3",
    "*?[a-z].mp3",
    "~root.mp3",
    "!history.mp3",
    "#comment.mp3",
    " leading and trailing .mp3",
    "a...mp3.mp3",
    "up..\u2215..\u2215etc\u2215passwd.mp3",
    "\u202egpj.exe.mp3",
    "\u200bzero\u200dwidth.mp3",
    "emoji 🎙️👩‍👩‍👧.mp3",
    "\x1b[31mred.mp3",
    "\x7fdelete\x01.mp3",
    "null.mp3",
    "CON.mp3",
    "<script>alert(1)</script>.mp3".replace("/", "\u2044"),
    "talk.result.mp3",
    "talk.in_progress.mp3",
    "talk.error.txt.mp3",
    "talk.checkpoint.mp3",
    "talk.settings.yaml.mp3",
    "талк.ЗАПИСЬ.mp3",
    "UPPER.MP3",
    "a" * 251 + ".mp3",
    "я" * 125 + "b.mp3",
    "\U0001f600" * 62 + ".mp3",
)
#: A few of them hold words; the others a tone, which costs less and is named the same.
_SPOKEN = (0, 4, 16, 47)


def names() -> Iterator[Case]:
    """All of them, with good recordings inside."""
    for number, name in enumerate(_NAMES):
        if number in _SPOKEN:
            yield text(name, speech("mp3"))
        else:
            yield result(name, beep("mp3"))
    for form in ("NFC", "NFD"):
        yield result(unicodedata.normalize(form, "Ёлка й é.mp3"), beep("mp3"))
    for raw in (b"\xff\xfe latin.mp3", b"caf\xe9.mp3", b"\xc3\x28 broken.mp3", b"\xed\xa0\x80.mp3"):
        yield result(os.fsdecode(raw), beep("mp3"))
    yield text(os.fsdecode("речь \n".encode("cp1251") + b".mp3"), speech("mp3"))
