"""``status``: the folder as a table, or as JSON."""

from __future__ import annotations

import dataclasses
from argparse import Namespace
from collections.abc import Mapping, Sequence
from gettext import gettext as _
from gettext import ngettext
from typing import Any

from modules.cli.daemon_status import Owner, find_owner, standby_line
from modules.cli.printable import printable_json
from modules.cli.session import configured, length, local_time, require_share, say
from modules.cli.terminal import tables, wording
from modules.cli.workers import lines as workers_lines
from modules.cli.workers import workers_of
from modules.clock import SystemClock, iso
from modules.delivery.job_notes import waiting_in
from modules.messages import in_locale
from modules.recordings import standbys
from modules.recordings.store import RecordingStore
from modules.service.folder_view.report import Report, report
from modules.service.folder_view.rows import Row, State
from modules.storage.atomic import storage_errors

_IGNORED_SHOWN = 10
#: By kind, the folder of what is still to be sent.
_OUTBOXES = {"handover": "handover", "summary": "summaries"}


def run(options: Namespace) -> int:
    """Show the folder. Raises StorageError if it is not there."""
    config, clock = configured(options), SystemClock()
    require_share(config)
    if options.watch:
        from modules.cli.commands import watch

        return watch.run(config, clock, options.interval)
    files = RecordingStore.of(config)
    with storage_errors(config.shared_directory):
        found = report(config, files)
    owner, paused = find_owner(config, clock), files.pause_flag.exists()
    waiting = _waiting(files)
    seconds = standbys.waiting(config.shared_directory, clock)
    is_cluster = config.workers.kind == "ray"
    workers = workers_of(config, clock, owner) if is_cluster or options.json else None
    if options.json:
        more = {"waiting": waiting, "standbys": [dataclasses.asdict(each) for each in seconds]}
        shown = None if workers is None else [view.as_json() for view in workers]
        print(printable_json(as_json(found, owner, paused) | more | {"workers": shown}))
        return 0
    rows, left_out = _without_most_ignored(found.rows)
    _show(rows)
    if left_out:
        message = ngettext(
            "{n} more file is no recording.", "{n} more files are no recordings.", left_out
        )
        say(message.format(n=left_out))
    _say_notes(found)
    _say_waiting(waiting)
    if kept := wording.retention(config.retention):
        say(kept)
    for line in workers_lines(workers or ()):
        say(line)
    for each in seconds:
        say(standby_line(each))
    say(wording.summary(found, owner, paused))
    return 0


def _say_notes(found: Report) -> None:
    """What is not in the table."""
    for problem in found.problems:
        say(_("Cannot be read: {problem}").format(problem=in_locale(problem)))
    if found.not_looked_into:
        message = _("Not looked into (watch.recursive is off): {folders}")
        say(message.format(folders=", ".join(found.not_looked_into)))
    if found.skipped:
        message = ngettext(
            "{n} file is skipped, as its name is not that of a recording: {names}",
            "{n} files are skipped, as their names are not those of recordings, such as {names}",
            found.skipped,
        )
        say(message.format(n=found.skipped, names=", ".join(found.examples)))


def _say_waiting(waiting: Mapping[str, int]) -> None:
    if waiting["handover"]:
        message = ngettext(
            "{n} transcript waits to be handed over.",
            "{n} transcripts wait to be handed over.",
            waiting["handover"],
        )
        say(message.format(n=waiting["handover"]))
    if waiting["summary"]:
        message = ngettext(
            "{n} text waits for its summary.",
            "{n} texts wait for their summaries.",
            waiting["summary"],
        )
        say(message.format(n=waiting["summary"]))


def _waiting(files: RecordingStore) -> dict[str, int]:
    """What is still to be sent, by kind; the log of the service says why."""
    state = files.folder.state
    return {kind: waiting_in(state / folder) for kind, folder in _OUTBOXES.items()}


def _without_most_ignored(rows: Sequence[Row]) -> tuple[list[Row], int]:
    """The rows for the table, and how many are left out: somebody's sources may be thousands."""
    ignored = [row for row in rows if row.state is State.IGNORED][_IGNORED_SHOWN:]
    left_out = set(map(id, ignored))
    return [row for row in rows if id(row) not in left_out], len(ignored)


def as_json(found: Report, owner: Owner | None, paused: bool) -> dict[str, Any]:
    """The report for programs; what is not known is absent."""
    return {
        "recordings": [row_json(row) for row in found.rows],
        "not_looked_into": found.not_looked_into,
        "problems": found.problems,
        "skipped": {"count": found.skipped, "examples": found.examples},
        "counts": {state.value: count for state, count in wording.counts(found.rows).items()},
        "daemon": {"pid": owner.pid, "host": owner.host, "since": owner.since and iso(owner.since)}
        if owner and owner.is_daemon
        else None,
        "paused": paused,
    }


def row_json(row: Row) -> dict[str, Any]:
    """A recording for programs; what is not known is absent."""
    known = {
        "filename": row.name,
        "state": row.state,
        "stage": row.stage,
        "percentage": row.percentage,
        "attempt": row.attempt,
        "error": row.error,
        "duration_seconds": row.duration_s,
        "language": row.language,
        "word_count": row.words,
        "warnings": list(row.warnings) or None,
        "when": iso(row.when) if row.when else None,
    }
    return {key: value for key, value in known.items() if value is not None}


def _show(rows: Sequence[Row]) -> None:
    head = (
        _("NAME"), _("STATE"), _("LENGTH"), _("LANG"), _("WORDS"), _("WHEN"), "",
    )  # fmt: skip
    tables.show(
        head,
        [_cells(row) for row in rows],
        right=(2, 4),
        styles=[wording.COLOURS.get(row.state, "") for row in rows],
    )


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        wording.state_word(row.state),
        length(row.duration_s),
        row.language or "",
        "" if row.words is None else str(row.words),
        local_time(row.when),
        wording.details(row),
    )
