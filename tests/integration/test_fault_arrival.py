"""What goes wrong as recordings arrive, with the real daemon on real mounts and real limits."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modules.jobs.job import Priority
from modules.recordings.state import job_to_json
from modules.storage.atomic import to_json
from tests.builders import SETTINGS, SOURCE, a_job
from tests.daemon_process import text_of
from tests.mounts import mount, mounted, unmount, with_limit_on_inotify
from tests.scripted_daemon import PROGRAM, SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text, recording

FORMATS = ["txt", "srt", "vtt", "tsv", "json", "docx", "md"]
CONFLICT = "sync-conflict-20240101-120000-ABCDEFG"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path_factory.mktemp("steady")) as running:
        yield running


def check_text(daemon: ScriptedDaemon, name: str, content: bytes) -> dict[str, Any]:
    result = daemon.wait_for_result(name, SOON_S)
    assert text_of(result) == full_text(content), name
    assert result["processing_stats"]["total_attempts"] == 1, name
    return result


def check_stays(daemon: ScriptedDaemon, name: str, for_s: float) -> None:
    """Nobody begins with the file within this time."""
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        assert f"{name}: queued" not in daemon.log, f"{name} was taken too early"
        time.sleep(0.02)


# --- files that are not whole yet ---


@pytest.mark.parametrize("begun", ["before the start", "while it watches"])
def test_a_half_copied_file_costs_no_attempt_and_is_done_whole(tmp_path: Path, begun: str) -> None:
    content, daemon = recording(6), ScriptedDaemon(tmp_path)
    path = daemon.shared / "talk.mp3"
    if begun == "before the start":
        path.write_bytes(content[:250])
    with path.open("ab", buffering=0) as copying, daemon:
        if begun == "while it watches":
            copying.write(content[:250])
        check_stays(daemon, path.name, 1.5)
        copying.write(content[250:])
        copying.close()
        check_text(daemon, path.name, content)


def test_a_preallocated_file_that_is_filled_while_it_runs_is_done_anew(
    steady: ScriptedDaemon,
) -> None:
    content = recording(8, "filled")
    path = steady.shared / "slow allocated.mp3"
    with path.open("wb") as empty:
        os.posix_fallocate(empty.fileno(), 0, len(content))
    steady.wait_for_position(path.name, 10)
    with path.open("r+b") as filling:
        filling.write(content)
    check_text(steady, path.name, content)


def test_a_storm_of_events_is_one_job(steady: ScriptedDaemon) -> None:
    content = recording(5, "storm")
    path, other = steady.shared / "slow storm.mp3", steady.shared / "aside"
    for _ in range(300):
        path.write_bytes(content)
        path.rename(other)
        other.rename(path)
    for turn in range(300):
        os.utime(path, (turn, turn))
        path.chmod(0o600 if turn % 2 else 0o644)
        path.open("ab").close()
    check_text(steady, path.name, content)
    assert steady.log.count("slow storm.mp3: running") == 1
    assert steady.log.count("slow storm.mp3: completed") == 1


# --- events that do not come ---


def test_a_file_that_raises_no_event_is_found(tmp_path: Path) -> None:
    """An overlay tells nobody of what is put into its layer, as a network share does not."""
    layers = [tmp_path / name for name in ("lower", "upper", "work", "shared")]
    for folder in layers:
        folder.mkdir()
    lower, upper, work, shared = layers
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    with (
        mounted(shared, "-t", "overlay", "overlay", "-o", options),
        ScriptedDaemon(tmp_path) as daemon,
    ):
        content = recording(3)
        (upper / "talk.mp3").write_bytes(content)
        check_text(daemon, "talk.mp3", content)


@pytest.mark.parametrize(
    ("limit", "value", "sysctl"),
    [
        ("max_inotify_instances", 0, "fs.inotify.max_user_instances"),
        ("max_inotify_watches", 0, "fs.inotify.max_user_watches"),
        ("max_inotify_watches", 2, "fs.inotify.max_user_watches"),
    ],
)
def test_at_the_limits_of_inotify_it_rescans_and_says_which(
    tmp_path: Path, limit: str, value: int, sysctl: str
) -> None:
    prefix = with_limit_on_inotify(limit, value)
    daemon = ScriptedDaemon(tmp_path, {"watch": {"recursive": True}}, prefix)
    for folder in ("a", "b", "c"):
        (daemon.shared / folder).mkdir()
    with daemon:
        daemon.wait_for_log(sysctl, SOON_S)
        content = daemon.drop("talk.mp3")
        check_text(daemon, "talk.mp3", content)
        (daemon.shared / "c" / "deep.mp3").write_bytes(content)
        check_text(daemon, "c/deep.mp3", content)
        report = daemon.health()
        assert report["status"] == "degraded"
        assert sysctl in str(report["reasons"])


# --- what is not input ---


def test_what_it_writes_itself_is_never_taken_for_a_recording(tmp_path: Path) -> None:
    """Every kind of text, a failure in a manual/ inside the share, and the events of all that."""
    settings: dict[str, dict[str, object]] = {
        "output": {"formats": FORMATS},
        "processing": {"cleanup_temp_files": False},
    }
    daemon = ScriptedDaemon(tmp_path, settings)
    daemon.manual = daemon.shared / "manual"
    daemon.configure(settings)
    with daemon:
        content = daemon.drop("talk.mp3")
        check_text(daemon, "talk.mp3", content)
        daemon.drop("notmedia.mp3")
        daemon.wait_until_in_manual("notmedia.mp3", SOON_S)
        check_text(daemon, "later.mp3", daemon.drop("later.mp3"))
        assert {f"talk.{form}" for form in FORMATS} < daemon.files()
        assert daemon.log.count(": queued (accepted)") == 3
        assert daemon.health()["queue_length"] == 0


# --- the share and the clock ---


def test_an_unmounted_share_is_waited_for_and_its_mount_point_left_alone(
    tmp_path: Path,
) -> None:
    backing, shared = tmp_path / "backing", tmp_path / "shared"
    for folder in (backing, shared):
        folder.mkdir()
    with mounted(shared, "--bind", backing), ScriptedDaemon(tmp_path) as daemon:
        done, content = daemon.drop("done.mp3"), daemon.drop("slow.mp3", 16, "slow")
        check_text(daemon, "done.mp3", done)
        daemon.wait_for_position("slow.mp3", 20)
        unmount(shared)
        daemon.wait_for_log(r"slow\.mp3: waiting", SOON_S)
        daemon.wait_for(lambda: daemon.health()["status"] == "unhealthy", "health tells", SOON_S)
        assert "unavailable" in str(daemon.health()["reasons"])
        assert os.listdir(shared) == [], "it wrote into the mount point"
        assert "cancelled" not in daemon.log, "something was concluded from absence"
        mount(shared, "--bind", backing)
        check_text(daemon, "slow.mp3", content)
        daemon.wait_for(lambda: daemon.health()["status"] == "healthy", "it is well again", SOON_S)
        (shared / "late.mp3").write_bytes(content)
        check_text(daemon, "late.mp3", content)


def test_a_share_that_is_mounted_after_the_start_is_taken_up_where_it_was(tmp_path: Path) -> None:
    """As after a boot that was slow to mount: the folder holds an earlier life."""
    backing, shared = tmp_path / "backing", tmp_path / "shared"
    for folder in (backing, shared):
        folder.mkdir()
    daemon = ScriptedDaemon(tmp_path)
    with mounted(shared, "--bind", backing):
        with daemon:
            content = daemon.drop("slow.mp3", 12)
            daemon.order("slow.mp3")
            daemon.wait_for_position("slow.mp3", 70)
            state = daemon.in_progress("slow.mp3")
            assert state is not None
            daemon.kill()
        unmount(shared)
        with daemon:
            mount(shared, "--bind", backing)
            daemon.wait_for_log("Another folder lies at", SOON_S)
            check_text(daemon, "slow.mp3", content)
            result = daemon.result("slow.mp3")
            assert result is not None
            assert result["job_id"] == state["job_id"], "the order was forgotten"
            assert "going on from the checkpoint" in daemon.log, "it began from nothing"


class WildClock(ScriptedDaemon):
    """The wall clock is years ahead or behind, another way at each look."""

    def command(self, *arguments: str) -> list[str]:
        python, option, _, *rest = super().command(*arguments)
        wild = (
            "import itertools\nfrom datetime import UTC, datetime, timedelta\n"
            "from modules import clock\nyears = itertools.cycle([0, 10, -10, 3, -7])\n"
            "clock.SystemClock.utc_now = lambda self: (\n"
            "    datetime.now(UTC) + timedelta(days=365 * next(years)))\n"
        )
        return [python, option, wild + PROGRAM.format(hold_s=self.hold_s), *rest]


def test_a_clock_that_jumps_by_years_delays_nothing(tmp_path: Path) -> None:
    with WildClock(tmp_path) as daemon:
        content = daemon.drop("talk.mp3")
        check_text(daemon, "talk.mp3", content)
        daemon.drop("crash.mp3")
        state = daemon.wait_until_in_manual("crash.mp3", SOON_S)
        assert len(state["attempts"]) == 3
        assert daemon.stop() == 0


@pytest.mark.parametrize("year", [1902, 1970, 2037, 2100, 2400])
def test_the_time_of_a_file_says_nothing(steady: ScriptedDaemon, year: int) -> None:
    name, content = f"from {year}.mp3", recording(2, str(year))
    path = steady.shared / f"{name}.part"
    path.write_bytes(content)
    moment = (year - 1970) * 365.2425 * 86400
    os.utime(path, (moment, moment))
    path.rename(steady.shared / name)
    check_text(steady, name, content)


# --- what a sync tool brings ---


@pytest.mark.parametrize(
    "name", [f"talk.{CONFLICT}.mp3", "talk (conflicted copy 2024-01-01).mp3", "talk_conf(1).mp3"]
)
def test_a_conflict_copy_is_a_recording_of_its_own(steady: ScriptedDaemon, name: str) -> None:
    first, second = steady.drop("talk.mp3"), steady.drop(name, seed=name)
    check_text(steady, "talk.mp3", first)
    check_text(steady, name, second)
    for path in steady.shared.glob("talk*"):
        path.unlink()


def from_elsewhere(name: str = "talk.mp3", **changes: Any) -> dict[str, Any]:
    """The state of a job that another host was doing, about a file of its own."""
    job = a_job(name, priority=Priority.API, clients=("elsewhere",), **changes)
    failed = {"status": "error", "should_continue": False, "attempt": 3, "current_attempt": 3}
    return job_to_json(job) | failed


def test_state_that_comes_in_while_it_works_is_not_taken_for_its_own(
    steady: ScriptedDaemon,
) -> None:
    theirs = to_json(from_elsewhere("foreign.mp3"))
    (steady.shared / "foreign.mp3.in_progress").write_bytes(theirs)
    (steady.shared / ".foreign.mp3.checkpoint").write_bytes(b"not ours\n")
    content = steady.drop("foreign.mp3", seed="foreign")
    result = check_text(steady, "foreign.mp3", content)
    assert result["job_id"] != json.loads(theirs)["job_id"]
    assert not (steady.shared / ".foreign.mp3.checkpoint").exists()


@pytest.mark.parametrize("gave_up", [True, False])
def test_state_of_other_bytes_is_not_believed_at_the_start(tmp_path: Path, gave_up: bool) -> None:
    daemon = ScriptedDaemon(tmp_path)
    content = daemon.drop("talk.mp3")
    state = from_elsewhere()
    if not gave_up:
        state |= {"status": "processing"}
    attempt = {"attempt_number": 3, "start_time": "2024-01-01T00:00:00Z", "status": "failed"}
    state["attempts"] = [attempt | {"start_position_seconds": 0.0}]
    state["outputs"] = ["../../etc/x.txt", "notes.txt", "talk.txt"]
    (daemon.shared / "talk.mp3.in_progress").write_bytes(to_json(state))
    (daemon.shared / "notes.txt").write_text("mine")
    header = to_json({"settings": SETTINGS.model_dump(), "source": SOURCE.model_dump()})
    (daemon.shared / ".talk.mp3.checkpoint").write_bytes(header.replace(b"\n", b"") + b"\n")
    with daemon:
        check_text(daemon, "talk.mp3", content)
    assert (daemon.shared / "notes.txt").read_text() == "mine"


def test_a_result_of_other_bytes_is_replaced(steady: ScriptedDaemon) -> None:
    theirs = {"job_id": "x", "source": SOURCE.model_dump(), "transcription": {"text": "theirs"}}
    (steady.shared / "stale.mp3.result").write_bytes(to_json(theirs))
    content = steady.drop("stale.mp3", seed="stale")
    steady.wait_for_log(r"stale\.mp3: completed", SOON_S)
    check_text(steady, "stale.mp3", content)


def test_conflict_copies_of_our_files_belong_to_no_recording(tmp_path: Path) -> None:
    """Nor does one that ended elsewhere end the job here, or tell anybody that it has ended."""
    daemon = ScriptedDaemon(tmp_path)
    content = daemon.drop("talk.mp3")
    state, result = from_elsewhere(), {"job_id": from_elsewhere()["job_id"], "outputs": []}
    copies = {
        f"talk.mp3.{CONFLICT}.in_progress": state,
        f"talk.mp3.{CONFLICT}.result": result,
        "talk.mp3 (conflicted copy 2024-01-01).in_progress": state,
        "talk.mp3 (conflicted copy 2024-01-01).result": result,
    }
    for name, value in copies.items():
        (daemon.shared / name).write_bytes(to_json(value))
    with daemon:
        check_text(daemon, "talk.mp3", content)
        assert daemon.log.count("talk.mp3: completed") == 1
        assert set(copies) <= daemon.files()
