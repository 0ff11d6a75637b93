"""The real daemon with workers on the nodes of a real cluster: WhisperX, or the scripted child."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.local_cluster import LocalCluster
from tests.cluster.machines import Machines
from tests.daemon_process import DaemonProcess
from tests.kills import command_of
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


def sections(address: str, token: Path, **workers: Any) -> dict[str, Mapping[str, object]]:
    """What the configuration says about the cluster; one worker with one processor."""
    chosen = {"kind": "ray", "address": address, "cpus_per_worker": 1, "token_file": str(token)}
    return {"live": {"enabled": False}, "workers": chosen | workers}


class ClusterDaemon(ScriptedDaemon):
    """With the scripted child. ``workers``: how many there may be; ``more``: what else is set."""

    def __init__(
        self,
        root: Path,
        cluster: LocalCluster | Machines,
        workers: int = 2,
        prefix: Sequence[str] = (),
        **more: Any,
    ) -> None:
        self._sections = sections(cluster.address, cluster.token, max=workers, **more)
        self._models = cluster.models
        super().__init__(root, prefix=prefix)

    def configure(self, config: Mapping[str, Mapping[str, object]]) -> None:
        super().configure(self._sections | dict(config))
        tree = yaml.safe_load(self.config_file.read_text(encoding="utf-8"))
        tree["models_directory"] = str(self._models)
        self.config_file.write_text(yaml.safe_dump(tree), encoding="utf-8")

    def links(self) -> list[int]:
        """The process in which Ray runs on this side, if there is one."""
        pids = [child.pid for child in self.children()]
        return [pid for pid in pids if "ray.link" in " ".join(command_of(pid))]

    def command(self, *arguments: str) -> list[str]:
        program = PROGRAM.format(hold_s=self.hold_s).replace("import transcriber\n", _SCRIPTED)
        return [sys.executable, "-c", program, "--config", str(self.config_file), *arguments]


class RealClusterDaemon(DaemonProcess):
    """With WhisperX; the nodes must have been told where the weights are."""

    def __init__(self, root: Path, cluster: LocalCluster, **workers: Any) -> None:
        super().__init__(root, sections(cluster.address, cluster.token, **workers))
