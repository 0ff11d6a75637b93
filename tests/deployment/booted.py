"""A machine with systemd as its first process: a copy of this one in namespaces, gone afterwards.

Needs root and the right to mount, as in a container of one's own. Where a systemd runs already it
is left alone, and tests are skipped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from tests.builders import until
from tests.daemon_process import MODELS, PROJECT
from tests.deployment.tools import TOOLS, run

#: Whoever runs the tests need not have the programs of root at hand.
ROOTS_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BOOT_S = 90.0
GONE_WITHIN_S = 10.0
_NAMESPACES = "--pid --mount --uts --ipc --net --cgroup --fork --kill-child"


class Machine:
    """Boots on entry, ends on leaving. ``do`` runs a command in it as root."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._log = root.parent / f"{root.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._first: int | None = None

    def __enter__(self) -> Machine:
        refuse_where_it_cannot_be()
        self._root.mkdir()
        TOOLS.mkdir(parents=True, exist_ok=True)
        script = Path(__file__).with_name("boot.sh")
        command = ["unshare", *_NAMESPACES.split(), "sh", script, self._root]
        places = (sys.prefix, MODELS, TOOLS, sys.base_prefix)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(word) for word in (*command, PROJECT, *places)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_until_booted()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        assert process is not None
        if self._first:
            psutil.Process(self._first).kill()
        process.kill()
        process.wait(BOOT_S)
        _remove_groups()

    def _wait_until_booted(self) -> None:
        deadline = time.monotonic() + BOOT_S
        assert self._process is not None
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(psutil.NoSuchProcess):  # it gave up, and its log says why
                children = psutil.Process(self._process.pid).children()
                self._first = children[0].pid if children else None
            if self._first and "running" in self.do("systemctl", "is-system-running").stdout:
                return
            time.sleep(0.1)
        pytest.skip(f"systemd cannot be booted here: {self._log.read_text()[-500:]}")

    def do(self, *words: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine."""
        inside = ["--mount", "--pid", "--uts", "--ipc", "--net", "--root", "--wd"]
        command = ["nsenter", "--target", str(self._first), *inside, *words]
        return run(command, timeout_s=timeout_s, env={"PATH": ROOTS_PATH})

    def must(self, *words: str, timeout_s: float = 60.0) -> str:
        """The same, for what has to succeed; returns what it said."""
        done = self.do(*words, timeout_s=timeout_s)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}"
        return done.stdout

    def wait_for(self, words: Sequence[str], said: str, timeout_s: float) -> str:
        """Repeat a command until it says this; returns all that it said."""
        last = ""

        def says() -> bool:
            nonlocal last
            last = self.do(*words).stdout
            return said in last

        try:
            until(says, f"{' '.join(words)} said {said!r}", timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; the last was: {last[-3000:]}") from None
        return last


def refuse_where_it_cannot_be() -> None:
    """Skip the test, with the reason."""
    if Path("/run/systemd/system").exists():
        pytest.skip("a systemd runs here, which is left alone")
    for program in ("unshare", "nsenter", "/lib/systemd/systemd"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not here")
    if os.geteuid() != 0 or run(["unshare", *_NAMESPACES.split(), "true"]).returncode:
        pytest.skip("namespaces of one's own cannot be made here")


def _remove_groups() -> None:
    """The control groups that it made. What was in them may need a moment to be gone."""
    deadline = time.monotonic() + GONE_WITHIN_S
    while (groups := _groups()) and time.monotonic() < deadline:
        for group in groups:
            with contextlib.suppress(OSError):
                group.rmdir()
        time.sleep(0.05)


def _groups() -> list[Path]:
    """The inner ones first."""
    tops = [
        folder
        for hierarchy in Path("/sys/fs").glob("cgroup/*")
        for folder in (hierarchy / "init.scope", hierarchy / "system.slice")
        if folder.is_dir()
    ]
    inner = [path for top in tops for path in top.rglob("*") if path.is_dir()]
    return sorted((*tops, *inner), reverse=True)
