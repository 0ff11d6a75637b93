"""What Whisper makes up where nobody speaks, told from what people say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.transcript import quality
from modules.transcript.chunk_text import judged
from modules.transcript.model import Flag, Segment
from modules.transcript.quality import DecodingScores
from tests.builders import a_word

SURE = DecodingScores("Добрый день, чем могу помочь?", 0.0, avg_logprob=-0.2, no_speech_prob=0.05)
SPEECH = ((0.0, 10.0),)
WORDS = (a_word("Добрый", 1.0, 1.4), a_word("день", 1.4, 1.8))
#: What Whisper base said of silence, noise, ring-back tones and music on hold, as measured.
HEARD_IN_NOTHING = [
    "Редактор субтитров А.Синецкая Корректор А.Егорова", "ТЕЛЕФОННЫЙ ЗВОНОК", "ТРЕВОЖНАЯ МУЗЫКА",
    "ДИНАМИЧНАЯ МУЗЫКА ДИНАМИЧНАЯ МУЗЫКА", "Субтитры и Корректор В.Сухиашвили",
    "МУЗЫКАЛЬНАЯ ЗАСТАВКА", "НАПРЯЖЕННАЯ МУЗЫКА", "СПОКОЙНАЯ МУЗЫКА", "ЗВУЧИСКАЯ МУЗЫКА",
    "Редактор субтитров А.Семкин Корректор А.Егорова", "*Музыка*",
    "Субтитры сделал DimaTorzok", "[Music]", "♪ music ♪",
    "Subtitles by the Amara.org community",
]  # fmt: skip


@pytest.mark.parametrize("line", HEARD_IN_NOTHING)
def test_lines_that_only_subtitles_have_are_dropped_however_sure_the_model_is(line: str) -> None:
    found = quality.flags(SURE, line, WORDS, SPEECH)
    assert "filler" in found
    assert quality.is_invented(line, found, SURE)


@pytest.mark.parametrize(
    "line",
    [
        "Субтитры нам прислали вчера.", "Мы заказали редактор и корректор.", "ООО ВЕКТОР",
        "Включите музыку, пожалуйста.", "Телефонный звонок прервал нас.", "МТС",
        "[смех] Да, я согласен, давайте подпишем договор завтра. [смех]", "Кто субтитры сделал?",
        "(laughter) Yes, I sign it tomorrow (applause)", "Редактор субтитров сказал, что готово.",
        "*Музыка* Добрый вечер, дорогие друзья! *музыка*", "ВАШ ЗВОНОК ОЧЕНЬ ВАЖЕН ДЛЯ НАС.",
        "Меня зовут Анна, я редактор субтитров на канале.", "NOISE-CANCELLING HEADPHONES COST 300",
        "We need subtitles by Friday.", "Please write music (loud) for it.", "",
    ],
)  # fmt: skip
def test_what_people_say_is_never_dropped_on_one_witness(line: str) -> None:
    found = quality.flags(SURE, line, WORDS, SPEECH)
    assert not quality.is_invented(line, found, SURE)
    assert found == ()


@pytest.mark.parametrize(
    "line", ["Спасибо за просмотр!", "Thank you.", "Bye. Bye.", "Продолжение следует..."]
)
def test_a_polite_line_stays_if_it_was_said_and_goes_if_nobody_spoke(line: str) -> None:
    assert quality.flags(SURE, line, WORDS, SPEECH) == ()
    silent = replace(SURE, avg_logprob=-1.2, no_speech_prob=0.9)
    assert quality.is_invented(line, quality.flags(silent, line, WORDS, SPEECH), silent)
    away = quality.flags(SURE, line, WORDS, ((20.0, 30.0),))
    assert away == ("outside_speech", "filler")
    assert quality.is_invented(line, away, SURE)
    unsure = replace(SURE, avg_logprob=-1.2)
    mumbled = quality.flags(unsure, line, WORDS, SPEECH)
    assert mumbled == ("low_probability", "filler")
    assert not quality.is_invented(line, mumbled, unsure), "one witness only makes it doubtful"
    odd = replace(SURE, no_speech_prob=0.93)
    assert quality.flags(odd, line, WORDS, SPEECH) == ("no_speech", "filler")
    assert not quality.is_invented(line, ("no_speech", "filler"), odd), "it is sure of its text"


@pytest.mark.parametrize(
    ("figures", "flag"),
    [
        (replace(SURE, text="это это " * 20), "repetition"),
        (replace(SURE, avg_logprob=-1.01), "low_probability"),
        (replace(SURE, avg_logprob=None), "low_probability"),
        (replace(SURE, avg_logprob=-1.1, no_speech_prob=0.61), "no_speech"),
        (replace(SURE, no_speech_prob=0.95), "no_speech"),
    ],
)
def test_what_is_doubtful_is_flagged_and_kept(figures: DecodingScores, flag: Flag) -> None:
    found = quality.flags(figures, "Добрый день", WORDS, SPEECH)
    assert flag in found
    assert not quality.is_invented("Добрый день", found, figures)


@pytest.mark.parametrize("line", ["you", "끝!"])
def test_a_word_in_music_is_dropped_if_there_is_hardly_any_speech(line: str) -> None:
    """What Whisper base said of music on hold when it had to find out the language."""
    segment = Segment(start=1.0, end=1.2, text=line, words=(a_word(line, 1.0, 1.2),))
    silent = replace(SURE, no_speech_prob=0.93)
    kept, dropped = judged([segment], silent, ((1.0, 1.128),))
    assert (kept, [one.text for one in dropped]) == ((), [line])
    for scores, speech in (
        (silent, ((1.0, 1.128), (1.3, 1.5))),  # as long as a short "yes"
        (SURE, ((1.0, 1.128),)),
    ):
        kept, dropped = judged([segment], scores, speech)
        assert (len(kept), dropped) == (1, ()), "one witness only makes it doubtful"


def test_words_where_nobody_speaks_are_flagged() -> None:
    assert quality.flags(SURE, "Добрый день", WORDS, ((1.75, 3.0),)) == ()
    assert quality.flags(SURE, "Добрый день", WORDS, ((5.0, 6.0),)) == ("outside_speech",)
    assert quality.flags(SURE, "Добрый день", (a_word("а"),), ()) == (), "nothing is known of it"


@pytest.mark.parametrize(
    ("text", "loops"),
    [
        ("да " * 8, True), ("да " * 7, False), ("ну да, " * 4, True), ("ну да " * 3, False),
        ("я не знаю что делать. " * 4, True), ("я не знаю что делать. " * 3, False),
        ("один два три четыре пять шесть семь восемь девять десять", False),
        ("Спасибо! спасибо, СПАСИБО. " * 3, True), ("", False),
    ],
)  # fmt: skip
def test_a_text_that_repeats_itself(text: str, loops: bool) -> None:
    assert quality.has_loop(text.split()) is loops


@given(st.lists(st.sampled_from("абвгд"), max_size=30))
def test_a_text_without_repeats_has_no_loop(words: list[str]) -> None:
    distinct = [f"{word}{i}" for i, word in enumerate(words)]
    assert not quality.has_loop(distinct)
    assert quality.has_loop([*distinct, *["раз", "два"] * 4])


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        (SURE, False),
        (replace(SURE, avg_logprob=-1.2), True),
        (replace(SURE, text="слово " * 60), True),
        (replace(SURE, avg_logprob=-1.2, no_speech_prob=0.9), False),
    ],
)
def test_another_temperature_is_tried_as_in_whispers_recipe(
    figures: DecodingScores, expected: bool
) -> None:
    assert figures.should_retry is expected


def test_the_temperatures_that_are_tried() -> None:
    loop = replace(SURE, text="слово " * 60)
    assert quality.temperatures(loop) == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert quality.temperatures(replace(loop, temperature=0.4)) == [0.6, 0.8, 1.0]
    assert quality.temperatures(replace(loop, temperature=0.5)) == [0.6, 0.8, 1.0]
    assert quality.temperatures(replace(loop, temperature=1.0)) == []
    assert quality.temperatures(replace(SURE, avg_logprob=-2.0)) == [0.2]


def test_of_doubtful_texts_the_likeliest_straight_one_is_kept() -> None:
    loop = replace(SURE, text="слово " * 60, avg_logprob=-0.1)
    unsure, worse = replace(SURE, avg_logprob=-1.5), replace(SURE, avg_logprob=-2.5)
    assert quality.best([loop, worse, unsure]) == 2
    assert quality.best([replace(loop, avg_logprob=-0.9), loop]) == 1
    assert quality.best([replace(worse, avg_logprob=None), worse]) == 1


def test_a_text_that_fills_its_room_overflows_unless_it_repeats_itself() -> None:
    assert replace(SURE, truncated=True).overflows
    assert not replace(SURE, text="слово " * 60, truncated=True).overflows


def test_compression_ratio_is_whispers() -> None:
    assert quality.compression_ratio("") == 0
    assert quality.compression_ratio("раз два три") < 1
    assert quality.compression_ratio("раз два три " * 30) > quality.MAX_COMPRESSION_RATIO
