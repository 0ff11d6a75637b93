"""Daemons forked from a process that has imported the program already.

Imports are most of what a start costs, a second of the processor, and a thousand tests start a
daemon. What is forked is a process as any other: in a session of its own, with nothing open but
its streams. Linux alone can do this; elsewhere, and where a test changes what imports depend on, a
daemon is started as users start it (see ``ScriptedDaemon``).

Run as ``python -m tests.warm_start FD``: the end of a socket on which requests come.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
MESSAGE_MAX = 1 << 20
START_S = 60.0
IMPORTED = (
    "transcriber",
    "modules.cli.commands.run",
    "modules.cli.commands.serve",
    "encodings.idna",
)
#: Another value of one of these changes what an import does.
_READ_BY_IMPORTS = ("LC_", "LANG", "TZ", "PYTHON", "LD_", "LOCPATH")


class Forked:
    """A daemon, with as much of ``subprocess.Popen`` as the tests use."""

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("a forked daemon", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout_s: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout_s)[0]:
            told = os.read(self._status, 16)
            os.close(self._status)
            assert told, "the process that the daemon was forked from is gone"
            self.returncode = os.waitstatus_to_exitcode(int(told))
        return self.returncode


class WarmProcess:
    """The process that daemons are forked from."""

    def __init__(self) -> None:
        self._requests, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.warm_start", str(its.fileno())],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                pass_fds=[its.fileno()],
                start_new_session=True,
            )
        self._requests.settimeout(START_S)
        self._environment = dict(os.environ)

    @property
    def pid(self) -> int:
        return self._process.pid

    def knows(self, environment: Mapping[str, str]) -> bool:
        """Whether all that was imported would be the same in this environment."""
        keys = {*environment, *self._environment}
        changed = {key for key in keys if environment.get(key) != self._environment.get(key)}
        return not any(key.startswith(_READ_BY_IMPORTS) for key in changed)

    def start(
        self, program: str, arguments: Sequence[str], environment: Mapping[str, str], log: int
    ) -> Forked:
        """Run what ``python -c program arguments`` would, in the project's folder."""
        request = {"program": program, "arguments": arguments, "environment": dict(environment)}
        status, told = os.pipe()
        try:
            # Environments hold names that are not UTF-8; JSON carries them as Python has them.
            socket.send_fds(self._requests, [json.dumps(request).encode()], [log, told])
            pid = int(self._requests.recv(16))
        except BaseException:
            os.close(status)
            raise
        finally:
            os.close(told)
        return Forked(pid, status)

    def close(self) -> None:
        self._requests.close()
        self._process.wait(START_S)


@functools.cache
def warm_process() -> WarmProcess | None:
    """The one of this test run, or None where there can be none."""
    if not hasattr(os, "pidfd_open"):
        return None
    made = WarmProcess()
    atexit.register(made.close)
    return made


def warm_pid() -> int | None:
    """Its pid, if it was needed yet."""
    made = warm_process() if warm_process.cache_info().currsize else None
    return made.pid if made else None


# --- the process itself ---------------------------------------------------------------------------


def requested(requests: socket.socket) -> dict[str, Any] | None:
    """Fork for each request. Returns None at their end and, in what was forked, the request."""
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not requests:
                    _tell_the_end(selector, key)
                    continue
                content, streams, _, _ = socket.recv_fds(requests, MESSAGE_MAX, 2)
                if not content:
                    return None
                if not _fork(selector, requests, *streams):
                    return dict(json.loads(content))


def _fork(selector: selectors.BaseSelector, requests: socket.socket, log: int, told: int) -> int:
    """The pid, or 0 in what was forked: a session of its own, and nothing open but its streams."""
    pid = os.fork()
    if pid:
        os.close(log)
        selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, told))
        requests.send(str(pid).encode())
        return pid
    os.setsid()
    for stream in (1, 2):
        os.dup2(log, stream)
    children = [key for key in selector.get_map().values() if key.data]
    for descriptor in (log, told, *(fd for key in children for fd in (key.fd, key.data[1]))):
        os.close(descriptor)
    requests.close()
    return 0


def _tell_the_end(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    pid, told = key.data
    selector.unregister(key.fileobj)
    os.close(key.fd)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
        os.write(told, str(status).encode())
    os.close(told)


def main(requests: socket.socket) -> None:
    """Import what a daemon needs, then fork. What was forked runs its program, as ``-c`` does."""
    for module in IMPORTED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # or the first collection of each daemon would copy all of it
    if request := requested(requests):
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.argv = ["-c", *request["arguments"]]
        started = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(request["program"], started.__dict__)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
