"""Checks of the model and of whatever may be in the service's way."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from gettext import gettext as _

from modules.cli.daemon_status import find_owner, standby_line
from modules.cli.doctor.findings import Finding, ok, problem, warning
from modules.clock import SystemClock
from modules.config.schema import Config
from modules.config.settings import RUSSIAN_ENGINES
from modules.errors import ModelError, reason_of
from modules.messages import in_locale
from modules.recordings import standbys
from modules.recordings.lock import foreign_whisperx
from modules.recordings.store import RecordingStore
from modules.weights.engines import locate_for
from modules.weights.files import verify
from modules.weights.locate import Origin

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def check_model(config: Config) -> Iterator[Finding]:
    """The configured weights are here, and are what they should be."""
    whisperx, subject = config.whisperx, _("model")
    size = whisperx.model_size
    try:
        source = locate_for(whisperx, config.models_directory, whisperx.allow_download)
    except ModelError as error:
        details = "; ".join(in_locale(error.details or "").splitlines())
        seen = f"{in_locale(error.message)} {details}".strip()
        yield problem(subject, seen, in_locale(error.remedy or ""))
        return
    if source.origin is Origin.DOWNLOAD:
        seen = _("{model} is not here; it will be fetched from the hub before the first file")
        yield warning(subject, seen.format(model=size), _("See that the hub can be reached."))
    elif source.folder is None:
        seen = _("{model} comes with the installed packages; it is unpacked before the first file")
        yield ok(subject, seen.format(model=size))
    elif whisperx.engine in RUSSIAN_ENGINES:
        seen = _("{model} is in {folder}; which weights they are is not checked")
        yield ok(subject, seen.format(model=source.name, folder=source.folder))
    elif damage := verify(source.folder, size):
        remedy = _("Move {folder} away and get it anew.").format(folder=source.folder)
        yield problem(subject, "; ".join(map(in_locale, damage)), remedy)
    else:
        seen = _("{model} is in {folder}, its files are right")
        yield ok(subject, seen.format(model=size, folder=source.folder))


def check_lock(config: Config) -> Iterator[Finding]:
    """The process that holds the lock; only a daemon may, another one keeps it from starting."""
    owner = find_owner(config, SystemClock())
    if owner is None:
        yield ok(_("lock"), _("free; no daemon runs"))
    elif owner.is_daemon:
        yield ok(_("lock"), str(owner))
    else:
        yield warning(_("lock"), str(owner), _("The daemon can be started once it has ended."))
    for standby in standbys.waiting(config.shared_directory, SystemClock()):
        yield ok(_("lock"), standby_line(standby))


def check_foreign_whisperx() -> Iterator[Finding]:
    pids = foreign_whisperx()
    if pids:
        seen = _("other whisperx processes run (PID {pids})")
        seen = seen.format(pids=", ".join(map(str, pids)))
        remedy = _("The service refuses to start beside them: end them.")
        yield problem(_("processes"), seen, remedy)


def check_pause(config: Config) -> Iterator[Finding]:
    files = RecordingStore.of(config)
    if files.pause_flag.exists():
        yield warning(_("queue"), _("paused"), _("`transcriber.py resume` lets it go on."))


def check_port(config: Config) -> Iterator[Finding]:
    """The API's address can be listened on, unless the daemon does so already."""
    host, port = config.api.host, config.api.port
    address = f"{host}:{port}"
    owner = find_owner(config, SystemClock())
    if owner and owner.is_daemon and owner.is_here:
        yield ok(_("API"), _("{address} belongs to the daemon that runs").format(address=address))
    elif why := _why_not_free(host, port):
        yield problem(_("API"), f"{address}: {why}", _("Choose another api.host or api.port."))
    else:
        yield ok(_("API"), _("{address} is free").format(address=address))
    if host not in _LOOPBACK and not (config.api.key or config.api.user):
        seen = _("api.host is {host} and no key is set: whoever reaches it may use the program")
        remedy = _("Set api.host: 127.0.0.1, or api.key.")
        yield warning(_("API"), seen.format(host=host), remedy)


def _why_not_free(host: str, port: int) -> str | None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        family, kind, protocol, _name, address = found
        with socket.socket(family, kind, protocol) as tried:
            # As the server does it: what a client left half closed is no hindrance.
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
            tried.listen()
    except OSError as error:
        known = {
            errno.EADDRINUSE: _("another program listens there"),
            errno.EADDRNOTAVAIL: _("this machine does not have that address"),
            errno.EACCES: _("a port below 1024 needs more rights"),
        }
        return known.get(error.errno or 0, in_locale(reason_of(error)))
    return None
