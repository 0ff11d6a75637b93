"""Since when a part has its state."""

from __future__ import annotations

from modules.service.part_states import PartState, PartStates
from tests.fakes import FakeClock


def test_a_state_is_dated_by_when_it_was_first_seen_whatever_the_reason() -> None:
    clock, states = FakeClock(), {"disk": PartState("ok")}
    parts = PartStates({"disk": lambda: states["disk"]}, clock)
    [first] = parts.look()
    clock.advance(60)
    states["disk"] = PartState("degraded", "90 MB are free")
    [low] = parts.look()
    assert (low.since - first.since).total_seconds() == 60
    clock.advance(60)
    states["disk"] = PartState("degraded", "80 MB are free")
    [lower] = parts.look()
    assert (lower.since, lower.why) == (low.since, "80 MB are free")
    states["disk"] = PartState("ok")
    assert parts.look()[0].since > low.since
