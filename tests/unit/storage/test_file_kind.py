"""What is no recording is told from its first bytes; what may be one is left to the child."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import pytest

from modules.storage import file_kind
from tests.hostile.case import Ending
from tests.hostile.corpus import corpus

SOURCE = b"import { Recorder } from './recorder';\n\nexport const recorder = new Recorder();\n"
RUSSIAN = "Это письмо, а не запись, хотя имя у него как у записи. Его писали в Windows.\r\n" * 3
SAMPLES = Path(__file__).resolve().parents[3] / "samples"
TEXTS = {
    "typescript": (SOURCE, "a text document"),
    "qt": (b'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n<TS version="2.1"/>\n' * 2,
           "an XML document"),
    "page": (b"\n<!DOCTYPE html><html><title>404 Not Found</title></html>" * 3, "a web page"),
    "utf-16": (("\ufeff" + RUSSIAN).encode("utf-16-le"), "a text document"),
    "utf-8": (RUSSIAN.encode()[:101], "a text document"),
    "cp1251": (RUSSIAN.encode("cp1251"), "a text document"),
    "koi8-r": (RUSSIAN.encode("koi8-r"), "a text document"),
    "playlist": (b"#EXTM3U\n#EXTINF:1\nhttp://127.0.0.1/talk.mp3\n" * 2,
                 "a playlist, which only points to recordings"),
    "terminal": (b"\x1b[32mdone\x1b[0m\n" * 10, "a text document"),
}  # fmt: skip
OTHERS = {
    "jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "webp": b"RIFF\x24\0\0\0WEBPVP8 ",
    "zip": b"PK\x03\x04\x14\0\0\0",
    "tar": b"notes.txt".ljust(257, b"\0") + b"ustar\x0000",
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "gzip": b"\x1f\x8b\x08\0" + zlib.compress(b"x"),
    "qm": b"\x3c\xb8\x64\x18\xca\xef\x9c\x95",
    "tiny text": b"export {}\n",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_told_without_a_recording_being_looked_for(name: str) -> None:
    head, kind = TEXTS[name]
    assert file_kind.kind_of_text(head) == kind
    assert file_kind.kind_of(head) == kind


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_text_is_only_told_after_no_recording_was_found(name: str) -> None:
    assert file_kind.kind_of_text(OTHERS[name]) is None
    assert file_kind.kind_of(OTHERS[name]) is not None


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.*")), ids=lambda path: path.name)
def test_a_sample_is_never_taken_for_something_else(path: Path) -> None:
    head = file_kind.head_of(path)
    if path.suffix in (".wav", ".mp3", ".flac", ".ogg", ".mp4", ".m4a", ".webm", ".opus"):
        assert file_kind.kind_of(head) is None


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\0" * 4096,
        b"\xff\xfb\x90\x64" + random.Random(3).randbytes(4092),
        b"RIFF\xff\xff\xff\xffWAVEfmt ",
        b"\0\0\0\x20ftypM4A \0\0\0\0",
        b"G\x40\0\x10\0\0\xb0\x0d" * 100,
        b"NIST_1A\n   1024\nsample_count -i 96000\n".ljust(1024, b" ") * 4,
        b"#!AMR\n" + b"\x3c" * 90,
        random.Random(7).randbytes(4096),
    ],
)
def test_what_may_be_a_recording_is_not_judged_here(head: bytes) -> None:
    assert file_kind.kind_of(head) is None
    assert file_kind.kind_of_text(head) is None


def test_no_recording_of_the_hostile_corpus_is_taken_for_a_text() -> None:
    readable = [c for c in corpus("/o.wav", "i.txt", 1) if c.ending in (Ending.TEXT, Ending.RESULT)]
    assert len(readable) > 20
    heads = {case.name: case.data[: file_kind.HEAD_BYTES] for case in readable}
    assert {name for name, head in heads.items() if file_kind.kind_of_text(head)} == set()
