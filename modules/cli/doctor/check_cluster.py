"""Checks of the cluster that the workers are in; nothing is said where there is none."""

from __future__ import annotations

import importlib.util
import os
import socket
import time
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path

from modules.cli.doctor.findings import Finding, ok, problem, warning
from modules.config.schema import Config
from modules.errors import TranscriberError, reason_of
from modules.executors.ray.channel import LinkClosedError
from modules.executors.ray.link_process import LinkProcess
from modules.executors.ray.nodes import token_at, usual_token_file
from modules.messages import in_locale

#: How long the head may take to accept a connection, and Ray to become its client, in seconds.
_REACH_S, _CONNECT_S = 5.0, 45.0
_TICK_S = 0.1


def check_cluster(config: Config) -> Iterator[Finding]:
    """The packages, the token and the address; then whether the cluster lets us in."""
    address = config.workers.address
    if config.workers.kind != "ray" or address is None:
        return
    subject = _("cluster")
    if importlib.util.find_spec("ray") is None:
        yield problem(subject, _("its packages are not installed"), _("Run `make cluster`."))
        return
    token = config.workers.token_file or usual_token_file(os.environ)
    try:
        if not token_at(token):
            seen = _("there is no token in {path}").format(path=token)
            yield problem(subject, seen, _("`transcriber.py cluster head` writes one."))
            return
        _reach(address)
    except TranscriberError as error:
        yield problem(subject, in_locale(error.message), in_locale(error.remedy or ""))
        return
    except OSError as error:
        seen = _("{address} does not answer: {problem}")
        seen = seen.format(address=address, problem=in_locale(reason_of(error)))
        yield problem(subject, seen, _("Start it with `transcriber.py cluster head`."))
        return
    yield _connected(address, token, config)


def _reach(address: str) -> None:
    """Raises OSError unless somebody listens there."""
    host, port = address.rsplit(":", 1)
    socket.create_connection((host.strip("[]"), int(port)), _REACH_S).close()


def _connected(address: str, token: Path, config: Config) -> Finding:
    """What Ray says: it compares its version, and that of Python, and the token."""
    subject, link = _("cluster"), LinkProcess(address, token)
    deadline = time.monotonic() + _CONNECT_S
    try:
        while not link.connected():
            if time.monotonic() > deadline:
                raise LinkClosedError(_("no answer within {n} s").format(n=f"{_CONNECT_S:g}"))
            time.sleep(_TICK_S)
        cpus = int(link.resources.get("CPU", 0))
    except LinkClosedError as error:
        seen = _("{address} does not let this program in: {problem}")
        remedy = _(
            "Ray, Python and the token must be the same there, and a head or a node be here."
        )
        return problem(subject, seen.format(address=address, problem=error), remedy)
    finally:
        link.end()
    seen = _("{address} has {cpus} processors; a worker takes {each}, {most} are wanted")
    workers = config.workers
    seen = seen.format(address=address, cpus=cpus, each=workers.cpus_per_worker, most=workers.max)
    if cpus < workers.cpus_per_worker * workers.max:
        remedy = _("Add a machine, or lower workers.max or workers.cpus_per_worker.")
        return warning(subject, seen, remedy)
    return ok(subject, seen)
