"""Losses at random in a cluster: nothing lost, nothing doubled, and the texts of a quiet run."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tests.builders import until
from tests.cluster.cluster_daemon import ClusterDaemon
from tests.cluster.killer import ClusterKiller, Loss
from tests.cluster.local_cluster import START_S, LocalCluster
from tests.kills import Reader
from tests.scripted_daemon import ScriptedDaemon
from tests.soak import SOAKING, soak
from tests.traffic import Traffic, check_files, check_log

#: One of each that takes seconds; a head that begins anew has a test of its own.
USUAL: tuple[Loss, ...] = (
    "child", "actor", "raylet", "link", "daemon", "frozen child", "frozen actor", "frozen raylet",
)  # fmt: skip
#: How often each comes, of 50.
LONG: dict[Loss, int] = {
    "child": 10, "actor": 10, "raylet": 7, "head": 3, "link": 5, "daemon": 5, "frozen child": 2,
    "frozen actor": 4, "frozen raylet": 4,
}  # fmt: skip
#: Longer than a worker may be silent, now and then.
LONG_FROZEN_S = (1.0, 3.0, 8.0, 30.0)
SETTLED_WITHIN_S = 300.0
#: Why an attempt may count: a child that was killed, the daemon, the third machine.
REASONS = ("SIGKILL", "crash", "The machine that worked on the file is gone")


class KilledClusterDaemon(ClusterDaemon):
    """Tries again at once what is nobody's fault."""

    hold_s = 0.2


def losses_of(rng: Random) -> list[Loss]:
    losses = list(USUAL)
    if SOAKING:
        losses = [loss for loss, count in LONG.items() for _ in range(count)]
    rng.shuffle(losses)
    return losses


@pytest.mark.parametrize("seed", range(soak(1, 4)))
def test_losses_at_random_lose_double_and_change_nothing(
    cluster: LocalCluster, tmp_path: Path, seed: int
) -> None:
    rng = Random(seed)
    losses = losses_of(rng)
    with KilledClusterDaemon(tmp_path / "cluster", cluster) as daemon:
        killer = ClusterKiller(daemon, cluster, rng, LONG_FROZEN_S if SOAKING else (0.5, 2.0))
        traffic = Traffic(daemon, killer, rng)
        with Reader([daemon.shared, daemon.manual]) as reader:
            for number, loss in enumerate(losses, 1):
                traffic.flow()
                print(f"seed {seed}, loss {number} of {len(losses)}: {loss}", flush=True)
                killer.strike(loss, busy=rng.random() < 0.7)
            killer.mend(whole=True)
            what = f"every file came to its end after losses with seed {seed}"
            daemon.wait_for(lambda: _all_ended(traffic, killer), what, SETTLED_WITHIN_S)
        reader.check()
        check_files(daemon, traffic)
        check_log(daemon, traffic, len(killer.hits), REASONS)
    until(lambda: not cluster.actors(), "no worker outlives the daemon", START_S)
    until(lambda: not killer.orphans(), "no child outlives its worker", START_S)
    _check_against_a_quiet_run(daemon, traffic, tmp_path / "quiet")
    counts = Counter(kill.target for kill in killer.hits)
    print(
        f"seed {seed}: {dict(counts)}, {len(traffic.good)} good, {len(traffic.bad)} bad files,"
        f" {traffic.dragged_back} brought back, {reader.reads} versions read"
    )


def _all_ended(traffic: Traffic, killer: ClusterKiller) -> bool:
    killer.mend()
    return traffic.all_ended()


def _check_against_a_quiet_run(daemon: ScriptedDaemon, traffic: Traffic, root: Path) -> None:
    """Byte for byte its texts, and nothing more in the folder of the service."""
    with ScriptedDaemon(root) as quiet:
        for name, content in traffic.content.items():
            (quiet.shared / name).write_bytes(content)
        quiet.wait_for(lambda: _is_done(quiet, traffic), "a quiet run does all", SETTLED_WITHIN_S)
    for name in traffic.good:
        for ending in (".txt", ".srt"):
            text = name.replace(".mp3", ending)
            assert (daemon.shared / text).read_bytes() == (quiet.shared / text).read_bytes(), text
    assert _own(daemon) == _own(quiet)


def _is_done(quiet: ScriptedDaemon, traffic: Traffic) -> bool:
    done = all((quiet.shared / f"{name}.result").exists() for name in traffic.good)
    moved = all((quiet.manual / f"{name}.error.txt").exists() for name in traffic.bad)
    return done and moved and not list(quiet.shared.glob("*.in_progress"))


def _own(daemon: ScriptedDaemon) -> set[str]:
    """What the service has in its own folder."""
    top = daemon.shared / ".transcriber"
    return {os.path.join(folder, name).removeprefix(str(top))
            for folder, _, names in os.walk(top) for name in names}  # fmt: skip
