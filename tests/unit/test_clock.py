"""A clock that does not hold a standstill against others."""

from __future__ import annotations

import pytest

from modules.clock import AwakeClock
from tests.fakes import FakeClock


def test_while_it_is_looked_at_it_goes_like_any_other() -> None:
    clock = FakeClock()
    awake = AwakeClock(clock)
    began = awake.monotonic()
    for _ in range(100):
        clock.advance(0.25)
        assert awake.look() == 0.0
    assert awake.monotonic() - began == pytest.approx(25.0)


@pytest.mark.parametrize("standstill_s", [1.5, 75.0, 8 * 3600.0])
def test_a_standstill_counts_no_more_than_a_look(standstill_s: float) -> None:
    clock = FakeClock()
    awake = AwakeClock(clock)
    began = awake.monotonic()
    clock.advance(standstill_s)
    assert awake.look() == pytest.approx(standstill_s - AwakeClock.LONGEST_LOOK_S)
    assert awake.look() == 0.0, "it is told once"
    clock.advance(0.25)
    assert awake.monotonic() - began == pytest.approx(AwakeClock.LONGEST_LOOK_S + 0.25)
