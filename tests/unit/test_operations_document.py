"""docs/operations.md has every line that the log can show, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from modules.jobs.job import Cause, Status
from modules.jobs.scheduler import StopReason

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "docs" / "operations.md"
LEVELS = {"info": "INFO", "warning": "WARNING", "error": "ERROR", "exception": "ERROR"}
#: What `%s`, `%d` or `{error}` stands for in the page: a word in capitals.
PLACE = "[A-Z]+"
DIRECTIVE = re.compile(r"(?:%(?:\.\d)?[sdfr])+")
#: Who gives a reason for a step of a recording: the function, and which argument it is.
REASONS = {"release": 2, "wake": 1, "_transition": 2, "_tell": 1, "put_back": 1, "_wait": 1}


@dataclass(frozen=True)
class Line:
    """A line of the log as the code has it; ``pattern`` is what the page may say for it."""

    part: str
    level: str
    template: str

    @property
    def pattern(self) -> str:
        texts = [re.escape(text.replace("%%", "%")) for text in DIRECTIVE.split(self.template)]
        return PLACE.join(texts)


def modules() -> Iterator[ast.Module]:
    for file in sorted((PROJECT / "modules").rglob("*.py")):
        yield ast.parse(file.read_text("utf-8"))


def part_of(tree: ast.Module) -> str | None:
    """The name that a file logs under: ``log = get_logger("Runner")``."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("get_logger("):
            assert ast.unparse(node.targets[0]) == "log", "a logger is called log"
            assert isinstance(node.value, ast.Call)
            return str(ast.literal_eval(node.value.args[0]))
    return None


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr, node


def lines_of(tree: ast.Module) -> Iterator[Line]:
    part = part_of(tree)
    for name, call in calls(tree):
        assert isinstance(call.func, ast.Attribute)
        if ast.unparse(call.func.value) == "log" and name in LEVELS:
            assert part, "a file that logs has a logger of its own"
            yield Line(part, LEVELS[name], ast.literal_eval(call.args[0]))


@cache
def logged() -> frozenset[Line]:
    return frozenset(line for tree in modules() for line in lines_of(tree))


def told() -> set[tuple[str, str, str]]:
    """(part, line, level) of each row of the page."""
    rows = set()
    for section in re.split(r"^### ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        part = section.partition("]")[0].removeprefix("[")
        for line, level in re.findall(r"^\| `(.+?)` \| ([A-Z]+) \| \S", section, re.MULTILINE):
            rows.add((part, line, level))
    return rows


def is_told(line: Line) -> bool:
    return any(
        (part, level) == (line.part, line.level) and re.fullmatch(line.pattern, shown)
        for part, shown, level in told()
    )


# --- the lines ----------------------------------------------------------------------------------


def test_there_are_lines_at_all() -> None:
    assert len(logged()) > 60, "the log calls were not found"
    assert len(told()) > 60, "the tables were not found"


def test_every_line_of_the_log_is_explained() -> None:
    assert [line for line in logged() if not is_told(line)] == []


def test_no_line_is_explained_that_the_log_does_not_have() -> None:
    unknown = [
        row
        for row in told()
        if not any(
            (row[0], row[2]) == (line.part, line.level) and re.fullmatch(line.pattern, row[1])
            for line in logged()
        )
    ]
    assert unknown == []


@pytest.mark.parametrize(
    ("shown", "is_right"),
    [
        ("Started WhisperX (PID NUMBER)", True),
        ("Started WhisperX (PID 17)", False),
        ("Started WhisperX", False),
    ],
)
def test_a_row_must_be_the_line_but_for_what_changes(shown: str, is_right: bool) -> None:
    line = Line("AudioProcessor", "INFO", "Started WhisperX (PID %d)")
    assert bool(re.fullmatch(line.pattern, shown)) is is_right


# --- the reasons in the scheduler's line --------------------------------------------------------


def texts_in(node: ast.expr) -> Iterator[str]:
    """The patterns of what an argument may be, as far as it is written there."""
    if isinstance(node, ast.IfExp):
        yield from texts_in(node.body)
        yield from texts_in(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from texts_in(value)
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "str":
        yield from texts_in(node.args[0])
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield re.escape(node.value)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(
            re.escape(str(part.value)) if isinstance(part, ast.Constant) else PLACE
            for part in node.values
        )


def given_reasons() -> set[str]:
    found = {re.escape(str(reason)) for reason in (*StopReason, *Cause)}
    for tree in modules():
        for name, call in calls(tree):
            if name in REASONS and len(call.args) > REASONS[name]:
                found |= set(texts_in(call.args[REASONS[name]]))
    # The runner words this one before it hands it over.
    return found | {rf"{PLACE} s of audio in {PLACE} s"}


def told_reasons() -> list[str]:
    table = PAGE.read_text("utf-8").partition("| reason | the recording |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `(.+?)` \| \S", table, re.MULTILINE)


def test_every_reason_for_a_step_is_explained_and_no_other() -> None:
    assert len(told_reasons()) > 15
    given = given_reasons()
    assert [g for g in given if not any(re.fullmatch(g, t) for t in told_reasons())] == []
    assert [t for t in told_reasons() if not any(re.fullmatch(g, t) for g in given)] == []


def test_every_status_is_named() -> None:
    row = next(shown for shown in PAGE.read_text("utf-8").splitlines() if "`NAME: STATUS" in shown)
    assert [status for status in Status if f"`{status}`" not in row] == []
