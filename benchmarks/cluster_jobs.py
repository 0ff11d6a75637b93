"""Whether a daemon over Ray grows: many jobs of a child that needs no time, looked at as it goes.

Run as ``python -m benchmarks.cluster_jobs [COUNT] [SECONDS]``: so many jobs, or as many as are done
in that time. ``--direct`` leaves the daemon out, so that Ray gets many times as many calls;
``--idle`` leaves the jobs out, which shows what time alone does. Each process has a column, with
the memory that is its own, in MiB: heap and stacks. What it has of shared memory is summed in a
column, and files that are mapped do not count, as their share depends on who else has them open.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.measure import table
from modules.config.schema import Config
from modules.executors.base import RunCallbacks
from modules.executors.ray.executor import RayExecutor
from modules.executors.tasks import task_for
from tests.builders import SETTINGS, until
from tests.cluster.cluster_daemon import ClusterDaemon
from tests.cluster.local_cluster import START_S, LocalCluster, a_cluster
from tests.cluster.workers import a_pool, closing, config_in, ready, spec_in
from tests.scripted_worker import recording

COUNT, SECONDS = 10_000, 600.0
#: So many recordings lie in the folder undone at most.
AHEAD = 200
#: How often it is looked, in seconds.
EVERY_S = 60.0
#: How long Ray is left alone before the first look, in seconds.
QUIET_S = 10.0
#: By a word of the command line; the first that fits. Those of the head get an ``h-`` before them.
NAMES = {
    "ray.link": "link",
    "gcs/gcs_server": "gcs",
    "raylet/raylet": "raylet",
    "DashboardAgent": "agent",
    "dashboard/agent.py": "agent",
    "RuntimeEnvAgent": "env",
    "runtime_env/agent": "env",
    "dashboard/dashboard.py": "api",
    "autoscaler": "monitor",
    "NodeWorker": "actor",
    "scripted_worker": "child",
}
MIB = 2**20
WORKERS = 2


@dataclass(frozen=True)
class Held:
    """What a process has, in MiB and by count, and what it has computed, in seconds."""

    memory: float
    shared: float
    descriptors: int
    computed_s: float


@dataclass(frozen=True)
class Look:
    """All processes after so many jobs and seconds, and what their logs have grown to, in MiB."""

    jobs: int
    second: float
    held: dict[str, Held]
    logs: float


def held_by(pid: int) -> Held:
    """Raises OSError, psutil.Error."""
    rollup = Path("/proc", str(pid), "smaps_rollup").read_text(encoding="ascii")
    sizes = dict(line.split()[:2] for line in rollup.splitlines()[1:])
    shared, own = (int(sizes[f"Pss_{kind}:"]) / 1024 for kind in ("Shmem", "Anon"))
    times = psutil.Process(pid).cpu_times()
    return Held(own, shared, len(os.listdir(f"/proc/{pid}/fd")), times.user + times.system)


class Load:
    """Who does jobs, and how many are done."""

    #: The process that stands for the daemon.
    pid = os.getpid()
    done = 0

    def feed(self, count: int) -> None:
        """Have at most so many done in all."""


def named(cluster: LocalCluster, load: Load) -> dict[str, int]:
    """All processes, by what they are; those of one kind have numbers."""
    found = {"daemon": load.pid} | _named("", psutil.Process(load.pid).children())
    found |= _named("h-", cluster.head_processes())
    raylets = [psutil.Process(cluster.raylet(node)) for node in cluster.nodes]
    below = [child for raylet in raylets for child in raylet.children(recursive=True)]
    return found | _named("", [*raylets, *below])


def _named(prefix: str, processes: Iterable[psutil.Process]) -> dict[str, int]:
    found: dict[str, int] = {}
    for process in sorted(processes, key=lambda process: process.pid):
        words = " ".join(process.cmdline())
        kind = next((name for word, name in NAMES.items() if word in words), None)
        if kind is None:
            continue  # shells, and workers that Ray keeps ready
        taken = sum(name.startswith(prefix + kind) for name in found)
        found[f"{prefix}{kind}{taken + 1 if taken else ''}"] = process.pid
    return found


def look(who: dict[str, int], cluster: LocalCluster, jobs: int, second: float) -> Look:
    held = {}
    for name, pid in who.items():
        try:
            held[name] = held_by(pid)
        except (OSError, psutil.Error):
            continue  # replaced; a new one would begin anew
    logs = sum(p.stat().st_size for p in cluster.folder.glob("r/session_*/logs/**/*"))
    return Look(jobs, second, held, logs / MIB)


def line(seen: Look) -> list[str]:
    sizes = [f"{held.memory:.1f}" for held in seen.held.values()]
    shared = f"{sum(held.shared for held in seen.held.values()):.1f}"
    return [str(seen.jobs), f"{seen.second:.0f}", *sizes, shared, f"{seen.logs:.1f}"]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """What is added per unit of the first value."""
    first = {at for at, _ in points}
    if len(first) < 2:
        return 0.0
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def report(looks: Sequence[Look]) -> None:
    """Beginning, end, and how fast each grew over the last half; processor time of all of it."""
    last = [seen for seen in looks if seen.second >= looks[-1].second / 2]
    rows: list[tuple[str, ...]] = [
        ("process", "MiB first", "middle", "end", "/1000 jobs", "/hour", "fds", "ms a job")
    ]
    for name, end in looks[-1].held.items():
        first, half = looks[0].held[name], last[0].held[name]
        sizes = (f"{held.memory:.1f}" for held in (first, half, end))
        by_jobs = slope([(seen.jobs, seen.held[name].memory) for seen in last]) * 1000
        by_time = slope([(seen.second, seen.held[name].memory) for seen in last]) * 3600
        fds = f"{first.descriptors} to {end.descriptors}"
        ms = (end.computed_s - first.computed_s) / max(1, looks[-1].jobs) * 1000
        rows.append((name, *sizes, f"{by_jobs:.2f}", f"{by_time:.1f}", fds, f"{ms:.1f}"))
    print(f"\nOver the last half, {last[0].jobs} to {last[-1].jobs} jobs:\n{table(rows)}")


class JobsDaemon(ClusterDaemon):
    """Reads its folder as seldom as one does that is no test: thousands of results lie there."""

    hold_s = 30.0

    def configure(self, config: Mapping[str, Mapping[str, object]]) -> None:
        super().configure({"watch": {"rescan_seconds": 30.0}} | dict(config))


class DaemonLoad(Load):
    """A daemon that has always some recordings in its folder."""

    def __init__(self, daemon: JobsDaemon) -> None:
        self._daemon = daemon
        self._dropped = 0
        self.pid = daemon.pid

    def feed(self, count: int) -> None:
        names = (entry.name for entry in os.scandir(self._daemon.shared))
        self.done = sum(name.endswith(".result") for name in names)
        wanted = min(count, self.done + AHEAD)
        for number in range(self._dropped, wanted):
            self._daemon.drop(f"{number:06}.mp3", 1)
        self._dropped = max(self._dropped, wanted)


class DirectLoad(Load):
    """A thread for each worker, which has it do the same recording again and again."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._stop = threading.Event()
        self._path = config.shared_directory / "talk.mp3"
        self._path.write_bytes(recording(1))

    def feed(self, count: int) -> None:
        if self.done >= count:
            self._stop.set()

    @contextlib.contextmanager
    def working(self, executors: Sequence[RayExecutor]) -> Iterator[None]:
        """Until it is left."""
        threads = [threading.Thread(target=self._work, args=(one,)) for one in executors]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _work(self, executor: RayExecutor) -> None:
        task = task_for(self._path, SETTINGS, spec_in(self._config), self._config)
        while not self._stop.is_set():
            executor.run(task, RunCallbacks(on_chunk=lambda chunk: None))
            self.done += 1  # one too few once in a long time does no harm


def run(options: argparse.Namespace, cluster: LocalCluster, load: Load) -> list[Look]:
    """Print a line a minute."""
    who = named(cluster, load)
    looks = [look(who, cluster, 0, 0.0)]
    print("jobs seconds", *who, "shared logs", flush=True)
    print(*line(looks[0]), flush=True)
    began = time.monotonic()
    while True:
        load.feed(options.count)
        second = time.monotonic() - began
        is_over = second > options.seconds or load.done >= options.count
        if is_over or second - looks[-1].second >= EVERY_S:
            looks.append(look(who, cluster, load.done, second))
            print(*line(looks[-1]), flush=True)
        if is_over:
            return looks
        time.sleep(1.0)


def over_a_daemon(options: argparse.Namespace, cluster: LocalCluster, root: Path) -> list[Look]:
    with JobsDaemon(root, cluster, WORKERS) as daemon:
        until(lambda: len(cluster.actors()) == WORKERS, "the workers are there", START_S)
        time.sleep(QUIET_S)
        return run(options, cluster, Load() if options.idle else DaemonLoad(daemon))


def directly(options: argparse.Namespace, cluster: LocalCluster, root: Path) -> list[Look]:
    config = config_in(root, cluster)
    with closing(a_pool(cluster, config, workers=WORKERS)) as pool:
        executors = ready(pool, WORKERS)
        time.sleep(QUIET_S)
        load = DirectLoad(config)
        with load.working(executors):
            return run(options, cluster, load)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=COUNT)
    parser.add_argument("seconds", nargs="?", type=float, default=SECONDS)
    parser.add_argument("--idle", action="store_true")
    parser.add_argument("--direct", action="store_true")
    options = parser.parse_args()
    measured = directly if options.direct else over_a_daemon
    with a_cluster(nodes=WORKERS) as cluster, tempfile.TemporaryDirectory() as folder:
        report(measured(options, cluster, Path(folder)))


if __name__ == "__main__":
    main()
