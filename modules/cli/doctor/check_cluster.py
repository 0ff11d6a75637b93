"""Checks of the cluster that the workers are in; nothing is said where there is none."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import socket
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from gettext import gettext as _
from gettext import ngettext
from pathlib import Path
from typing import IO

from modules import __version__
from modules.cli.doctor.findings import Finding, ok, problem, warning
from modules.config.schema import Config
from modules.config.workers import WorkersConfig
from modules.errors import ModelError, TranscriberError, reason_of
from modules.executors.ray.executor import sums_for
from modules.executors.ray.node_look import Look, LookFor
from modules.executors.ray.slot import ClusterPlan
from modules.executors.ray.survey import Node, Survey, survey
from modules.executors.ray.token_file import token_at, usual_token_file
from modules.executors.ray.wire import Failure, Warm
from modules.executors.tasks import model_of
from modules.messages import in_locale
from modules.storage.atomic import TEMPORARY_PREFIX
from modules.weights.engines import locate_for
from modules.weights.locate import needed_mb

#: How long the head may take to accept a connection, in seconds.
_REACH_S = 5.0
#: Measured (docs/cluster.md), in MiB: the link beside the service, what a machine takes that joins,
#: and what a worker takes there beside its model.
_LINK_MB, _NODE_MB, _WORKER_MB = 55, 196, 50


def check_cluster(config: Config) -> Iterator[Finding]:
    """The packages, the token and the address; then what the cluster and its machines say."""
    address = config.workers.address
    if config.workers.kind != "ray" or address is None:
        return
    subject = _("cluster")
    yield ok(_("live text"), _("there is none while the workers are in a cluster"))
    if importlib.util.find_spec("ray") is None:
        remedy = _("Run `make cluster`, or `pip install -r requirements-ray.lock`.")
        yield problem(subject, _("its packages are not installed"), remedy)
        return
    token = config.workers.token_file or usual_token_file(os.environ)
    try:
        if not token_at(token):
            seen = _("there is no token in {path}").format(path=token)
            yield problem(subject, seen, _("`transcriber.py cluster head` writes one."))
            return
        yield ok(subject, _("the token is in {path}, for its owner alone").format(path=token))
        _reach(address)
    except TranscriberError as error:
        yield problem(subject, in_locale(error.message), in_locale(error.remedy or ""))
        return
    except OSError as error:
        seen = _("{address} does not answer: {problem}")
        seen = seen.format(address=address, problem=in_locale(reason_of(error)))
        yield problem(subject, seen, _("Start it with `transcriber.py cluster head`."))
        return
    yield from _surveyed(address, token, config)


def _reach(address: str) -> None:
    """Raises OSError unless somebody listens there."""
    host, port = address.rsplit(":", 1)
    socket.create_connection((host.strip("[]"), int(port)), _REACH_S).close()


def _surveyed(address: str, token: Path, config: Config) -> Iterator[Finding]:
    """What Ray says, and each machine. Ray compares its version, that of Python, and the token."""
    with _marker(config) as marker:
        setup = ClusterPlan.of(config.workers).setup(config)
        path = marker.name if marker else None
        seen = survey(address, token, LookFor(setup=setup, weights=_weights(config), marker=path))
    if seen.problem:
        text = _("{address} does not let this program in: {problem}")
        remedy = _(
            "Ray, Python and the token must be the same there, and a head or a node be here."
        )
        yield problem(_("cluster"), text.format(address=address, problem=seen.problem), remedy)
        return
    text = _("{address} lets this program in, with Ray {ray} and Python {python}")
    text = text.format(address=address, ray=seen.ray, python=seen.python)
    yield ok(_("cluster"), text)
    for node in seen.nodes:
        yield from _of_node(node, config)
    yield _demand(seen, config)
    yield from _memory(seen, config)


def _marker(config: Config) -> AbstractContextManager[IO[bytes] | None]:
    """A file in the shared folder, which shows whether a machine has the same folder there.

    None where machines need not have it, or nothing can be written in it.
    """
    if config.workers.media == "share":
        with contextlib.suppress(OSError):  # another check says so
            # The watcher passes by names that begin like this.
            return tempfile.NamedTemporaryFile(dir=config.shared_directory, prefix=TEMPORARY_PREFIX)
    return contextlib.nullcontext()


def _weights(config: Config) -> Warm | None:
    """Those that the service has; another check says if it has none."""
    try:
        whisperx = config.whisperx
        if locate_for(whisperx, config.models_directory, False).folder is None:
            return None
        spec = model_of(config.default_settings(), config)
        return Warm(spec=spec, sums=sums_for(spec))
    except ModelError:
        return None


def _of_node(node: Node, config: Config) -> Iterator[Finding]:
    subject = _("node")
    if node.look is None:
        seen = _("{node} could not be looked at: {problem}")
        remedy = _("The same version of this program must be there, and its packages.")
        yield problem(subject, seen.format(node=node.name, problem=node.problem), remedy)
        return
    faults = list(_faults(node.look, config))
    if not faults:
        yield ok(subject, _described(node, node.look))
    yield from faults


def _described(node: Node, look: Look) -> str:
    seen = _("{node} has {cpus:g} processors, {gpus:g} graphics cards, {free} MB of memory free")
    facts = [seen.format(node=look.node, cpus=node.cpus, gpus=node.gpus, free=look.free_mb)]
    facts += [_("the same weights")] if look.weights == "same" else []
    if look.share == "same":
        facts.append(_("the shared folder as {folder}").format(folder=look.folder))
    return ", ".join(facts)


def _faults(look: Look, config: Config) -> Iterator[Finding]:
    subject, node = _("node"), look.node
    if look.version != __version__:
        seen = _("{node} has version {there} of this program, this machine {here}")
        seen = seen.format(node=node, there=look.version, here=__version__)
        yield problem(subject, seen, _("Bring the same version to both."))
    if look.python != platform.python_version():
        seen = _("{node} has Python {there}, this machine {here}")
        seen = seen.format(node=node, there=look.python, here=platform.python_version())
        yield problem(subject, seen, _("Bring the same version to both."))
    if isinstance(look.weights, Failure):
        yield problem(subject, in_locale(look.weights.message))  # with what to do
    if look.share == "other":
        seen = _("{node} does not have the shared folder as {folder}")
        remedy = _(
            "Mount it there, say in workers.path_map where it is, or set workers.media: stream."
        )
        yield problem(subject, seen.format(node=node, folder=look.folder), remedy)


def _fitting(cpus: float, gpus: float, workers: WorkersConfig) -> int:
    """How many workers there is room for."""
    fits = int(cpus // workers.cpus_per_worker)
    return min(fits, int(gpus // workers.gpus_per_worker)) if workers.gpus_per_worker else fits


def _demand(seen: Survey, config: Config) -> Finding:
    workers = config.workers
    room = sum(_fitting(node.cpus, node.gpus, workers) for node in seen.nodes)
    text = _("there is room for {room} workers, {most} are wanted; each takes {each} processors")
    text = text.format(room=room, most=workers.max, each=workers.cpus_per_worker)
    if room < workers.max:
        remedy = _("Add a machine, or lower workers.max or workers.cpus_per_worker.")
        return warning(_("cluster"), text, remedy)
    return ok(_("cluster"), text)


def _memory(seen: Survey, config: Config) -> Iterator[Finding]:
    """What all of it takes: the figures were measured, that of the model is an estimate."""
    subject, model_mb = _("cluster"), _model_mb(config)
    each_mb = _WORKER_MB + (model_mb or 0)
    text = _("takes about {here} MB of memory here, {node} on each machine, {each} for each worker")
    yield ok(subject, text.format(here=_LINK_MB, node=_NODE_MB, each=each_mb))
    for node in seen.nodes if model_mb else ():
        more = _coming(node, seen, config.workers)
        if node.look and more and node.look.free_mb < more * each_mb:
            text = ngettext(
                "{node} has {free} MB of memory free, and {n} more worker takes {all}",
                "{node} has {free} MB of memory free, and {n} more workers take {all}",
                more,
            )
            facts = {"free": node.look.free_mb, "n": more, "all": more * each_mb}
            remedy = _("Give it less to do, or use a smaller model.")
            yield warning(_("node"), text.format(node=node.look.node, **facts), remedy)


def _coming(node: Node, seen: Survey, workers: WorkersConfig) -> int:
    """How many more workers may begin on a machine, beside those whose memory is taken already."""
    there = sum(
        _fitting(each.cpus, each.gpus, workers) - _fitting(each.free_cpus, each.free_gpus, workers)
        for each in seen.nodes
    )
    return max(0, min(_fitting(node.free_cpus, node.free_gpus, workers), workers.max - there))


def _model_mb(config: Config) -> int | None:
    try:
        source = locate_for(config.whisperx, config.models_directory, False)
    except ModelError:
        return None
    return needed_mb(source, config.whisperx)
