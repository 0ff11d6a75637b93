"""A real Redis on the loopback, with a folder of its own, and RQ's own worker."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.builders import until
from tests.ports import free_port

START_S = 30.0
PROJECT = Path(__file__).resolve().parent.parent


def require_redis() -> None:
    """Skip where Redis or its packages are not installed; in CI that is a failure."""
    lacking = [name for name in ("rq", "redis") if find_spec(name) is None]
    lacking += [] if shutil.which("redis-server") else ["redis-server"]
    if not lacking:
        return
    reason = f"not installed: {', '.join(lacking)}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class RedisServer:
    """``start`` and ``kill`` as often as wanted: port and folder stay. It syncs each write."""

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> Any:
        from redis import Redis

        return Redis(host="127.0.0.1", port=self.port, socket_timeout=20)

    def start(self) -> None:
        command = [
            "redis-server", "--bind", "127.0.0.1", "--port", str(self.port),
            "--dir", str(self.folder), "--appendonly", "yes", "--appendfsync", "always",
            "--save", "", *self._options,
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        until(self._answers, "Redis answered", START_S)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                answer = connection.recv(100)
        except OSError:
            return False
        return answer.startswith((b"+PONG", b"-NOAUTH"))

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(START_S)
        self._process = None


class Worker:
    """A stock ``rq worker``, in its own session: it forks a process for each job."""

    def __init__(self, url: str, path: Path, variables: Mapping[str, str], *more: str) -> None:
        self._command = [
            sys.executable, "-m", "rq.cli", "worker", "--url", url, "--path", str(path), *more,
            "transcripts",
        ]  # fmt: skip
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None
        self.log = Path(self._variables["WORKER_LOG"])

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, start_new_session=True, cwd=PROJECT,
                env=dict(os.environ) | dict(self._variables),
            )  # fmt: skip

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """The worker and what works for it."""
        if self._process is None:
            return
        # The process of a job has a group of its own.
        horses: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            horses = psutil.Process(self._process.pid).children(recursive=True)
        for victim in (self._process.pid, *(each.pid for each in horses)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        self._process.wait(START_S)
        self._process = None
