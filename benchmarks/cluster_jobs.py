"""Whether a daemon over Ray grows: many jobs of a child that needs no time, looked at as it goes.

Run as ``python -m benchmarks.cluster_jobs [COUNT] [SECONDS]``: so many jobs, or as many as are done
in that time. Memory is proportional set size, in MiB.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from tests.builders import until
from tests.cluster.cluster_daemon import ClusterDaemon
from tests.cluster.local_cluster import START_S, LocalCluster, a_cluster

COUNT, SECONDS = 10_000, 600.0
#: So many recordings lie in the folder undone at most.
AHEAD = 200
#: How often it is looked, in jobs.
EVERY = 500


def held(processes: Iterable[psutil.Process]) -> str:
    """Memory and descriptors of them together."""
    memory = descriptors = 0
    for process in processes:
        try:
            memory += process.memory_full_info().pss
            descriptors += len(os.listdir(f"/proc/{process.pid}/fd"))
        except (psutil.Error, OSError):
            continue
    return f"{memory / 2**20:6.1f} {descriptors:4}"


def look(daemon: ClusterDaemon, cluster: LocalCluster, done: int, seconds: float) -> None:
    own, link, actors = (
        [psutil.Process(pid) for pid in pids]
        for pids in ([daemon.pid], daemon.links(), cluster.actors())
    )
    groups = (own, link, cluster.head_processes(), actors)
    print(f"{done:6} {seconds:6.0f} s", *map(held, groups), flush=True)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    limit_s = float(sys.argv[2]) if len(sys.argv) > 2 else SECONDS
    with (
        a_cluster(nodes=2) as cluster,
        ClusterDaemon(Path(tempfile.mkdtemp(prefix="jobs-")), cluster) as daemon,
    ):
        until(lambda: len(cluster.actors()) == 2, "two workers are there", START_S)
        print("  jobs  after   daemon        link          head          actors")
        look(daemon, cluster, 0, 0.0)
        began, dropped, seen = time.monotonic(), 0, 0
        while (done := len(list(daemon.shared.glob("*.result")))) < count:
            seconds = time.monotonic() - began
            if done - seen >= EVERY:
                seen = done
                look(daemon, cluster, done, seconds)
            if seconds > limit_s:
                break
            while dropped < min(count, done + AHEAD):
                daemon.drop(f"{dropped:06}.mp3", 1)
                dropped += 1
            time.sleep(0.2)
        look(daemon, cluster, done, time.monotonic() - began)


if __name__ == "__main__":
    main()
