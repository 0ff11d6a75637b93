"""The packages are as planned: few floors, no circles, short files, and a picture that is true."""

from __future__ import annotations

import ast
import re
import statistics
from pathlib import Path

import pytest

from docs.draw_architecture import (
    ENTRY,
    GROUND,
    PICTURE,
    PROJECT,
    drawn,
    floors,
    imports,
    packages,
    svg,
)

MODULES = PROJECT / "modules"
PAGE = (PROJECT / "docs" / "architecture.md").read_text("utf-8")
#: What a journey through the program may take.
STATIONS_MAX = 8
FILES = sorted(MODULES.rglob("*.py"))
#: The ground files and the start script are floors too.
FLOORS_MAX = 11
FILE_LINES_MAX, FUNCTION_LINES_MAX, MEDIAN_MAX = 300, 40, 120


def lines(path: Path) -> int:
    return path.read_text("utf-8").count("\n")


def too_long(tree: ast.AST) -> list[str]:
    return [
        f"{node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno
        and node.end_lineno - node.lineno >= FUNCTION_LINES_MAX
    ]


def shared_privates(tree: ast.AST) -> list[str]:
    return [
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("modules")
        for alias in node.names
        if alias.name.startswith("_") and not alias.name.startswith("__")
    ]


def test_there_are_few_floors() -> None:
    assert max(floors(imports()).values()) + 1 <= FLOORS_MAX
    assert len(imports()) == len(packages()) + 1 > 20


def test_a_circle_is_found() -> None:
    with pytest.raises(ValueError, match="a -> b -> a is a circle"):
        floors({"a": frozenset("b"), "b": frozenset("a")})


def test_what_follows_from_other_imports_is_not_drawn() -> None:
    graph = {"a": frozenset("bc"), "b": frozenset("c"), "c": frozenset()}
    assert drawn(graph) == [("a", "b"), ("b", "c")]
    assert floors(graph) == {"a": 3, "b": 2, "c": 1}


def test_the_picture_is_drawn_from_the_imports_of_today() -> None:
    assert PICTURE.read_text("utf-8") == svg(imports()), "run python -m docs.draw_architecture"


def test_only_the_ground_lies_in_the_root() -> None:
    assert {path.stem for path in MODULES.glob("*.py")} == {"__init__", *GROUND}
    assert (PROJECT / ENTRY).is_file()


def test_files_are_short() -> None:
    assert {str(path): lines(path) for path in FILES if lines(path) > FILE_LINES_MAX} == {}
    assert statistics.median(map(lines, FILES)) < MEDIAN_MAX


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(MODULES)))
def test_functions_are_short_and_what_is_private_stays_at_home(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    assert too_long(tree) == []
    assert shared_privates(tree) == []


@pytest.mark.parametrize("package", packages())
def test_a_package_says_what_it_owns_and_where_to_begin(package: str) -> None:
    text = (MODULES / package / "__init__.py").read_text("utf-8")
    if package == "worker":
        assert text == "", "the child ties its life to its parent's before it imports anything"
        return
    tree = ast.parse(text)
    said = ast.get_docstring(tree) or ""
    assert len(tree.body) == 1
    first = said.partition("Open ``")[2].partition("``")[0]
    assert first, "it does not say which file to open first"
    assert (MODULES / package / first).is_file()


def part_of_page(heading: str) -> str:
    return PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def test_the_page_names_each_package_and_the_file_to_open_first() -> None:
    rows = re.findall(
        r"^\| `(\w+)/` \| .* \| `(\w+\.py)` \|$", part_of_page("The packages"), re.MULTILINE
    )
    assert sorted(name for name, _ in rows) == packages()
    for name, first in rows:
        said = (MODULES / name / "__init__.py").read_text("utf-8")
        assert f"Open ``{first}`` first" in said or name == "worker", name


def test_the_files_that_the_page_names_are_there() -> None:
    named = set(re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`", PAGE))
    known = {place for place in named if place.split("/")[0] in packages()}
    assert len(known) > 30
    assert sorted(place for place in known if not (MODULES / place).exists()) == []


def test_a_journey_has_few_stations() -> None:
    journeys = part_of_page("Three journeys").split("\n**")[1:]
    assert len(journeys) == 3
    for journey in journeys:
        assert 4 <= len(re.findall(r"^\d+\. ", journey, re.MULTILINE)) <= STATIONS_MAX


def test_the_boxes_of_the_picture_are_packages() -> None:
    picture = (PROJECT / "docs" / "pictures" / "architecture.svg").read_text("utf-8")
    boxes = re.findall(r'<rect class="box".*\n  <text class="name".*?>(.+?)</text>', picture)
    assert len(boxes) > 10
    assert {name for box in boxes for name in box.split(", ")} <= set(packages())
