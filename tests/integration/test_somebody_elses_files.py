"""The service in a folder of somebody else's project: nothing there is moved or written to.

``python -m tests.integration.test_somebody_elses_files STARTS FILES`` does it as often as wanted.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from modules.config.schema import Config
from modules.daemon.wiring import Core, build_core
from modules.errors import MediaError
from modules.executors.base import Outcome, RunCallbacks, Task
from modules.executors.local.pool import LocalPool
from modules.recordings.skipped import is_skipped
from modules.runner import runner as runner_module
from tests.builders import a_config, a_model
from tests.fakes import FakeClock, FakeExecutor
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.soak import soak
from tests.strangers_tree import digest, plant

FILES = 420


class NothingIsMedia(FakeExecutor):
    """A child that finds no recording in anything."""

    def run(self, request: Task, handlers: RunCallbacks) -> Outcome:
        self.orders.append(request)
        handlers.on_accepted()
        raise MediaError("not_media", "This is not an audio or video file.")


class Folder:
    """A tree of somebody's, and daemons that are started in it one after the other."""

    def __init__(self, root: Path, files: int, **processing: Any) -> None:
        watch = {"recursive": True, "events": False}
        self.config: Config = a_config(root, watch=watch, processing=processing)
        a_model(self.config.models_directory)
        self.clock = FakeClock()
        plant(self.config.shared_directory, files)
        self.before = digest(self.config.shared_directory)
        #: What the child was given, in all starts.
        self.tried = 0

    def start(self) -> Core:
        """One life of a daemon, until it has nothing left to do."""
        executor = NothingIsMedia(self.clock)
        core = build_core(self.config, self.clock, LocalPool(executor), on_ended=lambda job: None)
        core.store.prepare()
        core.intake.recovery.recover()
        for _ in range(10):
            core.watcher.tick()
            self.clock.advance(1.0)
        while core.scheduler.jobs():
            core.runner.tick()
        self.tried += len(executor.orders)
        core.watcher.close()
        return core

    def check(self) -> None:
        assert digest(self.config.shared_directory) == self.before
        assert list(self.config.manual_directory.iterdir()) == []


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setattr(runner_module, "_IDLE_TICK_S", 0)
    return Folder(tmp_path, FILES)


def test_many_starts_touch_nothing(folder: Folder) -> None:
    folder.start()
    folder.check()
    first = folder.tried
    assert first < FILES / 2, "a text need not be given to the child"
    for _ in range(soak(4, 1000)):
        folder.start()
    folder.check()
    assert folder.tried == first, "what is no recording is tried once, and not at each start"


def test_a_stranger_that_is_still_fresh_does_not_wait_for_growth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "_IDLE_TICK_S", 0)
    folder = Folder(tmp_path, 40, growth_wait_seconds=60)
    folder.start()
    folder.check()


def test_what_is_skipped_is_said_once_for_each_ending(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    core = folder.start()
    lines = [r.getMessage() for r in caplog.records if "Not taken for recordings" in r.getMessage()]
    assert len(lines) == 1
    # .tsx, .py and .jpg: 20 of each in 420; the texts' endings are those of our own.
    names = [p for p in folder.config.shared_directory.glob("project*/**/*") if p.is_file()]
    count = sum(is_skipped(path.name) for path in names)
    assert f"Not taken for recordings by their names: {count}, such as " in lines[0]
    assert core.watcher.health().available


def test_the_real_daemon_leaves_them_and_does_the_recording_among_them(tmp_path: Path) -> None:
    daemon = ScriptedDaemon(tmp_path, {"watch": {"recursive": True, "stable_seconds": 0.2}})
    # The scripted child takes anything for a recording: only texts can be here.
    for number in range(30):
        (daemon.shared / f"part{number}.ts").write_text(f"export const part{number} = 1;\n" * 4)
    before = digest(daemon.shared)
    for _ in range(2):
        with daemon:
            daemon.drop("talk.mp3")
            daemon.wait_for_result("talk.mp3", SOON_S)
            for path in daemon.shared.glob("talk.*"):
                path.unlink()
            daemon.wait_for_log("talk.mp3: completed", SOON_S)
    assert digest(daemon.shared) == before
    assert daemon.whole_log.count("is no recording and stays where it is") == 30


def main(starts: int, files: int) -> None:
    """Print the hash of the tree before and after."""
    root = Path(tempfile.mkdtemp())
    runner_module._IDLE_TICK_S = 0
    try:
        folder = Folder(root, files)
        for number in range(starts):
            folder.start()
            if number % 100 == 0:
                folder.check()
        folder.check()
        print(f"{starts} starts, {files} files, the child tried {folder.tried}: {folder.before}")
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
