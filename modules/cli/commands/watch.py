"""``status --watch``: the folder as it changes. A table on a terminal, a line per change elsewhere.

It reads the folder, asks the service for the workers of a cluster where there is one, and rests so
long between two looks that no folder costs much.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from gettext import gettext as _
from types import FrameType
from typing import NoReturn, Protocol

from rich.console import Console

from modules.cli.session import say
from modules.cli.snapshot import Snapshot, SnapshotReader
from modules.cli.terminal import wording
from modules.cli.workers import lines
from modules.clock import Clock
from modules.config.schema import Config
from modules.messages import in_locale
from modules.service.folder_view.rows import Row

#: Resting so many times as long as looking took of a core keeps the cost at a tenth of one.
_REST = 9.0
_TERMINATED = 143


class Screen(Protocol):
    """Where it is shown."""

    def show(self, snapshot: Snapshot) -> None:
        """Bring what is shown up to date."""


def run(config: Config, clock: Clock, interval_s: float) -> int:
    """Show until Ctrl-C, which is how this ends well."""
    console = Console()
    drawn = console.is_terminal and not console.is_dumb_terminal
    try:
        with _ended_by_term(), _table(console) if drawn else _lines() as screen:
            _show_for_ever(SnapshotReader(config, clock), screen, clock, interval_s)
    except KeyboardInterrupt:
        return 0


def _show_for_ever(
    reader: SnapshotReader, screen: Screen, clock: Clock, interval_s: float
) -> NoReturn:
    while True:
        began, worked = clock.monotonic(), time.process_time()
        screen.show(reader.look())
        took_s, cpu_s = clock.monotonic() - began, time.process_time() - worked
        # As long as it took at least: a slow share has others to serve, too.
        time.sleep(max(interval_s - took_s, took_s, _REST * cpu_s))


@contextlib.contextmanager
def _ended_by_term() -> Iterator[None]:
    """TERM ends it in an orderly way too: the terminal must get its screen back."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        raise SystemExit(_TERMINATED)

    previous = signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextlib.contextmanager
def _table(console: Console) -> Iterator[Screen]:
    from rich.live import Live

    from modules.cli.terminal.watch_table import draw

    # A screen of its own, written in one piece: it neither scrolls nor flickers.
    with Live(console=console, screen=True, auto_refresh=False) as live:

        class Table:
            def show(self, snapshot: Snapshot) -> None:
                live.update(draw(snapshot, console.width, console.height), refresh=True)

        yield Table()


@contextlib.contextmanager
def _lines() -> Iterator[Screen]:
    yield Lines()


class Lines:
    """A line for each change, with the time in front, as in the log."""

    #: Between two lines about how far one file is, in percent.
    step = 10

    def __init__(self) -> None:
        self._told: dict[str, str] = {}
        self._told_workers: dict[str, str] = {}
        self._last: str | None = None

    def show(self, snapshot: Snapshot) -> None:
        if snapshot.problem:
            self._say_once(_cannot(snapshot.problem))
            return
        rows = {row.name: _line(row, self.step) for row in snapshot.report.rows}
        if self._last is not None:
            for name in self._told.keys() - rows.keys():
                _tell(_("{name}: deleted or moved").format(name=name))
            for name, line in rows.items():
                if self._told.get(name) != line:
                    _tell(line)
        workers = dict(
            zip((w.name for w in snapshot.workers), lines(snapshot.workers), strict=True)
        )
        for name, line in workers.items():
            if self._told_workers.get(name) != line:
                _tell(line)
        self._told, self._told_workers = rows, workers
        self._say_once(wording.summary(snapshot.report, snapshot.owner, snapshot.paused))

    def _say_once(self, text: str) -> None:
        if text != self._last:
            self._last = text
            _tell(text)


def _line(row: Row, step: int) -> str:
    parts = [wording.state_word(row.state)]
    if row.percentage:
        parts.append(f"{row.percentage // step * step} %")
    if row.error:
        parts.append(wording.error_word(row.error))
    return ". ".join([f"{row.name}: {', '.join(parts)}", *wording.warnings(row)])


def _tell(text: str) -> None:
    say(f"[{time.strftime('%Y-%m-%d %H:%M:%S')}] {text}")


def _cannot(problem: str) -> str:
    return _("The shared folder cannot be read at the moment: {problem}").format(
        problem=in_locale(problem)
    )
