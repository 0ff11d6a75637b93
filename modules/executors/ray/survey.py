"""A look at the whole cluster, for ``doctor``: a process of its own that becomes a client of Ray.

Run as ``python -m modules.executors.ray.survey --address HOST:PORT`` with a ``LookFor`` as its
input; the output is a ``Survey``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from modules import PACKAGE, PROJECT_ROOT
from modules.config.settings import Frozen
from modules.executors.ray.link import connect
from modules.executors.ray.link_process import client_environment
from modules.executors.ray.node_look import Look, LookFor, look

#: How long Ray may take to become a client, and all machines to answer, in seconds.
CONNECT_S, LOOK_S = 45.0, 60.0
_CHARS = 500
#: One day a cluster may be larger; nobody reads more lines than that.
_NODES_MAX = 100


class Node(Frozen):
    """A machine. ``free_cpus``, ``free_gpus``: without those that workers have.

    ``problem``: why it was not looked at.
    """

    name: Annotated[str, Field(max_length=_CHARS)]
    cpus: float
    gpus: float
    free_cpus: float
    free_gpus: float
    look: Look | None = None
    problem: Annotated[str, Field(max_length=_CHARS)] | None = None


class Survey(Frozen):
    """``problem``: why the cluster does not let this program in; then there is nothing else."""

    problem: Annotated[str, Field(max_length=_CHARS)] | None = None
    ray: str = ""
    python: str = ""
    nodes: tuple[Node, ...] = ()


def survey(address: str, token: Path, order: LookFor) -> Survey:
    """Start that process and wait for it; at most ``CONNECT_S`` and ``LOOK_S``."""
    process = subprocess.Popen(  # nosec B603 # our own words, no shell
        [sys.executable, "-m", f"{PACKAGE}.executors.ray.survey", "--address", address],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=client_environment(os.environ, token, address), cwd=PROJECT_ROOT,
        start_new_session=True,
    )  # fmt: skip
    try:
        answer, _ = process.communicate(order.model_dump_json().encode(), CONNECT_S + LOOK_S)
        return Survey.model_validate_json(answer.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return Survey(problem=f"no answer within {CONNECT_S + LOOK_S:g} s")
    except (ValidationError, IndexError):
        return Survey(problem=f"it ended with {process.poll()}")
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _looked(order: str) -> tuple[Node, ...]:
    """Every machine that lives. A look takes no processor, so that busy ones answer too."""
    import ray
    from ray._private.state import available_resources_per_node
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    alive = [node for node in ray.nodes() if node["Alive"]][:_NODES_MAX]
    free = available_resources_per_node()
    asked = {}
    for node in alive:
        place = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
        task = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=place)(look)
        asked[node["NodeID"]] = task.remote(order)
    done, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=LOOK_S)
    return tuple(
        _node(node, free.get(node["NodeID"], {}), asked[node["NodeID"]], done) for node in alive
    )


def _node(
    facts: Mapping[str, Any], free: Mapping[str, float], answer: Any, done: list[Any]
) -> Node:
    import ray
    import ray.exceptions

    has = facts.get("Resources") or {}
    node = Node(
        name=str(facts.get("NodeManagerHostname") or facts.get("NodeManagerAddress"))[:_CHARS],
        cpus=float(has.get("CPU", 0)),
        gpus=float(has.get("GPU", 0)),
        free_cpus=float(free.get("CPU", 0)),
        free_gpus=float(free.get("GPU", 0)),
    )
    if answer not in done:
        return node.model_copy(update={"problem": f"no answer within {LOOK_S:g} s"})
    try:
        found = Look.model_validate_json(str(ray.get(answer)))
    except (ray.exceptions.RayError, ValueError) as error:
        last = (str(error).strip().splitlines() or [repr(error)])[-1]
        return node.model_copy(update={"problem": last[:_CHARS]})
    return node.model_copy(update={"look": found})


def main() -> None:
    """Connect, look, and say what was seen."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    chosen = parser.parse_args()
    order = sys.stdin.read()
    result = connect(chosen.address)
    if not result["connected"]:
        found = Survey(problem=str(result.get("details"))[:_CHARS])
    else:
        import ray

        found = Survey(ray=ray.__version__, python=platform.python_version(), nodes=_looked(order))
    sys.stdout.write("\n" + found.model_dump_json() + "\n")
    sys.stdout.flush()
    os._exit(0)  # Ray's own farewell may wait for a cluster that is away


if __name__ == "__main__":
    main()
