"""The programs that deploy/ is for: nginx, promtool, supervisor, … as Debian packages them.

They come from PATH, or from where ``deploy/get-tools`` put them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent
DEPLOY = PROJECT / "deploy"
TOOLS = PROJECT / ".cache" / "tools"
_FOLDERS = [TOOLS / place for place in ("usr/sbin", "usr/bin")]
_LIBRARIES = ("usr/lib/*-linux-gnu", "usr/lib/*-linux-gnu/systemd")
_SYSTEM = ("/usr/sbin", "/sbin")


def tool(name: str) -> str:
    """The path of a program. Where it is missing the test is skipped, or fails in CI that has
    fetched the programs.
    """
    ours = os.pathsep.join(map(str, [*_SYSTEM, *_FOLDERS]))
    found = shutil.which(name) or shutil.which(name, path=ours)
    if found:
        return found
    why = f"{name} is not here; deploy/get-tools fetches it"
    if os.environ.get("CI") and (TOOLS / "promised").exists():
        pytest.fail(why)
    pytest.skip(why)


def environment(program: str) -> dict[str, str]:
    """Ours; for a program that was fetched, with the libraries that came with it."""
    if not program.startswith(str(TOOLS)):
        return dict(os.environ)
    libraries = [str(path) for pattern in _LIBRARIES for path in TOOLS.glob(pattern)]
    return {
        **os.environ,
        "LD_LIBRARY_PATH": os.pathsep.join(libraries),
        "PYTHONPATH": str(TOOLS / "usr/lib/python3/dist-packages"),
    }


def run(
    command: Sequence[str | Path], *, timeout_s: float = 60.0, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one of the programs to its end, with all that it says in ``stdout``."""
    return subprocess.run(
        [str(word) for word in command],
        env={**environment(str(command[0])), **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def supervisor(name: str) -> list[str]:
    """A command of supervisor's. What was fetched runs with the system's Python, as it would be."""
    found = tool(name)
    if not found.startswith(str(TOOLS)):
        return [found]
    python = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
    return [python, found]
