"""How Ray is started on a machine: as the head of a cluster, or to join one."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from modules import PACKAGE
from modules.errors import TranscriberError, noted, reason_of
from modules.executors.ray.link_process import ray_environment
from modules.executors.ray.node_worker import MODELS_VARIABLE

PORT = 6379
#: Two pieces of a recording for each of some workers; Ray takes a third of the memory unless told.
STORE_BYTES = 100 * 2**20
_TOKEN_BYTES = 32


def usual_token_file(environ: Mapping[str, str]) -> Path:
    """Where Ray looks for the token if nobody says where it is."""
    named = environ.get("RAY_AUTH_TOKEN_PATH")
    return Path(named) if named else Path(os.path.expanduser("~"), ".ray", "auth_token")


def token_at(path: Path) -> bool:
    """Whether there is a token that others cannot read. Raises TranscriberError."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _token_error(path, error) from error
    if facts.st_mode & 0o077:
        raise TranscriberError(
            "token_is_open",
            noted("Others may read {path}, and whoever has the token can run programs.", path=path),
            remedy=noted("Run `{command}`.", command=f"chmod 600 {path}"),
        )
    return facts.st_size > 0


def make_token(path: Path) -> None:
    """Write a new one, for its owner alone. Raises TranscriberError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with contextlib.suppress(FileExistsError):
            file = os.open(path, flags, 0o600)
            with os.fdopen(file, "w", encoding="ascii") as token:
                token.write(secrets.token_hex(_TOKEN_BYTES))
    except OSError as error:
        raise _token_error(path, error) from error


def _token_error(path: Path, error: OSError) -> TranscriberError:
    return TranscriberError(
        "token_unreadable",
        noted("{path} cannot be used: {problem}", path=path, problem=reason_of(error)),
    )


def head_command(host: str, port: int, cpus: int | None, gpus: int | None) -> list[str]:
    """The command that is the head of a cluster until it is ended."""
    # Without the part that starts machines of a cloud, which has nothing to do here.
    own = ["--head", "--node-ip-address", host, "--port", str(port), "--no-monitor"]
    return [*_start(), *own, "--include-dashboard=false", *_resources(cpus, gpus)]


def join_command(head: str, host: str | None, cpus: int | None, gpus: int | None) -> list[str]:
    """The command that gives this machine to the cluster until it is ended."""
    own = ["--node-ip-address", host] if host else []
    return [*_start(), "--address", head, *own, *_resources(cpus, gpus)]


def _start() -> list[str]:
    program = f"{PACKAGE}.executors.ray.start"
    command = [sys.executable, "-W", "ignore", "-m", program, "start", "--block"]
    command += ["--object-store-memory", str(STORE_BYTES), "--disable-usage-stats"]
    return [*command, "--include-log-monitor=false", "--log-color=false"]


def _resources(cpus: int | None, gpus: int | None) -> Sequence[str]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    chosen = ["--num-cpus", str(usable if cpus is None else cpus)]
    return chosen if gpus is None else [*chosen, "--num-gpus", str(gpus)]


def node_environment(
    environ: Mapping[str, str], token: Path, address: str, models: Path | None
) -> dict[str, str]:
    """The environment of such a command, and so of all workers on the machine."""
    models_there = {MODELS_VARIABLE: str(models)} if models else {}
    return ray_environment(environ, token, address) | models_there
