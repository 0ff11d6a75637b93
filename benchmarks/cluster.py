"""What a cluster costs: its start, its memory, a chunk, and how soon a lost worker is noticed.

Run as ``python -m benchmarks.cluster``; it takes a minute, with a real Ray and the scripted child,
on this machine alone.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from modules.clock import SystemClock
from modules.config.schema import Config
from modules.errors import TranscriberError
from modules.executors.base import Executor, RunCallbacks, Task
from modules.executors.local.executor import LocalExecutor
from modules.executors.tasks import task_for
from modules.transcript.model import Chunk
from tests.builders import SETTINGS
from tests.cluster.local_cluster import LocalCluster, a_cluster
from tests.cluster.workers import COMMAND, a_pool, closing, config_in, ready, spec_in
from tests.scripted_worker import recording

CHUNKS, RUNS = 300, 5


def a_task(config: Config, name: str, chunks: int) -> Task:
    path = config.shared_directory / name
    path.write_bytes(recording(chunks))
    return task_for(path, SETTINGS, spec_in(config), config)


def chunk_ms(executor: Executor, config: Config) -> float:
    """The middle of some runs."""
    task, found = a_task(config, "talk.mp3", CHUNKS), []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        executor.run(task, RunCallbacks(on_chunk=lambda chunk: None))
        found.append(time.perf_counter() - began)
    return statistics.median(found[1:]) / CHUNKS * 1000


def delay_ms(executor: Executor, config: Config) -> float:
    """How late a chunk is here, of a child that makes one every fifth of a second."""
    times: list[float] = []
    callbacks = RunCallbacks(on_chunk=lambda chunk: times.append(time.perf_counter()))
    executor.run(a_task(config, "slow talk.mp3", 20), callbacks)
    return statistics.median(b - a for a, b in itertools.pairwise(times)) * 1000 - 200


def noticed_s(executor: Executor, config: Config, loss: Callable[[], None]) -> float:
    """From the loss to the error."""
    lost_at = 0.0
    seen = 0

    def on_chunk(chunk: Chunk) -> None:
        nonlocal lost_at, seen
        seen += 1
        if seen == 2:
            loss()
            lost_at = time.perf_counter()

    try:
        executor.run(a_task(config, "slow talk.mp3", 600), RunCallbacks(on_chunk=on_chunk))
    except TranscriberError:
        return time.perf_counter() - lost_at
    raise AssertionError("nothing was lost")


def memory_mb(cluster: LocalCluster) -> dict[str, int]:
    """Proportional set size of what the cluster consists of."""
    found: dict[str, int] = {}
    for process in psutil.Process().children(recursive=True):
        try:
            words, size = process.cmdline(), process.memory_full_info().pss
        except psutil.Error:
            continue
        text = " ".join(words)
        names = ("ray.link", "gcs_server", "NodeWorker", "DashboardAgent", "RuntimeEnvAgent")
        names += ("raylet/raylet", "dashboard.py", "monitor.py", "local_cluster", "scripted_worker")
        name = next((name for name in names if name in text), "other")
        found[name] = found.get(name, 0) + size // 2**20
    return found


def main() -> None:
    root = Path(tempfile.mkdtemp())
    began = time.perf_counter()
    with a_cluster(nodes=2) as cluster:
        print(f"head and two nodes: {time.perf_counter() - began:.1f} s")
        config = config_in(root, cluster)
        local = LocalExecutor(config, SystemClock(), command=COMMAND)
        locally, late_here = chunk_ms(local, config), delay_ms(local, config)
        local.close()
        with closing(a_pool(cluster, config, workers=2)) as pool:
            began = time.perf_counter()
            first, second = ready(pool, 2)
            print(f"connected, two workers ready: {time.perf_counter() - began:.1f} s")
            remotely, late = chunk_ms(first, config), delay_ms(first, config)
            print(f"a chunk, one after the other: {locally:.2f} ms local, {remotely:.2f} ms on Ray")
            print(f"a chunk is here later by: {late_here:.1f} ms local, {late:.1f} ms on Ray")
            print("memory in MB:", memory_mb(cluster))
            actor = psutil.Process(first.hello.pid)
            print(f"actor killed, noticed after {noticed_s(first, config, actor.kill):.2f} s")
            node = cluster.node_of(second.hello.pid)
            killed = noticed_s(second, config, lambda: cluster.kill(node))
            print(f"raylet killed, noticed after {killed:.2f} s")
            first.close(), second.close()
            [third] = ready(pool)
            frozen = psutil.Process(third.hello.pid)
            try:
                print(f"frozen, noticed after {noticed_s(third, config, frozen.suspend):.1f} s")
            finally:
                frozen.resume()


if __name__ == "__main__":
    sys.exit(main())
