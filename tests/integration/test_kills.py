"""SIGKILL at random moments, on real processes: nothing lost, doubled or torn, nobody orphaned."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.builders import until
from tests.daemon_process import text_of
from tests.kills import GONE_WITHIN_S, Killer, Reader, Target, group_of, is_alive
from tests.scripted_daemon import SOON_S
from tests.scripted_worker import full_text
from tests.soak import soak
from tests.traffic import KilledDaemon, Traffic, check_files, check_log

WORKER = "tests.scripted_worker"
KILLS = soak(30, 50)
#: A daemon takes a second to start, a worker a fraction of one.
WORKER_KILLS_PER_LIFE = 12
#: All that was begun is done by then, in seconds.
SETTLED_WITHIN_S = 180.0


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[KilledDaemon]:
    with KilledDaemon(tmp_path) as running:
        yield running


@pytest.mark.parametrize("seed", range(soak(1, 20)))
def test_kills_at_random_lose_double_tear_and_orphan_nothing(
    daemon: KilledDaemon, seed: int
) -> None:
    rng = Random(seed)
    killer = Killer(daemon, WORKER, rng)
    traffic = Traffic(daemon, killer, rng)
    with Reader([daemon.shared, daemon.manual]) as reader:
        while len(killer.hits) < KILLS:
            for _ in range(min(rng.randint(4, WORKER_KILLS_PER_LIFE), KILLS - len(killer.hits))):
                traffic.flow()
                killer.strike("worker", busy=rng.random() < 0.7)
            if len(killer.hits) < KILLS:
                _end_a_life(daemon, killer, traffic, rng)
        what = f"every file came to its end after kills with seed {seed}"
        daemon.wait_for(traffic.all_ended, what, SETTLED_WITHIN_S)
    reader.check()
    killer.check_no_orphans()
    check_files(daemon, traffic)
    check_log(daemon, traffic, len(killer.hits), ("SIGKILL", "crash"))
    counts = {target: killer.count(target) for target in ("worker", "daemon", "group")}
    assert sum(counts.values()) == KILLS
    print(
        f"seed {seed}: {counts}, {len(traffic.good)} good, {len(traffic.bad)} bad files,"
        f" {traffic.dragged_back} brought back, {reader.reads} versions read"
    )


def _end_a_life(daemon: KilledDaemon, killer: Killer, traffic: Traffic, rng: Random) -> None:
    target: Target = rng.choice(["daemon", "group"])
    traffic.flow()
    killer.strike(target, busy=rng.random() < 0.7)
    traffic.flow()  # also while nobody looks
    daemon.start()


class WithGrandchildren(KilledDaemon):
    """Its worker writes down whom it started."""

    @property
    def pids_file(self) -> Path:
        return self.root / "grandchildren"

    def environment(self) -> dict[str, str]:
        return super().environment() | {"SCRIPTED_PIDS": str(self.pids_file)}


def test_what_a_worker_started_ends_with_it(tmp_path: Path) -> None:
    with WithGrandchildren(tmp_path) as daemon:
        daemon.drop("grandchild.mp3")
        daemon.wait_until_in_manual("grandchild.mp3", SOON_S)
        pids = [int(line) for line in daemon.pids_file.read_text().split()]
        assert len(pids) == 3, "one for each attempt"
        until(
            lambda: not any(is_alive(pid) for pid in pids),
            "what dead workers started ended too",
            GONE_WITHIN_S,
        )


def test_a_worker_that_stands_still_is_killed_in_time_and_its_file_goes_on(
    tmp_path: Path,
) -> None:
    hang_s = 3.0
    with KilledDaemon(tmp_path, {"processing": {"worker_hang_seconds": hang_s}}) as daemon:
        content = daemon.drop("slow.mp3", 10)
        daemon.wait_for_position("slow.mp3", 20)
        (worker,) = daemon.children()
        group = group_of(worker.pid)
        worker.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()  # its last sign of life came before
        until(
            lambda: not any(is_alive(pid) for pid in group),
            "a worker that stood still was killed, and its group with it",
            hang_s + GONE_WITHIN_S,
        )
        assert time.monotonic() - stopped >= hang_s - 1, "it was killed before its time"
        result = daemon.wait_for_result("slow.mp3", SOON_S)
        assert text_of(result) == full_text(content)
        assert result["processing_stats"]["total_attempts"] == 2, "one attempt counts"
        assert "Replacing the WhisperX process (hung)" in daemon.log
        assert "going on from the checkpoint" in daemon.log
