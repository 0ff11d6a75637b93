"""Words to sentences: punctuation, pauses, abbreviations, and times that make sense."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.transcript.model import Segment, Word
from modules.transcript.sentences import (
    MAX_SEGMENT_CHARS,
    MAX_SEGMENT_S,
    ends_sentence,
    joined,
    mean_confidence,
    sentences,
)
from modules.transcript.word_times import clean_words, word_of
from tests.builders import a_word


def spoken(text: str, start: float = 0.0, each: float = 0.4) -> list[Word]:
    """Words of equal length, one after the other, with their leading spaces."""
    return [
        a_word(f" {word}", start + each * i, start + each * (i + 1))
        for i, word in enumerate(text.split())
    ]


def texts(words: list[Word], end_s: float = 30.0) -> list[str]:
    return [segment.text for segment in sentences(words, 0.0, end_s, "")]


def test_sentences_end_at_their_punctuation() -> None:
    assert texts(spoken("Да. Нет! Что? «Так.» Ну…")) == ["Да.", "Нет!", "Что?", "«Так.»", "Ну…"]


@pytest.mark.parametrize(
    ("word", "ends"),
    [
        ("дом.", True), ("да!", True), ('so."', True), ("了。", True),
        ("дом", False), ("дом,", False), ("г.", False), ("т.е.", False), ("Dr.", False),
        ("А.", False), ("3.14", False), ("", False), ('"', False),
    ],
)  # fmt: skip
def test_what_closes_a_sentence(word: str, ends: bool) -> None:
    assert ends_sentence(word) is ends


def test_abbreviations_and_initials_do_not_end_a_sentence() -> None:
    text = "В 1837 г. умер А. С. Пушкин, т.е. поэт."
    assert texts(spoken(text)) == [text]


@pytest.mark.parametrize(
    ("word", "following", "ends"),
    [
        ("руб.", "Потом", True), ("руб.", "за", False), ("т.д.", "Итак", True),
        ("т.д.", None, False), ("etc.", "Then", True), ("etc.", "and", False),
        ("тыс.", "Рублей", False), ("Mr.", "Smith", False), ("А.С.", "Пушкин", False),
        ("5.", "апреля", False), ("1945.", "Потом", True), ("так…", "потом", False),
        ("что?", "«Так", True), ("Что?", "— сказал", False), ("3.5", "Процента", False),
        ("了。", "我", True), ("p.m.", "He", True), ("p.m.", "on", False),
        ("«им.", "Ленина", False),
    ],
)  # fmt: skip
def test_the_next_word_tells_whether_a_sentence_has_ended(
    word: str, following: str | None, ends: bool
) -> None:
    assert ends_sentence(word, following) is ends


@pytest.mark.parametrize(
    "text",
    [
        "Это стоит 3.5 тыс. руб. за штуку.",
        "В 2005 г. Москва и т.д. и т.п. изменились.",
        "Dr. Smith paid 2.50 p.m. and left.",
        "Ул. Ленина, д. 5, кв. 7.",
    ],
)
def test_decimals_and_abbreviations_stay_inside_their_sentence(text: str) -> None:
    assert texts(spoken(text)) == [text]


def test_a_long_pause_ends_a_segment_without_punctuation() -> None:
    assert texts([*spoken("раз два"), *spoken("три", start=5.0)]) == ["раз два", "три"]


def test_without_words_the_text_is_one_segment() -> None:
    assert sentences([], 3.0, 9.0, " привет ") == [Segment(start=3.0, end=9.0, text="привет")]
    assert sentences([], 3.0, 9.0, "  ") == []


def test_long_sentences_are_cut_best_at_a_comma() -> None:
    first = "слово " * 14 + "слово, "
    found = texts(spoken(first + "слово " * 15))
    assert found[0] == first.strip()
    assert all(len(text) <= MAX_SEGMENT_CHARS for text in found)


def test_a_word_without_times_keeps_its_place_and_has_none() -> None:
    words = [a_word(" раз", 0.0, 0.5), a_word(" два"), a_word(" три.", 1.0, 1.5)]
    (segment,) = sentences(words, 0.0, 30.0, "")
    assert segment.text == "раз два три."
    assert [word.start for word in segment.words] == [0.0, None, 1.0]
    assert "start" not in segment.model_dump(exclude_none=True)["words"][1]


def test_a_sentence_without_times_leaves_those_after_it_alone() -> None:
    words = [a_word(" Раз.", 0.0, 1.0), a_word(" Два."), a_word(" Три.", 5.0, 6.0)]
    found = sentences(words, 0.0, 30.0, "")
    assert [(s.start, s.end) for s in found] == [(0.0, 1.0), (1.0, 5.0), (5.0, 6.0)]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_times_that_are_no_numbers_are_left_out(bad: float) -> None:
    spoilt = a_word(" раз", 0.0, 1.0).model_copy(update={"start": bad})
    (word,) = clean_words([spoilt], 0.0, 30.0)
    assert (word.word, word.start, word.end, word.confidence) == (" раз", None, None, 0.5)


def test_times_never_run_backwards_and_stay_in_the_chunk() -> None:
    words = [a_word("a", 5.0, 4.0), a_word("b", 1.0, 2.0), a_word("c", 50.0, 60.0)]
    cleaned = clean_words(words, 2.0, 30.0)
    assert [(w.start, w.end) for w in cleaned] == [(5.0, 5.0), (5.0, 5.0), (30.0, 30.0)]


def test_confidence_is_the_mean_of_what_is_known() -> None:
    assert mean_confidence([]) is None
    assert mean_confidence([Word(word="a"), Word(word="b", confidence=0.5)]) == 0.5
    assert mean_confidence([Word(word="a", confidence=0), Word(word="b", confidence=1)]) == 0.5


TIMES = st.none() | st.floats(-5, 40) | st.sampled_from([math.nan, math.inf, -math.inf])
WORDS = st.lists(
    st.builds(
        lambda text, start, end: Word.model_construct(
            word=f" {text}", start=start, end=end, confidence=0.5
        ),
        st.text("абв.,!? г", min_size=1, max_size=12),
        TIMES,
        TIMES,
    ),
    max_size=60,
)


@given(WORDS)
def test_whatever_the_model_says_the_segments_make_sense(words: list[Word]) -> None:
    found = sentences(words, 1.0, 31.0, "")
    kept = "".join(word.word for word in words if word.word.strip())
    assert "".join("".join(s.text.split()) for s in found) == "".join(kept.split())
    earliest = 1.0
    for segment in found:
        assert earliest <= segment.start <= segment.end <= 31.0
        earliest = segment.end
        times = [t for w in segment.words for t in (w.start, w.end) if t is not None]
        assert times == sorted(times)
        assert all(math.isfinite(t) for t in times)
        Segment.model_validate(segment.model_dump())


@given(st.lists(st.floats(0.1, 2.0), min_size=1, max_size=80))
def test_no_segment_grows_without_bound(lengths: list[float]) -> None:
    words, now = [], 0.0
    for length in lengths:
        words.append(a_word(" слово", now, now + length))
        now += length
    for segment in sentences(words, 0.0, now, ""):
        small = segment.end - segment.start <= MAX_SEGMENT_S + 0.01
        assert (small and len(segment.text) <= MAX_SEGMENT_CHARS) or len(segment.words) < 4
    assert joined(words) == " ".join(["слово"] * len(words))


def test_a_word_of_the_aligner_is_moved_to_where_its_chunk_is() -> None:
    timing = {"word": " да", "start": 0.5, "end": 0.9, "probability": 0.87654}
    assert word_of(timing, 30.0) == Word(word=" да", start=30.5, end=30.9, confidence=0.8765)


@pytest.mark.parametrize("key", ["start", "end"])
def test_a_time_that_is_no_number_is_left_out(key: str) -> None:
    timing = {"word": " да", "start": 0.5, "end": 0.9, "probability": 1.5} | {key: float("nan")}
    assert word_of(timing, 30.0) == Word(word=" да", confidence=1.0)


def test_a_confidence_that_is_no_number_is_left_out() -> None:
    timing = {"word": " да", "start": 0.5, "end": 0.9, "probability": float("nan")}
    assert word_of(timing, 0.0).confidence is None
