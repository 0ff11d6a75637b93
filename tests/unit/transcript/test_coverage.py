"""How much of the speech has words, and words that are too long or begin in silence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.transcript.coverage import out_of_silence, seconds_of, shortened, wordless
from modules.transcript.model import Word
from tests.builders import a_segment, a_word

Times = list[tuple[float | None, float | None]]


def times(words: list[Word]) -> Times:
    return [(word.start, word.end) for word in words]


def longest_s(word: str) -> float:
    return 1.0 + 0.12 * len(word)


# Words that are too long


def test_words_of_a_usual_length_are_left_alone() -> None:
    words = [a_word("раз", 0.0, 0.4), a_word("два", 0.4, 0.9), a_word("три", 2.0, 3.3)]
    assert shortened(words) == words
    assert shortened([]) == []


def test_what_follows_a_word_tells_where_it_ends() -> None:
    words = [a_word("В", 0.0, 7.0), a_word("данный", 7.0, 7.5)]
    assert times(shortened(words)) == [(5.88, 7.0), (7.0, 7.5)]


def test_a_word_before_a_pause_ends_where_it_ended() -> None:
    words = [a_word("да", 0.0, 7.0), a_word("нет", 9.0, 9.5)]
    assert times(shortened(words)) == [(5.76, 7.0), (9.0, 9.5)]


def test_the_last_word_keeps_its_beginning() -> None:
    words = [a_word("и", 0.0, 0.2), a_word("всё", 0.2, 9.0)]
    assert times(shortened(words)) == [(0.0, 0.2), (0.2, 1.56)]


def test_words_of_a_usual_length_never_move() -> None:
    words = [a_word("он", 0.0, 0.5), a_word("был", 0.5, 1.0), a_word("там", 1.0, 9.0)]
    words += [a_word("вчера", 9.0, 9.5)]
    assert times(shortened(words)) == [(0.0, 0.5), (0.5, 1.0), (1.0, 2.36), (9.0, 9.5)]


def test_words_that_touch_one_which_is_moved_stay_beside_it() -> None:
    words = [a_word("раз", 0.0, 4.0), a_word("два", 4.0, 8.0), a_word("три", 8.02, 8.5)]
    assert times(shortened(words)) == [(5.28, 6.64), (6.64, 8.0), (8.02, 8.5)]


def test_a_word_with_many_letters_may_be_long() -> None:
    long = "превосходительство"
    [(start, end)] = times(shortened([a_word(long, 1.0, 20.0)]))
    assert (start, end) == (1.0, pytest.approx(1.0 + longest_s(long)))


def test_words_without_times_stay_without() -> None:
    words = [a_word("а"), a_word("б", 0.0, 9.0), a_word("в"), a_word("г", 9.0, 9.2)]
    found = shortened(words)
    assert [word.word for word in found] == ["а", "б", "в", "г"]
    assert times(found) == [(None, None), (7.88, 9.0), (None, None), (9.0, 9.2)]


SPOKEN = st.lists(st.tuples(st.floats(0, 5), st.floats(0, 12), st.integers(1, 20)), max_size=12)


def in_order(lengths: list[tuple[float, float, int]]) -> list[Word]:
    now, words = 0.0, []
    for gap, length, letters in lengths:
        words.append(a_word("ы" * letters, now + gap, now + gap + length))
        now += gap + length
    return words


@given(SPOKEN)
def test_no_word_is_longer_than_a_word_can_be(lengths: list[tuple[float, float, int]]) -> None:
    words = in_order(lengths)
    found = shortened(words)
    assert [word.word for word in found] == [word.word for word in words]
    latest = 0.0
    for before, after in zip(words, found, strict=True):
        assert before.start is not None
        assert after.start is not None
        assert after.end is not None
        assert latest - 0.002 <= after.start <= after.end + 0.001
        assert after.end - after.start <= longest_s(after.word) + 0.002
        assert after.start >= before.start - 0.001, "nothing begins earlier than it did"
        latest = after.end


# Words in silence


AUDIBLE = ((1.0, 3.0), (6.0, 8.0))


def moved(*words: Word) -> Times:
    return times(out_of_silence(words, AUDIBLE))


def test_a_word_begins_where_sound_begins() -> None:
    assert moved(a_word("да", 0.4, 1.5)) == [(1.0, 1.5)]
    assert moved(a_word("да", 4.8, 6.6)) == [(6.0, 6.6)]


def test_a_word_ends_where_sound_ends() -> None:
    assert moved(a_word("да", 2.5, 4.4)) == [(2.5, 3.0)]


def test_a_word_in_the_sound_is_left_alone() -> None:
    words = (a_word("раз", 1.0, 1.5), a_word("два", 1.5, 3.0), a_word("три", 6.2, 7.9))
    assert moved(*words) == [(1.0, 1.5), (1.5, 3.0), (6.2, 7.9)]


def test_a_word_that_lies_in_silence_begins_with_the_next_sound() -> None:
    [(start, end)] = moved(a_word("да", 4.0, 5.0))
    assert start == 6.0
    assert end is not None
    assert 6.0 <= end <= 6.1


def test_where_no_more_sound_follows_a_word_stays() -> None:
    assert moved(a_word("да", 9.0, 9.5)) == [(9.0, 9.5)]
    assert times(out_of_silence([a_word("да", 1.0, 2.0)], ())) == [(1.0, 2.0)]


def test_a_word_without_times_is_passed_over() -> None:
    assert moved(a_word("а"), a_word("б", 5.0, 6.5)) == [(None, None), (6.0, 6.5)]


@given(SPOKEN, st.lists(st.tuples(st.floats(0.01, 5), st.floats(0.01, 5)), max_size=8))
def test_words_stay_in_order(
    lengths: list[tuple[float, float, int]], gaps: list[tuple[float, float]]
) -> None:
    now, audible = 0.0, []
    for pause, length in gaps:
        audible.append((now + pause, now + pause + length))
        now += pause + length
    words = in_order(lengths)
    found = out_of_silence(words, audible)
    starts = [word.start or 0.0 for word in found]
    assert starts == sorted(starts)
    assert all((word.end or 0.0) >= (word.start or 0.0) for word in found)
    assert [word.word for word in found] == [word.word for word in words]


# Speech without words


def spoken(*spans: tuple[float, float]) -> tuple[Word, ...]:
    return tuple(a_word("да", start, end) for start, end in spans)


def test_speech_with_words_all_over_it_has_no_gap() -> None:
    words = spoken((0.0, 0.5), (0.6, 2.0), (2.5, 5.0))
    assert wordless([(0.0, 5.0)], [a_segment(0, 5, "да да да", words)]) == ()
    assert wordless([], []) == ()


def test_speech_without_any_text() -> None:
    assert wordless([(1.0, 5.0)], []) == ((1.0, 5.0),)
    assert wordless([(1.0, 2.1)], []) == (), "a breath"
    assert wordless([(1.0, 1.7), (2.0, 2.7)], []) == ((1.0, 2.7),), "in a row it is enough"


def test_speech_before_between_and_after_words() -> None:
    segment = a_segment(4, 12, "да да", spoken((4.0, 5.0), (10.0, 12.0)))
    found = wordless([(1.0, 20.0)], [segment])
    assert found == ((1.0, 4.0), (5.0, 10.0), (12.0, 20.0))
    assert seconds_of([(1.0, 20.0)], found) == 16.0


def test_silence_without_words_is_no_gap() -> None:
    segment = a_segment(0, 30, "да да", spoken((0.0, 1.0), (29.0, 30.0)))
    assert wordless([(0.0, 1.5), (28.5, 30.0)], [segment]) == ()
    assert wordless([(0.0, 3.0), (28.5, 30.0)], [segment]) == ((1.0, 29.0),)


def test_a_gap_begins_and_ends_with_speech() -> None:
    segment = a_segment(0, 30, "да да", spoken((0.0, 1.0), (29.0, 30.0)))
    assert wordless([(0.0, 1.0), (10.0, 15.0), (29.0, 30.0)], [segment]) == ((10.0, 15.0),)


def test_a_text_without_times_covers_its_segment() -> None:
    segment = a_segment(2, 8, "да", (a_word("да"),))
    assert wordless([(0.0, 10.0)], [segment]) == ((0.0, 2.0), (8.0, 10.0))


def test_words_that_overlap_or_come_in_any_order_are_counted_once() -> None:
    first = a_segment(0, 6, "а б", spoken((3.0, 6.0), (0.0, 5.0)))
    assert wordless([(0.0, 10.0)], [a_segment(5, 7, "в"), first]) == ((7.0, 10.0),)


def test_seconds_of_speech_in_spans() -> None:
    assert seconds_of([(0.0, 2.0), (4.0, 6.0)], [(1.0, 5.0)]) == 2.0
    assert seconds_of([(0.0, 2.0)], [(3.0, 5.0)]) == 0.0
