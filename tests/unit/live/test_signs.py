"""A child that works without a sign of life is noticed, and one that only waits is not."""

from __future__ import annotations

import pytest

from modules.executors.live_protocol import (
    LiveEvent,
    LiveFailed,
    Reading,
    TextFailed,
    Worked,
    Working,
)
from modules.live.signs import Deaths, Signs

TEXT = Working(session=1, lane="text")
PASS = Working(session=2, lane="pass")


def hangs_after(signs: Signs, seconds: float, limit_s: float = 10.0) -> bool:
    """With a look four times a second."""
    found = False
    signs.hangs(limit_s, 100.0)
    for look in range(1, int(4 * seconds) + 1):
        found = signs.hangs(limit_s, 100.0 + look / 4)
    return found


def test_work_without_a_sign_is_noticed_and_a_pass_has_more_time() -> None:
    signs = Signs()
    signs.note(TEXT)
    assert signs.works_at(1) == {"text"}
    assert signs.works_at(2) == set()
    assert not hangs_after(signs, 9.5)
    assert hangs_after(signs, 1.0)
    signs.note(TEXT)
    assert not hangs_after(signs, 9.5), "it gave a sign"
    signs = Signs()
    signs.note(PASS)
    assert not hangs_after(signs, 29.0)
    assert hangs_after(signs, 1.5)


@pytest.mark.parametrize(
    ("began", "ended"),
    [(TEXT, Working(session=1, lane="text", busy=False)),
     (TEXT, TextFailed(session=1, message="It did.")),
     (PASS, Worked(session=2, upto_s=1.0, busy_s=0.1)),
     (PASS, LiveFailed(session=2, code="live_failed", message="It did."))],
)  # fmt: skip
def test_who_rests_does_not_hang(began: LiveEvent, ended: LiveEvent) -> None:
    signs = Signs()
    signs.note(began)
    signs.note(ended)
    assert not hangs_after(signs, 1000.0)
    assert signs.works_at(1) == signs.works_at(2) == set()


def test_while_this_process_stood_still_nothing_counts() -> None:
    signs = Signs()
    signs.note(TEXT)
    assert not signs.hangs(10.0, 100.0)
    assert not signs.hangs(10.0, 5000.0)


def test_a_child_cannot_fill_the_memory_with_work() -> None:
    signs = Signs()
    for number in range(1, 5000):
        signs.note(Working(session=number, lane="text"))
    assert len(signs._silent_s) == 1000


def test_the_third_death_at_the_same_point_is_one_too_many() -> None:
    deaths = Deaths()
    assert [deaths.are_too_many(at) for at in (0.0, 0.0, 30.0, 30.0, 30.0)] == [
        False, False, False, False, True,
    ]  # fmt: skip


def hangs_while_spoken_to(signs: Signs, seconds: float, limit_s: float = 10.0) -> bool:
    """With a command and a look four times a second."""
    found = False
    signs.hangs(limit_s, 100.0)
    for look in range(1, int(4 * seconds) + 1):
        signs.note_sent()
        found = signs.hangs(limit_s, 100.0 + look / 4)
    return found


def test_a_child_that_reads_nothing_of_what_it_is_sent_is_noticed() -> None:
    signs = Signs()
    assert not hangs_while_spoken_to(signs, 9.5)
    assert hangs_while_spoken_to(signs, 1.0)
    signs.note(Reading(session=1))
    assert not hangs_while_spoken_to(signs, 9.5), "it has read"
    signs.note(TEXT)
    assert hangs_while_spoken_to(signs, 1.0), "that another thread works does not count"


def test_who_is_sent_nothing_has_nothing_to_read() -> None:
    signs = Signs()
    signs.note_sent()
    assert not hangs_after(signs, 1000.0)
    assert not hangs_while_spoken_to(signs, 9.0)
