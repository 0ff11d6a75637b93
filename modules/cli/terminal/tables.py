"""Rows of words as a table: drawn on a terminal, aligned lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence

from modules.logger import one_line

#: More rows than this are not worth the seconds that a drawn table takes.
DRAWN_ROWS = 500


def show(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Collection[int] = (),
    folded: Collection[int] = (),
    styles: Sequence[str] = (),
    styled: int = 1,
) -> None:
    """Print a table. ``right``, ``folded``: columns that are set so; ``styles``: a row each."""
    cells = [[one_line(cell) for cell in row] for row in rows]
    if not cells:
        return
    if sys.stdout.isatty() and len(cells) <= DRAWN_ROWS:
        _draw(head, cells, right, folded, styles, styled)
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


def _draw(
    head: Sequence[str],
    cells: Sequence[Sequence[str]],
    right: Collection[int],
    folded: Collection[int],
    styles: Sequence[str],
    styled: int,
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column, word in enumerate(head):
        table.add_column(
            word,
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=column not in folded,
        )
    for number, row in enumerate(cells):
        style = styles[number] if styles else ""
        texts = [Text(cell, style=style if c == styled else "") for c, cell in enumerate(row)]
        table.add_row(*texts)
    Console().print(table)
