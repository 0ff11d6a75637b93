"""A disk that really fills up, a share, a worker or events that go: seen while it lasts, healed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modules.storage.atomic import TEMPORARY_PREFIX
from tests.daemon_process import text_of
from tests.kills import Reader
from tests.mounts import mount, mounted, unmount, with_limit_on_inotify
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text
from tests.soak import soak

DISK = ("-t", "tmpfs", "-o", "size=2m", "tmpfs")
PAGE = 4096
#: Whatever was in the way, work goes on by itself this long after it is gone, in seconds.
HEALED_WITHIN_S = 60.0
SEEN_WITHIN_S = 30.0
FULL = "The disk is full"
#: How soon after its start a worker that died is followed by the next one, in seconds.
GAP_S = soak(5, 30)


class PatientDaemon(ScriptedDaemon):
    """Leaves trouble alone as long as the shipped one does, as here it is timed how it heals."""

    hold_s = 10.0


class QuickReplacement(ScriptedDaemon):
    """Does not wait half a minute before it starts an idle worker anew, but in soak."""

    def command(self, *arguments: str) -> list[str]:
        python, option, program, *rest = super().command(*arguments)
        gap = f"from modules.executors.local import executor\nexecutor._RESTART_GAP_S = {GAP_S}\n"
        return [python, option, gap + program, *rest]


class Ballast:
    """A hidden file that takes all the room there is, but for some pages."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".ballast"

    def fill(self, but_pages: int = 0) -> None:
        """Take what is free, also what became so since."""
        with self._path.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(PAGE))
            except OSError:
                pass
            if but_pages:
                file.truncate(self._path.stat().st_size - but_pages * PAGE)

    def drop(self) -> None:
        self._path.unlink()


@pytest.fixture
def ballast(tmp_path: Path) -> Iterator[Ballast]:
    shared = tmp_path / "shared"
    shared.mkdir()
    with mounted(shared, *DISK):
        yield Ballast(shared)


def wait_for_trouble(
    daemon: ScriptedDaemon,
    kind: str,
    reason: str,
    status: str,
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Wait until ``/health`` and ``/metrics`` tell; both tell of this kind of trouble alone."""

    def told() -> bool:
        meanwhile()
        report = daemon.health()
        return report["status"] == status and reason in str(report["reasons"])

    daemon.wait_for(told, f"health said {status}, {reason!r}", SEEN_WITHIN_S, poll_s=0.2)
    metrics = daemon.metrics()
    assert metrics["transcriber_healthy"] == (0.0 if status == "unhealthy" else 1.0)
    assert metrics[f'transcriber_trouble{{kind="{kind}"}}'] == 1.0


def wait_until_healed(daemon: ScriptedDaemon, kind: str, reason: str) -> None:
    def over() -> bool:
        report = daemon.health()
        return report["status"] != "unhealthy" and reason not in str(report["reasons"])

    daemon.wait_for(over, f"health no longer said {reason!r}", HEALED_WITHIN_S, poll_s=0.2)
    metrics = daemon.metrics()
    assert metrics["transcriber_healthy"] == 1.0
    assert metrics[f'transcriber_trouble{{kind="{kind}"}}'] == 0.0


def check_done(
    daemon: ScriptedDaemon, name: str, content: bytes, since: float, attempts: int = 1
) -> None:
    """It is done in time, whole, and at no cost of attempts; nothing temporary stays."""
    result = daemon.wait_for_result(name, HEALED_WITHIN_S - (time.monotonic() - since))
    assert text_of(result) == full_text(content)
    assert result["processing_stats"]["total_attempts"] == attempts
    # The daemon writes its own files at any time.
    daemon.wait_for(
        lambda: not list(daemon.shared.rglob(f"{TEMPORARY_PREFIX}*")),
        "nothing temporary stayed", SEEN_WITHIN_S,
    )  # fmt: skip
    assert os.listdir(daemon.manual) == []


def check_waits(daemon: ScriptedDaemon, name: str) -> None:
    """The file is there, without a result, and no attempt has failed."""
    assert (daemon.shared / name).exists()
    assert daemon.result(name) is None
    attempts = (daemon.in_progress(name) or {}).get("attempts") or []
    assert "failed" not in [attempt["status"] for attempt in attempts]
    assert "attempt 1 failed" not in daemon.log


# --- the disk ---


def test_a_disk_that_fills_up_in_the_middle_of_a_file_pauses_it(
    tmp_path: Path, ballast: Ballast
) -> None:
    with PatientDaemon(tmp_path) as daemon, Reader([daemon.shared]) as reader:
        content = daemon.drop("slow.mp3", 30)
        daemon.wait_for_position("slow.mp3", 20)
        wait_for_trouble(daemon, "storage", FULL, "unhealthy", ballast.fill)
        check_waits(daemon, "slow.mp3")
        ballast.drop()
        room_since = time.monotonic()
        check_done(daemon, "slow.mp3", content, room_since)
        wait_until_healed(daemon, "storage", FULL)
        assert "going on from the checkpoint" in daemon.log
        other = daemon.drop("other.mp3", seed="other")
        check_done(daemon, "other.mp3", other, time.monotonic())
        reader.check()


def test_a_disk_that_fills_up_before_publication_costs_no_work(
    tmp_path: Path, ballast: Ballast
) -> None:
    with ScriptedDaemon(tmp_path) as daemon, Reader([daemon.shared]) as reader:
        content = daemon.drop("sluggish.mp3", 4)
        daemon.wait_for_position("sluggish.mp3", 20)
        (worker,) = daemon.children()
        worker.send_signal(signal.SIGSTOP)
        ballast.fill(but_pages=2)  # enough for the state, too little for the texts and the result
        worker.send_signal(signal.SIGCONT)
        wait_for_trouble(daemon, "storage", FULL, "unhealthy")
        check_waits(daemon, "sluggish.mp3")
        ballast.drop()
        check_done(daemon, "sluggish.mp3", content, time.monotonic())
        wait_until_healed(daemon, "storage", FULL)
        assert "going on from the checkpoint at 40.0 s" in daemon.log, "work was done again"
        reader.check()


def test_a_file_that_arrives_on_a_full_disk_waits_for_room(
    tmp_path: Path, ballast: Ballast
) -> None:
    with ScriptedDaemon(tmp_path) as daemon, Reader([daemon.shared]) as reader:
        content = daemon.drop("first.mp3")
        check_done(daemon, "first.mp3", content, time.monotonic())
        names = ["second.mp3", "third.mp3"]
        for name in names:
            (daemon.shared / f".{name}.part").write_bytes(content)
        ballast.fill()
        for name in names:
            (daemon.shared / f".{name}.part").rename(daemon.shared / name)
        wait_for_trouble(daemon, "storage", FULL, "unhealthy", ballast.fill)
        for name in names:
            check_waits(daemon, name)
        assert daemon.health()["queue_length"] == 2
        ballast.drop()
        room_since = time.monotonic()
        for name in names:
            check_done(daemon, name, content, room_since)
        wait_until_healed(daemon, "storage", FULL)
        reader.check()


# --- the share ---


def test_a_share_that_is_unmounted_and_comes_back_is_told_and_healed(tmp_path: Path) -> None:
    backing, shared = tmp_path / "backing", tmp_path / "shared"
    for folder in (backing, shared):
        folder.mkdir()
    with (
        mounted(backing, *DISK),
        mounted(shared, "--bind", backing),
        ScriptedDaemon(tmp_path) as daemon,
    ):
        content = daemon.drop("slow.mp3", 16)
        daemon.wait_for_position("slow.mp3", 20)
        unmount(shared)
        wait_for_trouble(daemon, "share", "unavailable", "unhealthy")
        assert os.listdir(shared) == [], "it wrote into the mount point"
        mount(shared, "--bind", backing)
        check_done(daemon, "slow.mp3", content, time.monotonic())
        wait_until_healed(daemon, "share", "unavailable")


def test_a_share_that_becomes_read_only_is_told_and_healed(tmp_path: Path) -> None:
    """As after an error of the disk: what is open for writing does not hold it up."""
    backing, view, shared = (tmp_path / name for name in ("backing", "view", "shared"))
    for folder in (backing, view, shared):
        folder.mkdir()
    with (
        mounted(backing, *DISK),
        mounted(view, "--bind", backing),
        mounted(shared, "--bind", backing),
        ScriptedDaemon(tmp_path) as daemon,
    ):
        mount(view, "-o", "remount,bind,ro")
        content = daemon.drop("slow.mp3", 16)
        daemon.wait_for_position("slow.mp3", 20)
        mount(shared, "--bind", view)
        wait_for_trouble(daemon, "storage", "read-only", "unhealthy")
        check_waits(daemon, "slow.mp3")
        subprocess.run(["umount", "--lazy", shared], check=True, timeout=SOON_S)
        check_done(daemon, "slow.mp3", content, time.monotonic())
        wait_until_healed(daemon, "storage", "read-only")


# --- the worker and the events ---


def test_a_worker_that_dies_while_idle_is_told_and_comes_back_by_itself(tmp_path: Path) -> None:
    gone = "the WhisperX process is not running"
    with QuickReplacement(tmp_path) as daemon:
        daemon.wait_until_warm()
        (worker,) = daemon.children()
        worker.send_signal(signal.SIGKILL)
        wait_for_trouble(daemon, "worker", gone, "degraded")
        wait_until_healed(daemon, "worker", gone)
        assert daemon.health()["whisperx_available"]
        content = daemon.drop("talk.mp3")
        check_done(daemon, "talk.mp3", content, time.monotonic())


def test_events_that_cannot_be_had_are_told_and_come_back_by_themselves(tmp_path: Path) -> None:
    missing = "no file system events"
    prefix = with_limit_on_inotify("max_inotify_instances", 0)
    if shutil.which("nsenter") is None:
        pytest.skip("there is no nsenter command here")
    with ScriptedDaemon(tmp_path, prefix=prefix) as daemon:
        wait_for_trouble(daemon, "events", missing, "degraded")
        content = daemon.drop("talk.mp3")
        check_done(daemon, "talk.mp3", content, time.monotonic())
        raise_it = "echo 100 > /proc/sys/user/max_inotify_instances"
        inside = ["nsenter", "--user", "--target", str(daemon.pid), "sh", "-c", raise_it]
        subprocess.run(inside, check=True, timeout=SOON_S)
        wait_until_healed(daemon, "events", missing)
        other = daemon.drop("other.mp3", seed="other")
        check_done(daemon, "other.mp3", other, time.monotonic())
