"""Files that are two things at once."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Iterator

from tests.hostile.case import Case, either, refused
from tests.hostile.headers import chunk, id3, wav
from tests.hostile.sound import beep
from tests.hostile.strangers import ELF, PDF, PNG, SCRIPT

_HTML = b"<!doctype html><html><script>alert(1)</script><body>\n"


def polyglots() -> Iterator[Case]:
    """All of them."""
    fronts = {
        "zip": _zip(),
        "pdf": PDF,
        "html": _HTML,
        "elf": ELF,
        "script": SCRIPT,
        "png": PNG,
        "gzip": gzip.compress(b"hello", mtime=0),
        "zeros": bytes(5_000),
    }
    for name, front in fronts.items():
        for form in ("mp3", "wav", "aac", "flac"):
            yield either(f"both-{name}-{form}.{form}", front + beep(form))
        yield either(f"both-mp3-{name}.mp3", beep("mp3") + front)
    for name, content in fronts.items():
        inside = wav(beep("wav")[44:], before=chunk(b"junk", content + bytes(len(content) % 2)))
        yield either(f"both-wav-with-{name}.wav", inside)
    yield either("both-id3-with-zip.mp3", id3(len(_zip()), _zip()) + beep("mp3"))
    yield refused("both-flac-mark-and-text.flac", b"fLaC" + b"hello " * 3_000, "not_media")
    yield refused("both-ogg-mark-and-html.ogg", b"OggS" + _HTML * 100, "not_media")
    yield either("both-mp3-and-wav.mp3", beep("mp3") + beep("wav"))
    yield either("both-ogg-and-flac.ogg", beep("ogg") + beep("flac"))
    yield either("both-mkv-and-m4a.mkv", beep("mkv") + beep("m4a"))


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("../../evil.sh"), SCRIPT)
    return buffer.getvalue()
