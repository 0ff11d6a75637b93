"""The workers that the configuration asks for."""

from __future__ import annotations

import importlib

from modules.clock import Clock
from modules.config.schema import Config
from modules.errors import TranscriberError, noted
from modules.executors.base import WorkerPool
from modules.executors.local.executor import LocalExecutor
from modules.executors.local.pool import LocalPool

#: Loaded only where it is asked for, as its packages are optional: ``build(config, clock)``.
_RAY = "modules.executors.ray.build"


def build_pool(config: Config, clock: Clock) -> tuple[WorkerPool, LocalExecutor | None]:
    """The pool, and the executor of this machine where live sessions can be served.

    Nothing is started. Raises TranscriberError if the packages that it needs are not installed.
    """
    if config.workers.kind == "ray":
        return _ray_pool(config, clock), None
    executor = LocalExecutor(config, clock)
    return LocalPool(executor, config.whisperx.device), executor


def _ray_pool(config: Config, clock: Clock) -> WorkerPool:
    try:
        pool: WorkerPool = importlib.import_module(_RAY).build(config, clock)
    except ImportError as error:
        raise TranscriberError(
            "ray_missing",
            noted("The packages for workers.kind: ray are not installed."),
            remedy=noted("Install those in requirements-ray.lock, or set workers.kind: local."),
            details=str(error),
        ) from error
    return pool
