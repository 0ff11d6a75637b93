"""The process in which Ray runs for the daemon: connects with the cluster, and passes calls on.

It is a process of its own because Ray ends the one that uses it when the cluster is away for long,
and because what nodes send is unpickled by it. Run as ``python -m modules.executors.ray.link
--address HOST:PORT`` with a Unix socket as standard input. The daemon sends descriptors there, one
for each worker, and closes it at the end. It is sent lines: an empty one each second as a sign of
life, and once, in JSON, whether the cluster was reached.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import threading
import time
from collections import deque
from typing import Any

from modules.executors.ray import frames
from modules.executors.ray.node_worker import NodeWorker

#: How often one who waits for Ray looks whether the daemon still waits, in seconds.
_LOOK_S = 0.5
#: How often the daemon is sent a sign of life, in seconds.
BEAT_S = 1.0
#: So many calls whose answer nobody reads are under way at most.
_POSTED_MAX = 2
#: How often it is looked whether this is a client of the cluster still, in seconds.
_ALIVE_EVERY_S = 2.0
#: A head that does not answer for so long is away.
_ALIVE_S = 30.0
#: How long a call that is sent on without an answer may take, in seconds.
_POST_S = 60.0

Content = frames.Content


class GoneError(Exception):
    """The daemon no longer waits for this worker."""


class Slot(threading.Thread):
    """One worker: starts its actor, calls it, and ends it with the socket."""

    def __init__(self, line: socket.socket) -> None:
        super().__init__(name="slot", daemon=True)
        self._line = line
        self._actor: Any = None
        self._posted: deque[Any] = deque()

    def run(self) -> None:
        try:
            with contextlib.suppress(OSError, GoneError, frames.FrameError), self._line:
                while (request := frames.receive(self._line)) is not None:
                    content, payload = request
                    answer = self._answer(content, payload)
                    frames.send(self._line, answer | {"number": content["number"]})
        finally:
            self._end()  # also after an answer that is no text

    def _answer(self, content: Content, payload: bytes) -> Content:
        import ray.exceptions

        try:
            return self._done(content, payload)
        except ray.exceptions.ActorUnavailableError as error:
            return {"error": "unavailable", "details": str(error)}
        except ray.exceptions.RayActorError as error:
            return {"error": "lost", "details": str(error)}
        except ray.exceptions.GetTimeoutError:
            return {"error": "silent"}
        except ray.exceptions.RayTaskError as error:
            return {"error": "failed", "details": str(error)}
        except (ray.exceptions.RayError, ConnectionError, RuntimeError) as error:
            return {"error": "away", "details": str(error)}

    def _done(self, content: Content, payload: bytes) -> Content:
        if content["op"] == "start":
            self._start(content)
            return {}
        reference = self._actor.call.remote(content["method"], content["argument"], payload)
        if content["op"] == "post":
            self._posted.append(reference)
            if len(self._posted) > _POSTED_MAX:
                self._got(self._posted.popleft(), _POST_S)
            return {}
        return {"answer": self._got(reference, content["limit_s"])}

    def _start(self, content: Content) -> None:
        import ray

        # Without its number of processors no autoscaler sees that a worker is wanted.
        options = {
            "num_cpus": content["cpus"],
            "num_gpus": content["gpus"],
            "max_restarts": 0,
            "max_task_retries": 0,
            "max_concurrency": 4,
            "scheduling_strategy": "SPREAD",
        }
        self._actor = ray.remote(**options)(NodeWorker).remote(content["setup"])

    def _got(self, reference: Any, limit_s: float | None) -> str:
        """The result; waits for ever without a limit. Raises GoneError and Ray's errors."""
        import ray
        import ray.exceptions

        waited_s = 0.0
        while True:
            step_s = _LOOK_S if limit_s is None else min(_LOOK_S, limit_s - waited_s)
            try:
                result: str = ray.get(reference, timeout=step_s)
                return result
            except ray.exceptions.GetTimeoutError:
                waited_s += step_s
                if self._is_left:
                    raise GoneError from None
                if limit_s is not None and waited_s >= limit_s:
                    raise

    @property
    def _is_left(self) -> bool:
        """Whether the daemon closed its end."""
        with contextlib.suppress(BlockingIOError):
            return not self._line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        return False

    def _end(self) -> None:
        import ray

        if self._actor is not None:
            with contextlib.suppress(Exception):
                ray.kill(self._actor)


def connect(address: str) -> Content:
    """Become a client of the cluster; what there is of it, or why it cannot be reached."""
    import ray

    try:
        ray.init(
            address=address,
            namespace="audio-transcriber",
            log_to_driver=False,
            configure_logging=False,
            logging_level="ERROR",
        )
        return {"connected": True}
    except Exception as error:  # noqa: BLE001 # Ray raises what it likes; nobody is reached
        return {"connected": False, "details": f"{type(error).__name__}: {error}"}


class Lease(threading.Thread):
    """Looks whether the head knows the node that this process is connected by.

    Ray may not notice for ever: a head that began anew answers all the same.
    """

    def __init__(self) -> None:
        super().__init__(name="lease", daemon=True)
        self._looked_at = time.monotonic()
        self._is_void = False

    @property
    def is_over(self) -> bool:
        """Whether this process is of no more use."""
        return self._is_void or time.monotonic() > self._looked_at + _ALIVE_S

    def run(self) -> None:
        import ray

        own = ray.get_runtime_context().get_node_id()
        while not self._is_void:
            with contextlib.suppress(Exception):  # a head that is silent is given some time
                alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
                self._is_void = own not in alive
                self._looked_at = time.monotonic()
            time.sleep(_ALIVE_EVERY_S)


class Heartbeat(threading.Thread):
    """Sends the daemon a sign of life, from the beginning on and whatever the other threads do."""

    def __init__(self, control: socket.socket) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._control = control

    def run(self) -> None:
        while True:
            # A daemon that stands still reads nothing; it needs no more of them than there is room.
            with contextlib.suppress(OSError):
                self._control.send(b"\n", socket.MSG_DONTWAIT)
            time.sleep(BEAT_S)


def serve(control: socket.socket) -> None:
    """Start a slot for each socket that comes, until the daemon closes its end; then exit.

    Ray's own farewell may wait for a cluster that is away; its actors end with this process.
    """
    with contextlib.suppress(OSError):
        while True:
            data, descriptors, _, _ = socket.recv_fds(control, 16, 1)
            if not data:
                break
            for descriptor in descriptors:
                Slot(socket.socket(fileno=descriptor)).start()
    os._exit(0)


def main() -> None:
    """Connect, and report whether that went well; the rest is done by threads.

    Ends when the daemon does, or the cluster that it was connected with.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    chosen = parser.parse_args()
    control = socket.socket(fileno=os.dup(0))
    # From the beginning, as connecting may take until long after the daemon has ended.
    server = threading.Thread(target=serve, args=(control,), name="serve", daemon=True)
    server.start()
    Heartbeat(control).start()
    result = connect(chosen.address)
    control.sendall(json.dumps(result).encode() + b"\n")
    if result["connected"]:
        lease = Lease()
        lease.start()
        while server.is_alive() and not lease.is_over:
            server.join(_LOOK_S)
    os._exit(1)


if __name__ == "__main__":
    main()
