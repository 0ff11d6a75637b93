"""How far a file is: a bar on a terminal, plain lines elsewhere. Both go to stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from gettext import gettext as _
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from modules.cli.printable import printable
from modules.cli.session import length

#: Between two lines about one file, in percent.
_STEP = 10


class Meter(Protocol):
    """Shows how far one file is."""

    def loading(self, model: str) -> None:
        """The model is being loaded; this takes a while and nothing is known of how long."""

    def at(self, position_s: float, duration_s: float | None, fraction: float) -> None:
        """``fraction`` of the recording is done, 0 to 1, and that is up to ``position_s``."""


def meter(name: str) -> AbstractContextManager[Meter]:
    """A meter for one file; it is taken off the terminal at the end."""
    console = Console(stderr=True)
    shown = printable(name)
    return _bar(shown, console) if console.is_terminal else _lines(shown)


class _Lines:
    def __init__(self, name: str) -> None:
        self._name = name
        self._told = 0

    def loading(self, model: str) -> None:
        self._tell(_("loading the model {model}").format(model=model))

    def at(self, position_s: float, duration_s: float | None, fraction: float) -> None:
        percent = int(fraction * 100) // _STEP * _STEP
        if percent > self._told:
            self._told = percent
            self._tell(f"{percent} %")

    def _tell(self, text: str) -> None:
        print(printable(f"{self._name}: {text}"), file=sys.stderr, flush=True)


@contextmanager
def _lines(name: str) -> Iterator[Meter]:
    yield _Lines(name)


class _Bar:
    def __init__(self, name: str, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task(name, total=None, position="")

    def loading(self, model: str) -> None:
        message = _("loading the model {model}").format(model=model)
        self._progress.update(self._task, position=message)

    def at(self, position_s: float, duration_s: float | None, fraction: float) -> None:
        shown = length(position_s)
        if duration_s:
            shown = _("{done} of {all}").format(done=shown, all=length(duration_s))
        self._progress.update(self._task, total=1.0, completed=fraction, position=shown)


@contextmanager
def _bar(name: str, console: Console) -> Iterator[Meter]:
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TextColumn("{task.fields[position]}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        # What is printed goes where it should, not to the console of the bar.
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with progress:
        yield _Bar(name, progress)
