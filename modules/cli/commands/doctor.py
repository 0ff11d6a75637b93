"""``doctor``: is everything in place? Each check is a line with what to do.

Only the standard library is imported at the top: this must work where packages are missing.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from gettext import gettext as _
from gettext import ngettext
from typing import TYPE_CHECKING

from modules.cli.doctor import check_program
from modules.cli.doctor.findings import Finding, Level, ok, problem
from modules.cli.printable import printable
from modules.cli.shells import message_as_called
from modules.errors import noted, reason_of
from modules.messages import in_locale

if TYPE_CHECKING:
    from modules.config.schema import Config

_COLOURS = {Level.OK: "32", Level.WARNING: "33", Level.PROBLEM: "31"}
_LEVELS = {
    Level.OK: noted("ok"),
    Level.WARNING: noted("warning"),
    Level.PROBLEM: noted("problem"),
}
_LEVEL_WIDTH, _SUBJECT_WIDTH = 8, 14


def run(options: Namespace) -> int:
    """Print every finding; 1 if one of them is a problem."""
    counted: Counter[Level] = Counter()
    for finding in examine(options):
        counted[finding.level] += 1
        print(line(finding, coloured=_is_coloured()), flush=True)
    problems, warnings = counted[Level.PROBLEM], counted[Level.WARNING]
    print()
    print(f"{_problems(problems)}, {_warnings(warnings)}.")
    return 1 if problems else 0


def examine(options: Namespace) -> Iterator[Finding]:
    """All findings, in order. A broken configuration ends them early, with every complaint."""
    yield from check_program.check_python()
    yield from check_program.check_packages()
    try:
        from modules.cli.session import configured
        from modules.errors import ConfigError
    except ImportError as error:
        seen = _("cannot be loaded: {error}").format(error=error.name or error)
        yield problem(_("program"), seen, _("Install the packages first."))
        return
    try:
        config = configured(options)
    except ConfigError as error:
        yield from check_program.check_assets(None)
        for complaint in error.problems:
            yield problem(_("configuration"), in_locale(complaint))
        remedy = _("Fix it and run this again: folders, model and API were not looked at.")
        yield problem(_("configuration"), _("cannot be used"), remedy)
        return
    yield _configuration(options)
    yield from check_program.check_assets(config.whisperx.vad_method)
    for check in _checks():
        yield from _guarded(check, config)


def _configuration(options: Namespace) -> Finding:
    """The file that was read, or that there is none."""
    from modules.config.loader import config_path

    subject = _("configuration")
    file, _named = config_path(options.config, os.environ)
    if os.path.lexists(file):
        return ok(subject, _("{file} is valid").format(file=file))
    seen = _("there is no {file}; the defaults hold").format(file=file)
    return Finding(Level.OK, subject, seen, _("`transcriber.py config --write` writes one."))


def _checks() -> Iterable[Callable[[Config], Iterator[Finding]]]:
    from modules.cli.doctor import (
        check_cluster,
        check_folders,
        check_machine,
        check_senders,
        check_service,
    )

    return (
        check_service.check_model,
        check_folders.check_folders,
        check_folders.check_file_systems,
        check_folders.check_disk,
        check_machine.check_inotify,
        lambda config: check_machine.check_processor(),
        check_machine.check_memory,
        check_machine.check_cores,
        check_machine.check_gpu,
        check_machine.check_encoder,
        check_machine.check_sandbox,
        check_service.check_lock,
        check_service.check_pause,
        lambda config: check_service.check_foreign_whisperx(),
        check_service.check_port,
        check_cluster.check_cluster,
        check_senders.check_handover,
        check_senders.check_summary,
    )


def _guarded(check: Callable[[Config], Iterator[Finding]], config: Config) -> Iterator[Finding]:
    """A check that the system itself hinders is a finding, not the end."""
    try:
        yield from check(config)
    except OSError as error:
        why = in_locale(reason_of(error))
        yield problem(_("system"), _("could not be examined: {error}").format(error=why))


def line(finding: Finding, coloured: bool = False) -> str:
    """``problem  model  what was seen – what to do``."""
    level = _(_LEVELS[finding.level]).ljust(_LEVEL_WIDTH)
    if coloured:
        level = f"\x1b[{_COLOURS[finding.level]}m{level}\x1b[0m"
    remedy = f" – {message_as_called(finding.remedy)}" if finding.remedy else ""
    return (
        f"{level} {printable(finding.subject.ljust(_SUBJECT_WIDTH) + ' ' + finding.seen + remedy)}"
    )


def _is_coloured() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _problems(count: int) -> str:
    message = ngettext("{n} problem", "{n} problems", count).format(n=count)
    return message if count else _("no problems")


def _warnings(count: int) -> str:
    message = ngettext("{n} warning", "{n} warnings", count).format(n=count)
    return message if count else _("no warnings")
