"""What is made of a model's answers, whatever is in them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.summaries.notes import Item, Notes, groups, parsed, together, without_thinking

ANSWER = '{"points": [{"time": "0:00:05", "text": "Да."}], "summary": "О чём-то."}'


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER,
        f"```json\n{ANSWER}\n```",
        f"Sure! {{not json}} Here it is: {ANSWER} Anything else?",
        f'{{"result": {ANSWER}}}',
    ],
)
def test_the_json_is_found_in_what_is_written_around_it(answer: str) -> None:
    notes = parsed(answer, 0.0, 60.0)
    assert notes is not None
    assert notes.points == (Item("Да.", 5.0),)
    assert notes.overview == "О чём-то."


@pytest.mark.parametrize("answer", ["", "Sorry.", "{}", "[1]", '{"points": 5}', "{" * 5000])
def test_what_has_no_notes_is_no_answer(answer: str) -> None:
    assert parsed(answer, 0.0, 60.0) is None


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("0:01:05", 65.0), ("1:05", 65.0), ("[00:01:05]", 65.0), (65, 65.0), (65.5, 65.5),
        ("1:01:05", None), ("soon", None), (None, None), (True, None), (-70, None), ("65", None),
        (float("inf"), None), ([], None),
    ],
)  # fmt: skip
def test_a_time_that_cannot_be_is_not_believed(time: object, seconds: float | None) -> None:
    answer = json.dumps({"points": [{"time": time, "text": "Да."}]})
    notes = parsed(answer, 0.0, 120.0)
    assert notes is not None
    assert notes.points == (Item("Да.", seconds),)


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("<think>Hm.</think>Да.", "Да."),
        ("Hm.</think>Да.", "Да."),
        ("<THINKING>a</THINKING> Да. <think>and", "Да."),
        ("<think>without an end", ""),
        ("Да.", "Да."),
    ],
)
def test_thoughts_are_left_out(said: str, left: str) -> None:
    assert without_thinking(said) == left


def test_control_characters_and_lines_are_made_one_line() -> None:
    notes = parsed('{"tasks": [{"text": "a\\n\\u0000b\\u202ec", "who": "x\\ty"}, "d", 5]}', 0, 9)
    assert notes is not None
    assert notes.tasks == (Item("a b c", None, "x y"), Item("d"))


def test_groups_have_all_of_it_and_fit() -> None:
    notes = Notes(points=tuple(Item(f"Пункт {n}.", float(n)) for n in range(50)))
    parts = groups(notes, 400)
    assert len(parts) > 3
    assert together(parts) == notes
    assert all(len(part.as_json()) <= 400 for part in parts)


@given(answer=st.text() | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["points", "tasks", "summary", "text", "time", "who"]), inner),
).map(json.dumps))  # fmt: skip
def test_no_answer_is_too_odd(answer: str) -> None:
    notes = parsed(without_thinking(answer), 0.0, 100.0)
    assert notes is None or json.loads(notes.as_json()) is not None
