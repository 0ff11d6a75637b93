"""How far behind a session is, also after its child was replaced."""

from __future__ import annotations

from modules.executors.live_protocol import Speech, Worked
from modules.live.hearing import Hearing


def speech(at_s: float, speaking: bool = True) -> Speech:
    return Speech(session=1, speaking=speaking, at_s=at_s)


def test_while_nobody_speaks_nothing_is_late() -> None:
    hearing = Hearing()
    assert hearing.tick(10.0, has_child=True, step_s=1.0) is None
    assert hearing.lag_s(10.0, has_child=True) == 0.0


def test_a_child_that_catches_up_is_late_by_what_it_has_not_heard() -> None:
    hearing = Hearing()
    hearing.note(speech(1.0), 2.0)
    hearing.note(Worked(session=1, upto_s=3.0, busy_s=0.1), 3.0)
    assert hearing.lag_s(9.0, has_child=False) == 6.0
    hearing.begin()
    hearing.tick(20.0, has_child=True, step_s=1.0)  # before it has said anything
    hearing.note(speech(4.0), 20.0)
    assert hearing.lag_s(20.0, has_child=True) == 16.0
    told = hearing.tick(20.0, has_child=True, step_s=1.0)
    assert told is not None
    assert told.seconds == 16.0
    hearing.note(Worked(session=1, upto_s=20.0, busy_s=0.1), 20.0)
    hearing.note(speech(19.0, speaking=False), 20.5)
    assert hearing.lag_s(20.5, has_child=True) == 0.0


def test_what_a_child_claims_is_no_later_than_now_nor_before_the_beginning() -> None:
    hearing = Hearing()
    hearing.note(speech(-5.0), 10.0)
    assert hearing.lag_s(10.0, has_child=True) == 10.0
    hearing.note(Worked(session=1, upto_s=1e6, busy_s=0.1), 10.0)
    assert hearing.lag_s(12.0, has_child=True) == 2.0


def test_an_utterance_that_is_over_is_late_until_its_final_is_made() -> None:
    hearing = Hearing()
    hearing.note(speech(1.0), 2.0)
    hearing.note(speech(6.0, speaking=False), 7.0)
    assert hearing.tick(20.0, has_child=True, step_s=None) is not None
    assert hearing.lag_s(20.0, has_child=True) == 19.0
    hearing.note(Worked(session=1, upto_s=6.4, busy_s=9.0), 20.0)
    assert hearing.lag_s(20.0, has_child=True) == 0.0
