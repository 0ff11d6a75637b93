"""Checks of the model and of whatever may be in the service's way."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

from modules.cli.findings import Finding, ok, problem, warning
from modules.cli.presence import find_owner
from modules.clock import SystemClock
from modules.config import Config
from modules.errors import ModelError
from modules.file_manager import FileManager
from modules.models import Origin, locate, verify
from modules.owner import foreign_whisperx

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def check_model(config: Config) -> Iterator[Finding]:
    """The configured weights are here, and are what they should be."""
    size, subject = config.whisperx.model_size, "model"
    try:
        source = locate(size, config.models_directory, config.whisperx.allow_download)
    except ModelError as error:
        details = "; ".join((error.details or "").splitlines())
        yield problem(subject, f"{error.message} {details}".strip(), error.remedy or "")
        return
    if source.origin is Origin.DOWNLOAD:
        seen = f"{size} is not here; it will be fetched from the hub before the first file"
        yield warning(subject, seen, "See that the hub can be reached.")
    elif source.folder is None:
        yield ok(subject, f"{size} is in installed packages; the first file has it put in place")
    elif damage := verify(source.folder, size):
        yield problem(subject, "; ".join(damage), f"Move {source.folder} away and get it anew.")
    else:
        yield ok(subject, f"{size} is in {source.folder}, its files are right")


def check_lock(config: Config) -> Iterator[Finding]:
    """Whoever holds the lock; a daemon is welcome, anybody else keeps it from starting."""
    owner = find_owner(config, SystemClock())
    if owner is None:
        yield ok("lock", "free; no daemon runs")
    elif owner.is_daemon:
        yield ok("lock", str(owner))
    else:
        yield warning("lock", str(owner), "The daemon can be started once it has ended.")


def check_foreign_whisperx() -> Iterator[Finding]:
    pids = foreign_whisperx()
    if pids:
        seen = f"other whisperx processes run (PID {', '.join(map(str, pids))})"
        yield problem("processes", seen, "The service refuses to start beside them: end them.")


def check_pause(config: Config) -> Iterator[Finding]:
    files = FileManager(config.shared_directory, config.manual_directory, SystemClock())
    if files.pause_flag.exists():
        yield warning("queue", "paused", "`transcriber.py resume` lets it go on.")


def check_port(config: Config) -> Iterator[Finding]:
    """The API's address can be listened on, unless the daemon does so already."""
    host, port = config.api.host, config.api.port
    owner = find_owner(config, SystemClock())
    if owner and owner.is_daemon:
        yield ok("API", f"{host}:{port} belongs to the daemon that runs")
    elif why := _why_not_free(host, port):
        yield problem("API", f"{host}:{port}: {why}", "Choose another api.host or api.port.")
    else:
        yield ok("API", f"{host}:{port} is free")
    if host not in _LOOPBACK:
        seen = f"api.host is {host} and no key is set: anybody who reaches it can use the program"
        yield warning("API", seen, "Set api.host: 127.0.0.1, or put a proxy with a key before it.")


def _why_not_free(host: str, port: int) -> str | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as tried:
            # As the server does it: what a client left half closed is no hindrance.
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
            tried.listen()
    except OSError as error:
        known = {
            errno.EADDRINUSE: "another program listens there",
            errno.EADDRNOTAVAIL: "this machine does not have that address",
            errno.EACCES: "a port below 1024 needs more rights",
        }
        return known.get(error.errno or 0, error.strerror or str(error))
    return None
