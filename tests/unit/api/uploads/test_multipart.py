"""Forms as clients write them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from modules.api.uploads import multipart
from modules.api.uploads.multipart import UploadParser

PLAIN = b'Content-Disposition: form-data; name="file"; filename="talk.mp3"'


def parsed(body: bytes, **limits: int) -> tuple[dict[str, str], dict[str, tuple[str, bytes]]]:
    parser = UploadParser(lambda *_: io.BytesIO(), **limits)  # type: ignore[arg-type]
    options: dict[str, Any] = {"boundary": "B"}
    _, form, files = parser.parse(io.BytesIO(body), "multipart/form-data", len(body), options)
    return dict(form), {name: (file.filename or "", file.read()) for name, file in files.items()}


def part(header: bytes, content: bytes = b"sound") -> bytes:
    return b"--B\r\n" + header + b"\r\n\r\n" + content + b"\r\n--B--\r\n"


def test_a_file_and_a_field_are_read() -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="language"\r\n\r\nru\r\n' + part(PLAIN)
    assert parsed(body) == ({"language": "ru"}, {"file": ("talk.mp3", b"sound")})


@pytest.mark.parametrize("size", [*range(1, 40), 64, *range(110, 160), 1000])
def test_a_form_is_read_in_pieces_of_any_size(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "_PIECE_BYTES", size)
    for content in (b"\r\n--C\r\n" * 9 + b"end", b"sound", b"sound\r\n", b"sound\r"):
        assert parsed(part(PLAIN, content))[1] == {"file": ("talk.mp3", content)}


@pytest.mark.parametrize(
    "header",
    [
        b'Content-Disposition: form-data; name="file"',
        b'Content-Disposition: form-data; name="file"; filename=""',
        b'Content-Disposition: form-data; name="file"\r\nContent-Type: audio/webm',
    ],
)
def test_a_file_needs_no_name(header: bytes) -> None:
    assert parsed(part(header)) == ({}, {"file": ("", b"sound")})


def test_sound_in_another_field_is_a_file() -> None:
    header = b'Content-Disposition: form-data; name="audio"\r\nContent-Type: audio/wav'
    assert parsed(part(header)) == ({}, {"audio": ("", b"sound")})


def test_bytes_that_are_no_utf8_are_kept_in_a_name() -> None:
    header = PLAIN.replace(b"talk", "Привет".encode("cp1251"))
    name = parsed(part(header))[1]["file"][0]
    assert name.encode("utf-8", "surrogateescape") == "Привет.mp3".encode("cp1251")


def test_a_field_in_a_code_page_is_read() -> None:
    header = b'Content-Disposition: form-data; name="initial_prompt"'
    assert parsed(part(header, "Слова".encode("cp1251")))[0] == {"initial_prompt": "Слова"}


def test_a_field_that_nobody_can_read_is_named() -> None:
    with pytest.raises(BadRequest, match="initial_prompt: must be text in UTF-8"):
        parsed(part(b'Content-Disposition: form-data; name="initial_prompt"', b"\xff\xfe\x01"))


@pytest.mark.parametrize("body", [b"", b"nothing", part(PLAIN)[:-4], part(b"X-Header: 1")])
def test_a_broken_form_is_called_so(body: bytes) -> None:
    with pytest.raises(BadRequest, match="The form cannot be read"):
        parsed(body)


def test_a_large_field_is_refused_and_a_large_file_is_not() -> None:
    large = b"x" * 500_000
    assert len(parsed(part(PLAIN, large), max_form_memory_size=100_000)[1]["file"][1]) == 500_000
    with pytest.raises(RequestEntityTooLarge):
        parsed(
            part(b'Content-Disposition: form-data; name="prompt"', large),
            max_form_memory_size=100_000,
        )
