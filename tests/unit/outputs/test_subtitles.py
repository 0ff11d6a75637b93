"""Cues by the rules of the trade, and a checker of files that can fail."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.outputs import cues as cues_module
from modules.outputs.cues import Cue, cues
from modules.outputs.line_breaks import speaker_name, units, width
from modules.outputs.subtitles import subtitles
from modules.transcript.model import Segment, Word
from tests.builders import a_segment, a_word
from tests.subtitle_checks import check_subtitles, read


def said(text: str, start: float = 0.0, each: float = 0.5, speaker: str | None = None) -> Segment:
    """A segment in which every word takes ``each`` seconds."""
    words = tuple(
        a_word(word, round(start + each * i, 3), round(start + each * (i + 1), 3))
        for i, word in enumerate(text.split())
    )
    segment = a_segment(start, round(start + each * len(words), 3), text, words)
    return segment.model_copy(update={"speaker": speaker})


def texts(found: list[Cue]) -> list[str]:
    return [cue.text for cue in found]


def checked(segments: list[Segment], duration_s: float = math.inf) -> list[Cue]:
    for form in ("srt", "vtt"):
        written = subtitles(segments, form, duration_s)
        assert not check_subtitles(written, form, segments, duration_s), written
    return list(cues(segments, duration_s))


def test_nothing_said_is_nothing_shown() -> None:
    assert list(cues([])) == list(cues([a_segment(0.0, 1.0, "  ")])) == []


def test_a_sentence_that_fits_is_one_cue() -> None:
    (cue,) = checked([said("Раз два три.")])
    assert (cue.start, cue.end, cue.text) == (0.0, 1.5, "Раз два три.")


def test_sentences_of_their_own_stay_apart() -> None:
    both = [said("Сегодня мы говорим о погоде."), said("Завтра будет другая тема.", 2.7)]
    assert texts(checked(both)) == [both[0].text, both[1].text]


def test_short_sentences_are_shown_together() -> None:
    short = [said("Да.", 0.0, 0.3), said("Нет.", 0.4, 0.3), said("Ну хорошо.", 0.8, 0.3)]
    assert texts(checked(short)) == ["Да. Нет. Ну хорошо."]


def test_short_sentences_far_apart_are_not() -> None:
    found = checked([said("Да.", 0.0, 0.3), said("Нет.", 4.0, 0.3)])
    assert [(cue.start, cue.end) for cue in found] == [(0.0, 1.0), (4.0, 5.0)]


def test_long_sentences_are_cut_at_clauses() -> None:
    text = (
        "Она долго смотрела в окно на тёмную улицу под дождём, "
        "хотя никого там уже не было видно в такую погоду."
    )
    found = checked([said(text, each=0.35)])
    assert [cue.text.replace("\n", " ") for cue in found] == [text[:53], text[54:]]


@pytest.mark.parametrize(
    "text",
    [
        "Мы много раз читали стихи великого русского поэта А. С. Пушкина на вечерах в нашей школе",
        "The old man walked slowly across the long wooden bridge over the river into the dark town",
        "Мой знакомый из соседнего дома рассказал про поездку в горы на старой машине и про море",
    ],
)
def test_no_cue_and_no_line_ends_in_a_preposition_or_an_initial(text: str) -> None:
    ends = [line.split()[-1] for cue in checked([said(text)]) for line in cue.text.split("\n")]
    assert not {"А.", "С.", "the", "over", "into", "в", "на", "и", "про", "из"} & set(ends)


def test_the_upper_line_is_rather_the_shorter() -> None:
    (cue,) = checked([said("Красивая белая кошка тихо спала под самой крышей дома", each=0.4)])
    upper, lower = cue.text.split("\n")
    assert len(upper) <= len(lower) <= 42


def test_fast_speech_stays_on_in_the_silence_after_it() -> None:
    text = "Сорок тысяч обезьян в рот сунули банан"
    fast = said(text, each=0.1)
    assert [cue.end for cue in checked([fast])] == [len(text) / 20]
    assert [cue.end for cue in checked([fast], 1.5)] == [1.5], "but not beyond the recording"
    found = checked([fast, said("Потом всё было совсем хорошо", 1.8)])
    assert found[0].end == found[1].start == 1.8, "nor over the next cue"


def test_a_word_that_never_ends_goes_after_seven_seconds() -> None:
    assert [(c.start, c.end) for c in checked([said("Ааааа", each=30.0)])] == [(0.0, 7.0)]


def test_a_pause_parts_even_a_sentence() -> None:
    words = (*said("Мы пошли").words, *said("домой вечером.", 4.0).words)
    found = checked([a_segment(0.0, 5.0, "Мы пошли домой вечером.", words)])
    assert texts(found) == ["Мы пошли", "домой вечером."]


def test_speakers_never_share_a_line() -> None:
    talk = [said("Ты пришёл?", 0.0, 0.3, "SPEAKER_00"), said("Да.", 0.7, 0.2, "SPEAKER_01")]
    assert subtitles(talk, "srt") == (
        "1\n00:00:00,000 --> 00:00:02,000\n- Speaker 1: Ты пришёл?\n- Speaker 2: Да.\n\n"
    )
    assert "<v Speaker 1>- Ты пришёл?</v>\n<v Speaker 2>- Да.</v>\n" in subtitles(talk, "vtt")
    assert "- Голос 1: Ты пришёл?\n- Голос 2: Да.\n" in subtitles(talk, "srt", language="ru")
    assert "<v Голос 1>- Ты пришёл?</v>" in subtitles(talk, "vtt", language="ru")
    assert len(checked(talk)) == 1


def test_speakers_who_say_more_have_cues_of_their_own() -> None:
    talk = [
        said("Расскажите нам, пожалуйста, о себе.", 0.0, 0.5, "SPEAKER_00"),
        said("Меня зовут Анна, я живу в Москве.", 2.6, 0.5, "SPEAKER_01"),
        said("И работаю врачом.", 6.5, 0.5, "SPEAKER_01"),
    ]
    checked(talk)
    written = subtitles(talk, "srt")
    assert [written.count(f"Speaker {i}:") for i in (1, 2)] == [1, 1], "only where it changes"
    assert "-->" in written
    assert "- Speaker" not in written


def test_words_may_have_speakers_of_their_own() -> None:
    words = tuple(
        word.model_copy(update={"speaker": label})
        for word, label in zip(said("Кто там это я").words, "AABB", strict=True)
    )
    assert [u.speaker for u in units([a_segment(0.0, 2.0, "Кто там это я", words)])] == list("AABB")


def test_names_of_speakers() -> None:
    assert speaker_name("SPEAKER_00") == "Speaker 1"
    assert speaker_name("SPEAKER_11") == "Speaker 12"
    assert speaker_name("Анна\n{\\b}  К.") == "Анна (/b) К."


def test_signs_without_spaces_get_none_and_count_twice() -> None:
    text = "今日はいい天気ですね。明日は雨が降るかもしれませんので、傘を持って行ってください。"
    found = checked([a_segment(0.0, 12.0, text), a_segment(12.0, 24.0, text)])
    assert "".join(cue.text for cue in found).replace("\n", "") == text * 2
    assert max(width(line) for cue in found for line in cue.text.split("\n")) <= 42
    assert found[0].text.split("\n")[0] == "今日はいい天気ですね。", "cut at the sentence"


def test_an_endless_word_is_cut_to_lines() -> None:
    address = "https://example.org/" + "очень-длинный-адрес/" * 8
    found = checked([said(f"Смотрите {address} там", each=4.0)])
    assert "".join("".join(texts(found)).split()) == f"Смотрите{address}там"


def test_words_without_times_stand_between_their_neighbours() -> None:
    words = (a_word("В", 0.0, 0.5), a_word("2024"), a_word("году", 2.5, 3.0))
    found = units([a_segment(0.0, 3.0, "В 2024 году", words)])
    assert [(u.text, u.start, u.end) for u in found] == [
        ("В", 0.0, 0.5), ("2024", 0.5, 2.5), ("году", 2.5, 3.0)
    ]  # fmt: skip


def test_subtitles_go_on_after_a_hundred_hours() -> None:
    late = [said("Мы всё ещё здесь.", 360_000.0)]
    assert "100:00:00,000 --> 100:00:02,000" in subtitles(late, "srt")
    assert "100:00:00.000 --> 100:00:02.000" in subtitles(late, "vtt")
    checked(late)


# --- what always holds ---

WORDS = st.text("абвг今天ท,.!?-—{}\\<>&1", min_size=1, max_size=12) | st.sampled_from(
    ["и", "в", "the", "А.", "Да.", "5", "конец.", "слово", "потом,", "х" * 60, "«Эй»", "今日は"]
)
SPOKEN = st.tuples(WORDS, st.floats(0.0, 1.5), st.floats(0.0, 0.2) | st.floats(0.0, 4.0))
SEGMENTS = st.lists(
    st.tuples(
        st.lists(SPOKEN, min_size=1, max_size=25),
        st.sampled_from([None, "SPEAKER_00", "SPEAKER_01", "SPEAKER_01"]),
        st.sampled_from(["timed", "timed", "timed", "some", "none"]),
        st.sampled_from([" ", " ", ""]),
    ),
    max_size=6,
)


def built(drawn: list[Any]) -> tuple[list[Segment], float]:
    segments: list[Segment] = []
    now = 0.0
    for spoken, speaker, timing, space in drawn:
        begin = now
        words: list[Word] = []
        for text, lasts, pause in spoken:
            timed = timing == "timed" or (timing == "some" and len(words) % 3 != 1)
            end = round(now + lasts, 3)
            words.append(Word(word=text, start=now, end=end) if timed else Word(word=text))
            last, now = end, round(end + pause, 3)
        text = space.join(word.word for word in words)
        kept = () if timing == "none" else tuple(words)
        segments.append(Segment(start=begin, end=last, text=text, words=kept, speaker=speaker))
    return segments, now


@given(SEGMENTS, st.booleans())
def test_whatever_is_said_the_files_keep_the_rules(drawn: list[Any], endless: bool) -> None:
    segments, end = built(drawn)
    checked(segments, math.inf if endless else end)


@given(SEGMENTS)
def test_cues_follow_each_other(drawn: list[Any]) -> None:
    segments, end = built(drawn)
    found = list(cues(segments, end))
    assert all(cue.start < cue.end for cue in found)
    assert all(before.end <= after.start for before, after in itertools.pairwise(found))


def test_a_long_talk_is_set_as_if_all_of_it_were_weighed_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sentence = "Сегодня мы говорим о погоде, потому что лето совсем близко и все едут к морю."
    pauses = [0.3, 1.2, 0.1, 4.0, 0.8, 9.0]
    segments: list[Segment] = []
    for number in range(120):
        start = segments[-1].end + pauses[number % len(pauses)] if segments else 0.0
        segments.append(said(sentence, round(start, 3), 0.2 + number % 3 / 10))
    monkeypatch.setattr(cues_module, "_STRETCH_WORDS", 10**9)
    together = checked(segments)
    monkeypatch.setattr(cues_module, "_STRETCH_WORDS", 20)
    assert checked(segments) == together


@given(SEGMENTS, st.booleans())
def test_cues_of_short_stretches_follow_each_other(drawn: list[Any], endless: bool) -> None:
    segments, end = built(drawn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cues_module, "_STRETCH_WORDS", 1)
        found = cues(segments, math.inf if endless else end)
        assert all(before.end <= after.start for before, after in itertools.pairwise(found))


# --- the checker can fail ---

TALK = [
    said("Сегодня мы говорим о погоде и море,", 0.0, 0.4),
    said("потому что лето уже совсем близко.", 3.0, 0.4),
    said("2024", 8.0, 1.0),
]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("погоде", "погоде\nи\nещё", "has 4 lines"),
        ("\nпотому что", "\nпотому что" + " очень" * 8, "a line of"),
        ("море,", "горе,", "the text differs"),
        ("2024", "2025", "the text differs"),
        ("00:00:00,000 -->", "00:00:08,500 -->", "begins before"),
        ("00:00:08,000 -->", "00:00:05,000 -->", "overlaps"),
        ("00:00:08,000 -->", "00:00:07,000 -->", "before it is said"),
        ("--> 00:00:09,000", "--> 00:00:08,000", "ends at"),
        ("--> 00:00:09,000", "--> 00:00:16,000", "lasts 8.000 s"),
        ("--> 00:00:09,000", "--> 00:00:11,000", "the recording at"),
        ("--> 00:00:09,000", "--> 00:00:08,500", "could stay longer"),
    ],
)
def test_the_checker_finds(old: str, new: str, problem: str) -> None:
    sound = subtitles(TALK, "srt", 10.0)
    assert check_subtitles(sound, "srt", TALK, 10.0) == []
    assert old in sound
    broken = sound.replace(old, new)
    assert any(problem in found for found in check_subtitles(broken, "srt", TALK, 10.0))


def test_the_checker_finds_what_should_have_been_joined() -> None:
    short = [said("Да.", 0.0, 0.3), said("Нет, спасибо большое.", 0.4, 0.4)]
    apart = (
        "1\n00:00:00,000 --> 00:00:00,400\nДа.\n\n"
        "2\n00:00:00,400 --> 00:00:01,600\nНет, спасибо большое.\n\n"
    )
    (problem,) = check_subtitles(apart, "srt", short, 5.0)
    assert "cues 1 and 2 joined would do" in problem


def test_the_checker_reads_a_number_in_the_last_line() -> None:
    assert [cue.lines for cue in read("1\n00:00:00,000 --> 00:00:01,000\na\n7\n\n", "srt")] == [
        ("a", "7")
    ]
