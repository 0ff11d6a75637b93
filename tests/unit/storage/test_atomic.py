"""JSON as all our files have it."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.errors import TranscriberError
from modules.storage.atomic import (
    own_folder,
    parse_json,
    remove,
    to_json,
    write_own,
    write_whole,
)

NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text("аb \n"), inner), max_leaves=20
)


@given(VALUES)
def test_what_is_written_is_read_again(value: object) -> None:
    assert json.loads(to_json(value)) == value


def test_people_can_read_it() -> None:
    content = to_json({"text": "Привет.\u2028", "words": [{"start": 0.1}], "flags": (), "more": {}})
    expected = """{
  "text": "Привет.\u2028",
  "words": [
    {
      "start": 0.1
    }
  ],
  "flags": [],
  "more": {}
}
"""
    assert content.decode() == expected


def test_a_name_that_is_not_utf_8_survives() -> None:
    name = os.fsdecode(b"\xff\xfe.mp3")
    content = to_json({"filename": name, "duration_seconds": 1.5})
    assert json.loads(content) == {"filename": name, "duration_seconds": 1.5}
    assert b'"filename": "\\udcff\\udcfe.mp3"' in content


def test_a_piece_that_cannot_be_made_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"new"
        raise ValueError("not finite")

    write_whole(tmp_path / "talk.result", [b"o", b"ld"])
    with pytest.raises(ValueError, match="not finite"):
        write_whole(tmp_path / "talk.result", pieces())
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json({"confidence": number})


def test_words_that_look_like_such_numbers_are_words() -> None:
    assert json.loads(to_json({"text": "NaN, Infinity"})) == {"text": "NaN, Infinity"}


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": NaN}', b'{"a": -Infinity}', b'{"a":' * 100_000, b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}", b'{"a": [' + b"{}," * 400_000 + b"{}]}",
    ],
)  # fmt: skip
def test_json_that_would_hurt_is_refused(content: bytes) -> None:
    with pytest.raises(TranscriberError) as caught:
        parse_json(content, "talk.mp3.result")
    assert caught.value.code == "corrupt_sidecar"


def test_a_long_transcript_is_not_taken_for_one() -> None:
    word = {"word": "я", "start": 1.0, "end": 1.2, "score": 0.9}
    content = {"segments": [word] * 30_000}
    for text in (to_json(content), json.dumps(content, separators=(",", ":")).encode()):
        assert len(text) > 2**20
        assert parse_json(text, "talk.mp3.result") == content


def test_a_folder_under_a_name_of_ours_is_moved_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "owner.json"
    path.mkdir()
    assert remove(path) is False
    write_own(path, b"{}")
    assert path.read_bytes() == b"{}"
    assert "owner.json was moved to owner.json." in caplog.text


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_folder_of_ours_is_no_link_and_no_file(tmp_path: Path, kind: str) -> None:
    path, elsewhere = tmp_path / "callbacks", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if kind == "link":
        path.symlink_to(elsewhere)
    else:
        path.touch()
    own_folder(path)
    assert stat.S_ISDIR(path.lstat().st_mode)
    assert stat.S_IMODE(path.lstat().st_mode) == 0o700
