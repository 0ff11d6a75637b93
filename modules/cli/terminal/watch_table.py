"""What ``status --watch`` draws: as much as the terminal has room for, the most telling first."""

from __future__ import annotations

from collections.abc import Sequence
from gettext import gettext as _
from gettext import ngettext
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from modules.cli.printable import printable
from modules.cli.session import local_time
from modules.cli.terminal import wording
from modules.cli.terminal.tables import GAP, remark_fits
from modules.cli.workers import lines
from modules.messages import in_locale
from modules.service.folder_view.forecast import Waiting
from modules.service.folder_view.rows import Row, State
from modules.service.worker_view import WorkerView

if TYPE_CHECKING:
    from modules.cli.snapshot import Snapshot

_BAR_WIDTH = 24
#: A terminal narrower than this has no room for bars and times.
_ROOMY = 60
_ENDED = (State.COMPLETED, State.MANUAL, State.ERROR)


def draw(snapshot: Snapshot, width: int, height: int) -> RenderableType:
    """All of the screen; never more lines than it has."""
    if snapshot.problem:
        message = _("The shared folder cannot be read at the moment: {problem}")
        return Text(printable(message.format(problem=in_locale(snapshot.problem))), style="red")
    ended = [row for row in snapshot.report.rows if row.state in _ENDED]
    ended.sort(key=lambda row: row.when.timestamp() if row.when else 0.0, reverse=True)
    workers = _workers(snapshot.workers, height // 3)
    # The sums, two heads, a blank line, and two lines about what has no room.
    room = max(0, height - len(workers) - 1 - 2 * 2 - 2)
    upper = min(len(snapshot.waiting), max(room - len(ended), room * 2 // 3))
    message = wording.summary(snapshot.report, snapshot.owner, snapshot.paused)
    parts: list[RenderableType] = [
        _in_one_line(Text(printable(message), style="bold")),
        *workers,
        *_open(snapshot.waiting, upper, width),
        Text(),
        *_done(ended, room - upper, width),
    ]
    return Group(*parts[: max(1, height)])


def _workers(views: Sequence[WorkerView], room: int) -> list[RenderableType]:
    """Those that do nothing because of some problem first, if there is no room for all."""
    first = sorted(views, key=lambda view: view.problem is None)
    shown = first if len(first) <= room else first[: max(0, room - 1)]
    found = [
        _in_one_line(Text(printable(line), style="red" if view.problem else ""))
        for view, line in zip(shown, lines(shown), strict=True)
    ]
    left = len(first) - len(shown)
    return [*found, *([_more(left)] if left and room else [])]


def _in_one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _open(waiting: Sequence[Waiting], room: int, width: int) -> list[RenderableType]:
    """Those at work and those that wait."""
    if not waiting:
        return [Text(_("Nothing waits."), style="dim")]
    table = _grid()
    roomy = width >= _ROOMY
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column(_("NAME"), no_wrap=True, overflow="ellipsis")
    if roomy:
        table.add_column("", width=_BAR_WIDTH)
    table.add_column("%", justify="right", no_wrap=True, width=4)
    table.add_column(_("STATE"), no_wrap=True, overflow="ellipsis")
    if roomy:
        table.add_column(_("READY IN"), justify="right", no_wrap=True)
    for each in waiting[:room]:
        table.add_row(*_open_cells(each, roomy))
    more = len(waiting) - room
    return [table, *([_more(more)] if more > 0 else [])]


def _open_cells(each: Waiting, roomy: bool) -> list[RenderableType]:
    row = each.row
    style = wording.COLOURS.get(row.state, "")
    message = wording.stage_word(row.stage) or wording.state_word(row.state)
    done = row.percentage or 0
    is_begun = bool(done) or row.state is State.PROCESSING
    cells: list[RenderableType] = [str(each.ahead + 1), Text(printable(row.name))]
    if roomy:
        cells.append(ProgressBar(100, done, width=_BAR_WIDTH) if is_begun else "")
    cells += [str(done) if is_begun else "", Text(message, style=style)]
    return [*cells, wording.duration(each.left_s)] if roomy else cells


def _done(ended: Sequence[Row], room: int, width: int) -> list[RenderableType]:
    """Those that came to an end, the newest first."""
    if not room or not ended:
        return []
    shown = ended[:room]
    remarks = [printable(wording.details(row)) for row in shown]
    widths = _done_widths(shown, remarks)
    # Below their names where they have no room beside them, if all of the rows are still seen.
    below = not remark_fits(widths, width) and len(ended) + sum(map(bool, remarks)) <= room
    table = _done_table(widths, width, below)
    for row, remark in zip(shown, remarks, strict=True):
        name = Text(printable(row.name))
        if below and remark:
            name.append(f"\n  {remark}", style="dim")
        style = wording.COLOURS.get(row.state, "")
        state = Text(wording.state_word(row.state), style=style)
        cells = [Text(local_time(row.when)), state, name, Text(remark)]
        table.add_row(*cells[: len(table.columns)])
    more = len(ended) - room
    return [table, *([_more(more)] if more > 0 else [])]


def _done_widths(rows: Sequence[Row], remarks: Sequence[str]) -> list[int]:
    """What each column would need."""
    words = [
        [_("WHEN"), *(local_time(row.when) for row in rows)],
        [_("STATE"), *(wording.state_word(row.state) for row in rows)],
        [_("NAME"), *(printable(row.name) for row in rows)],
        remarks,
    ]
    return [max((cell_len(word) for word in column), default=0) for column in words]


def _done_table(widths: Sequence[int], width: int, below: bool) -> Table:
    when, state, name, remark = widths
    room = max(0, width - when - state - 2 * GAP)
    is_beside = width >= _ROOMY and not below and remark > 0
    # Half of the room at least, and all that the remarks leave.
    least = max((room - GAP) // 2, room - GAP - remark) if is_beside else room
    table = _grid()
    table.add_column(_("WHEN"), no_wrap=True)
    table.add_column(_("STATE"), no_wrap=True)
    name = min(max(name, remark + GAP) if below else name, least)
    table.add_column(_("NAME"), width=name, no_wrap=True, overflow="ellipsis")
    if is_beside:
        remark = min(remark, room - GAP - name)
        table.add_column("", width=remark, no_wrap=True, overflow="ellipsis")
    return table


def _grid() -> Table:
    return Table(box=None, pad_edge=False, header_style="dim")


def _more(count: int) -> Text:
    return Text(ngettext("… and {n} more", "… and {n} more", count).format(n=count), style="dim")
