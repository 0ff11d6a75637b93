"""The daemon without its threads, its HTTP server and its child: the simulation drives it."""

from __future__ import annotations

import contextlib
import logging
import random
import sys
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from modules.config.schema import Config
from modules.daemon.housekeeping import Housekeeping
from modules.daemon.wiring import build_core
from modules.executors.base import WorkerPool
from modules.jobs.events import Event
from modules.runner import runner
from modules.runner.runner import Runner
from modules.watching import watcher
from modules.watching.folder_events import Hint
from modules.watching.stability import FileSample
from tests.disk import Died
from tests.fakes import FakeClock
from tests.submitter import Submitter


class Owner:
    """Stands for the lock and the owner's note, which have tests of their own."""

    def beat(self) -> None:
        """Nothing to write."""

    def check(self) -> None:
        """Nobody took the folder over."""


class Program:
    """One life of the daemon: the objects and wires are the real ones."""

    def __init__(
        self, config: Config, clock: FakeClock, pool: WorkerPool,
        hear: Callable[[Event], None], writes: Callable[[Path], bool],
    ) -> None:  # fmt: skip
        # No index and no webhooks: they, and what clients see, follow from events alone.
        core = build_core(config, clock, pool, on_ended=lambda job: None)
        self.files, self.scheduler, self.intake = core.store, core.scheduler, core.intake
        self.runner, self.watcher = core.runner, core.watcher
        core.events.hooks.append(hear)
        self.watcher._arrivals._ask_writer = writes
        self.submitter = Submitter(config, core.intake, core.store)
        self._housekeeping = Housekeeping(
            config.shared_directory, config.processing.stale_hours, clock, core,
            submit=self.submitter.submit,
        )  # fmt: skip

    def begin(self) -> None:
        """As at start, before any thread runs. Raises StorageError."""
        self.files.prepare()
        self.intake.recovery.recover()
        self._housekeeping.obey_pause_flag()

    def run_once(self) -> None:
        self.runner.tick()

    @property
    def runners(self) -> list[Runner]:
        """Of the workers that are there, and of those that are gone and have a job still."""
        there = [one for _, one in self.runner._runners]
        return [*there, *(one for one in self.runner._leaving if one.in_hand)]

    def look(self) -> None:
        self.watcher.tick()

    def beat(self) -> None:
        """The small duties; the watcher is never further behind than they are."""
        self.watcher.tick()
        self._housekeeping.tick(Owner())  # type: ignore[arg-type]

    def tell(self, hint: Hint) -> None:
        self.watcher._hint(hint)

    @property
    def is_idle(self) -> bool:
        return not self.scheduler.jobs() and not self.watcher.health().settling_files


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Everything that would differ from run to run follows from the seed."""
    dice = random.Random(f"{seed} ids")
    sample_of = FileSample.of

    def sample(stat: Any) -> FileSample:
        # The time of the last change is the kernel's own; ours tell versions apart as well.
        found = sample_of(stat)
        return FileSample(found.size, found.mtime_ns, 0, found.inode, found.device)

    def ignored(what: Any) -> None:
        # What a dead process leaves behind is taken apart; nobody is there to hear of it.
        if not isinstance(what.exc_value, Died):
            complain(what)

    complain = sys.unraisablehook
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    with contextlib.ExitStack() as patches:
        patches.enter_context(warnings.catch_warnings())
        # A process that dies closes no files.
        warnings.simplefilter("ignore", ResourceWarning)
        for place, name, ours in (
            (sys, "unraisablehook", ignored),
            (uuid, "uuid4", lambda: uuid.UUID(int=dice.getrandbits(128), version=4)),
            (FileSample, "of", staticmethod(sample)),
            (runner, "_IDLE_TICK_S", 0),
            (watcher, "leases_tell", lambda root: seed % 2 == 0),
        ):
            patches.enter_context(patch.object(place, name, ours))
        patches.enter_context(patch("secrets.token_hex", lambda size: dice.randbytes(size).hex()))
        try:
            yield
        finally:
            logging.disable(before)
