"""The rest of a text of which some was sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.api.openai.stream import remaining


@pytest.mark.parametrize(
    ("sent", "whole", "rest"),
    [
        ("", "", ""),
        ("", "Да. Нет.", "Да. Нет."),
        ("Да.", "Да. Нет.", " Нет."),
        ("Да. Нет.", "Да. Нет.", ""),
        ("日本 слово", "日本слово да", " да"),
        ("e-mail да", "e -mail да нет", " нет"),
        ("Да.", "Нет.", None),
        ("Да. Нет.", "Да.", None),
    ],
)
def test_the_rest_of_a_text(sent: str, whole: str, rest: str | None) -> None:
    assert remaining(sent, whole) == rest


@given(st.lists(st.text("аб \u65e5", min_size=1)), st.integers(0, 50))
def test_spaces_may_come_and_go(words: list[str], cut: int) -> None:
    whole = " ".join(words)
    sent = "".join(whole[:cut].split())
    rest = remaining(sent, whole)
    assert rest is not None
    assert "".join((sent + rest).split()) == "".join(whole.split())
