"""When trouble is said again, and how long the next try waits."""

from __future__ import annotations

from modules.delivery.trouble import COMPLAINT_S, Trouble
from modules.jobs.backoff import Backoff
from tests.fakes import FakeClock


def test_each_trouble_is_said_once_and_again_after_a_while() -> None:
    clock = FakeClock()
    trouble = Trouble(Backoff(first_s=1.0, longest_s=60.0), clock.monotonic)
    assert not trouble.end()
    first = trouble.note("away")
    assert trouble.is_worth_a_line()
    assert trouble.note("away") > first
    assert not trouble.is_worth_a_line()
    clock.advance(COMPLAINT_S)
    trouble.note("away")
    assert trouble.is_worth_a_line()
    trouble.note("full")
    assert (trouble.problem, trouble.is_worth_a_line()) == ("full", True)
    assert trouble.end()
    assert trouble.problem is None
    assert trouble.note("full") == first
    assert trouble.is_worth_a_line()
