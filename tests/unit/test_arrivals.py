"""Who asked about a file hears of it, be it that it is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.arrivals import Arrivals
from modules.stability import FileSample, StabilityRule
from tests.fakes import FakeClock


class Witness:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def whole(self, name: str, sample: FileSample) -> None:
        self.told.append(f"whole {name}")

    def gone(self, name: str) -> None:
        self.told.append(f"gone {name}")


@pytest.mark.parametrize(("asked", "told"), [(True, ["gone talk.mp3"]), (False, [])])
def test_a_file_that_nobody_saw_is_told_as_gone_to_who_asked(
    tmp_path: Path, asked: bool, told: list[str]
) -> None:
    """Or a job that waits for its file to be whole would wait for ever."""
    witness, clock = Witness(), FakeClock()
    arrivals = Arrivals(tmp_path, witness, clock, StabilityRule(0.1, 0.2), lambda path: None)
    (arrivals.forget if asked else arrivals.expect)("talk.mp3")
    arrivals.look_at_due(lambda: True)
    assert witness.told == told
    arrivals.expect("talk.mp3")
    arrivals.look_at_due(lambda: True)
    assert witness.told == told, "it is told once"
