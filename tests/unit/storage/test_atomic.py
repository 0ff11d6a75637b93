"""JSON as all our files have it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.storage.atomic import to_json, write_whole

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
