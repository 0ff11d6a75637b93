"""How a command is added to the parser, with what its arguments accept.

Each command is imported when it is called, so that ``--help`` is there at once.
"""

from __future__ import annotations

import argparse
import importlib
import math
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from gettext import gettext as _
from pathlib import Path
from typing import Any

from modules import PACKAGE
from modules.cli.shells import as_called

#: The shortest time between two looks of ``status --watch``, in seconds.
_SHORTEST_S = 0.1


def command_of(module: str, function: str = "run") -> Callable[[Namespace], int]:
    """What runs a command; its module is imported when that is called."""

    def run(options: Namespace) -> int:
        found: Callable[[Namespace], int] = getattr(
            importlib.import_module(f"{PACKAGE}.cli.commands.{module}"), function
        )
        return found(options)

    return run


def add_command(
    commands: Any, name: str, purpose: str, epilog: str, command: Callable[[Namespace], int]
) -> Any:
    added = commands.add_parser(
        name,
        help=purpose,
        description=f"{purpose[0].upper()}{purpose[1:]}.",
        epilog=as_called(_(epilog)) if epilog else "",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    added.set_defaults(command=command)
    # Without a default here, one that was given before the command is kept.
    add_config(added, argparse.SUPPRESS)
    return added


def add_config(parser: ArgumentParser, default: str | None) -> None:
    config = parser.add_argument(
        "--config",
        type=Path,
        default=default,
        metavar=_("FILE"),
        help=_("the configuration; default: config.yaml"),
    )
    completes(config, "file")


def completes(action: Any, what: str) -> None:
    """What the shell offers for an argument; see ``completion``."""
    action.offers = what


def list_of_formats(text: str) -> list[str]:
    from modules.config.types import FORMATS

    known = [*FORMATS, "result"]
    formats = [word.strip().lower() for word in text.split(",")]
    for form in formats:
        if form not in known:
            message = _("{format!r} is none of {known}").format(format=form, known=", ".join(known))
            raise argparse.ArgumentTypeError(message)
    return formats


def one_format(text: str) -> str:
    *others, form = list_of_formats(text)
    if others or form == "result":
        raise argparse.ArgumentTypeError(_("one of txt, srt, vtt, tsv, json, docx, md"))
    return form


def seconds_between(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not _SHORTEST_S <= seconds <= 3600:
        message = _("must be a number of seconds, from {least} to 3600")
        raise argparse.ArgumentTypeError(message.format(least=_SHORTEST_S))
    return seconds
