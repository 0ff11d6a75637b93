"""Runs a built tree as compose.yaml asks an engine to: nothing more than a container gets.

Read-only root, tmpfs on ``/tmp``, its own network with loopback alone, its own process ids, no
capability at all, another user than the image's. Needs root.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

USER = 12345
#: As engines mount them.
_TMPFS = "nosuid,nodev,noexec,mode=1777"
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_POLL_S = 0.1


class Confined:
    """Mounts stay until the mount namespace ends. ``volumes``: places in the tree to folders."""

    def __init__(
        self, root: Path, volumes: Mapping[str, Path], environment: Mapping[str, str], log: Path
    ) -> None:
        self.root = root
        self.environment = dict(environment)
        self.log_file = log
        self._process: subprocess.Popen[bytes] | None = None
        self.peak_mb: dict[str, int] = {}
        self._mount(volumes)

    def _mount(self, volumes: Mapping[str, Path]) -> None:
        root = str(self.root)
        _call("mount", "--bind", root, root)
        _call("mount", "-t", "tmpfs", "-o", f"size=64m,{_TMPFS}", "tmpfs", f"{root}/tmp")
        _call("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", f"{root}/dev")
        for name in _DEVICES:
            known = os.stat(f"/dev/{name}")
            os.mknod(f"{root}/dev/{name}", known.st_mode, known.st_rdev)
        os.mkdir(f"{root}/dev/shm")
        _call("mount", "-t", "tmpfs", "-o", f"size=64m,{_TMPFS}", "tmpfs", f"{root}/dev/shm")
        for at, folder in volumes.items():
            _call("mount", "--bind", str(folder), root + at)
        _call("mount", "-o", "remount,bind,ro", root)

    # --- the first process ---

    def start(self, folder: str, *command: str) -> None:
        """``command`` becomes process 1, as an engine's does."""
        inside = " ".join(
            (
                "ip link set lo up && mount -t proc proc",
                f'"{self.root}/proc" && exec chroot "{self.root}"',
                *_AS_USER,
                'env -C "$0" "$@"',
            )
        )
        apart = ("unshare", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child=KILL")
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [*apart, "sh", "-c", inside, folder, *command],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def stop(self, within_s: float) -> int:
        """TERM to process 1; its exit code. Fails if that takes longer."""
        assert self._process is not None
        self._first().send_signal(signal.SIGTERM)
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not end within {within_s:.0f} s") from None

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def run(self, folder: str, *command: str) -> subprocess.CompletedProcess[str]:
        """As ``docker exec`` does: a command beside process 1, in the same confinement."""
        enter = ("nsenter", "--target", str(self._first().pid), "--all", "--root")
        return subprocess.run(
            [*enter, *_AS_USER, "env", "-C", folder, *command],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def _first(self) -> psutil.Process:
        assert self._process is not None
        children = psutil.Process(self._process.pid).children()
        assert children, f"it has ended:\n{self.log}"
        return children[0]

    # --- looking ---

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, condition: Callable[[], bool], what: str, within_s: float) -> float:
        """Seconds that it took. Meanwhile memory is measured."""
        assert self._process is not None
        began = time.monotonic()
        while not condition():
            self._measure()
            waited = time.monotonic() - began
            if self._process.poll() is not None or waited > within_s:
                raise AssertionError(
                    f"within {waited:.0f} s this did not happen: {what}\n{self.log}"
                )
            time.sleep(_POLL_S)
        return time.monotonic() - began

    def _measure(self) -> None:
        """The most that the processes held at once, and each kind of them."""
        now = {"all": 0}
        for process in psutil.Process(self._process.pid).children(recursive=True):
            try:
                held = process.memory_info().rss // 10**6
                kind = "worker" if "modules.worker.main" in process.cmdline() else "daemon"
            except psutil.Error:
                continue
            now["all"] += held
            now[kind] = now.get(kind, 0) + held
        self.peak_mb = {k: max(v, self.peak_mb.get(k, 0)) for k, v in (self.peak_mb | now).items()}


_AS_USER = (
    "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs",
    "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--",
)  # fmt: skip


def missing_programs() -> list[str]:
    """What has to be installed on this machine first."""
    needed = ("debootstrap", "chroot", "unshare", "nsenter", "mount", "ip", "setpriv")
    return [name for name in needed if shutil.which(name) is None]


def owned_folder(path: Path) -> Path:
    """A new folder for recordings, of the confined user."""
    path.mkdir(parents=True)
    os.chown(path, USER, USER)
    return path


def _call(*command: str | Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr.strip()}"
