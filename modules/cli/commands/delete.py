"""``delete``: recordings with every file that was made from them, after a question."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from gettext import gettext as _
from gettext import ngettext

from modules.cli.backend import Backend, open_backend
from modules.cli.file_arguments import name_in_either
from modules.cli.orders import each
from modules.cli.session import complain, configured, require_share, say
from modules.clock import SystemClock
from modules.config.schema import Config

#: More names than this are counted, not listed.
_LISTED = 20
#: Whatever language the question is in.
_YES = ("y", "yes", "д", "да")


def run(options: Namespace) -> int:
    """1 if any of them could not be deleted, or the answer was no; 2 if nothing could be asked.

    Raises LockHeldError, StorageError.
    """
    config = configured(options)
    require_share(config)
    names, failed = _names(options.files, config)
    if not names:
        return 1
    if not options.yes:
        if not sys.stdin.isatty():
            complain(_("There is no terminal to ask for confirmation: give --yes."))
            return 2
        if not _agreed(names, config):
            say(_("Nothing was deleted."))
            return 1
    with open_backend(config, SystemClock(), "delete command") as backend:
        failed += each(names, lambda name: _deleted(name, backend))[1]
    return 1 if failed else 0


def _names(texts: Sequence[str], config: Config) -> tuple[list[str], int]:
    """The recordings that are meant, each once, and how many texts mean none."""
    names: list[str] = []

    def find(text: str) -> bool:
        names.append(name_in_either(text, config))
        return True

    failed = each(texts, find, lambda text, error: error.text)[1]
    return list(dict.fromkeys(names)), failed


def _agreed(names: Sequence[str], config: Config) -> bool:
    for name in names[:_LISTED]:
        say(f"  {name}{_where(name, config)}")
    if len(names) > _LISTED:
        more = len(names) - _LISTED
        say("  " + ngettext("and {n} more", "and {n} more", more).format(n=more))
    question = ngettext(
        "Delete this recording and every file made from it? [y/N] ",
        "Delete these {n} recordings and every file made from them? [y/N] ",
        len(names),
    )
    try:
        return input(question.format(n=len(names))).strip().lower() in _YES
    except EOFError:
        print()
        return False


def _where(name: str, config: Config) -> str:
    """A word where the name alone does not tell."""
    if not os.path.lexists(config.manual_directory / name):
        return ""
    if os.path.lexists(config.shared_directory / name):
        return _(" (in the shared folder and in the manual folder)")
    return _(" (in the manual folder)")


def _deleted(name: str, backend: Backend) -> bool:
    """Delete one and say so. Raises TranscriberError."""
    removed = backend.delete(name)
    files = removed.get("deleted_files") or []
    message = ngettext("{name}: {n} file deleted", "{name}: {n} files deleted", len(files))
    parts = [message.format(name=name, n=len(files))]
    if removed.get("processing_interrupted"):
        parts.append(_("its transcription was interrupted"))
    elif removed.get("removed_from_queue"):
        parts.append(_("taken out of the queue"))
    say(", ".join(parts) + ".")
    for file in files:
        say(f"  {file}")
    return True
