"""What the benchmark counts with: ratios, the scaled loop, goals, its table, JSON and picture."""

from __future__ import annotations

import json
import os
import py_compile
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from benchmarks.bench import usual_repeats
from benchmarks.bench_report import (
    MESSAGES,
    Runs,
    Spread,
    Taken,
    Trial,
    Units,
    as_json,
    draw,
    goal_rows,
    goals,
    ratios,
    rows,
    scaled,
    units_heard,
)
from benchmarks.measure import (
    PeakMemory,
    cpu_s,
    cpu_s_of_ended,
    proportional_mb,
    require_bytecode,
    started_besides,
    tree,
)
from benchmarks.turns import interval
from tests.daemon_process import PROJECT, resident_mb

#: Ten units of fifty words: enough for an interval.
FIFTIES: Units = ((5, 50),) * 10


def taken(wall_s: float, pss_mb: float = 500.0) -> Taken:
    return Taken(wall_s, 2 * wall_s, pss_mb, pss_mb + 100)


def runs(walls_s: Sequence[float], units: Units = FIFTIES, pss_mb: float = 500.0) -> Runs:
    return Runs(tuple(taken(wall_s, pss_mb) for wall_s in walls_s), units)


#: One sentence.
FEW = runs([1], ((1, 20),))


def trial(key: str = "600", **by: Runs) -> Trial:
    usual = {"daemon": runs([10.0]), "command": runs([30.0]), "batched": runs([15.0])}
    return Trial(key, f"{key} s", 600.0, usual | by)


def spoken_of_goals(trials: Sequence[Trial]) -> dict[str, bool]:
    return {goal.what: goal.reached for goal in goals(trials)}


# --- ratios --------------------------------------------------------------------------------------


def test_a_ratio_is_that_of_one_turn_and_not_of_two_medians() -> None:
    # The machine was three times slower in the second turn.
    drifting = trial(daemon=runs([1.0, 3.0, 1.0]), command=runs([10.0, 36.0, 14.0]))
    assert ratios(drifting.runs["command"].taken, drifting.runs["daemon"].taken) == [10, 12, 14]
    assert drifting.times("command", "daemon") == Spread(12.0, 10.0, 14.0)
    assert str(drifting.times("command", "daemon")) == "12.00 (10.00 to 14.00)"


def test_one_turn_has_no_spread_to_show() -> None:
    assert str(trial().times("command", "daemon")) == "3.00"


def test_goes_without_a_counterpart_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([taken(1), taken(1)], [taken(1)])


def test_of_several_goes_the_middle_time_and_the_most_memory_count() -> None:
    goes = Runs((taken(3, 900), taken(1, 400), taken(2, 500)))
    assert (goes.wall_s, goes.cpu_s, goes.pss_mb) == (2, 4, 900)


@pytest.mark.parametrize(
    ("seconds", "repeats"), [(1, 5), (10, 5), (60, 3), (599, 3), (600, 2), (3600, 1), (36000, 1)]
)
def test_short_recordings_are_repeated_more_often(seconds: int, repeats: int) -> None:
    assert usual_repeats(seconds) == repeats


# --- word errors ---------------------------------------------------------------------------------


def test_a_joined_recording_is_counted_in_blocks_and_a_clip_as_one() -> None:
    said = "раз два три четыре " * 25
    heard = said.replace("два", "2", 1).replace("четыре", "", 1)
    assert units_heard(said, heard, joined=True) == ((1, 50), (0, 50))
    assert units_heard(said, heard, joined=False) == ((1, 100),)


def test_the_difference_of_the_errors_is_paired() -> None:
    theirs: Units = tuple((number % 7, 50) for number in range(60))
    ours: Units = tuple((errors + 1, words) for errors, words in theirs)
    found = trial(daemon=runs([1], ours), command=runs([1], theirs)).errors("daemon", "command")
    assert found is not None
    assert found.difference.value == pytest.approx(0.02)
    assert found.difference.low == pytest.approx(0.02)
    assert found.ours.low < found.ours.value


def test_a_few_words_say_nothing_about_how_sure_a_difference_is() -> None:
    units = {"daemon": FIFTIES[:7], "command": ((4, 50),) * 7}
    small = Trial("10", "10 s", 10, {who: runs([1], units[who]) for who in units})
    assert "+2.0 (too few words)" in rows([small])[2]
    assert not [what for what in spoken_of_goals([small]) if "word error rate" in what]


def test_a_text_that_nobody_looked_at_has_no_errors() -> None:
    loop = trial(MESSAGES, command=runs([300], ()))
    assert loop.errors("daemon", "command") is None
    assert loop.runs["command"].word_error_rate is None
    assert rows([loop])[2][-1] == "-"


# --- the loop ------------------------------------------------------------------------------------


def test_a_loop_is_scaled_by_recordings_and_its_memory_is_not() -> None:
    found = scaled([taken(20, 900), taken(22, 1200), taken(24, 1000)], 100)
    assert found.wall_s == pytest.approx(2200)
    assert found.cpu_s == pytest.approx(4400)
    assert (found.pss_mb, found.rss_mb) == (1200, 1300)


def test_what_was_scaled_says_so() -> None:
    loop = trial(MESSAGES, command=runs([2200], ()))
    assert [row[1] for row in rows([loop])[1:]] == [
        "warm daemon",
        "whisperx command, scaled",
        "faster-whisper, batched",
    ]
    by = as_json([loop], {})["trials"][0]["runs"]
    assert [who for who in by if by[who]["scaled"]] == ["command"]


# --- goals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "command_s", "reached"),
    [("10", 121, True), ("10", 119, False), ("600", 25, True), ("600", 24, False)],
)
def test_a_length_has_its_own_goal(key: str, command_s: float, reached: bool) -> None:
    found = spoken_of_goals([trial(key, command=runs([command_s]))])
    assert found[f"{key} s: times faster than the whisperx command"] is reached


@pytest.mark.parametrize(("batched_s", "reached"), [(16, True), (15, False)])
def test_an_hour_is_held_against_the_batches(batched_s: float, reached: bool) -> None:
    found = spoken_of_goals([trial("3600", batched=runs([batched_s]))])
    assert found["3600 s: part of faster-whisper's batched time"] is reached


@pytest.mark.parametrize(
    ("walls_s", "reached"), [([7.6], True), ([7.8], False)], ids=["faster", "too slow"]
)
def test_fast_mode_is_held_against_the_same_daemon_without(
    walls_s: list[float], reached: bool
) -> None:
    found = spoken_of_goals([trial(MESSAGES, fast=runs(walls_s))])
    assert found[f"{MESSAGES} s, fast_mode: times faster than without"] is reached


@pytest.mark.parametrize(("errors", "reached"), [(50, True), (55, True), (56, False)])
def test_fast_mode_may_cost_one_word_in_a_hundred(errors: int, reached: bool) -> None:
    daemon, fast = runs([10], ((5, 50),) * 10), runs([7], ((5, 50),) * 9 + ((errors - 45, 50),))
    found = spoken_of_goals([trial(MESSAGES, daemon=daemon, fast=fast)])
    assert found[f"{MESSAGES} s, fast_mode: word error rate less that without, points"] is reached


def test_our_errors_are_worse_only_if_the_whole_interval_is() -> None:
    what = "600 s: word error rate less the whisperx command's, points"
    once: Units = ((6, 50), *FIFTIES[1:])
    assert spoken_of_goals([trial(daemon=runs([10], once))])[what]
    always: Units = ((6, 50),) * 10
    assert not spoken_of_goals([trial(daemon=runs([10], always))])[what]


def test_the_daemon_s_peak_of_all_trials_counts_and_nobody_else_s() -> None:
    what = "peak memory of daemon and worker (PSS)"
    heavy = trial(command=runs([30], pss_mb=2000))
    assert spoken_of_goals([heavy])[what]
    heavier = trial(MESSAGES, fast=runs([5], pss_mb=1600))
    assert not spoken_of_goals([heavy, heavier])[what]


def test_goals_of_lengths_that_were_not_run_are_left_out() -> None:
    assert list(spoken_of_goals([trial("60")])) == [
        "60 s: word error rate less the whisperx command's, points",
        "peak memory of daemon and worker (PSS)",
    ]


def test_every_goal_is_a_row_with_its_verdict() -> None:
    lines = goal_rows(goals([trial(command=runs([20.0]))]))
    assert lines[0] == ("figure", "goal", "measured", "reached")
    assert ("600 s: times faster than the whisperx command", "at least 2.5", "2.00", "NO") in lines


# --- JSON and the picture ------------------------------------------------------------------------


def test_the_json_holds_every_go_and_what_was_made_of_them() -> None:
    twice = trial(daemon=runs([10, 12]), command=runs([30, 30]), batched=runs([20, 20]))
    found = json.loads(json.dumps(as_json([twice], {"cores": 2})))
    assert list(found) == ["machine", "trials", "goals"]
    assert found["machine"] == {"cores": 2}
    assert {goal["reached"] for goal in found["goals"]} == {True}
    command = found["trials"][0]["runs"]["command"]
    assert (command["wall_s"], command["real_time_factor"]) == (30, 0.05)
    assert [go["wall_s"] for go in command["goes"]] == [30, 30]
    assert command["times_the_daemon"] == {"median": 2.75, "least": 2.5, "most": 3.0}
    assert command["daemons_word_error_rate_less_this"]["value"] == 0
    assert command["units"] == [[5, 50]] * 10


def test_the_json_claims_no_interval_for_a_few_words() -> None:
    found = as_json([Trial("10", "10 s", 10, dict.fromkeys(("daemon", "command"), FEW))], {})
    assert found["trials"][0]["runs"]["command"]["daemons_word_error_rate_less_this"] is None


def test_the_picture_is_the_same_for_the_same_figures(tmp_path: Path) -> None:
    loop = Trial(MESSAGES, "100 voice messages", 900, {"daemon": runs([9]), "fast": runs([7])})
    for name in ("a.svg", "b.svg"):
        draw([trial("10"), trial(), loop], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    picture = (tmp_path / "a.svg").read_text(encoding="utf-8")
    for said in ("seconds for a minute of speech", "600 s", "100 voice messages", "fast_mode"):
        assert said in picture
    draw([trial("10"), trial(daemon=runs([11])), loop], tmp_path / "c.svg")
    assert (tmp_path / "c.svg").read_bytes() != (tmp_path / "a.svg").read_bytes()


# --- what is measured with -----------------------------------------------------------------------

#: Holds 50 MB together with a child that stays; another child has ended before it says so.
BUSY = """
import os, sys, time

def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

pages = bytes(50_000_000).replace(b"\\0", b"x")
if os.fork() == 0:
    burn(0.3)
    os._exit(0)
os.wait()
burn(0.2)
if os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
print("done", flush=True)
os.wait()
"""


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    """It ends with its input."""
    command = [sys.executable, "-c", BUSY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n", "the process ended before it was busy"
        yield process


def test_cpu_time_holds_that_of_children_that_have_ended(busy: subprocess.Popen[bytes]) -> None:
    alive_s, before_s = cpu_s(tree(busy.pid)), cpu_s_of_ended()
    assert alive_s >= 0.45
    busy.communicate(timeout=30)
    assert cpu_s_of_ended() - before_s == pytest.approx(alive_s, abs=0.2)
    assert cpu_s(tree(busy.pid)) == 0


def test_pages_that_processes_share_count_once(busy: subprocess.Popen[bytes]) -> None:
    assert len(tree(busy.pid)) == 2
    assert resident_mb(tree(busy.pid)) > 100
    assert 50 < proportional_mb(tree(busy.pid)) < 90


def test_a_process_that_has_ended_holds_nothing(busy: subprocess.Popen[bytes]) -> None:
    before = tree(busy.pid)
    busy.communicate(timeout=30)
    assert (proportional_mb(before), cpu_s(before)) == (0, 0)


def test_what_we_started_besides_leaves_the_one_and_all_below_it_out(
    busy: subprocess.Popen[bytes],
) -> None:
    assert started_besides(os.getpid()) == []
    everybody = {process.pid for process in psutil.Process().children(recursive=True)}
    assert {process.pid for process in tree(busy.pid)} <= everybody
    left = {process.pid for process in started_besides(busy.pid)}
    assert left == everybody - {process.pid for process in tree(busy.pid)}


def test_a_peak_is_looked_for_at_the_start_and_at_the_end() -> None:
    seen = iter([3.0, 5.0])
    with PeakMemory(list, lambda _: next(seen), every_s=3600) as memory:
        pass
    assert memory.peak_mb == 5.0


def test_memory_that_cannot_be_read_fails_the_measurement() -> None:
    def forbidden(_: Sequence[psutil.Process]) -> float:
        raise PermissionError("smaps_rollup")

    with pytest.raises(PermissionError, match="smaps_rollup"), PeakMemory(list, forbidden):
        pass


def test_a_package_that_is_compiled_at_each_start_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site" / "slow_package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(folder.parent)
    with pytest.raises(SystemExit, match=f"slow_package is not compiled.*-q {folder.parent}$"):
        require_bytecode(["slow_package"])
    py_compile.compile(str(folder / "__init__.py"))
    require_bytecode(["slow_package"])


def test_a_benchmark_that_is_told_to_end_closes_what_it_opened(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    program = f"""
import contextlib, pathlib, signal
from benchmarks.measure import end_in_order
end_in_order()
with contextlib.ExitStack() as opened:
    opened.callback(pathlib.Path({os.fspath(closed)!r}).touch)
    print("open", flush=True)
    signal.pause()
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
    assert closed.exists()


def test_an_interval_holds_the_median_and_narrows_with_more_turns() -> None:
    few, many = [0.9, 1.0, 1.1, 1.2], [0.9, 1.0, 1.1, 1.2] * 10
    widths = [most - least for least, most in (interval(few), interval(many))]
    assert interval([1.0] * 5) == (1.0, 1.0)
    least, most = interval(many)
    assert 0.9 < least <= 1.05 <= most < 1.2
    assert widths[1] < widths[0]
    assert interval(few) == interval(few), "it depends on chance"
