"""How often a folder is rescanned that takes long to read: idling must stay cheap."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.watching.rescan_schedule import RESCAN_COST_FACTOR
from modules.watching.stability import FileSample
from modules.watching.watcher import Watcher
from tests.fakes import FakeClock


class SlowFolderClock(FakeClock):
    """Between any two questions for the time a tenth of a second goes by."""

    def monotonic(self) -> float:
        self.advance(0.1)
        return super().monotonic()


class Nobody:
    """A sink that is told of nothing, as the folder is empty."""

    def on_complete(self, name: str, sample: FileSample) -> None:
        raise AssertionError(f"there is no {name}")

    def on_deleted(self, name: str) -> None:
        raise AssertionError(f"there was no {name}")


@pytest.mark.parametrize("events", [False, True], ids=["rescans only", "events"])
def test_rescans_take_a_hundredth_of_the_time_and_half_of_that_beside_events(
    tmp_path: Path, events: bool
) -> None:
    watcher = Watcher(
        tmp_path, Nobody(), SlowFolderClock(), recursive=False, events=events,
        rescan_s=1.0, settle_s=0.1, stable_s=0.2,
    )  # fmt: skip
    try:
        wait_s = watcher.tick()
        assert watcher.health().events == ("on" if events else "off")
    finally:
        watcher.close()
    factor = 2 * RESCAN_COST_FACTOR if events else RESCAN_COST_FACTOR
    cost_s = watcher.health().last_rescan_s
    assert cost_s > 0
    assert wait_s == pytest.approx(factor * cost_s, rel=0.05)
