"""docs/reliability.md tells the truth about its tests: those that it names are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "docs" / "reliability.md"
FAULTS = 63
ROW = re.compile(r"^\| (\d+) \|(.+)\|(.+)\|(.+)\|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def rows() -> dict[int, tuple[str, ...]]:
    return {int(number): tuple(cells) for number, *cells in ROW.findall(PAGE.read_text("utf-8"))}


@cache
def names_in(file: str) -> set[str]:
    tree = ast.parse((PROJECT / file).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_fault_has_its_row() -> None:
    assert sorted(rows()) == list(range(1, FAULTS + 1))


@pytest.mark.parametrize("number", range(1, FAULTS + 1))
def test_what_shows_it_is_there(number: int) -> None:
    shown_by = rows()[number][-1]
    named = TEST.findall(shown_by)
    assert named, f"fault {number} names no test"
    for file, name in named:
        assert (PROJECT / file).is_file(), f"{file} is not there"
        assert not name or name in names_in(file), f"{file} has no {name}"
