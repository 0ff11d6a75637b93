"""Tables on a terminal: names are whole, and remarks have the room that there is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest

from modules.cli.terminal import tables

HEAD = ("NAME", "STATE", "WHEN", "")
REASON = "This is no recording: none of the known kinds of audio or video begins like this."
ROWS = [
    ("talk.mp3", "completed", "2026-11-28 10:05", ""),
    ("shopping list.mp3", "manual", "2026-11-28 10:06", REASON),
]


Drawn = Callable[..., list[str]]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Drawn:
    def draw(width: int, rows: Sequence[tuple[str, ...]] = ROWS) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        tables.show(HEAD, rows)
        plain = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
        return [line.rstrip() for line in plain.splitlines()]

    return draw


def test_a_remark_is_beside_its_row_where_there_is_room(drawn: Drawn) -> None:
    lines = drawn(160)
    assert any("shopping list.mp3" in line and REASON in line for line in lines)


def test_a_remark_is_below_the_name_where_there_is_no_room(drawn: Drawn) -> None:
    lines = drawn(80)
    place = next(n for n, line in enumerate(lines) if line.startswith("shopping list.mp3"))
    assert lines[place].endswith("2026-11-28 10:06")
    assert lines[place + 1].startswith("  This is no recording: none of")
    assert all(len(line) <= 80 for line in lines)
    assert " ".join(" ".join(lines[place + 1 :]).split()) == REASON


def test_without_remarks_there_is_no_column_for_them(drawn: Drawn) -> None:
    head, rule, row = drawn(160, ROWS[:1])
    assert head.split() == ["NAME", "STATE", "WHEN"]
    assert len(rule) == len(row)
