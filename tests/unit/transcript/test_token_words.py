"""Words from the tokens of CTC models, as T-one and GigaAM write them."""

from __future__ import annotations

import math

import pytest

from modules.transcript.token_words import Token, words_of

SURE = 0.0


def words(*tokens: Token, end_s: float = 20.0) -> list[tuple[str, float | None, float | None]]:
    return [(w.word, w.start, w.end) for w in words_of(tokens, 10.0, end_s, 0.04)]


def test_a_space_of_its_own_parts_words() -> None:
    found = words(("д", 0.5, SURE), ("а", 0.6, SURE), (" ", 0.8, SURE), ("н", 1.0, SURE))
    assert found == [(" да", 10.5, 10.64), (" н", 11.0, 11.04)]


def test_a_space_at_the_beginning_of_a_token_parts_words() -> None:
    found = words((" Да", 0.5, SURE), (",", 0.7, SURE), (" не", 1.0, SURE), ("т.", 1.2, SURE))
    assert found == [(" Да,", 10.5, 10.74), (" нет.", 11.0, 11.24)]


def test_spaces_alone_are_no_words() -> None:
    assert words((" ", 0.1, SURE), (" ", 0.2, SURE), ("", 0.3, SURE)) == []
    assert words() == []


def test_a_word_ends_with_its_chunk() -> None:
    assert words(("а", 1.99, SURE), end_s=12.0) == [(" а", 11.99, 12.0)]
    assert words(("а", 2.5, SURE), end_s=12.0) == [(" а", 12.0, 12.0)]


def test_the_confidence_is_the_mean_over_the_tokens() -> None:
    tokens = [(" д", 0.0, math.log(0.5)), ("а", 0.1, math.log(0.9)), (" н", 0.2, 0.001)]
    found = [w.confidence for w in words_of(tokens, 0, 1, 0.03)]
    assert found == [pytest.approx(0.7), 1.0]
