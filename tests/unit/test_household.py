"""What the benchmark of the daemon itself counts with, in small folders and short queues."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import crowd
from benchmarks.bookkeeping import WORDS, bookkeeping, chunk_line
from benchmarks.folders import Folder, Memory, fill, whole_periods
from benchmarks.household import Figures, Goal, goals, report
from benchmarks.queueing import operations
from benchmarks.rescans import rescans
from modules.config.schema import WatchConfig
from modules.executors.protocol import parse_event
from modules.recordings.store import RecordingStore
from modules.transcript.model import Chunk
from modules.watching.rescan_schedule import RESCAN_COST_FACTOR


def a_folder(files: int, *found_s: float, idle: float | None = 0.002, rss_mb: float = 70) -> Folder:
    return Folder(files, 1.0, 4.0, 3.5, found_s, found_s, idle, Memory(rss_mb, 50.0))


def figures(*folders: Folder, status_s: float | None = 0.02) -> Figures:
    return Figures(folders, (), (), (), (), status_s)


# --- goals ---------------------------------------------------------------------------------------


def test_the_goals_look_at_the_fullest_folder_and_at_the_memory_of_the_emptiest() -> None:
    full = a_folder(100_000, 0.3, 0.9, 0.4, idle=0.008, rss_mb=190)
    found = goals(figures(a_folder(0, 0.2), full, a_folder(10_000, 0.1)))
    assert [goal.measured for goal in found] == [0.9, pytest.approx(0.8), 70, 20]
    assert [goal.reached for goal in found] == ["yes"] * 4


def test_what_is_not_reached_is_told_loudly() -> None:
    full = a_folder(100_000, 0.3, 1.1, idle=0.011)
    found = goals(figures(a_folder(0, 0.2, rss_mb=81), full, status_s=0.06))
    assert [goal.reached for goal in found] == ["NO"] * 4


def test_what_was_not_measured_is_neither_reached_nor_missed() -> None:
    found = goals(figures(a_folder(0, 0.2, idle=None), status_s=None))
    assert [goal.reached for goal in found] == ["yes", "not measured", "yes", "not measured"]
    assert found[-1].row()[2] == "-"


def test_a_goal_is_under_and_not_at_its_limit() -> None:
    assert Goal("idle", 1.0, 1.0, "%").reached == "NO"


def test_idling_is_measured_over_whole_periods_of_rescans() -> None:
    usual_s = WatchConfig().rescan_seconds
    assert whole_periods(60, 0.0) == 2 * usual_s
    assert whole_periods(usual_s + 1, 0.0) == 2 * usual_s
    assert whole_periods(60, 2.0) == 2 * RESCAN_COST_FACTOR * 2.0 + 2.0


# --- the parts, in small -------------------------------------------------------------------------


def test_the_recordings_of_the_benchmark_are_finished_ones(tmp_path: Path) -> None:
    fill(tmp_path / "shared", 3)
    files = RecordingStore(tmp_path / "shared", tmp_path / "manual")
    assert all(files.results.is_done(f"{number:06}.mp3") for number in range(3))
    assert len(list((tmp_path / "shared").iterdir())) == 12
    assert files.results.plan_outputs("000001.mp3", ("txt", "srt")) == ("000001.txt", "000001.srt")


def test_a_chunk_is_as_wordy_as_people_are() -> None:
    chunk = parse_event(chunk_line(7))
    assert isinstance(chunk, Chunk)
    assert (chunk.number, chunk.start_s, chunk.position_s) == (8, 210.0, 240.0)
    words = [word for segment in chunk.segments for word in segment.words]
    assert len(words) == WORDS
    assert " ".join(segment.text for segment in chunk.segments).count(" ") == WORDS - 1
    assert chunk.segments[-1].end < chunk.position_s


def test_every_operation_is_done_on_queues_of_both_lengths() -> None:
    short, long = operations(20), operations(60)
    assert [o.name for o in short] == [o.name for o in long]
    assert {o.jobs for o in short} == {20}
    assert all(o.median_us > 0 for o in [*short, *long])


def test_a_recording_is_written_down_to_its_result(tmp_path: Path) -> None:
    found = bookkeeping(tmp_path, 0.05)
    assert found.chunks == 6
    assert found.written_mb * 1e6 > 6 * len(chunk_line(0))
    assert found.result_mb * 1e6 > 6 * len(chunk_line(0))
    assert (tmp_path / "shared" / "long.srt").exists()


def test_a_rescan_costs_something_for_each_recording(tmp_path: Path) -> None:
    fill(tmp_path / "shared", 5)
    (tmp_path / "shared" / ".transcriber").mkdir(exist_ok=True)
    found = rescans(tmp_path / "shared", 5)
    assert found.scan_again_us > 0
    assert found.rescan_again_us > 0


# --- what is asked, and what is told -------------------------------------------------------------


def test_pollers_ask_for_what_they_are_told_to() -> None:
    assert crowd.Questions(("status",)).paths == ["/status/crowd.wav"]
    assert crowd.Questions(("status", "health")).paths == ["/status/crowd.wav", "/health"]


def test_the_report_has_every_table(tmp_path: Path) -> None:
    fill(tmp_path / "shared", 2)
    told = report(
        Figures(
            (a_folder(0, 0.2), a_folder(100_000, 0.3, 0.4)),
            (a_folder(100_000, 24.0, idle=None),),
            (rescans(tmp_path / "shared", 2),),
            (*operations(20), *operations(40)),
            (bookkeeping(tmp_path / "hour", 0.02),),
            None,
        )
    )
    assert "100,000" in told
    assert "0.30 0.40 s" in told
    assert "20 jobs" in told
    assert "growth" in told
    assert "not measured" in told
