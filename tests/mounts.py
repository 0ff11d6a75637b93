"""Real mounts and a process that permissions hold for. Tests that need them are skipped elsewhere.

Mounting needs root, or a container with CAP_SYS_ADMIN.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(at: Path, *what: str | Path) -> Iterator[Path]:
    """``mount WHAT AT``; whatever lies there in the end is unmounted."""
    try:
        mount(at, *what)
        yield at
    finally:
        unmount(at)


def mount(at: Path, *what: str | Path) -> None:
    """Mount once more, or change a mount; skips the test where nobody may."""
    if shutil.which("mount") is None:
        pytest.skip("there is no mount command here")
    done = _run("mount", *map(str, what), str(at))
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")


def unmount(at: Path) -> None:
    """Take away everything that is mounted there, also while it is in use."""
    while shutil.which("umount") and _run("umount", "--lazy", str(at)).returncode == 0:
        continue


def bound_by_permissions() -> tuple[str, ...]:
    """A command that runs another one for which permissions hold; empty where they hold anyway."""
    if os.geteuid() != 0:
        return ()
    prefix = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
    if shutil.which("setpriv") is None or _run(*prefix, "true").returncode:
        pytest.skip("this is root, and its power over permissions cannot be given up here")
    return prefix


def with_limit_on_inotify(limit: str, value: int) -> tuple[str, ...]:
    """A command that runs another one in a user namespace with that ``/proc/sys/user`` limit."""
    inside = f'echo {value} > /proc/sys/user/{limit} && exec "$@"'
    prefix = ("unshare", "--user", "--map-root-user", "sh", "-c", inside, "sh")
    if shutil.which("unshare") is None or _run(*prefix, "true").returncode:
        pytest.skip("user namespaces cannot be made here")
    return prefix


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
