"""Deadlines of a task by a clock that the test moves; the child is a script."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from modules.errors import WorkerError
from modules.executors.base import RunCallbacks
from modules.executors.local.run_monitor import RunMonitor
from modules.executors.protocol import Alive, Done, Event, Transcribe
from modules.weights.files import ModelSpec
from tests.builders import SETTINGS, a_config
from tests.fakes import FakeClock

TICK_S, HANG_S, BUDGET_S = 0.25, 30.0, 100.0
SPEC = ModelSpec(name="faster-whisper-base", path="/nowhere", device="cpu", compute_type="int8")
DONE = Done(task_id=1, chunks=0, duration_s=10.0)
#: How long a wait takes, and what it brings.
Wait = tuple[float, Event | None]


class Bench:
    """A monitor whose child plays ``waits`` and then is silent for ever."""

    def __init__(self, root: Path, waits: list[Wait], spent_s: float = 0.0, **more: Any) -> None:
        self.clock = FakeClock()
        self.waits: Iterator[Wait] = iter(waits)
        self.child = Mock(memory_mb=100, memory_peak_mb=100)
        self.child.next_event.side_effect = self._next_event
        self.stood_still: list[float] = []
        limits = {"worker_hang_seconds": HANG_S, "timeout_seconds": BUDGET_S}
        callbacks = RunCallbacks(
            on_chunk=lambda chunk: None, on_standstill=self.stood_still.append, **more
        )
        command = Transcribe(
            task_id=1, path=b"talk.mp3", model=SPEC, settings=SETTINGS, batch_size=8,
            start_s=0.0, max_duration_s=3600,
        )  # fmt: skip
        self.monitor = RunMonitor(
            self.child, command, spent_s, callbacks, a_config(root, processing=limits).processing,
            self.clock, allowance_mb=1000, on_event=lambda event: None,
        )  # fmt: skip

    def _next_event(self) -> Event | None:
        took_s, event = next(self.waits, (TICK_S, None))
        self.clock.advance(took_s)
        return event


def quiet(seconds: float) -> list[Wait]:
    return [(TICK_S, None)] * int(seconds / TICK_S)


def working(seconds: float) -> list[Wait]:
    return [(TICK_S, Alive())] * int(seconds / TICK_S)


def test_a_child_that_is_silent_for_too_long_hangs(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [])
    with pytest.raises(WorkerError) as caught:
        bench.monitor.until_ended()
    assert caught.value.code == "worker_hung"
    assert bench.clock.monotonic() == pytest.approx(HANG_S + TICK_S)


@pytest.mark.parametrize("standstill_s", [20.0, 75.0, 8 * 3600.0])
def test_a_standstill_of_ours_is_not_held_against_the_child(
    tmp_path: Path, standstill_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    almost = quiet(HANG_S - 1.0)
    bench = Bench(tmp_path, [*almost, (standstill_s, None), *almost, (TICK_S, DONE)])
    assert bench.monitor.until_ended() is DONE
    assert bench.stood_still == [pytest.approx(standstill_s - 1.0)]
    assert bench.monitor.ran_s == pytest.approx(2 * (HANG_S - 1.0) + 1.0 + TICK_S)
    assert caplog.text.count("Stood still for ") == 1


def test_a_child_that_hangs_after_a_standstill_is_still_noticed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [*quiet(10.0), (75.0, None)])
    with pytest.raises(WorkerError) as caught:
        bench.monitor.until_ended()
    assert caught.value.code == "worker_hung"
    assert bench.clock.monotonic() == pytest.approx(10.0 + 75.0 + HANG_S + TICK_S)


def test_the_time_of_an_attempt_stands_still_too(tmp_path: Path) -> None:
    waits = [*working(40.0), (3600.0, Alive()), *working(40.0), (TICK_S, DONE)]
    assert Bench(tmp_path, waits).monitor.until_ended() is DONE
    over = Bench(tmp_path, [*working(40.0), (3600.0, None), *working(70.0)])
    with pytest.raises(WorkerError) as caught:
        over.monitor.until_ended()
    assert caught.value.code == "timeout"


def test_many_short_standstills_are_no_time_either(tmp_path: Path) -> None:
    """A laptop that naps, a container that is paused for each backup."""
    waits = [*working(1.0), (10.0, None)] * 30
    assert Bench(tmp_path, [*waits, (TICK_S, DONE)]).monitor.until_ended() is DONE


def test_a_callback_that_takes_long_forgives_no_silence(tmp_path: Path) -> None:
    """Or a child that hangs would never be ended while the share answers slowly."""
    slow: Callable[[], None] = lambda: bench.clock.advance(3.0)  # noqa: E731
    bench = Bench(tmp_path, [], on_tick=slow)
    with pytest.raises(WorkerError) as caught:
        bench.monitor.until_ended()
    assert caught.value.code == "worker_hung"
    assert bench.stood_still == []
    assert bench.clock.monotonic() < 4 * HANG_S


def test_the_grace_of_a_stop_stands_still_too(tmp_path: Path) -> None:
    """What was done until then still arrives."""
    bench = Bench(tmp_path, [(75.0, None), (TICK_S, DONE)], should_stop=lambda: True)
    assert bench.monitor.until_ended() is DONE
    assert not bench.monitor.is_slow_to_stop
