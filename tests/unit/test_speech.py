"""The yardstick itself: texts, normalisation, and what happens where speech cannot be had."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest

from tests import speech


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ещё раз, пожалуйста!", "еще раз пожалуйста"),
        ("е\u0308лка и за\u0301мок", "елка и замок"),
        ("серо-карие — с искоркой…", "серо карие с искоркой"),
        ("Don't  press\n“star”", "dont press star"),
        ("don\u2019t", "dont"),
        (" .,!? ", ""),
    ],
)
def test_normalisation_leaves_only_words(text: str, expected: str) -> None:
    assert speech.normalised(text) == expected


def test_labels_give_phones_that_follow_each_other() -> None:
    listing = "anything\n#\n0.45200 125 pau\n0.55200 125 a\n"
    assert speech.parse_labels(listing) == [
        speech.Phone("pau", 0.0, 0.452),
        speech.Phone("a", 0.452, 0.552),
    ]


def test_word_errors_are_counted_per_word_of_the_reference() -> None:
    assert speech.word_error_rate("Всё, хорошо!", "все хорошо") == 0.0
    assert speech.word_error_rate("раз два три четыре", "раз два пять") == pytest.approx(0.5)
    assert speech.word_error_rate("раз", "") == 1.0


def test_a_reference_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match="no words"):
        speech.word_error_rate("…", "раз")


def test_only_plain_speech_of_four_words_qualifies() -> None:
    listing = "\n".join(
        [
            "; Core Asterisk Sounds in Russian",
            "",
            "a: Пожалуйста, попробуйте ещё раз.",
            "b: Нажмите 1 для записи сообщения.",
            "c: Оставьте сообщение после сигнала. [звучит сигнал]",
            "d: Дополнительная информация на сайте www.asterisk.org",
            "e: Спасибо.",
            "dir/f: Оставайтесь  на линии — «ждите».",
            "g:",
            "h: Что бы выйти из меню, нажмите решётку.",
        ]
    )
    assert speech.parse_prompts(listing, "ru") == {
        "a": "Пожалуйста, попробуйте ещё раз.",
        "dir/f": "Оставайтесь на линии — «ждите».",
        "h": "Чтобы выйти из меню, нажмите решётку.",
    }


def test_festvox_sentences_lose_their_stress_marks() -> None:
    listing = '( ru_0002 "Прядь вол+ос за ухо." )\n( ru_0004 "+Окна домов, - иные разбитые." )\n'
    assert speech.parse_festvox(listing) == {
        "ru_0002": "Прядь волос за ухо.",
        "ru_0004": "Окна домов, - иные разбитые.",
    }


def test_the_choice_is_spread_and_always_the_same() -> None:
    assert speech.spread(range(10), 3) == [0, 3, 6]
    assert speech.spread(range(3), 3) == [0, 1, 2]
    assert speech.spread(range(3), 0) == []
    with pytest.raises(ValueError, match="4 wanted, 3 there"):
        speech.spread(range(3), 4)


def _tone(path: Path, rate_hz: int, seconds: float, text: str) -> speech.Clip:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(b"\x10\x00" * round(rate_hz * seconds))
    return speech.Clip(path, text, seconds)


def test_joined_clips_repeat_until_the_length_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "CACHE", tmp_path / "cache")
    clips = [
        _tone(tmp_path / "a.wav", 8_000, 1.0, "раз"),
        _tone(tmp_path / "b.wav", 16_000, 2.0, "два"),
    ]
    whole = speech.joined(clips, seconds=7.0, gap_s=0.5)
    assert whole.text == "раз два раз два"
    assert whole.duration_s == pytest.approx(7.5, abs=0.1)
    with wave.open(str(whole.path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
    places = [start_s for start_s, _ in speech.placed(clips, seconds=7.0, gap_s=0.5)]
    assert places == pytest.approx([0.0, 1.5, 4.0, 5.5], abs=0.01)
    assert speech.placed(clips, seconds=7.0, gap_s=0.5)[3][1] is clips[1]
    made = whole.path.stat().st_mtime_ns
    assert speech.joined(clips, seconds=7.0, gap_s=0.5).path.stat().st_mtime_ns == made
    assert speech.joined(clips[::-1], seconds=7.0, gap_s=0.5).path != whole.path


def test_nothing_cannot_be_joined() -> None:
    with pytest.raises(ValueError, match="nothing to join"):
        speech.joined([], seconds=5.0)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of our own, and no memory of what was fetched before."""
    monkeypatch.setattr(speech, "CACHE", tmp_path)
    for name in ("unavailable", "_unpacked"):
        monkeypatch.setattr(speech, name, getattr(speech, name).__wrapped__)
    return tmp_path


@pytest.mark.usefixtures("empty_cache")
def test_without_apt_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech.shutil, "which", lambda _: None)
    assert "apt-get is not here" in (speech.unavailable() or "")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get is not here"):
        speech.require_speech()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="human speech is needed"):
        speech.require_speech()


def test_a_package_with_another_checksum_is_thrown_away(empty_cache: Path) -> None:
    package = speech.TEXTS["ru"]
    forged = empty_cache / f"{package.name}_{package.version}_all.deb"
    forged.write_bytes(b"something else")
    assert "is not the file that the tests know" in (speech.unavailable() or "")
    assert not forged.exists()
