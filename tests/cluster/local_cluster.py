"""A real Ray cluster of several nodes on this machine, in a process of its own.

``LocalCluster`` is what tests use. Run as ``python -m tests.cluster.local_cluster``, it starts a
head without processors and obeys a line of JSON at a time, until its input ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import psutil

from modules.executors.ray.link_process import ray_environment
from modules.executors.ray.node_worker import MODELS_VARIABLE
from tests.builders import a_model, until
from tests.daemon_process import PROJECT
from tests.kills import command_of

STORE_BYTES = 100 * 2**20
#: How long a head, or a node, may take to start on a busy machine, in seconds.
START_S = 120.0
_TOKEN = "RAY_AUTH_TOKEN_PATH"


class LocalCluster:
    """``nodes``: so many with ``cpus`` processors each; the head has none and runs no worker."""

    def __init__(self, nodes: int = 1, cpus: int = 1, **environment: str) -> None:
        self.nodes: list[int] = []
        self.folder = Path(tempfile.mkdtemp(prefix="ray-"))
        self.token = self.folder / "token"
        self.token.touch(mode=0o600)
        self.token.write_text(secrets.token_hex(32))
        #: Where every node has its weights, unless it was added with others.
        self.models = self.folder / "models"
        a_model(self.models)
        environment = {MODELS_VARIABLE: str(self.models)} | environment
        with (self.folder / "errors").open("w") as errors:
            self._process = self._started(environment, errors)
        try:
            self.address = str(self._read()["address"])
            for _ in range(nodes):
                self.add(cpus)
        except BaseException:
            self.end()
            raise

    def _started(self, environment: dict[str, str], errors: IO[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.cluster.local_cluster", self.folder],
            cwd=PROJECT,
            env=ray_environment(os.environ | environment, self.token, "127.0.0.1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )

    def add(self, cpus: int = 1, **environment: str) -> int:
        """The number of another node."""
        node = int(self._do(do="add", cpus=cpus, environment=environment)["node"])
        self.nodes.append(node)
        return node

    def kill(self, node: int) -> None:
        """Kill a node's raylet, as a machine that lost its power would lose it."""
        self._do(do="kill", node=node)
        self.nodes.remove(node)

    def kill_head(self) -> None:
        """End the head: the cluster is away."""
        self._do(do="kill head")

    def kill_gcs(self) -> None:
        """End the process of the head that knows the cluster, and no other."""
        self._do(do="kill gcs")

    def start_head(self) -> None:
        """Start another head where the one was that ended; it knows nothing of the nodes."""
        self._do(do="start head")

    def take_ended(self) -> list[int]:
        """The nodes that ended since by themselves; nothing of them is left afterwards."""
        ended = [int(node) for node in self._do(do="take ended", nodes=self.nodes)["ended"]]
        self.nodes = [node for node in self.nodes if node not in ended]
        return ended

    def replace_machines(self) -> None:
        """Wait until all nodes end, as a head that began anew does not know them; add others."""
        count = len(self.nodes)

        def machines_end() -> bool:
            self.take_ended()
            return not self.nodes

        until(machines_end, "the machines notice that the head does not know them", START_S)
        for _ in range(count):
            self.add()

    def processes(self) -> list[psutil.Process]:
        """All that runs on this machine and has the token of this cluster."""
        return [p for p in psutil.process_iter() if _environment(p).get(_TOKEN) == str(self.token)]

    def raylet(self, node: int) -> int:
        """Its process id."""
        return int(self._do(do="raylet", node=node)["pid"])

    def node_of(self, pid: int) -> int:
        """The number of the node that a process runs on."""
        above = {parent.pid for parent in psutil.Process(pid).parents()}
        return next(node for node in self.nodes if self.raylet(node) in above)

    def actors(self) -> list[int]:
        """The processes of all workers on all nodes."""
        below = [child for node in self.nodes for child in _children(self.raylet(node))]
        return [child.pid for child in below if "NodeWorker" in " ".join(command_of(child.pid))]

    def head_processes(self) -> list[psutil.Process]:
        """Those of the head, without what runs on the nodes."""
        return [psutil.Process(pid) for pid in self._do(do="head")["pids"]]

    def _do(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise AssertionError((self.folder / "errors").read_text()[-3000:])

    def end(self) -> None:
        """End all of it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(START_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def a_cluster(nodes: int = 1, cpus: int = 1, **environment: str) -> Iterator[LocalCluster]:
    """One that is ended afterwards."""
    cluster = LocalCluster(nodes, cpus, **environment)
    try:
        yield cluster
    finally:
        cluster.end()


def _children(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children())
    except psutil.Error:
        return []  # it ended


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return dict(process.environ())
    except psutil.Error:
        return {}  # gone since it was listed, or somebody else's


class _Nodes:
    """Inside the process."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        self._common = {
            "object_store_memory": STORE_BYTES,
            "include_log_monitor": False,
            "node_ip_address": "127.0.0.1",
        }
        self._head = {"num_cpus": 0, "include_dashboard": False, "temp_dir": str(folder / "r")}
        self._cluster = Cluster(initialize_head=True, head_node_args=self._head | self._common)
        self.address = str(self._cluster.address)
        self._nodes: list[Any] = []

    def do(self, order: dict[str, Any]) -> dict[str, Any]:
        what = order["do"]
        if what == "head":
            own = [process.pid for _, process in self._cluster.head_node.live_processes()]
            below = [c.pid for pid in own for c in psutil.Process(pid).children(recursive=True)]
            return {"pids": own + below}
        if what == "add":
            os.environ.update(order["environment"])
            self._nodes.append(self._cluster.add_node(num_cpus=order["cpus"], **self._common))
            return {"node": len(self._nodes) - 1}
        if what == "raylet":
            return {"pid": _raylet(self._nodes[order["node"]])}
        if what == "take ended":
            ended = [n for n in order["nodes"] if _has_ended(self._nodes[n])]
            for node in ended:
                self._nodes[node].kill_all_processes(check_alive=False, wait=True)
            return {"ended": ended}
        if what == "start head":
            self._start_head()
        elif what == "kill":
            self._nodes[order["node"]].kill_raylet(check_alive=False)
        elif what == "kill gcs":
            self._cluster.head_node.kill_gcs_server(check_alive=False)
        elif what == "kill head":
            self._cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)
        return {}

    def _start_head(self) -> None:
        from ray.cluster_utils import Cluster

        port = int(self.address.rpartition(":")[2])
        again = self._head | self._common | {"gcs_server_port": port}
        self._cluster = Cluster(initialize_head=True, head_node_args=again)

    def end(self) -> None:
        for node in (*self._nodes, self._cluster.head_node):
            node.kill_all_processes(check_alive=False, allow_graceful=False)


def _has_ended(node: Any) -> bool:
    from ray._private.ray_constants import PROCESS_TYPE_RAYLET

    raylets = node.all_processes.get(PROCESS_TYPE_RAYLET, [])
    return all(raylet.process.poll() is not None for raylet in raylets)


def _raylet(node: Any) -> int:
    from ray._private.ray_constants import PROCESS_TYPE_RAYLET

    return int(node.all_processes[PROCESS_TYPE_RAYLET][0].process.pid)


def main() -> None:
    nodes = _Nodes(Path(sys.argv[1]))
    print(json.dumps({"address": nodes.address}), flush=True)
    for line in sys.stdin:
        print(json.dumps(nodes.do(json.loads(line))), flush=True)
    nodes.end()
    os._exit(0)


if __name__ == "__main__":
    main()
