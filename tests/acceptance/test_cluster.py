"""Real WhisperX on a node of a real cluster: the text is that of this machine alone."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.clock import SystemClock
from modules.config.schema import Config
from modules.executors.base import Executor, RunCallbacks
from modules.executors.local.executor import LocalExecutor
from modules.executors.ray.node_worker import MODELS_VARIABLE
from modules.executors.ray.pool import RayPool
from modules.executors.ray.slot import ClusterPlan
from modules.executors.tasks import model_of, task_for
from modules.transcript.model import Chunk
from tests.builders import a_config
from tests.cluster.local_cluster import LocalCluster, a_cluster
from tests.cluster.workers import closing, ready
from tests.daemon_process import MODELS, PROJECT

SAMPLE = PROJECT / "samples" / "please-hold-ru.wav"
CPUS = 2


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("the optional packages for a cluster are not installed")
    with a_cluster(cpus=CPUS, **{MODELS_VARIABLE: str(MODELS)}) as started:
        yield started


def chunks_of(executor: Executor, config: Config) -> list[Chunk]:
    found: list[Chunk] = []
    settings = config.default_settings()
    task = task_for(SAMPLE, settings, model_of(settings, config), config)
    assert executor.run(task, RunCallbacks(on_chunk=found.append)).done is not None
    return [chunk.model_copy(update={"task_id": 0}) for chunk in found]


@pytest.mark.acceptance
def test_a_text_is_the_same_on_a_node_and_here(cluster: LocalCluster, tmp_path: Path) -> None:
    config = a_config(tmp_path, models_directory=str(MODELS))
    local = LocalExecutor(config, SystemClock())
    try:
        here = chunks_of(local, config)
    finally:
        local.close()
    assert here
    plan = ClusterPlan(address=cluster.address, cpus=CPUS, token_file=cluster.token)
    with closing(RayPool(plan, config, SystemClock())) as pool:
        assert chunks_of(ready(pool)[0], config) == here
