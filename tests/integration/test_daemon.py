"""The real daemon in a process of its own, with a scripted worker: what users can rely on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modules.service import folder_orders
from tests.daemon_process import PROJECT, text_of
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    """One daemon for all tests that leave it as it was: starting one takes a second."""
    with ScriptedDaemon(tmp_path_factory.mktemp("steady")) as running:
        yield running


@pytest.fixture
def shared_daemon(steady: ScriptedDaemon) -> ScriptedDaemon:
    """The steady daemon, with empty folders."""
    for folder in (steady.shared, steady.manual):
        for path in folder.iterdir():
            if path.is_file():
                path.unlink()
    steady.wait_for(lambda: not steady.health()["queue_length"], "the queue became empty", SOON_S)
    return steady


def check_done(daemon: ScriptedDaemon, name: str, content: bytes, attempts: int = 1) -> None:
    result = daemon.wait_for_result(name, SOON_S)
    assert text_of(result) == full_text(content)
    assert result["processing_stats"]["total_attempts"] == attempts
    stem = name.rpartition(".")[0]
    expected = {name, f"{name}.result", f"{stem}.txt", f"{stem}.srt"}
    assert daemon.files(f"*{stem}*") == expected


def test_what_is_dropped_becomes_text(shared_daemon: ScriptedDaemon) -> None:
    content = shared_daemon.drop("talk.mp3")
    check_done(shared_daemon, "talk.mp3", content)
    assert (shared_daemon.shared / "talk.txt").read_text("utf-8").split()
    report = shared_daemon.health()
    assert (report["status"], report["models_loaded"]) == ("healthy", ["base"]), report["reasons"]


def test_names_of_every_kind_are_done(shared_daemon: ScriptedDaemon) -> None:
    names = ["запись \U0001f399.mp3", "new\nline.mp3", "-dash.mp3", "odd \udcff.mp3"]
    contents = {name: shared_daemon.drop(name, seed=str(i)) for i, name in enumerate(names)}
    for name, content in contents.items():
        assert text_of(shared_daemon.wait_for_result(name, SOON_S)) == full_text(content)


def test_a_kill_in_the_middle_of_a_file_loses_nothing(daemon: ScriptedDaemon) -> None:
    content = daemon.drop("slow.mp3", 20)
    daemon.wait_for_position("slow.mp3", 60)
    daemon.kill()
    daemon.start()
    daemon.wait_for_log(r"slow\.mp3: going on from the checkpoint at (1\d|[6-9])\d\.0 s", SOON_S)
    check_done(daemon, "slow.mp3", content)


def test_a_kill_before_the_first_chunk_counts_and_three_are_enough(
    daemon: ScriptedDaemon,
) -> None:
    daemon.drop("hang.mp3")
    for attempt in (1, 2, 3):
        daemon.wait_for_attempt("hang.mp3", attempt)
        daemon.kill()
        daemon.start()
    state = daemon.wait_until_in_manual("hang.mp3", SOON_S)
    assert [a["status"] for a in state["attempts"]] == ["failed"] * 3
    assert state["error"]["code"] == "interrupted_before_progress"
    explained = (daemon.manual / "hang.mp3.error.txt").read_text("utf-8")
    assert "отключились раньше, чем было готово 60 с" in explained
    daemon.wait_for(lambda: daemon.files() == set(), "its state left the share", SOON_S)


def test_an_order_goes_before_a_running_scanned_file(shared_daemon: ScriptedDaemon) -> None:
    content = shared_daemon.drop("slow.mp3", 25)
    shared_daemon.wait_for_position("slow.mp3", 10)
    urgent = shared_daemon.drop("urgent.mp3", seed="urgent")
    shared_daemon.order("urgent.mp3")
    check_done(shared_daemon, "urgent.mp3", urgent)
    check_done(shared_daemon, "slow.mp3", content)
    ends = [shared_daemon.wait_for_result(f"{name}.mp3") for name in ("urgent", "slow")]
    assert ends[0]["processing_end"] < ends[1]["processing_end"], "the long file did not yield"
    assert "slow.mp3: queued (an urgent job waits)" in shared_daemon.log
    assert "going on from the checkpoint" in shared_daemon.log, "work was done again"


def test_an_order_that_lay_there_is_carried_out_at_the_start(tmp_path: Path) -> None:
    daemon = ScriptedDaemon(tmp_path)
    content = daemon.drop("talk.mp3")
    daemon.order("talk.mp3")
    with daemon:
        check_done(daemon, "talk.mp3", content)
        daemon.wait_for(
            lambda: not os.listdir(folder_orders.folder(daemon.shared)), "it was taken away"
        )


def test_an_order_survives_a_kill(daemon: ScriptedDaemon) -> None:
    daemon.drop("slow first.mp3", 12)
    daemon.wait_for_position("slow first.mp3", 10)
    daemon.drop("slow second.mp3", 6, seed="second")
    daemon.drop("third.mp3", seed="third")
    daemon.order("slow second.mp3")
    daemon.wait_for_position("slow second.mp3", 10)
    daemon.kill()
    daemon.start()
    names = ("slow first.mp3", "slow second.mp3", "third.mp3")
    ends = {name: daemon.wait_for_result(name, SOON_S)["processing_end"] for name in names}
    assert min(names, key=lambda name: ends[name]) == "slow second.mp3"


def test_a_pause_outlives_a_restart(daemon: ScriptedDaemon) -> None:
    flag = daemon.shared / ".transcriber" / "paused"
    content = daemon.drop("slow.mp3", 8)
    daemon.wait_for_position("slow.mp3", 10)
    flag.touch()
    daemon.wait_for_log(r"slow\.mp3: queued \(paused\)", SOON_S)

    def queued() -> dict[str, Any] | None:  # the log has it a moment before the folder
        state = daemon.in_progress("slow.mp3") or {}
        return state if state.get("progress_info", {}).get("stage") == "queued" else None

    assert daemon.wait_for(queued, "the folder says so too", SOON_S)["current_attempt"] == 1
    assert daemon.health()["paused"] is True
    daemon.stop()
    daemon.start()
    other = daemon.drop("other.mp3", seed="other")
    daemon.wait_for_log(r"other\.mp3: queued", SOON_S)
    assert "its turn" not in daemon.log
    flag.unlink()
    check_done(daemon, "slow.mp3", content)
    check_done(daemon, "other.mp3", other)


@pytest.mark.parametrize("with_all_its_files", [False, True], ids=["alone", "with its files"])
def test_three_crashes_are_enough_and_a_file_dragged_back_starts_afresh(
    shared_daemon: ScriptedDaemon, with_all_its_files: bool
) -> None:
    shared_daemon.drop("crash1.mp3", 5)
    first = shared_daemon.wait_until_in_manual("crash1.mp3", SOON_S)
    assert [a["status"] for a in first["attempts"]] == ["failed"] * 3
    assert first["intermediate"]["position_seconds"] == 30.0, "each went on from the one before"
    explained = (shared_daemon.manual / "crash1.mp3.error.txt").read_text("utf-8")
    assert "завершился с кодом 3" in explained
    shared_daemon.wait_for(lambda: shared_daemon.files() == set(), "its state left", SOON_S)
    moved = sorted(shared_daemon.manual.iterdir(), key=lambda p: p.name == "crash1.mp3")
    for path in moved if with_all_its_files else [shared_daemon.manual / "crash1.mp3"]:
        shutil.move(path, shared_daemon.shared / path.name)

    def again() -> dict[str, Any] | None:
        try:
            state = json.loads((shared_daemon.manual / "crash1.mp3.in_progress").read_bytes())
        except FileNotFoundError:
            return None
        return state if state["job_id"] != first["job_id"] else None

    second = shared_daemon.wait_for(again, "it was tried afresh", SOON_S)
    assert [a["attempt_number"] for a in second["attempts"]] == [1, 2, 3]
    assert second["intermediate"]["position_seconds"] == 30.0, "it began at the beginning"
    shared_daemon.wait_for(
        lambda: shared_daemon.files() == set(), "nothing of it stayed in the share", SOON_S
    )


def test_what_is_no_recording_is_told_at_once(shared_daemon: ScriptedDaemon) -> None:
    shared_daemon.drop("notmedia.mp3")
    content = shared_daemon.drop("talk.mp3")
    state = shared_daemon.wait_until_in_manual("notmedia.mp3", SOON_S)
    assert len(state["attempts"]) == 1
    check_done(shared_daemon, "talk.mp3", content)


def test_a_worker_that_is_killed_is_replaced_and_the_file_goes_on(
    shared_daemon: ScriptedDaemon,
) -> None:
    content = shared_daemon.drop("slow.mp3", 8)
    shared_daemon.wait_for_position("slow.mp3", 20)
    (worker,) = shared_daemon.children()
    worker.send_signal(signal.SIGKILL)
    check_done(shared_daemon, "slow.mp3", content, attempts=2)
    assert "SIGKILL" in shared_daemon.log


def test_a_file_replaced_while_it_runs_is_done_anew(shared_daemon: ScriptedDaemon) -> None:
    shared_daemon.drop("slow.mp3", 10)
    shared_daemon.wait_for_position("slow.mp3", 20)
    content = shared_daemon.drop("slow.mp3", 2, seed="other")
    check_done(shared_daemon, "slow.mp3", content)


@pytest.mark.parametrize("how", ["deleted", "renamed"])
def test_a_file_that_leaves_while_it_runs_is_cancelled(
    shared_daemon: ScriptedDaemon, how: str
) -> None:
    content = shared_daemon.drop("slow.mp3", 30)
    shared_daemon.wait_for_position("slow.mp3", 10)
    if how == "deleted":
        (shared_daemon.shared / "slow.mp3").unlink()
        shared_daemon.wait_for(
            lambda: shared_daemon.files() == set(), "its state was removed", SOON_S
        )
    else:
        (shared_daemon.shared / "slow.mp3").rename(shared_daemon.shared / "quick.mp3")
        check_done(shared_daemon, "quick.mp3", content)
        assert shared_daemon.files("*slow*") == set()
    assert os.listdir(shared_daemon.manual) == []


def test_a_second_daemon_is_refused_and_told_by_whom(shared_daemon: ScriptedDaemon) -> None:
    second = subprocess.run(
        shared_daemon.command("run"),
        cwd=PROJECT,
        env=shared_daemon.environment(),
        capture_output=True,
        text=True,
        timeout=SOON_S,
        check=False,
    )
    assert second.returncode == 75
    assert f"PID {shared_daemon.pid}" in second.stderr
    content = shared_daemon.drop("talk.mp3")
    check_done(shared_daemon, "talk.mp3", content)


@pytest.mark.parametrize("name", ["slow.mp3", "sluggish obstinate.mp3", "hang1.mp3"])
def test_sigterm_ends_it_promptly_and_counts_nothing(daemon: ScriptedDaemon, name: str) -> None:
    daemon.drop(name, 200)  # far longer than it may take to stop
    daemon.wait_for_position(name, 10)
    children = daemon.children()
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 20
    assert not any(child.is_running() for child in children)
    state = daemon.in_progress(name)
    assert state is not None
    assert (state["current_attempt"], state["attempts"][0]["status"]) == (1, "interrupted")
    assert not (daemon.shared / ".transcriber" / "owner.json").exists()


def test_sigterm_while_idle_ends_it_at_once(daemon: ScriptedDaemon) -> None:
    daemon.wait_until_warm()
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 15


def test_the_state_folder_is_made_anew_if_somebody_deletes_it(
    daemon: ScriptedDaemon,
) -> None:
    content = daemon.drop("talk.mp3")
    check_done(daemon, "talk.mp3", content)
    shutil.rmtree(daemon.shared / ".transcriber")
    daemon.wait_for(
        lambda: (daemon.shared / ".transcriber" / "owner.json").exists(), "it is back", 40
    )
    other = daemon.drop("other.mp3", seed="other")
    check_done(daemon, "other.mp3", other)


def test_an_orphaned_sidecar_is_set_aside_in_the_end(tmp_path: Path) -> None:
    daemon = ScriptedDaemon(tmp_path, {"processing": {"stale_hours": 0}})
    with daemon:
        daemon.drop("slow.mp3", 30)
        daemon.wait_for_position("slow.mp3", 10)
        daemon.kill()
        (daemon.shared / "slow.mp3").unlink()
        daemon.start()
        daemon.wait_for(lambda: daemon.files() == set(), "it was set aside", SOON_S)
        assert (daemon.manual / "slow.mp3.in_progress").exists()


def test_a_share_that_goes_away_and_comes_back_loses_nothing(daemon: ScriptedDaemon) -> None:
    content = daemon.drop("slow.mp3", 16)
    daemon.wait_for_position("slow.mp3", 20)
    away = daemon.root / "away"
    daemon.shared.rename(away)
    daemon.shared.mkdir()  # an empty mount point
    daemon.wait_for_log(r"(un|not )available", SOON_S)
    daemon.wait_for_log(r"slow\.mp3: waiting", SOON_S)
    assert os.listdir(daemon.shared) == [], "it wrote into the mount point"
    daemon.shared.rmdir()
    away.rename(daemon.shared)
    result = daemon.wait_for_result("slow.mp3", 60)
    assert text_of(result) == full_text(content)
    assert result["processing_stats"]["total_attempts"] == 1
