"""SIGKILL at random moments, on real processes: nothing lost, doubled or torn, nobody orphaned."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from modules.service import folder_orders
from modules.storage.atomic import TEMPORARY_PREFIX
from tests.builders import until
from tests.daemon_process import text_of
from tests.kills import GONE_WITHIN_S, Killer, Reader, Target, group_of, is_alive, within
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text
from tests.soak import soak

WORKER = "tests.scripted_worker"
KILLS = soak(30, 50)
#: A daemon takes a second to start, a worker a fraction of one.
WORKER_KILLS_PER_LIFE = 12
#: How a file goes wrong stands in its name; "slow" ones are killed in their middle.
GOOD = ("slow", "slow", "quick", "slow urgent", "urgent")
BAD = ("notmedia", "crash")
AT_ONCE = 12
#: All that was begun is done by then, in seconds.
SETTLED_WITHIN_S = 180.0
FAILED = re.compile(r"\] (\d{3} .+\.mp3): attempt \d+ (failed: .*|ended in a crash)$", re.M)
ENDED = re.compile(r"\] (\d{3} .+\.mp3): completed \(", re.M)


class KilledDaemon(ScriptedDaemon):
    """Tries again at once what is nobody's fault."""

    hold_s = 0.2

    def is_alone_in_manual(self, name: str) -> bool:
        """Whether a file was given up on, and all of that is written down."""
        left = (self.shared / name).exists() or self.sidecar(name).exists()
        return (self.manual / name).exists() and not left


class Traffic:
    """Files that arrive meanwhile: some long, some urgent, some that can never be done."""

    def __init__(self, daemon: ScriptedDaemon, killer: Killer, rng: Random) -> None:
        self._daemon = daemon
        self._killer = killer
        self._rng = rng
        self.good: dict[str, bytes] = {}
        self.bad: set[str] = set()
        self.dragged_back = 0

    def flow(self) -> None:
        """None to three files more: always one at least to do, and never too many."""
        waiting = sum(not self._has_ended(name) for name in (*self.good, *self.bad))
        least = 0 if waiting else 1
        for _ in range(min(self._rng.randint(least, 3), AT_ONCE - waiting)):
            kind = self._rng.choice(GOOD * 3 + BAD)
            name = f"{len(self.good) + len(self.bad):03} {kind}.mp3"
            content = self._daemon.drop(name, self._rng.randint(2, 6), seed=name[:3])
            if kind in BAD:
                self.bad.add(name)
            else:
                self.good[name] = content
            if "urgent" in kind:
                self._daemon.order(name)

    def all_ended(self) -> bool:
        """Whether nothing is left to do. What our kills alone made guilty is brought back."""
        for name in self.good:
            if self._daemon.is_alone_in_manual(name):
                self._drag_back(name)
        return all(self._has_ended(name) for name in (*self.good, *self.bad))

    def _has_ended(self, name: str) -> bool:
        if name in self.bad:
            return self._daemon.is_alone_in_manual(name)
        there = self._daemon.shared / f"{name}.result"
        return there.exists() and not self._daemon.sidecar(name).exists()

    def _drag_back(self, name: str) -> None:
        """Three attempts ended by SIGKILL make a file guilty; each must be one of ours."""
        state = self._daemon.wait_until_in_manual(name, SOON_S)
        attempts = [a for a in state["attempts"] if a["status"] == "failed"]
        assert len(attempts) == 3, f"{name} was given up on after {len(attempts)} failures"
        for attempt in attempts:
            ours = any(within(kill, attempt, slack_s=0.1) for kill in self._killer.hits)
            assert ours, f"{name} failed and nobody killed anything then: {attempt}"
        assert (self._daemon.manual / f"{name}.error.txt").read_text("utf-8").strip()
        self.dragged_back += 1
        for path in sorted(self._daemon.manual.glob(f"*{name}*"), key=lambda p: p.name == name):
            shutil.move(path, self._daemon.shared / path.name)


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
    _check_files(daemon, traffic)
    _check_log(daemon, traffic, killer)
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


def _check_files(daemon: KilledDaemon, traffic: Traffic) -> None:
    """One right result each, or a place in ``manual/``; and nothing besides."""
    expected = set()
    for name, content in traffic.good.items():
        result = daemon.result(name)
        assert result is not None
        assert text_of(result) == full_text(content), name
        stem = name.removesuffix(".mp3")
        expected |= {name, f"{name}.result", f"{stem}.txt", f"{stem}.srt"}
    assert daemon.files() == expected
    for name in traffic.bad:
        assert (daemon.manual / f"{name}.error.txt").read_text("utf-8").strip()
    visible = {path.name for path in daemon.manual.iterdir() if not path.name.startswith(".")}
    endings = ("", ".error.txt", ".in_progress")
    assert visible == {f"{name}{ending}" for name in traffic.bad for ending in endings}
    assert not list(daemon.root.rglob(f"{TEMPORARY_PREFIX}*"))
    assert os.listdir(folder_orders.folder(daemon.shared)) == []


def _check_log(daemon: KilledDaemon, traffic: Traffic, killer: Killer) -> None:
    """No file is blamed but by a kill, none ends twice, and nothing surprises the program."""
    log = daemon.whole_log
    assert "Traceback" not in log, daemon.failure("the program was surprised")
    blamed = [how for name, how in FAILED.findall(log) if name in traffic.good]
    strange = [how for how in blamed if "SIGKILL" not in how and "crash" not in how]
    assert not strange, f"files failed though only kills could make them: {strange}"
    assert len(blamed) <= len(killer.hits), "more attempts were counted than there were kills"
    assert {name: n for name, n in Counter(ENDED.findall(log)).items() if n > 1} == {}


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
