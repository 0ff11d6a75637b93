"""How a text is cut for a model's window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.summaries.budget import Budget, Line, halves, in_pieces, lines_of, next_part
from tests.builders import a_segment

RUSSIAN, ENGLISH = "Это обычное предложение. " * 40, "This is an ordinary sentence. " * 40


def parts_of(lines: list[Line], room: int) -> list[list[Line]]:
    found, begin = [], 0
    place: int | None = begin
    while place is not None:
        part, place = next_part(lines, place, room)
        found.append(part)
        assert len(found) <= len(lines) + 1, "it goes on"
    return found


def test_until_it_is_measured_russian_has_two_characters_a_token_and_english_three() -> None:
    budget = Budget(4096)
    assert (budget.chars(RUSSIAN), budget.chars(ENGLISH)) == (2.0, 3.0)
    assert budget.room("", RUSSIAN) < 2 * (4096 - budget.answer_tokens)


def test_what_a_server_counted_holds_on_the_safe_side() -> None:
    budget = Budget(4096)
    budget.measure(3000, 1000)
    budget.measure(2500, 1000)
    budget.measure(4000, 1000)
    assert budget.chars(RUSSIAN) == pytest.approx(2.5 * 0.9)
    assert budget.most_chars == 4.0


def test_a_part_ends_where_somebody_else_goes_on_to_speak() -> None:
    lines = [Line(n, "Anna" if n < 8 else "Boris", "и так далее") for n in range(20)]
    (first, *_) = parts_of(lines, sum(len(str(line)) + 1 for line in lines[:10]))
    assert first == lines[:8]


def test_a_part_ends_with_a_sentence() -> None:
    lines = [Line(n, "", "конец." if n == 7 else "и так далее") for n in range(20)]
    (first, *_) = parts_of(lines, sum(len(str(line)) + 1 for line in lines[:9]))
    assert first == lines[:8]


def test_a_line_that_is_too_long_is_cut_at_spaces() -> None:
    pieces = in_pieces([Line(3.0, "Anna", "слово " * 100)], 50)
    assert all(len(piece.text) <= 50 and piece.start == 3.0 for piece in pieces)
    assert " ".join(piece.text for piece in pieces).split() == ["слово"] * 100


def test_halves_are_all_of_it() -> None:
    lines = [Line(n, "", f"{n}.") for n in range(7)]
    first, second = halves(lines)
    assert first + second == lines
    assert first
    assert second


def test_empty_segments_make_no_lines_and_speakers_get_names() -> None:
    segments = [a_segment(0.0, 1.0, " \n "), a_segment(1.0, 2.0, "Да.\nНет.")]
    segments[1] = segments[1].model_copy(update={"speaker": "SPEAKER_00"})
    assert list(map(str, lines_of(segments, "en"))) == ["[00:00:01] Speaker 1: Да. Нет."]
    assert list(map(str, lines_of(segments, "ru"))) == ["[00:00:01] Голос 1: Да. Нет."]


_LINES = st.lists(
    st.tuples(st.sampled_from(["", "Anna", "Boris"]), st.text("аб. ", min_size=1, max_size=120)),
    min_size=1, max_size=60,
)  # fmt: skip


@given(given_lines=_LINES, room=st.integers(40, 2000))
def test_every_line_is_in_a_part_and_no_part_is_too_long(
    given_lines: list[tuple[str, str]], room: int
) -> None:
    lines = [
        Line(float(number), speaker, text)
        for number, (speaker, text) in enumerate(given_lines)
        if text.strip()
    ]
    pieces = in_pieces(lines, room // 2)
    if not pieces:
        return
    parts = parts_of(pieces, room)
    assert {line for part in parts for line in part} == set(pieces)
    for part in parts:
        assert part
        assert len(part) == 1 or sum(len(str(line)) + 1 for line in part) <= room + 1
