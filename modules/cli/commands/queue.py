"""``queue``: what is still to be done, in which order, and how long it will take."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from gettext import gettext as _
from typing import Any

from modules.cli.commands.status import row_json
from modules.cli.daemon_status import daemon_runs
from modules.cli.printable import printable_json
from modules.cli.session import complain, configured, require_share, say
from modules.cli.terminal import tables, wording
from modules.clock import Clock, SystemClock
from modules.config.schema import Config
from modules.errors import TranscriberError
from modules.jobs.estimates import Estimates
from modules.recordings.store import RecordingStore
from modules.service import folder_requests
from modules.service.folder_view.forecast import Waiting, forecast
from modules.service.folder_view.report import report
from modules.storage.atomic import storage_errors

#: The folder tells nearly the same, so it is not waited for long.
_PATIENCE_S = 5.0


def run(options: Namespace) -> int:
    """Show the queue. Raises StorageError if the folder is not there."""
    config, clock = configured(options), SystemClock()
    require_share(config)
    files = RecordingStore.of(config)
    has_daemon = daemon_runs(config, clock)
    order = _order(config, clock) if has_daemon else []
    with storage_errors(config.shared_directory):
        rows = report(config, files).rows
    paused = files.pause_flag.exists()
    estimates = Estimates(files.folder.state / "speed.json")
    settings = config.default_settings()
    waiting = forecast(
        rows, estimates, settings, clock.utc_now(), paused, order, config.tasks_at_once
    )
    if options.json:
        content = {"paused": paused, "queue": [_as_json(each) for each in waiting]}
        print(printable_json(content))
    else:
        _show(waiting)
        say(_told(waiting, has_daemon, paused))
    return 0


def _order(config: Config, clock: Clock) -> list[str]:
    """The daemon's own order; empty, with a word about it, if it does not tell."""
    try:
        answer = folder_requests.ask(
            config.shared_directory,
            {"action": "queue"},
            clock,
            lambda: daemon_runs(config, clock),
            _PATIENCE_S,
        )
    except TranscriberError:
        # A folder that may only be read is enough to look at it.
        complain(_("The daemon did not say in which order; this is what the folder tells."))
        return []
    names = answer.get("queue")
    return [str(name) for name in names] if isinstance(names, list) else []


def _as_json(waiting: Waiting) -> dict[str, Any]:
    left = {} if waiting.left_s is None else {"eta_seconds": round(waiting.left_s, 1)}
    return {"queue_position": waiting.ahead, **row_json(waiting.row), **left}


def _show(waiting: Sequence[Waiting]) -> None:
    head = ("#", _("NAME"), _("STATE"), _("READY IN"), "")
    rows = [
        (
            str(each.ahead + 1),
            each.row.name,
            wording.state_word(each.row.state),
            wording.duration(each.left_s),
            wording.details(each.row),
        )
        for each in waiting
    ]
    styles = [wording.COLOURS.get(each.row.state, "") for each in waiting]
    tables.show(head, rows, right=(0,), name=1, styles=styles)


def _told(waiting: Sequence[Waiting], has_daemon: bool, paused: bool) -> str:
    parts = [] if waiting else [_("Nothing waits.")]
    if paused:
        parts.append(_("The queue is paused; `transcriber.py resume` lets it go on."))
    if not has_daemon:
        order = _("No daemon runs; this is the order at its next start.")
        parts.append(order if waiting else _("No daemon runs."))
    elif waiting and waiting[-1].left_s is not None:
        parts.append(_("All is ready in {time}.").format(time=wording.duration(waiting[-1].left_s)))
    elif waiting and not paused:
        parts.append(_("How long it takes is known once a recording was done with this model."))
    return " ".join(parts)
