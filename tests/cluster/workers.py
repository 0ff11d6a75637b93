"""Pools and their workers, for tests."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modules.clock import SystemClock
from modules.config.schema import Config
from modules.executors.ray.executor import RayExecutor
from modules.executors.ray.pool import RayPool
from modules.executors.ray.slot import ClusterPlan
from modules.executors.tasks import model_of
from modules.weights.files import ModelSpec
from tests.builders import a_config
from tests.cluster.local_cluster import START_S, LocalCluster

COMMAND = (sys.executable, "-m", "tests.scripted_worker")


def a_pool(cluster: LocalCluster, config: Config, **plan: Any) -> RayPool:
    """Of workers with the scripted child, one processor each."""
    chosen: dict[str, Any] = {
        "address": cluster.address,
        "cpus": 1,
        "token_file": cluster.token,
        "command": COMMAND,
    }
    return RayPool(ClusterPlan(**(chosen | plan)), config, SystemClock())


def config_in(root: Path, cluster: LocalCluster, **sections: Any) -> Config:
    """A configuration with a folder that is there, and the weights that the nodes have."""
    config = a_config(root, models_directory=str(cluster.models), **sections)
    config.shared_directory.mkdir(exist_ok=True)
    return config


def spec_in(config: Config) -> ModelSpec:
    """The weights that the configuration asks for."""
    return model_of(config.default_settings(), config)


def ready(
    pool: RayPool, count: int = 1, other_than: RayExecutor | None = None
) -> list[RayExecutor]:
    """The executors of so many workers, as soon as they are there."""

    def look() -> bool:
        pool.maintain()
        there = [w.executor for w in pool.workers() if w.executor is not other_than]
        return len(there) >= count

    deadline = time.monotonic() + START_S
    while not look():
        problem = pool.problem
        details = problem.details if problem else None
        assert time.monotonic() < deadline, f"{len(pool.workers())} workers: {problem} ({details})"
        time.sleep(0.05)
    return [w.executor for w in pool.workers() if isinstance(w.executor, RayExecutor)]


@contextlib.contextmanager
def closing(pool: RayPool) -> Iterator[RayPool]:
    """End the pool, and before it the executors that it gave out."""
    try:
        yield pool
    finally:
        for worker in pool.workers():
            worker.executor.close()
        pool.close()


@contextlib.contextmanager
def maintained(pool: RayPool) -> Iterator[None]:
    """Look after the pool in a thread, as the daemon does."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.1):
            pool.maintain()

    thread = threading.Thread(target=work, name="pool")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
