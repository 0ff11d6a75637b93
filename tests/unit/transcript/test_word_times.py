"""Times of words held against where speech is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.transcript.model import Word
from modules.transcript.word_times import snapped
from tests.builders import a_word

SPEECH = ((1.0, 2.0), (4.0, 5.0))


def times(*words: Word) -> list[tuple[float | None, float | None]]:
    return [(word.start, word.end) for word in snapped(words, SPEECH)]


def test_a_word_does_not_begin_in_the_silence_before_it() -> None:
    (early,) = times(a_word("да", 2.4, 4.3))
    assert early == (4.0, pytest.approx(4.335))


def test_a_word_does_not_last_into_the_silence_after_it() -> None:
    first, second = times(a_word("да", 1.2, 3.9), a_word("нет", 3.9, 4.4))
    assert first == (pytest.approx(1.235), 2.0)
    assert second == (4.0, pytest.approx(4.435))


def test_the_last_word_before_a_pause_lasts_until_it() -> None:
    first, second, last = times(
        a_word("раз", 1.0, 1.4), a_word("два", 1.4, 1.8), a_word("три", 4.1, 4.3)
    )
    assert first[1] == pytest.approx(1.435), "another word follows before the pause"
    assert second[1] == 2.0
    assert last[1] == pytest.approx(4.335), "too far away to be its sound"


def test_attention_looks_ahead_also_where_no_speech_was_found() -> None:
    words = [a_word("а", 2.5, 3.0), a_word("б"), a_word("в", 8.0, 9.0)]
    assert times(*words) == [(2.535, 3.035), (None, None), (8.035, 9.035)]
    assert snapped(words, ()) == snapped(words, SPEECH)


@given(
    st.lists(st.tuples(st.floats(0, 2), st.floats(0, 1)), max_size=20),
    st.lists(st.tuples(st.floats(0.16, 3), st.floats(0.1, 4)), max_size=8),
)
def test_order_is_kept(gaps: list[tuple[float, float]], regions: list[tuple[float, float]]) -> None:
    now, words = 0.0, []
    for gap, length in gaps:
        words.append(a_word("слово", now + gap, now + gap + length))
        now += gap + length
    now, speech = 0.0, []
    for pause, length in regions:
        speech.append((now + pause, now + pause + length))
        now += pause + length
    found = snapped(words, speech)
    assert [word.word for word in found] == [word.word for word in words]
    starts = [word.start or 0.0 for word in found]
    assert starts == sorted(starts)
    assert all((word.end or 0.0) >= (word.start or 0.0) for word in found)
