"""``cluster head`` and ``cluster join``: Ray on this machine, until Ctrl-C."""

from __future__ import annotations

import importlib.util
import os
from argparse import Namespace
from gettext import gettext as _
from pathlib import Path

from modules.cli.session import say
from modules.executors.ray import nodes
from modules.executors.ray.link_process import is_loopback
from modules.executors.ray.pool import missing_ray
from modules.executors.ray.token_file import (
    make_token,
    require_token,
    token_at,
    usual_token_file,
)


def head(options: Namespace) -> int:
    """Become the head of a cluster; does not return. Raises TranscriberError."""
    _require_ray()
    token = _token_file(options)
    if not token_at(token):
        make_token(token)
        say(_("A new token is in {path}.").format(path=token))
    address = f"{options.host}:{options.port}"
    say(_("The cluster is at {address}. Ctrl-C ends it.").format(address=address))
    if is_loopback(options.host):
        say(_("Only this machine reaches it. For others, give --host the address of this one."))
    else:
        say(
            _(
                "On each other machine, with the same token: `make cluster-join HEAD={address}`"
            ).format(address=address)
        )
    command = nodes.head_command(options.host, options.port, options.cpus, options.gpus)
    return _become(command, options, token, address)


def join(options: Namespace) -> int:
    """Give this machine to a cluster, again whenever it was lost; does not return.

    Raises TranscriberError.
    """
    _require_ray()
    token = _token_file(options)
    require_token(token)
    say(_("Joining the cluster at {address}. Ctrl-C ends it.").format(address=options.head))
    command = nodes.join_command(options.head, options.host, options.cpus, options.gpus)
    lost = _("The cluster has lost this machine; it joins again in {seconds:g} s.")
    return _become(nodes.rejoining(command, lost), options, token, options.head)


def _require_ray() -> None:
    if importlib.util.find_spec("ray") is None:
        raise missing_ray()


def _token_file(options: Namespace) -> Path:
    named: Path | None = options.token_file
    return named.absolute() if named else usual_token_file(os.environ)


def _become(command: list[str], options: Namespace, token: Path, address: str) -> int:
    models: Path | None = options.models.absolute() if options.models else None
    environment = nodes.node_environment(os.environ, token, address, models)
    os.execve(command[0], command, environment)  # nosec B606 # our own words, no shell
