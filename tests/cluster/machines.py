"""Machines that are network namespaces: each with its own address, name and mounts, on this one.

``10.x`` is known inside of them only, and nothing leaves this machine. Who may not make namespaces
skips the test.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from modules.executors.ray.token_file import make_token
from tests.builders import a_model, until
from tests.cluster.local_cluster import START_S
from tests.daemon_process import PROJECT

NETWORK = "10.77.77."
PORT = 6377
#: What an ended Ray may take until all of its processes are gone, in seconds.
_END_S = 60.0
_LINK = "eth0"


class Machine:
    """A namespace for the network, for mounts and for the name; held by a process that sleeps."""

    def __init__(self, name: str, number: int, folder: Path) -> None:
        self.name = name
        self.ip = f"{NETWORK}{number}"
        self._log = folder / f"{name}.log"
        self._holder = subprocess.Popen(
            [
                "unshare",
                "--net",
                "--mount",
                "--uts",
                "sh",
                "-c",
                f"hostname {name}; sleep infinity",
            ],
            cwd=PROJECT,
        )
        self.pid = self._holder.pid
        self._rays: list[subprocess.Popen[bytes]] = []

    @property
    def prefix(self) -> tuple[str, ...]:
        """A command that runs another one there; it becomes that one."""
        spaces = ("--net", "--mount", "--uts", f"--wd={PROJECT}")
        return ("nsenter", "--target", str(self.pid), *spaces, "--")

    @property
    def is_there(self) -> bool:
        """Whether it has its name, which is the last thing that it gets."""
        return self.run("hostname", check=False).strip() == self.name

    def run(self, *words: str, check: bool = True) -> str:
        """What a command says there."""
        done = subprocess.run(
            [*self.prefix, *words], capture_output=True, text=True, timeout=START_S, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def join_network(self, up: bool = True) -> None:
        self.run("ip", "link", "set", _LINK, "up" if up else "down")

    def mount(self, what: Path, at: Path) -> None:
        """Mount a folder there once more."""
        self.run("mount", "--bind", str(what), str(at))

    def hide(self, folder: Path) -> None:
        """Have an empty folder there in its place."""
        self.run("mount", "-t", "tmpfs", "none", str(folder))

    def cluster(self, *words: str, temporary: Path) -> subprocess.Popen[bytes]:
        """The command ``cluster`` there, until the machine ends."""
        with self._log.open("wb") as log:
            ray = subprocess.Popen(
                [*self.prefix, sys.executable, "transcriber.py", "cluster", *words],
                cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=os.environ | {"RAY_TMPDIR": str(temporary), "TMPDIR": str(temporary)},
                start_new_session=True,
            )  # fmt: skip
        self._rays.append(ray)
        return ray

    def wait_until_joined(self) -> None:
        """Until the Ray that was started last says that it runs."""
        ray = self._rays[-1]
        until(lambda: b"block forever" in self.log or ray.poll() is not None, "Ray runs", START_S)
        assert ray.poll() is None, self.log.decode(errors="replace")

    def end_cluster(self) -> int:
        """Ask the Ray that was started last to end; its exit code once nothing of it is left."""
        ray = self._rays.pop()
        below = psutil.Process(ray.pid).children(recursive=True)
        ray.terminate()
        code = ray.wait(_END_S)
        assert psutil.wait_procs(below, timeout=_END_S)[1] == []
        return code

    @property
    def log(self) -> bytes:
        return self._log.read_bytes()

    def processes(self) -> list[psutil.Process]:
        """All that run there."""
        try:
            own = os.stat(f"/proc/{self.pid}/ns/net").st_ino
        except OSError:
            return []  # it has ended
        if own == os.stat("/proc/self/ns/net").st_ino:
            return []  # it has none of its own yet: these would be everybody's
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{process.pid}/ns/net").st_ino == own:
                    found.append(process)
        return found

    def end(self) -> None:
        """Ask Ray to end as Ctrl-C does, then end whatever is left."""
        for ray in self._rays:
            ray.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                ray.wait(_END_S)
        left = self.processes()
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._holder.kill()
        for started in (self._holder, *self._rays):
            started.wait(_END_S)
        psutil.wait_procs(left, timeout=_END_S)


class Machines:
    """The first is the head of a cluster, the second has joined it; the share is on both.

    ``share`` on the first is ``elsewhere`` on the second, which does not have it under its own
    name. Each has a disk of its own for what is temporary. ``cpus``: of the head.
    """

    def __init__(self, share: Path, cpus: int = 0) -> None:
        _require_namespaces()
        self.share = share
        # A short name: sockets of Unix lie below it.
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
        self.token = self.folder / "token"
        self.models = self.folder / "models"
        self.temporary = self.folder / "t"
        self.elsewhere = self.temporary / "elsewhere"
        self._machines: list[Machine] = []
        try:
            self._prepare()
            self._start(cpus)
        except BaseException:
            self.end()
            raise

    @property
    def address(self) -> str:
        return f"{self.first.ip}:{PORT}"

    @property
    def first(self) -> Machine:
        return self._machines[0]

    @property
    def second(self) -> Machine:
        return self._machines[1]

    def _prepare(self) -> None:
        for folder in (self.share, self.temporary):
            folder.mkdir(parents=True, exist_ok=True)
        make_token(self.token)
        a_model(self.models)
        for number, name in enumerate(("first", "second"), 1):
            self._machines.append(Machine(name, number, self.folder))
        until(lambda: all(m.is_there for m in self._machines), "there are namespaces", START_S)
        self._connect()
        self.second.hide(self.temporary)
        self.second.run("mkdir", str(self.elsewhere))
        self.second.mount(self.share, self.elsewhere)
        self.second.hide(self.share)

    def _connect(self) -> None:
        pair = ("type", "veth", "peer", "name", _LINK, "netns", str(self.second.pid))
        self.first.run("ip", "link", "add", "name", _LINK, *pair)
        for machine in self._machines:
            machine.run("ip", "address", "add", f"{machine.ip}/24", "dev", _LINK)
            machine.run("ip", "link", "set", "lo", "up")
            machine.join_network()

    def _start(self, cpus: int) -> None:
        self.start_head(cpus, self.temporary)
        self.join(*self._own)
        self.second.wait_until_joined()

    @property
    def _own(self) -> tuple[str, ...]:
        return "--token-file", str(self.token), "--models", str(self.models)

    def start_head(self, cpus: int, temporary: Path) -> None:
        """On the first. Ray starts no second one in the same folder for what is temporary, while a
        machine belongs to the first one."""
        words = ("head", "--host", self.first.ip, "--port", str(PORT), "--cpus", str(cpus))
        self.first.cluster(*words, *self._own, temporary=temporary)
        self.first.wait_until_joined()

    def join(self, *words: str) -> subprocess.Popen[bytes]:
        """The second machine joins the cluster with these options."""
        own = ("join", self.address, "--host", self.second.ip, "--cpus", "1", *words)
        return self.second.cluster(*own, temporary=self.temporary)

    def end(self) -> None:
        for machine in reversed(self._machines):
            machine.end()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def machines(share: Path, cpus: int) -> Iterator[Machines]:
    """Two that are ended afterwards."""
    made = Machines(share, cpus)
    try:
        yield made
    finally:
        made.end()


def _require_namespaces() -> None:
    """Skip the test where namespaces may not be made, with the reason."""
    missing = [tool for tool in ("unshare", "nsenter", "ip", "mount") if not shutil.which(tool)]
    if missing:
        pytest.skip(f"machines are played by namespaces, and there is no {missing[0]} here")
    if problem := _problem_of(["unshare", "--net", "--mount", "--uts", "true"]):
        pytest.skip(f"machines are played by namespaces, which nobody may make here: {problem}")
    words = ["unshare", "--net", "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"]
    if problem := _problem_of(words):
        pytest.skip(f"namespaces cannot be connected here: {problem}")


def _problem_of(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return (done.stderr.strip() or f"exit code {done.returncode}") if done.returncode else ""
