"""The workers that the configuration asks for."""

from __future__ import annotations

from modules.clock import Clock
from modules.config.schema import Config
from modules.executors.base import WorkerPool
from modules.executors.local.executor import LocalExecutor
from modules.executors.local.pool import LocalPool
from modules.executors.ray.pool import RayPool
from modules.executors.ray.slot import ClusterPlan


def build_pool(config: Config, clock: Clock) -> tuple[WorkerPool, LocalExecutor | None]:
    """The pool, and the executor of this machine where live sessions can be served.

    Nothing is started. The packages for a cluster need not be here: the pool says so then.
    """
    if config.workers.kind == "ray":
        return cluster(config, clock), None
    executor = LocalExecutor(config, clock)
    return LocalPool(executor, config.whisperx.device), executor


def cluster(config: Config, clock: Clock) -> WorkerPool:
    """The workers on other machines."""
    return RayPool(ClusterPlan.of(config.workers), config, clock)
