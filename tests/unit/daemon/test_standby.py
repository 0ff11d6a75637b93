"""When a process that waits takes the folder over, by a clock that the test drives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modules.clock import iso
from modules.config.loader import load_config
from modules.config.schema import Config
from modules.daemon.standby import Standby
from modules.errors import ConfigError, TranscriberError
from modules.recordings.lock import note_path
from tests.builders import a_config
from tests.fakes import FakeClock


class Waits:
    """One that waits, and an owner on another host whose note it sees."""

    def __init__(self, root: Path) -> None:
        self.config: Config = a_config(root, api={"port": 0})
        self.state = self.config.shared_directory / ".transcriber"
        self.state.mkdir(parents=True)
        self.clock = FakeClock()
        self.looks = 0
        self.happens: dict[int, Any] = {}
        self.standby = Standby(self.config, self.clock, self._pause)

    def beat(self) -> None:
        note = {
            "host": "elsewhere", "pid": 7, "role": "daemon", "heartbeat": iso(self.clock.utc_now()),
        }  # fmt: skip
        note_path(self.config).write_text(json.dumps(note))

    def _pause(self, seconds: float) -> None:
        self.looks += 1
        self.clock.advance(1)
        self.happens.pop(self.looks, lambda: None)()
        if self.looks >= 200:
            self.standby.stop()


@pytest.fixture
def waits(tmp_path: Path) -> Waits:
    return Waits(tmp_path)


def test_a_free_folder_is_taken_at_once(waits: Waits) -> None:
    assert waits.standby.wait()
    assert waits.looks == 0


def test_silence_is_waited_for_and_then_the_owner_is_shut_out(waits: Waits) -> None:
    waits.beat()
    assert waits.standby.wait()
    assert waits.looks == 60
    assert not note_path(waits.config).exists()
    assert json.loads((waits.state / "epoch.json").read_bytes())["epoch"] == 1


def test_each_sign_of_life_begins_the_time_anew(waits: Waits) -> None:
    waits.beat()
    waits.happens = dict.fromkeys(range(10, 101, 10), waits.beat)
    assert waits.standby.wait()
    assert waits.looks == 160


def test_a_share_that_is_away_says_nothing(waits: Waits) -> None:
    waits.beat()
    away = waits.state.with_name("away")
    waits.happens = {30: lambda: waits.state.rename(away), 130: lambda: away.rename(waits.state)}
    assert waits.standby.wait()
    assert waits.looks == pytest.approx(189, abs=2)


def test_it_ends_when_told(waits: Waits) -> None:
    waits.beat()
    waits.happens = {5: waits.standby.stop}
    assert not waits.standby.wait()
    assert list((waits.state / "standbys").iterdir()) == []


def test_not_with_a_lock_of_one_machine(tmp_path: Path) -> None:
    config = a_config(tmp_path, processing={"lock_file": str(tmp_path / "lock")})
    with pytest.raises(TranscriberError) as caught:
        Standby(config, FakeClock())
    assert caught.value.code == "standby_without_lock"


def test_the_times_must_fit_together(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("standby:\n  heartbeat_seconds: 10.0\n  takeover_seconds: 20.0\n")
    with pytest.raises(ConfigError, match="at least three times"):
        load_config(file, {})
