"""How Ray is started on a machine: as the head of a cluster, or to join one."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from modules import PACKAGE
from modules.executors.ray.link_process import ray_environment
from modules.executors.ray.node_worker import MODELS_VARIABLE

PORT = 6379
#: Two pieces of a recording for each of some workers; Ray takes a third of the memory unless told.
STORE_BYTES = 100 * 2**20


def head_command(host: str, port: int, cpus: int | None, gpus: int | None) -> list[str]:
    """The command that is the head of a cluster until it is ended."""
    # Without the part that starts machines of a cloud, which has nothing to do here.
    own = ["--head", "--node-ip-address", host, "--port", str(port), "--no-monitor"]
    return [*_start(), *own, "--include-dashboard=false", *_resources(cpus, gpus)]


def join_command(head: str, host: str | None, cpus: int | None, gpus: int | None) -> list[str]:
    """The command that gives this machine to the cluster until it is ended."""
    own = ["--node-ip-address", host] if host else []
    return [*_start(), "--address", head, *own, *_resources(cpus, gpus)]


def rejoining(command: Sequence[str], lost: str) -> list[str]:
    """The same command, started again whenever the cluster has lost this machine.

    ``lost``: what is said then, with ``{seconds:g}`` in it.
    """
    return [sys.executable, "-m", f"{PACKAGE}.executors.ray.membership", lost, *command]


def _start() -> list[str]:
    program = f"{PACKAGE}.executors.ray.start"
    command = [sys.executable, "-W", "ignore", "-m", program, "start", "--block"]
    command += ["--object-store-memory", str(STORE_BYTES), "--disable-usage-stats"]
    return [*command, "--include-log-monitor=false", "--log-color=false"]


def _resources(cpus: int | None, gpus: int | None) -> Sequence[str]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    chosen = ["--num-cpus", str(usable if cpus is None else cpus)]
    return chosen if gpus is None else [*chosen, "--num-gpus", str(gpus)]


def node_environment(
    environ: Mapping[str, str], token: Path, address: str, models: Path | None
) -> dict[str, str]:
    """The environment of such a command, and so of all workers on the machine."""
    models_there = {MODELS_VARIABLE: str(models)} if models else {}
    return ray_environment(environ, token, address) | models_there
