"""The workers of the running service, as it says itself, through the folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from gettext import gettext as _

from modules.cli.daemon_status import Owner, daemon_runs
from modules.cli.session import local_time
from modules.clock import Clock
from modules.config.schema import Config
from modules.errors import TranscriberError, noted
from modules.messages import in_locale
from modules.service import folder_requests
from modules.service.worker_view import WorkerView

#: The service looks twice a second. Who only wants to see the folder does not wait long.
_PATIENCE_S = 5.0

_STATES = {
    "off": noted("not started"),
    "starting": noted("starts"),
    "loading": noted("loads its model"),
    "waiting": noted("has nothing to do"),
    "live": noted("serves live sessions"),
    "held": noted("waits"),
    "lost": noted("is lost"),
}


def workers_of(config: Config, clock: Clock, owner: Owner | None) -> list[WorkerView] | None:
    """None if no service runs, or if it does not say: an older one, or a folder that may only be
    read."""
    if owner is None or not owner.is_daemon:
        return None
    try:
        answer = folder_requests.ask(
            config.shared_directory,
            {"action": "workers"},
            clock,
            lambda: daemon_runs(config, clock),
            timeout_s=_PATIENCE_S,
        )
    except TranscriberError:
        return None
    found = answer.get("workers")
    views = map(WorkerView.from_message, found if isinstance(found, list) else [])
    return [view for view in views if view]


def lines(views: Sequence[WorkerView]) -> Iterator[str]:
    """One for each worker."""
    for view in views:
        does = _("transcribes {file}").format(file=view.filename)
        if not view.filename:
            does = in_locale(_STATES.get(view.state, view.state))
        where = " ".join(part for part in (view.device, view.model) if part)
        line = _("Worker {name} ({where}): {does}, since {time}")
        line = line.format(name=view.name, where=where, does=does, time=local_time(view.since))
        yield f"{line}: {in_locale(view.problem)}" if view.problem else f"{line}."
