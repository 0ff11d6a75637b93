"""Rows of words as a table: drawn on a terminal, aligned lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence

from modules.cli.printable import printable

#: More rows than this are not worth the seconds that a drawn table takes.
DRAWN_ROWS = 500
#: Columns of a terminal between two columns of a table.
GAP = 2
#: A remark that has less room than this beside its row is put below the name.
_REMARK_WIDTH = 40
_INDENT = 2


def show(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Collection[int] = (),
    name: int = 0,
    styles: Sequence[str] = (),
) -> None:
    """Print a table whose last column is a remark, which many rows have none of.

    ``right``: the columns set to the right; ``name``: the column of the names, which are never cut.
    ``styles``: of each row's next column, the state.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    if not cells:
        return
    if sys.stdout.isatty() and len(cells) <= DRAWN_ROWS:
        _draw(head, cells, right, name, styles)
    else:
        print("\n".join(plain_table(head, cells, right)))


def plain_table(
    head: Sequence[str], cells: Sequence[Sequence[str]], right: Collection[int] = ()
) -> list[str]:
    """Aligned lines, the head first."""
    rows = [head, *cells]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = []
    for row in rows:
        padded = (
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(padded).rstrip())
    return lines


def remark_fits(widths: Sequence[int], room: int) -> bool:
    """Whether a remark can be beside the other columns, or is better put below the name.

    ``widths`` are those of all columns, the remark's last; ``room`` is that of the terminal.
    """
    *others, remark = widths
    return room - sum(others) - GAP * len(others) >= min(remark, _REMARK_WIDTH)


def _draw(
    head: Sequence[str],
    cells: Sequence[Sequence[str]],
    right: Collection[int],
    name: int,
    styles: Sequence[str],
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len
    from rich.console import Console, Group, RenderableType
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console = Console()
    last = len(head) - 1
    widths = [max(cell_len(row[column]) for row in [head, *cells]) for column in range(len(head))]
    below = not remark_fits(widths, console.width)
    has_remarks = widths[last] > 0 and not below
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, GAP - 1, 0, 0))
    columns = range(last + 1 if has_remarks else last)
    for column in columns:
        table.add_column(
            head[column],
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=column not in (name, last),
        )
    for number, row in enumerate(cells):
        texts: list[RenderableType] = [Text(cell) for cell in row]
        texts[name + 1] = Text(row[name + 1], style=styles[number] if styles else "")
        if below and row[last]:
            remark = Padding(Text(row[last], style="dim"), (0, 0, 0, _INDENT))
            texts[name] = Group(texts[name], remark)
        table.add_row(*(texts[column] for column in columns))
    console.print(table)
