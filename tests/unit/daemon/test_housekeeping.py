"""The daemon's periodic duties: each is done, and none of them may end the daemon."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest

from modules.config.schema import Config
from modules.daemon.housekeeping import Housekeeping
from modules.daemon.wiring import build_core
from modules.errors import LockHeldError, StorageError
from modules.executors.local.pool import LocalPool
from modules.recordings.names import STATE_FOLDER
from modules.recordings.sidecars import IN_PROGRESS, sidecar_name
from tests.builders import a_job
from tests.fakes import FakeClock, FakeExecutor


class House:
    def __init__(self, folder: Path) -> None:
        self.shared = folder / "shared"
        self.shared.mkdir()
        self.clock = FakeClock()
        config = Config(
            shared_directory=self.shared,
            manual_directory=folder / "manual",
            watch={"events": False},  # type: ignore[arg-type]
        )
        pool = LocalPool(FakeExecutor(self.clock))
        self.core = build_core(config, self.clock, pool, on_ended=lambda job: None)
        self.core.store.prepare()
        self.core.watcher.tick()
        self.owner = Mock()
        self.respond = Mock()
        self.keeping = Housekeeping(
            self.shared, 1.0, self.clock, self.core, submit=Mock(), respond=self.respond
        )

    def tick(self) -> None:
        self.keeping.tick(self.owner)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_the_pause_flag_pauses_and_its_removal_resumes(house: House) -> None:
    house.core.store.pause_flag.touch()
    house.tick()
    assert house.core.scheduler.paused
    house.core.store.pause_flag.unlink()
    house.tick()
    assert not house.core.scheduler.paused


def test_a_share_without_our_folder_does_not_resume_the_queue(house: House) -> None:
    house.core.store.pause_flag.touch()
    house.tick()
    (house.shared / STATE_FOLDER).rename(house.shared.parent / "away")
    house.keeping.obey_pause_flag()
    assert house.core.scheduler.paused


def test_the_heart_beats_at_its_interval(house: House) -> None:
    for _ in range(4):
        house.tick()
    assert house.owner.beat.call_count == 1
    house.clock.advance(60)
    house.tick()
    assert house.owner.beat.call_count == 2


def test_another_folder_at_the_path_ends_the_duties(house: House) -> None:
    house.tick()
    house.shared.rename(house.shared.parent / "away")
    house.shared.mkdir()
    (house.shared / STATE_FOLDER).mkdir()
    calls = house.respond.call_count
    house.tick()
    assert house.keeping.share_replaced
    assert house.respond.call_count == calls


@pytest.mark.parametrize("error", [OSError(5, "I/O error"), StorageError("storage_error", "no")])
def test_a_duty_that_fails_leaves_the_others_and_is_said_once_a_minute(
    house: House, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    house.owner.beat.side_effect = error
    for _ in range(3):
        house.tick()
        house.clock.advance(16)
    assert house.respond.call_count == 3
    assert caplog.text.count("The shared folder cannot be used at the moment") == 1


def test_a_duty_that_fails_unexpectedly_leaves_the_others_too(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.owner.beat.side_effect = UnicodeEncodeError("latin-1", "Запись", 0, 1, "no")
    for _ in range(3):
        house.tick()
        house.clock.advance(16)
    assert house.respond.call_count == 3
    assert caplog.text.count("A periodic duty failed; going on") == 1


def test_another_owner_of_the_folder_ends_the_daemon(house: House) -> None:
    house.owner.beat.side_effect = LockHeldError("lock_held", "Another one took over.")
    with pytest.raises(LockHeldError):
        house.tick()


def test_state_whose_recording_never_came_back_is_set_aside_after_its_hours(house: House) -> None:
    job = a_job("away.mp3")
    house.core.store.states.save(job)
    state = house.shared / sidecar_name("away.mp3", IN_PROGRESS)
    house.core.intake.recovery.recover()
    house.tick()
    assert state.exists()
    house.clock.advance(3601)
    house.tick()
    assert not state.exists()
    assert not house.core.intake.recovery.orphans
