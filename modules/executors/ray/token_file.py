"""The file with the token of a cluster: whoever has it can run programs on all its machines."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from modules.errors import TranscriberError, noted, reason_of

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
    if _is_open(facts):
        raise TranscriberError(
            "token_is_open",
            noted("Others may read {path}, and whoever has the token can run programs.", path=path),
            remedy=noted("Run `{command}`.", command=f"chmod 600 {path}"),
        )
    return facts.st_size > 0


def _is_open(facts: os.stat_result) -> bool:
    """What belongs to somebody else, as a secret of Kubernetes to root, has to be read by us."""
    others = 0o077 if facts.st_uid == os.geteuid() else 0o007
    return bool(facts.st_mode & others)


def require_token(path: Path) -> None:
    """Raises TranscriberError unless there is one that others cannot read."""
    if not token_at(path):
        raise TranscriberError(
            "token_missing",
            noted("The token of the cluster is not here: there is no {path}.", path=path),
            remedy=noted("Copy it from the head, so that only you can read it."),
        )


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
