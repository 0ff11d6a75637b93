"""A file that the service may not read waits, is named once, and goes on once it may be read."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from modules.jobs.job import Cause, Status
from modules.runner import runner as runner_module
from modules.runner.outage import HOLD_S
from modules.storage import safe_open
from tests.unit.runner.test_runner import DONE, Bench

HOUR_S = 3600.0


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(runner_module, "_IDLE_TICK_S", 0)
    return Bench(tmp_path)


@pytest.fixture
def barred(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names that may not be opened; as root the kernel would forbid none."""
    names: set[str] = {"talk.mp3"}
    real = os.open

    def guarded(path: Path | str, *rest: Any, **more: Any) -> int:
        if os.path.basename(path) in names:
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
        return real(path, *rest, **more)

    monkeypatch.setattr(safe_open.os, "open", guarded)
    return names


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]


def test_it_is_named_with_its_owner_and_waits(
    bench: Bench, barred: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    bench.submit()
    (bench.shared / "talk.mp3").chmod(0o600)
    bench.tick()
    job = bench.job()
    assert job.status is Status.WAITING
    assert job.error is not None
    assert job.error.code == "permission_denied"
    assert job.error.message.startswith("talk.mp3 may not be read: it belongs to ")
    assert "has the mode 0600." in job.error.message
    assert bench.state()["error"]["message"] == job.error.message
    assert said(caplog) == [job.error.message]
    assert bench.runner.outage.reason is None, "the others can be read"


def test_a_day_of_it_is_not_a_log_full_of_it(
    bench: Bench, barred: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    bench.submit()
    caplog.set_level(logging.INFO)
    for _ in range(int(24 * HOUR_S / HOLD_S)):
        bench.tick()
        bench.clock.advance(HOLD_S)
    assert len(said(caplog)) <= 24
    assert sum("talk.mp3: " in record.getMessage() for record in caplog.records) <= 3
    assert said(caplog)[-1] == "Files that may still not be read: 1, such as talk.mp3"


def test_others_go_on_and_it_follows_once_it_may_be_read(bench: Bench, barred: set[str]) -> None:
    bench.submit()
    bench.tick()
    bench.submit("other.mp3")
    bench.tick()
    assert bench.files.results.is_done("other.mp3")
    barred.clear()
    bench.clock.advance(HOLD_S)
    bench.tick()
    assert set(DONE) <= set(bench.names())
    assert bench.result()["processing_stats"]["total_attempts"] == 1


def test_one_that_is_deleted_meanwhile_is_forgotten(
    bench: Bench, barred: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    bench.submit()
    bench.tick()
    bench.scheduler.cancel("talk.mp3", Cause.GONE)
    bench.clock.advance(2 * HOUR_S)
    bench.tick()
    assert len(said(caplog)) == 1
