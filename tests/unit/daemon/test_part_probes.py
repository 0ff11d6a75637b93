"""What each part is said to be, with the parts of the daemon as they are built."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from modules.daemon.health import HANG_S
from modules.daemon.wiring import build
from modules.errors import ModelError, StorageError
from modules.service.part_states import Part
from tests.builders import a_config
from tests.fakes import FakeClock


class Usage(NamedTuple):
    free: int


class Bench:
    def __init__(self, shared: Path) -> None:
        self.core, self.clients = build(a_config(shared), FakeClock())

    def part(self, name: str) -> Part:
        return next(part for part in self.clients.parts.look() if part.name == name)

    def state(self, name: str) -> str:
        return self.part(name).state


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "shared").mkdir()
    return Bench(tmp_path)


def test_a_thread_that_hangs_fails_its_part_alone(bench: Bench) -> None:
    bench.core.health.silent_s["runner"] = lambda: HANG_S + 1
    assert bench.part("queue").why == f"its thread has hung for {HANG_S + 1:.0f} s"
    assert bench.state("queue") == "failed"
    assert bench.state("callbacks") == "ok"


def test_an_outage_is_of_the_part_that_it_is_about(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    [(_, runner)] = bench.core.runner._runners
    runner.outage.note(ModelError("model_missing", "no weights"))
    assert bench.state("model") == "failed"
    assert bench.state("queue") == "failed"
    assert bench.state("storage") == "ok"
    runner.outage.is_over()

    def full() -> None:
        raise StorageError("disk_full", "The disk is full.")

    monkeypatch.setattr(runner.outage, "_check_writable", full)
    runner.outage.note(StorageError("disk_full", "The disk is full."))
    assert (bench.state("storage"), bench.state("model")) == ("failed", "idle")


def test_little_disk_is_worth_a_word(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100 * 2**20))
    assert bench.part("storage").why == "only 100 MB of disk are free"


def test_a_disk_that_cannot_be_asked_fails_storage_and_nothing_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(path: Any) -> Usage:
        raise FileNotFoundError(2, "No such file or directory")

    assert bench.state("storage") == "ok"
    monkeypatch.setattr(shutil, "disk_usage", gone)
    assert bench.state("storage") == "failed"
