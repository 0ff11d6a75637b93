"""Warnings: data in the result, and plain sentences wherever somebody reads."""

from __future__ import annotations

import string
from typing import Any

import pytest

from modules.outputs import notes
from modules.outputs.formats import render
from modules.outputs.notes import sentence, text_note, warning, warnings_of
from tests.builders import a_segment


def a_result(*warnings: Any, asked: str = "ru", heard: str = "ru") -> dict[str, Any]:
    return {
        "settings": {"language": asked},
        "metadata": {"language": asked, "language_detected": heard, "warnings": list(warnings)},
    }


OTHER = warning("other_language", asked="ru", heard="en")
TRACK = warning("track_left_out", track=2, tracks=2)
GAP = warning("speech_without_text", seconds=12, at="0:03:10")


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("code", notes._SENTENCES)
def test_every_kind_is_said_in_both_languages_with_the_same_values(code: str) -> None:
    forms = notes._SENTENCES[code]
    assert set(forms) == set(notes.LANGUAGES)
    assert places(forms["ru"]) == places(forms["en"])
    assert all(text.endswith(".") for text in forms.values())


def test_a_warning_is_data_with_an_english_message() -> None:
    assert GAP == {
        "code": "speech_without_text",
        "message": "12 s of speech from 0:03:10 on gave no text.",
        "seconds": 12,
        "at": "0:03:10",
    }
    assert sentence(GAP, "ru") == "Не удалось расшифровать 12 с речи, начиная с 0:03:10."
    with pytest.raises(KeyError):
        warning("speech_without_text", seconds=12)


@pytest.mark.parametrize(
    ("asked", "heard", "begins"),
    [("ru", "ru", "[Не расшифрована"), ("en", "en", "[Sound track"), ("de", "de", "[Sound track"),
     ("auto", "ru", "[Не расшифрована")],
)  # fmt: skip
def test_the_text_has_it_in_the_language_of_the_recording(
    asked: str, heard: str, begins: str
) -> None:
    note = text_note(a_result(TRACK, asked=asked, heard=heard))
    assert note.startswith(begins)
    assert note.endswith("]")
    assert "\n" not in note


def test_who_speaks_another_language_than_was_set_can_read_it_in_both() -> None:
    note = text_note(a_result(OTHER, asked="ru", heard="en"))
    assert note == f"[{sentence(OTHER, 'ru')} {sentence(OTHER, 'en')}]"


def test_all_warnings_share_the_last_line_of_the_txt() -> None:
    note = text_note(a_result(TRACK, GAP))
    text = render("txt", [a_segment(0.0, 1.0, "Привет.")], note=note).decode()
    assert text == f"Привет.\n\n[{sentence(TRACK, 'ru')} {sentence(GAP, 'ru')}]\n"
    timed = render("txt", [a_segment(0.0, 1.0, "Привет.")], timestamps=True, note=note).decode()
    assert timed == f"[00:00:00 - 00:00:01] Привет.\n\n{note}\n"
    assert render("txt", [], note=note).decode() == f"{note}\n"
    assert render("srt", [], note=note) == b"", "subtitles have none"


@pytest.mark.parametrize(
    "result",
    [{}, {"metadata": None}, {"metadata": {"warnings": "odd"}}, {"metadata": {"warnings": [1]}},
     {"settings": {"language": ["ru"]}, "metadata": {"warnings": [{}]}}],
)  # fmt: skip
def test_a_result_that_somebody_edited_is_no_trouble(result: dict[str, Any]) -> None:
    assert text_note(result) == ""


def test_what_is_not_known_here_keeps_its_message() -> None:
    odd = {"code": "of a later version", "message": "Something\nnew."}
    missing = {"code": "track_left_out", "message": "Half of it.", "track": 1}
    assert warnings_of(a_result(odd)) == [odd]
    assert [sentence(each, "ru") for each in (odd, missing)] == ["Something new.", "Half of it."]
