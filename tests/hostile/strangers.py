"""What is no recording at all, and recordings under the wrong extension."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator

from tests.hostile.case import Case, refused, result
from tests.hostile.sound import FORMS, beep, mute_film

ELF = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHI", 2, 62, 1) + bytes(range(256)) * 8
PDF = (
    b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)
SCRIPT = b"#!/bin/sh\ntouch x\n"
_IMAGE = zlib.compress(b"\0\xff\0\0" * 64)
PNG = b"".join(
    (
        b"\x89PNG\r\n\x1a\n",
        struct.pack(">I4sIIBBBBB", 13, b"IHDR", 1, 64, 8, 2, 0, 0, 0),
        bytes(4),
        struct.pack(">I4s", len(_IMAGE), b"IDAT"),
        _IMAGE,
        bytes(4),
        struct.pack(">I4sI", 0, b"IEND", 0xAE426082),
    )
)


def strangers() -> Iterator[Case]:
    """All of them."""
    yield refused("other-empty.mp3", b"", "empty_file")
    for number, byte in enumerate((b"\0", b"\xff", b"R", b"I")):
        yield refused(f"other-1-byte-{number}.wav", byte, "not_media")
    for seed, (size, extension) in enumerate(
        (
            (2, "mp3"),
            (1_024, "mp3"),
            (1_024, "ts"),
            (70_000, "aac"),
            (70_000, "amr"),
            (900_000, "wav"),
        )
    ):
        noise = random.Random(seed).randbytes(size)
        yield refused(f"other-noise-{size}.{extension}", noise, "not_media")
    for name, content in _others().items():
        for extension in ("mp3", "mp4"):
            yield refused(f"other-{name}.{extension}", content, "not_media")
    for container in ("mp4", "matroska", "avi", "mpegts", "flv"):
        film = mute_film(container)
        yield refused(f"other-mute-{container}.mkv", film, "no_audio")
    yield from _wrong_extensions()


def _wrong_extensions() -> Iterator[Case]:
    """Every form under three names that are not its own."""
    forms = list(FORMS)
    for number, form in enumerate(forms):
        for step in (1, 7, 13):
            extension = forms[(number + step) % len(forms)]
            yield result(f"wrong-{form}-as.{extension}", beep(form))


def _others() -> dict[str, bytes]:
    text = "Это не запись, а текст.\n".encode()
    return {
        "text": text * 20,
        "long-text": text * 20_000,
        "utf16": text.decode().encode("utf-16"),
        "html": b"<!DOCTYPE html><html><body>Sign in</body></html>\n",
        "json": b'{"transcription": {"text": "fake"}}',
        "yaml": b"model_size: large\n",
        "subtitles": b"1\n00:00:00,000 --> 00:00:05,000\nhello\n\n",
        "zip": _archive({"talk.mp3": beep("mp3")}),
        "docx": _archive({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w/>"}),
        "pdf": PDF,
        "elf": ELF,
        "windows-program": b"MZ\x90\0" + bytes(60) + b"PE\0\0" + bytes(range(256)) * 8,
        "script": SCRIPT,
        "png": PNG,
        "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(range(256)) * 8,
        "gif": b"GIF89a\1\0\1\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;",
        "midi": b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\4\0\xff\x2f\0",
        "database": b"SQLite format 3\0" + bytes(range(256)) * 8,
        "zeros": bytes(50_000),
    }


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()
