"""Draw ``docs/pictures/packages.svg`` from the imports: ``python -m docs.draw_architecture``.

The picture shows each package on its floor, with the packages that it imports directly and reaches
in no other way. A test compares it with the code, so it cannot go out of date.
"""

from __future__ import annotations

import ast
import html
import itertools
import re
import textwrap
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import grimp

PROJECT = Path(__file__).resolve().parent.parent
PICTURE = PROJECT / "docs" / "pictures" / "packages.svg"
#: The start script stands above all packages.
ENTRY = "transcriber.py"
#: Files that lie in ``modules/`` itself; every package may import them.
GROUND = ("clock", "errors", "logger", "messages")

Graph = Mapping[str, frozenset[str]]

_BOX = (150, 56)
_GAP = (14, 38)
#: The width that a line takes where it passes a row.
_LANE = 8
_WIDTH = 980


@cache
def imports() -> Graph:
    """Which package imports which, directly. Ground files are left out, the start script is in."""
    graph = grimp.build_graph("modules")
    found: dict[str, set[str]] = {name: set() for name in packages()}
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            above, below = _package(importer), _package(imported)
            if above != below and above in found and below in found:
                found[above].add(below)
    found[ENTRY] = {_package(name) for name in _imported_by_the_entry()} & found.keys()
    return {name: frozenset(below) for name, below in found.items()}


def packages() -> list[str]:
    return sorted(path.parent.name for path in (PROJECT / "modules").glob("*/__init__.py"))


def _package(module: str) -> str:
    return [*module.split("."), ""][1]


def _imported_by_the_entry() -> Iterable[str]:
    for node in ast.walk(ast.parse((PROJECT / ENTRY).read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield f"{node.module}.{node.names[0].name}"


def floors(graph: Graph) -> dict[str, int]:
    """How many imports lie below each package at most; the ground files are floor 0.

    Raises ValueError if packages import each other in a circle.
    """
    known: dict[str, int] = {}

    def floor(name: str, above: tuple[str, ...]) -> int:
        if name in above:
            raise ValueError(f"{' -> '.join((*above, name))} is a circle")
        if name not in known:
            known[name] = 1 + max((floor(n, (*above, name)) for n in graph[name]), default=0)
        return known[name]

    for name in graph:
        floor(name, ())
    return known


def drawn(graph: Graph) -> list[tuple[str, str]]:
    """The imports without those that follow from others."""
    reached: dict[str, frozenset[str]] = {}

    def below(name: str) -> frozenset[str]:
        if name not in reached:
            reached[name] = graph[name].union(*(below(each) for each in graph[name]))
        return reached[name]

    return [
        (name, each)
        for name in sorted(graph)
        for each in sorted(graph[name])
        if not any(each in below(other) for other in graph[name] - {each})
    ]


def purpose(package: str) -> str:
    """The first clause of what a package says of itself."""
    text = (PROJECT / "modules" / package / "__init__.py").read_text("utf-8")
    said = ast.get_docstring(ast.parse(text)) or "the child process"
    return re.split(r"[:.,;]", said, maxsplit=1)[0]


def _routes(graph: Graph) -> list[list[str]]:
    """For each line that is drawn: its two packages, and a lane in each row that it passes."""
    levels = floors(graph)
    return [
        [
            above,
            *(f"{above}>{below}@{n}" for n in range(levels[above] - 1, levels[below], -1)),
            below,
        ]
        for above, below in drawn(graph)
    ]


def _rows(graph: Graph, routes: list[list[str]]) -> list[list[str]]:
    """Boxes and lanes by floor, the top first, each near the middle of what it is joined to."""
    levels = floors(graph)
    for route in routes:
        levels |= {lane: int(lane.partition("@")[2]) for lane in route[1:-1]}
    top = max(levels.values())
    rows = [sorted(n for n in levels if levels[n] == floor) for floor in range(top, 0, -1)]
    pairs = [pair for route in routes for pair in itertools.pairwise(route)]
    for sweep in range(12):
        down = sweep % 2 == 0
        place = {name: (n + 0.5) / len(row) for row in rows for n, name in enumerate(row)}
        for row in rows if down else reversed(rows):
            near = {
                name: [place[a if down else b] for a, b in pairs if (b if down else a) == name]
                for name in row
            }
            row.sort(key=lambda n: sum(near[n]) / len(near[n]) if near[n] else place[n])
            place |= {name: (n + 0.5) / len(row) for n, name in enumerate(row)}
    return rows


def _places(rows: list[list[str]]) -> dict[str, tuple[float, float]]:
    """The middle of the upper edge of each box and lane."""
    places = {}
    for number, row in enumerate(rows):
        widths = [_LANE if "@" in name else _BOX[0] for name in row]
        left = (_WIDTH - sum(widths) - _GAP[0] * (len(row) - 1)) / 2
        for name, width in zip(row, widths, strict=True):
            places[name] = (left + width / 2, 14 + number * (_BOX[1] + _GAP[1]))
            left += width + _GAP[0]
    return places


def svg(graph: Graph) -> str:
    """The picture, the same for the same imports."""
    routes = _routes(graph)
    rows = _rows(graph, routes)
    places = _places(rows)
    height = 14 + len(rows) * (_BOX[1] + _GAP[1]) + 20
    lines = [_HEAD.format(width=_WIDTH, height=height)]
    lines += [_LINE.format(path=_path([places[name] for name in route])) for route in routes]
    for name in graph:
        lines += _box(name, *places[name])
    ground = "below all: " + ", ".join(f"{name}.py" for name in GROUND)
    lines.append(_SAID.format(middle=_WIDTH / 2, y=height - 12, text=ground))
    return "\n".join([*lines, "</svg>", ""])


def _path(points: list[tuple[float, float]]) -> str:
    """A line from the lower edge of the first box through the lanes to the next box."""
    path = f"M{points[0][0]:.0f} {points[0][1] + _BOX[1]:.0f}"
    bend = _GAP[1] / 2
    for (x, y), (u, v) in itertools.pairwise(points):
        path += f"C{x:.0f} {y + _BOX[1] + bend:.0f} {u:.0f} {v - bend:.0f} {u:.0f} {v:.0f}"
        path += f"V{v + _BOX[1]:.0f}" if (u, v) != points[-1] else ""
    return path


def _box(name: str, x: float, y: float) -> list[str]:
    box = {"x": x - _BOX[0] / 2, "y": y, "width": _BOX[0], "height": _BOX[1]}
    text = textwrap.wrap("the start script" if name == ENTRY else purpose(name), 26)
    return [
        _BOXED.format(**box, middle=x, name_y=y + 19, name=html.escape(name)),
        *(
            _SAID.format(middle=x, y=y + 34 + 13 * number, text=html.escape(line))
            for number, line in enumerate(text)
        ),
    ]


_HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"
  aria-labelledby="what">
  <title id="what">The packages and what they import, less what follows from other lines</title>
  <style>
    :root {{
      color-scheme: light dark;
      --back: #fff; --ink: #1f2933; --soft: #52606d; --line: #7b8794; --box: #f5f7fa;
    }}
    @media (prefers-color-scheme: dark) {{
      :root {{ --back: #0d1117; --ink: #e6edf3; --soft: #9aa5b1; --box: #21262d; }}
    }}
    text {{
      font: 13px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
      fill: var(--ink); text-anchor: middle;
    }}
    .back {{ fill: var(--back); }}
    .box {{ fill: var(--box); stroke: var(--line); }}
    .what {{ font-size: 10.5px; fill: var(--soft); }}
    .line {{ fill: none; stroke: var(--line); }}
  </style>
  <defs>
    <marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"
      orient="auto"><path d="M0 0L8 4L0 8z" fill="#7b8794"/></marker>
  </defs>
  <rect class="back" width="{width}" height="{height}"/>"""
_BOXED = """\
  <rect class="box" x="{x:.0f}" y="{y:.0f}" width="{width}" height="{height}" rx="6"/>
  <text x="{middle:.0f}" y="{name_y:.0f}">{name}</text>"""
_LINE = '  <path class="line" marker-end="url(#end)" d="{path}"/>'
_SAID = '  <text class="what" x="{middle:.0f}" y="{y:.0f}">{text}</text>'


def main() -> None:
    PICTURE.write_text(svg(imports()), "utf-8")


if __name__ == "__main__":
    main()
