"""How much faster several workers of a cluster are than one.

Run as ``python -m benchmarks.cluster_workers``, on a quiet machine; it takes three minutes. A real
Ray on this machine, the daemon's own queue, runners, checkpoints and results, and a scripted child
of fixed speed that needs hardly any processor.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.workers import a_daemon, seconds_until_done, submit
from modules.clock import SystemClock
from tests.cluster.local_cluster import LocalCluster, a_cluster
from tests.cluster.workers import a_pool, config_in, ready
from tests.scripted_worker import SLOW_S, recording


def seconds_with(cluster: LocalCluster, workers: int, files: int, chunks: int) -> float:
    """How long so many workers take for so many files, from when all of them are there."""
    with tempfile.TemporaryDirectory() as folder:
        config = config_in(Path(folder), cluster)
        pool = a_pool(cluster, config, workers=workers)
        ready(pool, workers)
        scheduler, runners = a_daemon(config, pool, SystemClock())
        for number in range(files):
            path = config.shared_directory / f"slow talk{number:03}.mp3"
            path.write_bytes(recording(chunks, seed=path.name))
            submit(path, config, scheduler)
        return seconds_until_done(scheduler, runners)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--chunks", type=int, default=20, help=f"of {SLOW_S:g} s each")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    options = parser.parse_args()
    with a_cluster(nodes=2, cpus=max(2, max(options.workers) // 2)) as cluster:
        for turn in range(options.turns):
            alone_s = None
            for workers in options.workers:
                took_s = seconds_with(cluster, workers, options.files, options.chunks)
                alone_s = alone_s or took_s
                gain = alone_s / took_s
                print(
                    f"turn {turn + 1}, {workers} workers: {took_s:.2f} s, {gain:.2f} times one, "
                    f"{gain / workers:.3f} of what is possible (load {os.getloadavg()[0]:.1f})",
                    flush=True,
                )


if __name__ == "__main__":
    main()
