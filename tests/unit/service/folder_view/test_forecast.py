"""What is still to be done, in which order, and how long it takes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from modules.cli.commands.queue import _told
from modules.cli.terminal.wording import duration
from modules.jobs.estimates import Estimates
from modules.jobs.job import Job, Progress
from modules.service.folder_view.forecast import Waiting, forecast
from modules.service.folder_view.rows import Row, State
from tests.builders import NOON, SETTINGS, SOURCE, a_job

#: Ten seconds of audio a second, and 100 bytes of mp3 a second of audio.
LEARNED = Estimates(None)
LEARNED.learn(SETTINGS, 1000.0, 100.0, "a.mp3", 100_000)


def found(name: str, time_s: float, size: int = 100_000) -> Row:
    return Row(name, State.PENDING, turn=(3, time_s), size=size)


def running(percentage: int, position_s: float) -> Row:
    job = a_job("run.mp3").open_attempt(NOON)
    progress = Progress(stage="processing_audio", percentage=percentage)
    job = job.evolve(progress=progress, position_s=position_s)
    return Row("run.mp3", State.PROCESSING, turn=(0, 0.0), size=1, job=job)


def seen(
    *rows: Row, paused: bool = False, order: tuple[str, ...] = (), later_s: float = 0.0
) -> list[Waiting]:
    now = NOON + timedelta(seconds=later_s)
    return forecast(rows, LEARNED, SETTINGS, now, paused, order)


def names(waiting: list[Waiting]) -> list[str]:
    assert [each.ahead for each in waiting] == list(range(len(waiting)))
    return [each.row.name for each in waiting]


def test_the_running_one_comes_first_then_orders_then_files_by_time() -> None:
    ordered = Row("order.mp3", State.QUEUED, turn=(1, 9.0), job=a_job("order.mp3"))
    lying = Row("lying.mp3", State.QUEUED, turn=(2, 1.0))
    rows = [found("new.mp3", 7.0), found("old.mp3", 1.0), lying, ordered, running(10, 10.0)]
    done = [Row("done.mp3", State.COMPLETED), Row("bad.mp3", State.MANUAL)]
    waiting = seen(*rows, *done)
    assert names(waiting) == ["run.mp3", "order.mp3", "lying.mp3", "old.mp3", "new.mp3"]


def test_the_daemons_own_order_goes_before_what_the_folder_tells() -> None:
    rows = [found("a.mp3", 1.0), found("b.mp3", 2.0), found("just came.mp3", 0.0)]
    waiting = seen(*rows, order=("b.mp3", "gone.mp3", "a.mp3"))
    assert names(waiting) == ["b.mp3", "a.mp3", "just came.mp3"]


def test_times_add_up() -> None:
    waiting = seen(found("a.mp3", 1.0), found("b.mp3", 2.0, size=200_000))
    assert [each.left_s for each in waiting] == [pytest.approx(100.0), pytest.approx(300.0)]


def test_what_is_done_of_the_running_one_does_not_count() -> None:
    # 500 s are a quarter: 1500 s are left, at ten a second.
    [waiting] = seen(running(25, 500.0))
    assert waiting.left_s == pytest.approx(150.0)


def test_a_run_shows_its_own_pace_more_and_more() -> None:
    # In ten minutes it made 500 s: much slower than others were.
    [waiting] = seen(running(25, 500.0), later_s=600.0)
    assert waiting.left_s is not None
    assert waiting.left_s > 600.0


def test_a_run_that_was_interrupted_tells_no_pace_of_its_own() -> None:
    row = running(25, 500.0)
    assert row.job is not None
    again = row.job.close_attempt("interrupted", NOON, 30.0).open_attempt(NOON)
    row = Row("run.mp3", State.PROCESSING, turn=(0, 0.0), size=1, job=again)
    [waiting] = seen(row, later_s=3600.0)
    assert waiting.left_s == pytest.approx(150.0)


def test_nobody_knows_how_long_a_pause_takes() -> None:
    assert [each.left_s for each in seen(found("a.mp3", 1.0), paused=True)] == [None]


def test_a_kind_of_file_that_was_never_done_is_estimated_from_the_others() -> None:
    waiting = seen(found("a.mp3", 1.0), found("b.wav", 2.0))
    assert [each.left_s for each in waiting] == [pytest.approx(100.0), pytest.approx(200.0)]


def test_behind_one_that_cannot_be_estimated_nothing_is() -> None:
    waiting = seen(found("a.mp3", 1.0), found("b.mp3", 2.0, size=0), found("c.mp3", 3.0))
    assert [each.left_s is None for each in waiting] == [False, True, True]


@pytest.mark.parametrize("start", ["", "yesterday", "2024-01-01T00:00:00"])
def test_a_forged_time_is_no_pace(start: str) -> None:
    row = running(25, 500.0)
    assert row.job is not None
    attempt = row.job.attempts[-1].model_copy(update={"start_time": start})
    forged: Job = row.job.evolve(attempts=(attempt,))
    [waiting] = seen(Row("run.mp3", State.PROCESSING, turn=(0, 0.0), job=forged))
    assert waiting.left_s == pytest.approx(150.0)
    assert forged.source == SOURCE


def test_the_last_line_of_the_queue() -> None:
    one = [Waiting(found("a.mp3", 1.0), 0, 100.0)]
    unknown = [Waiting(found("a.mp3", 1.0), 0, None)]
    assert _told(one, True, False) == "All is ready in 2 min."
    told = "How long it takes is known once a recording was done with this model."
    assert _told(unknown, True, False) == told
    assert _told(unknown, True, True).startswith("The queue is paused;")
    assert _told(one, False, False) == "No daemon runs; this is the order at its next start."
    assert _told([], True, False) == "Nothing waits."
    assert _told([], False, False) == "Nothing waits. No daemon runs."


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(None, ""), (0.0, "under a minute"), (29.0, "under a minute"), (31.0, "1 min"),
     (3599.0, "1 h 0 min"), (3660.0, "1 h 1 min"), (47 * 3600.0, "47 h 0 min"),
     (48 * 3600.0, "2 days"), (86400.0 * 10, "10 days")],
)  # fmt: skip
def test_times_are_told_roughly(seconds: float | None, told: str) -> None:
    assert duration(seconds) == told
