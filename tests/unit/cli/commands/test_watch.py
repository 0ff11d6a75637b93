"""What ``status --watch`` shows: as much as there is room for, or a line for each change."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from modules.cli.commands.watch import Lines
from modules.cli.snapshot import Snapshot
from modules.cli.terminal.watch_table import draw
from modules.outputs.notes import warning
from modules.service.folder_view.forecast import Waiting
from modules.service.folder_view.report import Report
from modules.service.folder_view.rows import Row, State
from modules.service.worker_view import WorkerView

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def a_sight(waiting: int = 0, done: int = 0, failed: int = 0, percentage: int = 45) -> Snapshot:
    """The first of those that wait is at work."""
    queue = [Row(f"wait {n}.mp3", State.PENDING) for n in range(1, waiting)]
    if waiting:
        stage = "processing_audio"
        row = Row("run.mp3", State.PROCESSING, NOON, stage=stage, percentage=percentage)
        queue.insert(0, row)
    ended = [
        Row(f"done {n}.mp3", State.COMPLETED, NOON + timedelta(seconds=n)) for n in range(done)
    ]
    ended += [Row(f"bad {n}.mp3", State.MANUAL, NOON, error="Not media.") for n in range(failed)]
    rows = [Waiting(row, place, 60.0 * place) for place, row in enumerate(queue)]
    return Snapshot(Report([*ended, *queue]), rows)


def drawn(snapshot: Snapshot, width: int = 100, height: int = 24) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    console.print(draw(snapshot, width, height))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("height", [6, 10, 24, 50])
@pytest.mark.parametrize("width", [30, 60, 100, 200])
@pytest.mark.parametrize(
    ("waiting", "done", "failed"),
    [(0, 0, 0), (1, 0, 0), (3, 2, 1), (10_000, 0, 0), (0, 10_000, 0), (5_000, 5_000, 10)],
)
def test_it_fits_whatever_there_is(
    waiting: int, done: int, failed: int, width: int, height: int
) -> None:
    lines = drawn(a_sight(waiting, done, failed), width, height)
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)


def test_who_is_at_work_who_waits_and_who_ended_newest_first() -> None:
    text = "\n".join(drawn(a_sight(waiting=4, done=3, failed=1)))
    assert text.splitlines()[0] == "No daemon runs. 3 completed, 1 manual, 3 pending, 1 processing."
    assert re.search(r"1 +run\.mp3 +━+.* 45 +processing audio", text)
    assert re.search(r"3 +wait 2\.mp3 .*pending +2 min", text)
    places = [text.index(name) for name in ("done 2", "done 1", "done 0", "bad 0.mp3")]
    assert places == sorted(places)
    assert "Not media." in text


def test_what_has_no_room_is_counted() -> None:
    lines = drawn(a_sight(waiting=10_000, done=10_000), height=24)
    told = [int(line.split()[2]) for line in lines if line.startswith("…")]
    shown = len([line for line in lines if ".mp3" in line])
    assert sum(told) + shown == 20_000


REASON = "This is no recording: none of the known kinds of audio or video begins like this."


def a_failure(name: str = "shopping list.mp3") -> Snapshot:
    return Snapshot(Report([Row(name, State.MANUAL, NOON, error=REASON)]))


def test_a_reason_has_the_room_that_there_is() -> None:
    [line] = [line for line in drawn(a_failure(), width=160) if "shopping" in line]
    assert line.endswith(f"shopping list.mp3  {REASON}")


def test_a_reason_without_room_beside_its_name_is_below_it() -> None:
    name = "Recording of the meeting on the twenty-first of November.mp3"
    lines = drawn(a_failure(name), width=110)
    place = next(n for n, line in enumerate(lines) if name in line)
    assert REASON[:70] in lines[place + 1]


def test_on_a_low_screen_a_name_and_its_reason_share_a_line() -> None:
    rows = [Row(f"bad {n}.mp3", State.MANUAL, NOON, error=REASON) for n in range(6)]
    lines = drawn(Snapshot(Report(rows)), width=80, height=14)
    assert len([line for line in lines if ".mp3  This is no recording: no" in line]) == 6


def test_names_cannot_disturb_the_screen() -> None:
    row = Row("[red]odd\x1b[2J\n\udcff.mp3", State.PROCESSING, percentage=5)
    [line] = [x for x in drawn(Snapshot(Report([row]), [Waiting(row, 0, None)])) if "odd" in x]
    assert r"[red]odd\x1b[2J\n\udcff.mp3" in line


def test_a_share_that_is_away_is_said() -> None:
    [line] = drawn(Snapshot(problem="Stale file handle"))
    assert line == "The shared folder cannot be read at the moment: Stale file handle"


def some_workers(count: int) -> list[WorkerView]:
    """The first of them is lost."""
    lost = WorkerView("node-0", "node-0", "cpu", "lost", NOON, problem="Its machine was lost.")
    there = [
        WorkerView(f"node-{n}", f"node-{n}", "cpu", "transcribing", NOON, filename=f"talk {n}.mp3")
        for n in range(1, count)
    ]
    return [*there, lost]


def test_the_workers_of_a_cluster_are_shown() -> None:
    snapshot = replace(a_sight(waiting=2), workers=some_workers(3))
    found = [line for line in drawn(snapshot) if line.startswith("Worker ")]
    assert ["lost" in line for line in found] == [True, False, False]
    assert found[0].endswith(": Its machine was lost.")
    assert "Worker node-2 (cpu): transcribes talk 2.mp3, since " in found[2]


@pytest.mark.parametrize("height", [2, 6, 10, 24])
@pytest.mark.parametrize("count", [1, 3, 100])
def test_workers_leave_room_for_the_recordings(count: int, height: int) -> None:
    lines = drawn(replace(a_sight(10, 10), workers=some_workers(count)), 60, height)
    assert len(lines) <= height
    shown = [line for line in lines if line.startswith("Worker ")]
    assert len(shown) <= height // 3
    assert bool(shown) == (height > 2 and (count == 1 or height >= 6))


# --- lines --------------------------------------------------------------------------------------


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = capsys.readouterr().out.splitlines()
    stamps = [re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] (.*)", line) for line in lines]
    assert all(stamps), lines
    return [stamp.group(1) for stamp in stamps if stamp]


def test_a_line_for_each_change_and_none_without(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.show(a_sight(waiting=2, percentage=12))
    assert told(capsys) == ["No daemon runs. 1 pending, 1 processing."]
    for percentage in (12, 15, 19):
        lines.show(a_sight(waiting=2, percentage=percentage))
    assert told(capsys) == []
    lines.show(a_sight(waiting=2, percentage=21))
    assert told(capsys) == ["run.mp3: processing, 20 %"]
    lines.show(a_sight(waiting=1, percentage=21, done=1, failed=1))
    assert told(capsys) == [
        "wait 1.mp3: deleted or moved",
        "done 0.mp3: completed",
        "bad 0.mp3: manual, Not media.",
        "No daemon runs. 1 completed, 1 manual, 1 processing.",
    ]


def test_a_text_to_be_checked_is_told_with_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.show(Snapshot())
    warned = (warning("incomplete"),)
    lines.show(Snapshot(Report([Row("a.mp3", State.COMPLETED, NOON, warnings=warned)])))
    assert f"a.mp3: completed. {warned[0]['message']}" in told(capsys)


def test_trouble_is_said_once_and_its_end_too(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.show(a_sight(done=1))
    for _ in range(3):
        lines.show(Snapshot(problem="gone"))
    lines.show(a_sight(done=1))
    assert told(capsys) == [
        "No daemon runs. 1 completed.",
        "The shared folder cannot be read at the moment: gone",
        "No daemon runs. 1 completed.",
    ]


def test_a_worker_of_a_cluster_is_told_whenever_it_does_something_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines, snapshot = Lines(), replace(a_sight(), workers=some_workers(2))
    lines.show(snapshot)
    lines.show(snapshot)
    found = told(capsys)
    assert [line.split(",")[0] for line in found] == [
        "Worker node-1 (cpu): transcribes talk 1.mp3", "Worker node-0 (cpu): is lost",
        "No daemon runs. There are no recordings.",
    ]  # fmt: skip
    free = WorkerView("node-1", "node-1", "cpu", "waiting", NOON)
    lines.show(replace(snapshot, workers=[free, *snapshot.workers[1:]]))
    [line] = told(capsys)
    assert line.startswith("Worker node-1 (cpu): has nothing to do, since ")


def test_a_name_cannot_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.show(Snapshot())
    lines.show(Snapshot(Report([Row("a\n[2024-01-01 00:00:00] b\x1b[2J.mp3", State.PENDING)])))
    shown = told(capsys)
    assert len(shown) == 3
    assert shown[1] == r"a\n[2024-01-01 00:00:00] b\x1b[2J.mp3: pending"
