"""How the service is, and why."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from modules.api.schemas.answers import HealthAnswer
from modules.daemon.health import HANG_S, KINDS, Health
from modules.daemon.housekeeping import Housekeeping
from modules.daemon.wiring import build_core
from modules.errors import ModelError, StorageError, TranscriberError, WorkerError
from modules.executors.local.pool import LocalPool
from modules.jobs.scheduler import Scheduler
from modules.runner.outage import Outage
from modules.watching.watcher import WatchHealth
from tests.builders import a_config, a_job
from tests.fakes import FakeClock, FakeExecutor


class Usage(NamedTuple):
    free: int


@dataclass
class Watching:
    """Stands for the watcher."""

    state: dict[str, Any] = field(default_factory=dict)

    @property
    def available(self) -> bool:
        return self.health().available

    def health(self) -> WatchHealth:
        facts: dict[str, Any] = {
            "available": True, "events": "on", "last_rescan_s": 0.0, "known_files": 0,
            "settling_files": 0, "sees_writers": True, "problem": None,
        }  # fmt: skip
        return WatchHealth(**(facts | self.state))


@dataclass
class Running:
    """Stands for the runners, of which there is one."""

    outage: Outage
    troubled: tuple[str, ...] = ()


class Bench:
    def __init__(self, shared: Path) -> None:
        clock = FakeClock()
        self.scheduler = Scheduler(clock)
        self.executor = FakeExecutor(clock)
        self.usable = True
        self.refusal: TranscriberError = StorageError("disk_full", "The disk is full.")
        self.outage = Outage(clock, self._check)
        self.watching = Watching()
        self.health = Health(
            shared,
            self.scheduler,
            LocalPool(self.executor),
            Running(self.outage),
            self.watching,  # type: ignore[arg-type]
        )

    def _check(self) -> None:
        if not self.usable:
            raise self.refusal

    def report(self) -> dict[str, Any]:
        return self.health.report()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(free=10 * 2**30))
    return Bench(tmp_path)


def test_all_is_well(bench: Bench) -> None:
    report = bench.report()
    assert (report["status"], report["reasons"], report["troubles"]) == ("healthy", [], [])
    assert report["whisperx_available"] is True
    assert report["models_loaded"] == ["base"]
    assert report["memory_usage_mb"] > 100
    assert (report["queue_length"], report["processing"], report["paused"]) == (0, None, False)


def test_a_thread_that_hangs_is_unhealthy(bench: Bench) -> None:
    bench.health.silent_s["runner"] = lambda: HANG_S
    assert bench.report()["status"] == "healthy"
    bench.health.silent_s["runner"] = lambda: HANG_S + 1
    assert bench.report()["status"] == "unhealthy"
    assert bench.report()["reasons"] == ["the thread runner has hung for 901 s"]


def test_each_thread_of_the_core_is_watched(tmp_path: Path) -> None:
    pool = LocalPool(FakeExecutor(FakeClock()))
    core = build_core(a_config(tmp_path), FakeClock(), pool, on_ended=lambda job: None)
    Housekeeping(tmp_path, 1.0, FakeClock(), core, lambda request: None)
    assert {name: silent() for name, silent in core.health.silent_s.items()} == {
        "runner": 0.0, "watcher": 0.0, "main": 0.0,
    }  # fmt: skip


def test_what_is_running_is_named(bench: Bench) -> None:
    bench.scheduler.submit(a_job())
    bench.scheduler.take(0)
    assert (bench.report()["processing"], bench.report()["queue_length"]) == ("talk.mp3", 1)


def test_a_full_disk_is_unhealthy(bench: Bench) -> None:
    bench.usable = False
    bench.outage.note(StorageError("disk_full", "The disk is full."))
    assert bench.report()["status"] == "unhealthy"
    assert bench.report()["reasons"] == ["The disk is full."]
    assert bench.report()["troubles"] == ["storage"]


def test_a_share_that_is_away_is_unhealthy(bench: Bench) -> None:
    bench.watching.state = {"available": False, "problem": "it is not mounted"}
    assert bench.report()["status"] == "unhealthy"
    assert "it is not mounted" in bench.report()["reasons"][0]
    assert bench.report()["troubles"] == ["share"]


def test_missing_events_are_worth_a_word(bench: Bench) -> None:
    bench.watching.state = {"events": "degraded", "problem": "inotify limit reached"}
    assert bench.report()["status"] == "degraded"
    assert "inotify limit reached" in bench.report()["reasons"][0]
    assert bench.report()["troubles"] == ["events"]


def test_events_that_are_switched_off_are_no_trouble(bench: Bench) -> None:
    bench.watching.state = {"events": "off"}
    assert bench.report()["status"] == "healthy"


def test_a_missing_worker_is_worth_a_word_unless_it_rests(bench: Bench) -> None:
    bench.executor.pid = bench.executor.model_loaded = None
    report = bench.report()
    assert (report["status"], report["whisperx_available"], report["models_loaded"]) == (
        "degraded", False, [],
    )  # fmt: skip
    assert report["troubles"] == ["worker"]
    bench.executor.resting = True
    assert bench.report()["status"] == "healthy"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ModelError("model_missing", "There are no weights."), "model"),
        (WorkerError("worker_hung", "It did not load."), "worker"),
        (StorageError("share_unavailable", "It is away."), "share"),
    ],
)
def test_what_is_in_the_way_has_a_kind(bench: Bench, error: TranscriberError, kind: str) -> None:
    bench.usable = not isinstance(error, StorageError)
    bench.refusal = error
    bench.outage.note(error)
    assert bench.report()["troubles"] == [kind]


def test_a_pause_is_worth_a_word(bench: Bench) -> None:
    bench.scheduler.pause()
    assert (bench.report()["status"], bench.report()["paused"]) == ("degraded", True)


def test_little_room_is_worth_a_word(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(free=100 * 2**20))
    assert bench.report()["reasons"] == ["only 100 MB of disk are free"]

    def away(path: Path) -> Usage:
        raise OSError("gone")

    monkeypatch.setattr(shutil, "disk_usage", away)
    assert bench.report()["status"] == "healthy"


def test_the_document_of_the_api_knows_every_kind_of_trouble() -> None:
    schema = HealthAnswer.model_json_schema()
    assert set(schema["properties"]["troubles"]["items"]["enum"]) == set(KINDS)
