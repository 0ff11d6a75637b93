"""Whatever a stranger plants in the folders: the core lives, a good recording is done beside."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from modules.config.schema import Config
from modules.daemon.housekeeping import Housekeeping
from modules.daemon.wiring import build_clients, build_core
from modules.errors import LockHeldError
from modules.executors.local.pool import LocalPool
from modules.jobs.job import Job
from modules.recordings import lock
from modules.recordings.lock import Ownership
from modules.runner import runner
from tests.builders import a_config, a_model
from tests.fakes import FakeClock, FakeExecutor, Plan
from tests.hostile.planted import VICTIM, Case, case, plant
from tests.soak import soak

CASES = soak(usual=200, long=2000)
GOOD = "good.mp3"
#: A case takes a fraction of a second; one that hangs is a bug.
WATCHDOG_S = 60.0
#: What a case may take beyond what this process has, in bytes.
MEMORY = 3 * 2**29
ROUNDS = 12
#: Thousands of small files, none of which outlives its case.
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Life:
    """The daemon without threads, HTTP and a child."""

    def __init__(self, config: Config, clock: FakeClock, plans: list[Plan]) -> None:
        self._config = config
        self._clock = clock
        pool = LocalPool(FakeExecutor(clock, plans))
        self.core = build_core(config, clock, pool, on_ended=self._ended)
        self.clients = build_clients(config, clock, self.core)
        self._keeping = Housekeeping(
            config.shared_directory, config.processing.stale_hours, clock, self.core,
            self.clients.service.promote, self.clients.responder.tick,
            self.clients.resumable.expire,
        )  # fmt: skip

    def _ended(self, job: Job) -> None:
        self.clients.job_events.note_end(job)

    @contextlib.contextmanager
    def begun(self) -> Iterator[Ownership]:
        self.core.store.prepare()
        fence = self.core.store.folder.fence
        with Ownership(self._config, self._clock, "daemon", fence) as owner:
            self.core.store.folder.remember()
            self.clients.uploads.prepare()
            self.core.intake.recovery.recover()
            self.clients.one_time.sweep()
            self.clients.resumable.recover()
            self._keeping.obey_pause_flag()
            try:
                yield owner
            finally:
                self.clients.index.close()

    def round(self, owner: Ownership) -> None:
        self._clock.advance(11)
        self.core.watcher.tick()
        self._keeping.tick(owner)
        self.clients.deliveries.webhooks._outbox.due()
        for receiver in self.clients.deliveries.receivers:
            receiver._loop.tick_safely()
        ((_, runner),) = self.core.runner._runners
        runner._loop.tick_safely()


@contextlib.contextmanager
def begun(life: Life, planted: Path) -> Iterator[Ownership]:
    """Begin, after what another host seems to have written a moment ago is removed."""
    with contextlib.ExitStack() as stack:
        try:
            owner = stack.enter_context(life.begun())
        except LockHeldError:
            assert planted.name == "owner.json"
            planted.unlink()
            owner = stack.enter_context(life.begun())
        yield owner


def drop(shared: Path, name: str) -> None:
    shared.mkdir(exist_ok=True)
    path = shared / name
    if not os.path.lexists(path):
        path.write_bytes(hashlib.sha256(name.encode()).digest() * 100)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()}


def play(root: Path, planted: Case) -> None:
    """Two lives of the daemon with what is planted; asserts what must hold."""
    outside = root / "outside"
    outside.mkdir()
    for name in ("secret.json", "other.answer"):
        (outside / name).write_bytes(b'{"secret": 1}')
    before = snapshot(outside)
    a_model(root / "models")
    config = a_config(
        root, watch={"events": False},
        handover={"url": "redis://127.0.0.1:9/0"},  # nobody answers there
        summary={"base_url": "http://127.0.0.1:9", "model": "none"},
    )  # fmt: skip
    clock = FakeClock()
    done: list[int] = []

    def during(index: int) -> None:
        at = {"while it runs": 1, "while it is published": 3}.get(planted.moment)
        if index == at and not done:
            done.append(index)
            plant(root, planted)

    if planted.moment == "before the start":
        plant(root, planted)
    for name in (VICTIM, GOOD):
        drop(config.shared_directory, name)
    life = Life(config, clock, [Plan(before=during), Plan(before=during)])
    result = config.shared_directory / f"{GOOD}.result"
    with begun(life, root / planted.place) as owner:
        for _ in range(3):
            clock.advance(4)
            life.core.watcher.tick()
        if planted.moment == "while it waits":
            plant(root, planted)
        for _ in range(ROUNDS):
            life.round(owner)
            if result.is_file() and not life.core.scheduler.jobs():
                break
        assert life.core.store.results.read(GOOD), "the good recording was not done"
    again = Life(config, clock, [])
    with begun(again, root / planted.place) as owner:
        again.round(owner)
    assert snapshot(outside) == before, "something was written outside"
    expected = {"outside", "models", "shared", "manual"}
    assert set(os.listdir(root)) <= expected, "something was written beside the folders"


def bounded(root: Path, planted: Case) -> None:
    """``play`` under the watchdog."""
    problems: list[BaseException] = []

    def run() -> None:
        try:
            play(root, planted)
        except BaseException as problem:  # noqa: BLE001 # handed on
            problems.append(problem)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(WATCHDOG_S)
    assert not thread.is_alive(), f"{planted}: it hangs"
    if problems:
        raise AssertionError(str(planted)) from problems[0]


@contextlib.contextmanager
def little_memory() -> Iterator[None]:
    """A file that is read whole, however large, fails and does not take the machine down."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.parametrize("first", range(0, CASES, 20))
def test_nothing_that_is_planted_hurts(first: int) -> None:
    with (
        tempfile.TemporaryDirectory(dir=IN_MEMORY, ignore_cleanup_errors=True) as scratch,
        little_memory(),
        patch.object(runner, "_IDLE_TICK_S", 0),
        patch.object(lock, "_refuse_foreign_whisperx"),
        patch.object(lock, "_PATIENCE_S", 0),
        patch("os.fsync"),
        patch("os.fdatasync"),
    ):
        for seed in range(first, min(first + 20, CASES)):
            root = Path(scratch) / str(seed)
            root.mkdir()
            bounded(root, case(seed))
            shutil.rmtree(root, ignore_errors=True)
