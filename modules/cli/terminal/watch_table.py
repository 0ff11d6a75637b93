"""What ``status --watch`` draws: as much as the terminal has room for, the most telling first."""

from __future__ import annotations

from collections.abc import Sequence
from gettext import gettext as _
from gettext import ngettext
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from modules.cli.folder_view.forecast import Waiting
from modules.cli.folder_view.rows import Row, State
from modules.cli.session import local_time
from modules.cli.terminal import wording
from modules.logger import one_line

if TYPE_CHECKING:
    from modules.cli.folder_view.snapshot import Snapshot

_BAR_WIDTH = 24
#: A terminal narrower than this has no room for bars and times.
_ROOMY = 60
_ENDED = (State.COMPLETED, State.MANUAL, State.ERROR)


def draw(snapshot: Snapshot, width: int, height: int) -> RenderableType:
    """All of the screen; never more lines than it has."""
    if snapshot.problem:
        message = _("The shared folder cannot be read at the moment: {problem}")
        return Text(message.format(problem=snapshot.problem), style="red")
    ended = [row for row in snapshot.report.rows if row.state in _ENDED]
    ended.sort(key=lambda row: row.when.timestamp() if row.when else 0.0, reverse=True)
    # The sums, two heads, a blank line, and two lines about what has no room.
    room = max(0, height - 1 - 2 * 2 - 2)
    upper = min(len(snapshot.waiting), max(room - len(ended), room * 2 // 3))
    lower = min(len(ended), room - upper)
    message = wording.summary(snapshot.report, snapshot.owner, snapshot.paused)
    parts: list[RenderableType] = [
        _in_one_line(Text(one_line(message), style="bold")),
        *_open(snapshot.waiting, upper, width),
        Text(),
        *_done(ended, lower, width),
    ]
    return Group(*parts[: max(1, height)])


def _in_one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _open(waiting: Sequence[Waiting], room: int, width: int) -> list[RenderableType]:
    """Those at work and those that wait."""
    if not waiting:
        return [Text(_("Nothing waits."), style="dim")]
    table = _grid(width)
    roomy = width >= _ROOMY
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column(_("NAME"), ratio=1, no_wrap=True, overflow="ellipsis")
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
    cells: list[RenderableType] = [str(each.ahead + 1), Text(one_line(row.name))]
    if roomy:
        cells.append(ProgressBar(100, done, width=_BAR_WIDTH) if is_begun else "")
    cells += [str(done) if is_begun else "", Text(message, style=style)]
    return [*cells, wording.duration(each.left_s)] if roomy else cells


def _done(ended: Sequence[Row], room: int, width: int) -> list[RenderableType]:
    """Those that came to an end, the newest first."""
    if not room:
        return []
    table = _grid(width)
    table.add_column(_("WHEN"), no_wrap=True)
    table.add_column(_("STATE"), no_wrap=True)
    table.add_column(_("NAME"), ratio=2, no_wrap=True, overflow="ellipsis")
    if width >= _ROOMY:
        table.add_column("", ratio=1, no_wrap=True, overflow="ellipsis")
    for row in ended[:room]:
        style = wording.COLOURS.get(row.state, "")
        cells = [
            Text(local_time(row.when)),
            Text(wording.state_word(row.state), style=style),
            Text(one_line(row.name)),
            Text(one_line(wording.error_word(row.error))),
        ]
        table.add_row(*cells[: len(table.columns)])
    more = len(ended) - room
    return [table, *([_more(more)] if more > 0 else [])]


def _grid(width: int) -> Table:
    return Table(box=None, pad_edge=False, header_style="dim", width=width)


def _more(count: int) -> Text:
    return Text(ngettext("… and {n} more", "… and {n} more", count).format(n=count), style="dim")
