"""``corrections``: what people changed in a text."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from gettext import gettext as _
from gettext import ngettext

from modules.cli.commands.export import finished
from modules.cli.printable import printable_json
from modules.cli.session import complain, configured, length, local_time, require_share, say
from modules.cli.terminal import tables
from modules.clock import parse_time
from modules.errors import StorageError, TranscriberError, joined, noted
from modules.transcript.operations import (
    Confirm,
    Join,
    Operation,
    RenameSpeaker,
    RestoreDropped,
    SetSpeaker,
    Split,
    Words,
    effective,
)

_WHAT = {
    Words: noted("words"),
    Confirm: noted("confirmed"),
    SetSpeaker: noted("speaker here"),
    RenameSpeaker: noted("speaker"),
    Split: noted("split"),
    Join: noted("joined"),
    RestoreDropped: noted("put back"),
}


def run(options: Namespace) -> int:
    """1 if there is no such text, or its corrections cannot be read. Raises StorageError."""
    config = configured(options)
    require_share(config)
    try:
        name, _result, found = finished(options.file, config)
    except StorageError:
        raise
    except TranscriberError as error:
        complain(joined(": ", options.file, error.text))
        return 1
    if found.unreadable:
        complain(_("The corrections of {name} cannot be read.").format(name=name))
        return 1
    operations, lost = effective(found.log.ops), found.log.not_applied
    if options.json:
        print(printable_json({"corrections": _json(operations), "not_applied": _json(lost)}))
        return 0
    head = (_("WHERE"), _("WHAT"), _("BEFORE"), _("NOW"), _("WHO"), _("WHEN"), "")
    rows = [_cells(each) for each in operations]
    rows += [(*_cells(each)[:-1], _("does not fit the present text")) for each in lost]
    tables.show(head, rows)
    message = ngettext("{n} correction.", "{n} corrections.", len(operations))
    say(message.format(n=len(operations)))
    return 0


def _json(operations: Sequence[Operation]) -> list[dict[str, object]]:
    return [each.model_dump(mode="json", exclude_none=True) for each in operations]


def _cells(operation: Operation) -> tuple[str, ...]:
    was, now = getattr(operation, "was", None), getattr(operation, "now", None)
    return (
        length(operation.span[0]) if operation.span else "",
        _(_WHAT.get(type(operation), operation.op)),
        _joined(was),
        _joined(now),
        operation.by or "",
        local_time(parse_time(operation.at)),
        "",
    )


def _joined(words: object) -> str:
    return " ".join(words) if isinstance(words, tuple) else str(words or "")
