"""Programs that come as packages of requirements-dev.in, beside this interpreter or on PATH."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.deployment.container.dockerfile import PROJECT


def program(name: str, package: str) -> str:
    """Its path. Missing, the test is skipped; in CI it fails if the package is asked for."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found:
        return found
    why = f"{name} is not here; it comes with the package {package}"
    wanted = (PROJECT / "requirements-dev.in").read_text(encoding="utf-8")
    if os.environ.get("CI") and re.search(rf"(?m)^{package}\b", wanted):
        pytest.fail(why)
    pytest.skip(why)


def run(
    *command: str | Path, cwd: Path = PROJECT, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """To its end, with all that it says in ``stdout``."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
