"""The real daemon, whose workers are on the nodes of a real cluster, with the scripted child."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.cluster.local_cluster import LocalCluster
from tests.scripted_daemon import PROGRAM, ScriptedDaemon

#: The actor's child is told by the daemon; what is patched there changes nothing elsewhere.
_SCRIPTED = """
import dataclasses
from modules.daemon import pool
from modules.executors.ray.pool import RayPool
from modules.executors.ray.slot import ClusterPlan
def cluster(config, clock):
    plan = dataclasses.replace(
        ClusterPlan.of(config.workers), command=(sys.executable, "-m", "tests.scripted_worker")
    )
    return RayPool(plan, config, clock)
pool.cluster = cluster
import transcriber
"""


class ClusterDaemon(ScriptedDaemon):
    """``workers``: how many there may be."""

    def __init__(self, root: Path, cluster: LocalCluster, workers: int = 2) -> None:
        self._cluster = cluster
        self._workers = workers
        super().__init__(root)

    def configure(self, config: Mapping[str, Mapping[str, object]]) -> None:
        workers = {
            "kind": "ray",
            "address": self._cluster.address,
            "max": self._workers,
            "cpus_per_worker": 1,
            "token_file": str(self._cluster.token),
        }
        super().configure({"live": {"enabled": False}, "workers": workers, **config})
        tree = yaml.safe_load(self.config_file.read_text(encoding="utf-8"))
        tree["models_directory"] = str(self._cluster.models)
        self.config_file.write_text(yaml.safe_dump(tree), encoding="utf-8")

    def command(self, *arguments: str) -> list[str]:
        program = PROGRAM.format(hold_s=self.hold_s).replace("import transcriber\n", _SCRIPTED)
        return [sys.executable, "-c", program, "--config", str(self.config_file), *arguments]
