"""``status``: the folder as a table, or as JSON."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from typing import Any

from modules.atomic import storage_errors
from modules.cli.folder_report import Report, Row, State, report
from modules.cli.presence import Owner, find_owner
from modules.cli.session import configured, length, local_time, require_share, say
from modules.clock import SystemClock, iso
from modules.file_manager import FileManager
from modules.logger import one_line

_HEAD = ("NAME", "STATE", "LENGTH", "LANG", "WORDS", "WHEN", "")
_RIGHT = {"LENGTH", "WORDS"}
_FOLDED = {"NAME", ""}
#: More rows than this are not worth the seconds that a drawn table takes.
_DRAWN_ROWS = 500


def run(options: Namespace) -> int:
    """Show the folder. Raises StorageError if it is not there."""
    config, clock = configured(options), SystemClock()
    require_share(config)
    files = FileManager(config.shared_directory, config.manual_directory, clock)
    with storage_errors(config.shared_directory):
        found = report(config, files)
    owner, paused = find_owner(config, clock), files.pause_flag.exists()
    if options.json:
        print(json.dumps(as_json(found, owner, paused), ensure_ascii=False, indent=2))
        return 0
    _show(found.rows)
    for problem in found.problems:
        say(f"Cannot be read: {problem}")
    if found.not_looked_into:
        say(f"Not looked into (watch.recursive is off): {', '.join(found.not_looked_into)}")
    say(summary(found, owner, paused))
    return 0


def as_json(found: Report, owner: Owner | None, paused: bool) -> dict[str, Any]:
    """The report for programs; what is not known is absent."""
    return {
        "recordings": [_row_json(row) for row in found.rows],
        "not_looked_into": found.not_looked_into,
        "problems": found.problems,
        "counts": _counts(found.rows),
        "daemon": {"pid": owner.pid, "host": owner.host, "since": owner.since and iso(owner.since)}
        if owner and owner.is_daemon
        else None,
        "paused": paused,
    }


def _row_json(row: Row) -> dict[str, Any]:
    known = {
        "filename": row.name,
        "state": row.state,
        "stage": row.stage,
        "percentage": row.percentage,
        "attempt": row.attempt,
        "error": row.error,
        "duration_seconds": row.duration_s,
        "language": row.language,
        "word_count": row.words,
        "when": iso(row.when) if row.when else None,
    }
    return {key: value for key, value in known.items() if value is not None}


def _counts(rows: Sequence[Row]) -> dict[str, int]:
    counted = Counter(row.state for row in rows)
    return {state.value: counted[state] for state in State}


def summary(found: Report, owner: Owner | None, paused: bool) -> str:
    """The last line: who runs, whether it is paused, how many there are of each."""
    parts = [str(owner) if owner else "No daemon runs."]
    parts += ["The queue is paused."] if paused else []
    counts = [f"{count} {state}" for state, count in _counts(found.rows).items() if count]
    return " ".join([*parts, f"{', '.join(counts)}." if counts else "There are no recordings."])


# --- the table --------------------------------------------------------------------------------


def _show(rows: Sequence[Row]) -> None:
    cells = [tuple(one_line(cell) for cell in _cells(row)) for row in rows]
    if not cells:
        return
    if sys.stdout.isatty() and len(cells) <= _DRAWN_ROWS:
        _draw(cells)
    else:
        print("\n".join(plain_table(cells)))


def _cells(row: Row) -> tuple[str, ...]:
    words = "" if row.words is None else str(row.words)
    shown = length(row.duration_s)
    when = local_time(row.when)
    return (row.name, row.state, shown, row.language or "", words, when, _details(row))


def _details(row: Row) -> str:
    """Stage, percentage, attempt and error, as far as they say something."""
    parts = []
    if row.state in (State.PROCESSING, State.QUEUED):
        parts += [row.stage.replace("_", " ")] if row.stage and row.stage != "queued" else []
        parts += [f"{row.percentage} %"] if row.percentage else []
        parts += [f"attempt {row.attempt}"] if (row.attempt or 1) > 1 else []
    return ", ".join([*parts, *([row.error] if row.error else [])])


def plain_table(cells: Sequence[tuple[str, ...]]) -> list[str]:
    """Aligned lines, the head first."""
    rows = [_HEAD, *cells]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = []
    for row in rows:
        padded = (
            cell.rjust(width) if head in _RIGHT else cell.ljust(width)
            for head, cell, width in zip(_HEAD, row, widths, strict=True)
        )
        lines.append("  ".join(padded).rstrip())
    return lines


_COLOURS = {
    State.COMPLETED: "green",
    State.MANUAL: "red",
    State.ERROR: "red",
    State.PROCESSING: "cyan",
    State.QUEUED: "yellow",
}


def _draw(cells: Sequence[tuple[str, ...]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console, JustifyMethod
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in _HEAD:
        justify: JustifyMethod = "right" if head in _RIGHT else "left"
        table.add_column(head, justify=justify, overflow="fold", no_wrap=head not in _FOLDED)
    for row in cells:
        colour = _COLOURS.get(State(row[1]), "")
        table.add_row(Text(row[0]), Text(row[1], style=colour), *map(Text, row[2:]))
    Console().print(table)
