"""Is this file finished? Looks and moments are made up; nothing here touches a disk."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modules.watching.stability import (
    SAMPLES_MIN,
    FileSample,
    StabilityRule,
    StabilityTracker,
    Stillness,
)
from tests.fakes import FakeClock

RULE = StabilityRule(settle_s=0.5, stable_s=3.0)
SAMPLE = FileSample(size=1000, mtime_ns=1, ctime_ns=1, inode=7, device=1)
NAME = "talk.mp3"


class Share:
    """A tracker, a clock and a file that the test changes as it likes."""

    def __init__(self, rule: StabilityRule = RULE) -> None:
        self.clock = FakeClock()
        self.rule = rule
        self.tracker = StabilityTracker(rule)
        self.file = SAMPLE
        self.writer: bool | None = None
        self.looks = 0

    def expect(self, *, closed: bool = False) -> None:
        self.tracker.expect(NAME, self.clock.monotonic(), closed=closed)

    def run(self, seconds: float) -> float | None:
        """Take every look that comes due; the moment at which the file was whole, or None."""
        end = self.clock.monotonic() + seconds
        while (due := self.tracker.next_due()) is not None and due <= end:
            self.clock.advance(max(0.0, due - self.clock.monotonic()))
            # Adding up what is left may fall short of it by the last bit.
            now = max(due, self.clock.monotonic())
            name = self.tracker.pop_due(now)
            assert name is not None, "a look that is due was not given out"
            self.looks += 1
            if self.rule.is_whole(self.tracker.observe(name, self.file, now), self.writer):
                self.tracker.drop(name)
                return now
        self.clock.advance(end - self.clock.monotonic())
        return None


def test_a_closed_file_is_whole_after_the_settle_time() -> None:
    desk = Share()
    desk.expect(closed=True)
    moment = desk.run(10)
    assert moment is not None
    assert 0.5 <= moment < 1.0
    assert desk.looks >= SAMPLES_MIN


def test_without_a_close_the_longer_time_counts() -> None:
    desk = Share()
    desk.expect()
    moment = desk.run(10)
    assert moment is not None
    assert 3.0 <= moment < 4.0


@pytest.mark.parametrize("field", ["size", "mtime_ns", "ctime_ns", "inode", "device"])
def test_any_change_starts_the_wait_anew(field: str) -> None:
    desk = Share()
    desk.expect()
    assert desk.run(2.5) is None
    desk.file = replace(desk.file, **{field: 99})
    assert desk.run(2.5) is None
    assert desk.run(2.5) is not None


def test_a_change_after_the_close_takes_the_close_back() -> None:
    desk = Share()
    desk.expect(closed=True)
    assert desk.run(0.3) is None
    desk.file = replace(desk.file, size=2000)
    assert desk.run(1.5) is None


def test_a_close_after_the_last_change_ends_a_long_wait() -> None:
    desk = Share()
    desk.expect()
    assert desk.run(1.6) is None
    closed_at = desk.clock.monotonic()
    desk.expect(closed=True)
    assert desk.run(0.1) == closed_at, "it held still long enough before it was closed"


def test_a_preallocated_file_waits_for_its_times_to_rest() -> None:
    desk = Share()
    desk.expect()
    for tick in range(50):
        desk.file = replace(desk.file, mtime_ns=tick, ctime_ns=tick)
        assert desk.run(1.0) is None, "the size never moved, but the file is being written"
    assert desk.run(10) is not None


def test_a_known_writer_blocks_however_long_the_file_holds_still() -> None:
    desk = Share()
    desk.writer = True
    desk.expect()
    assert desk.run(3600) is None
    assert desk.looks < 3700, "a blocked file is looked at about once a second"
    desk.writer = False
    assert desk.run(2) is not None


def test_a_blocked_file_is_taken_the_moment_its_writer_closes_it() -> None:
    desk = Share()
    desk.writer = True
    desk.expect()
    assert desk.run(60.25) is None
    desk.writer = False
    desk.expect(closed=True)
    assert desk.run(1) == 60.25


def test_an_empty_file_waits_the_longer_time_even_if_it_was_closed() -> None:
    desk = Share()
    desk.file = replace(SAMPLE, size=0)
    desk.expect(closed=True)
    moment = desk.run(10)
    assert moment is not None
    assert 3.0 <= moment < 4.0


def test_one_late_look_proves_nothing() -> None:
    late = Stillness(SAMPLE, since=0.0, last=0.0).after(SAMPLE, 1000.0)
    assert not RULE.holds(late)
    assert RULE.holds(late.after(SAMPLE, 1001.0))


def test_a_burst_of_looks_proves_nothing() -> None:
    still = Stillness(SAMPLE, since=0.0, last=0.0, closed=True)
    for look in range(20):
        still = still.after(SAMPLE, look / 1000)
    assert not RULE.holds(still)


def test_starting_over_forgets_the_stillness_and_keeps_the_names() -> None:
    desk = Share()
    desk.expect(closed=True)
    assert desk.run(0.4) is None
    desk.tracker.start_over(desk.clock.monotonic())
    assert NAME in desk.tracker
    assert not desk.tracker.seen(NAME)
    assert desk.run(2.9) is None
    assert desk.run(1) is not None


def test_a_file_left_alone_after_its_look_comes_back() -> None:
    tracker = StabilityTracker(RULE)
    tracker.expect(NAME, 0.0)
    assert tracker.pop_due(0.0) == NAME
    assert tracker.pop_due(0.0) is None
    assert tracker.pop_due(1.0) == NAME


def test_a_dropped_file_is_not_given_out() -> None:
    tracker = StabilityTracker(RULE)
    tracker.expect(NAME, 0.0)
    tracker.drop(NAME)
    assert tracker.next_due() is None
    assert tracker.pop_due(9.0) is None
    assert len(tracker) == 0


def test_hints_in_bursts_give_one_look() -> None:
    tracker = StabilityTracker(RULE)
    for _ in range(100):
        tracker.expect(NAME, 0.0)
    assert tracker.pop_due(0.0) == NAME
    assert tracker.pop_due(0.0) is None


@example([(0.1, "size")], 0.0, 1.9042075623703962)
@given(
    st.lists(
        st.tuples(
            st.floats(0.01, 5.0),
            st.sampled_from(["size", "mtime_ns", "ctime_ns", "inode", "close", "hint", "none"]),
        ),
        max_size=40,
    ),
    st.floats(0.0, 2.0),
    st.floats(0.1, 5.0),
)
def test_never_whole_while_changing(
    steps: list[tuple[float, str]], settle_s: float, stable_s: float
) -> None:
    desk = Share(StabilityRule(settle_s, stable_s))
    desk.expect()
    changed_at = 0.0
    for number, (pause_s, step) in enumerate(steps, start=2):
        whole_at = desk.run(pause_s)
        if whole_at is not None:
            assert whole_at - changed_at >= min(settle_s, stable_s)
            return
        if step == "close":
            desk.expect(closed=True)
        elif step == "hint":
            desk.expect()
        elif step != "none":
            desk.file = replace(desk.file, **{step: number * 1000})
            changed_at = desk.clock.monotonic()
    assert desk.run(20) is not None, "a file at rest must become whole"


@given(st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=30))
def test_never_whole_while_somebody_writes(writers: list[bool | None]) -> None:
    desk = Share()
    desk.expect(closed=True)
    for writer in writers:
        desk.writer = writer
        if desk.run(5) is not None:
            assert writer is not True
            return
    assert set(writers) == {True}
