"""A thread that works until it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from modules.jobs.thread_loop import ThreadLoop
from tests.builders import until
from tests.fakes import FakeClock

LONG_S = 3600.0


class Work:
    """Counts its ticks, and fails as long as it is told to."""

    def __init__(self, pause_s: float = LONG_S, failures: int = 0) -> None:
        self.ticks = self.errors = 0
        self.ended_in: str | None = None
        self._pause_s, self._failures = pause_s, failures
        self.loop = ThreadLoop(
            "work", self._tick, self._on_error, failure_pause_s=0.0, on_end=self._on_end
        )

    def _tick(self) -> float:
        self.ticks += 1
        if self.ticks <= self._failures:
            raise RuntimeError("broken on purpose")
        return self._pause_s

    def _on_error(self) -> None:
        self.errors += 1

    def _on_end(self) -> None:
        self.ended_in = threading.current_thread().name


def test_it_sleeps_between_ticks_until_it_is_woken() -> None:
    work = Work()
    work.loop.start()
    until(lambda: work.ticks == 1, "the first tick did not come")
    work.loop.wake()
    until(lambda: work.ticks == 2, "it was not woken")
    assert work.loop.stop(5.0)
    assert work.ticks == 2


def test_an_unexpected_error_is_reported_and_does_not_end_it() -> None:
    work = Work(failures=3)
    work.loop.start()
    until(lambda: work.ticks == 4, "the loop ended with an error")
    assert work.loop.stop(5.0)
    assert work.errors == 3


def test_its_end_is_called_by_its_own_thread() -> None:
    work = Work()
    work.loop.start()
    assert work.loop.stop(5.0)
    assert work.ended_in == "work"


def test_it_starts_again_after_a_stop() -> None:
    work = Work()
    for ticks in (1, 2):
        work.loop.start()
        until(lambda: work.ticks == ticks, "no tick came")  # noqa: B023 # called at once
        assert work.loop.stop(5.0)


def test_a_thread_that_hangs_is_left_behind() -> None:
    release = threading.Event()

    def hang() -> float:
        release.wait(LONG_S)
        return 0.0

    loop = ThreadLoop("hung", hang, lambda: None, failure_pause_s=0.0)
    loop.start()
    assert not loop.stop(0.05)
    with pytest.raises(RuntimeError, match="hung is still busy"):
        loop.start()
    release.set()
    until(lambda: not _is_alive("hung"), "it did not end")


def _is_alive(name: str) -> bool:
    return any(thread.name == name for thread in threading.enumerate())


def test_stopping_what_never_started_is_no_error() -> None:
    assert Work().loop.stop()


def test_a_tick_can_be_driven_by_hand() -> None:
    work = Work(pause_s=7.0, failures=1)
    steps: list[Callable[[], float]] = [work.loop.tick_safely] * 2
    assert [step() for step in steps] == [0.0, 7.0]


def test_a_tick_that_hangs_is_silent_until_it_says_that_it_lives() -> None:
    clock = FakeClock()
    seen: list[float] = []

    def tick() -> float:
        clock.advance(50)
        seen.append(loop.silent_s)
        loop.beat()
        clock.advance(7)
        seen.append(loop.silent_s)
        return 0.0

    loop = ThreadLoop("work", tick, lambda: None, failure_pause_s=0.0, monotonic=clock.monotonic)
    loop.tick_safely()
    clock.advance(1000)
    assert (seen, loop.silent_s) == ([50.0, 7.0], 0.0)
