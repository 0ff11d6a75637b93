"""How people and programs write languages, and what is meant by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import write_languages
from modules.config import languages
from modules.config.languages import (
    LANGUAGES,
    language_hint,
    language_of,
    subtitle_code,
    subtitle_codes,
)
from modules.config.loader import load_config
from modules.config.recording_settings import check_settings
from modules.recordings.state import job_from_json


@pytest.mark.parametrize(
    ("code", "spellings"),
    [
        ("ru", "ru RU ru-RU ru_RU.UTF-8 rus Russian russian русский РУССКИЙ"),
        ("en", "en-US en_GB eng English английский en_US.UTF-8"),
        ("pt", "pt_BR pt-PT por Portuguese_(Brazil) português portugues"),
        ("de", "deu ger de-DE-1996 Deutsch немецкий"),
        ("no", "nb nob nor nb-NO norsk_bokmål"),
        ("nn", "nno nn-NO nynorsk"),
        ("he", "iw heb עברית"),
        ("ja", "jp jpn ja-JP 日本語"),
        ("zh", "cmn chi zho zh-Hans zh-Hant-TW zh-cmn-Hans-CN 中文 Mandarin"),
        ("yue", "zh-yue yue-Hant-HK Cantonese"),
        ("uk", "ua ukr українська"),
        ("es", "es-419 español Espanol castellano"),
        ("id", "in ind"),
        ("yi", "ji yid"),
        ("jw", "jv jav"),
        ("sr", "sh sr-Latn sr_RS@latin српски"),
        ("tl", "fil tgl Filipino"),
        ("fa", "fas per prs farsi"),
        ("ar", "arb arz ar-EG العربية"),
        ("auto", "auto und AUTO"),
        ("mixed", "mixed mul"),
    ],
)
def test_a_language_is_known_by_many_names(code: str, spellings: str) -> None:
    for spelling in spellings.split():
        assert language_of(spelling.replace("_(", " (").replace("_bok", " bok")) == code, spelling


def test_every_code_and_english_name_of_whisper_means_itself() -> None:
    assert [code for code in LANGUAGES if language_of(code) != code] == []
    assert [name for code, name in LANGUAGES.items() if language_of(name.title()) != code] == []


@pytest.mark.parametrize(
    "text",
    ["klingon", "xx", "", "en-to-ru", "en;q=0.9", "eo", "kr", "ru-", "-", "\0", "r" * 10_000],
)
def test_what_nobody_can_know_is_not_guessed(text: str) -> None:
    assert language_of(text) is None


@pytest.mark.parametrize(
    ("text", "code"), [("rusian", "ru"), ("germna", "de"), ("kr", "ko"), ("se", "sv")]
)
def test_what_is_likely_meant_is_suggested(text: str, code: str) -> None:
    assert language_hint(text) == f"; did you mean {code}?"


def test_no_spelling_means_two_languages() -> None:
    meanings: dict[str, set[str]] = {}
    for spelling, code in languages._all_spellings():
        meanings.setdefault(languages._folded(spelling), set()).add(code)
    assert {word: codes for word, codes in meanings.items() if len(codes) > 1} == {}


def test_the_table_is_what_its_source_says() -> None:
    assert write_languages.page() == write_languages.PAGE.read_text(encoding="utf-8")


def test_configuration_settings_file_and_state_understand_the_same(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("whisperx: {language: pt_BR}")
    assert load_config(file, {}).whisperx.language == "pt"
    assert load_config(file, {"WHISPERX_LANGUAGE": "en-US"}).whisperx.language == "en"
    assert check_settings("language: русский".encode()) == ({"language": "ru"}, [])


def test_an_empty_language_is_not_given(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text('whisperx: {language: "", beam_size: 3}')
    config = load_config(file, {})
    assert (config.whisperx.language, config.whisperx.beam_size) == ("ru", 3)
    assert check_settings(b'language: " "\nbeam_size: 3') == ({"beam_size": 3}, [])


def test_a_state_written_by_hand_has_the_language_that_is_meant() -> None:
    settings = {"model_size": "base", "language": "Deutsch", "temperature": 0.0,
                "compute_type": "int8", "device": "cpu"}  # fmt: skip
    content = {"job_id": "1", "priority": "auto_scan", "creation_time": "2026-01-01T00:00:00Z"}
    job = job_from_json("talk.mp3", content | {"settings": settings})
    assert job.settings.language == "de"


def test_names_of_subtitles_have_the_codes_that_players_know() -> None:
    codes = subtitle_codes()
    assert subtitle_code("ru") == "ru"
    assert subtitle_code("jw") == "jv", "Whisper's own code is none of ISO 639"
    assert {code for code in codes if len(code) != 2} == {"haw", "yue"}, "these have no short one"
    assert len(codes) == len(LANGUAGES)
