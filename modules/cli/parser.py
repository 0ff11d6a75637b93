"""The command line: commands, options, and a help that teaches.

Nothing heavy is imported here; each command is imported when it is called, so that ``--help`` is
there at once.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import math
import os
from argparse import Action, ArgumentError, ArgumentParser, Namespace
from collections.abc import Callable
from gettext import gettext as _
from pathlib import Path
from typing import Any

from modules import IS_INSTALLED, PACKAGE, __version__
from modules.cli.shells import SHELLS, as_called, called, program_name
from modules.cli.terminal import help_texts
from modules.config.user_folders import config_file, data_folder

#: Between two looks of ``status --watch``, in seconds.
_INTERVAL_S = 1.0
_SHORTEST_S = 0.1


class _Parser(ArgumentParser):
    """An argument parser that suggests the command which was probably meant."""

    def _check_value(self, action: Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except ArgumentError:
            near = difflib.get_close_matches(str(value), list(action.choices or ()), n=1)
            if not near:
                raise
            message = _("unknown: {value!r}; did you mean {near}?")
            raise ArgumentError(action, message.format(value=value, near=near[0])) from None


def build_parser() -> ArgumentParser:
    """The whole command line; ``options.command(options)`` runs what was asked for."""
    parser = _Parser(
        prog=program_name(),
        description=_("Turns recordings that are dropped into a folder into text, with WhisperX."),
        epilog=as_called("\n".join((_(help_texts.MAIN), _places(), _(help_texts.EXIT_CODES)))),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"audio-transcriber {__version__}",
        help=_("show the version and exit"),
    )
    _add_config(parser, None)
    parser.set_defaults(command=_command("run"), first_run_sample=None)
    commands = parser.add_subparsers(title=_("commands"), metavar=_("COMMAND"))
    _add_run(commands)
    _add_transcribe(commands)
    _add_submit(commands)
    _add_status(commands)
    _add_queue(commands)
    _add_retry(commands)
    _add_delete(commands)
    _add_export(commands)
    _add_corrections(commands)
    _add_small_ones(commands)
    _add_config_command(commands)
    _add_completion(commands)
    return parser


def _places() -> str:
    """Where the configuration and the folders are unless something else is said."""
    if not IS_INSTALLED:
        return _(help_texts.PLACES)
    places = {"config": config_file(os.environ), "data": data_folder(os.environ)}
    return _(help_texts.PLACES_INSTALLED).format(**places)


def _command(module: str, function: str = "run") -> Callable[[Namespace], int]:
    """What runs a command; its module is imported when that is called."""

    def run(options: Namespace) -> int:
        found: Callable[[Namespace], int] = getattr(
            importlib.import_module(f"{PACKAGE}.cli.commands.{module}"), function
        )
        return found(options)

    return run


def _add(
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
    _add_config(added, argparse.SUPPRESS)
    return added


def _add_config(parser: ArgumentParser, default: str | None) -> None:
    config = parser.add_argument(
        "--config",
        type=Path,
        default=default,
        metavar=_("FILE"),
        help=_("the configuration; default: config.yaml"),
    )
    _completes(config, "file")


def _completes(action: Any, what: str) -> None:
    """What the shell offers for an argument; see ``completion``."""
    action.offers = what


def _add_run(commands: Any) -> None:
    purpose = _("watch the shared folder (this is the default)")
    run = _add(commands, "run", purpose, "", _command("run"))
    sample = run.add_argument(
        "--first-run-sample",
        type=Path,
        metavar=_("FILE"),
        help=_("put this recording into a shared folder that was never used, and print its text"),
    )
    _completes(sample, "file")


def _add_transcribe(commands: Any) -> None:
    purpose = _("turn files into text here and now, without the service")
    command = _add(commands, "transcribe", purpose, help_texts.TRANSCRIBE, _command("transcribe"))
    _completes(command.add_argument("files", nargs="+", type=Path, metavar=_("FILE")), "file")
    output = command.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar=_("DIR"),
        help=_("where the texts go; default: beside FILE"),
    )
    _completes(output, "directory")
    command.add_argument(
        "-f",
        "--format",
        dest="formats",
        type=_formats,
        action="extend",
        metavar=_("FORMAT"),
        help=_(
            "txt, srt, vtt, tsv, json, docx, md, or result for the service's own file with "
            "everything in it; several by commas or by repeating; default: output.formats of the "
            "configuration"
        ),
    )
    command.add_argument("--language", metavar=_("CODE"), help=_("such as ru or en; auto; mixed"))
    command.add_argument(
        "--model", metavar=_("SIZE"), help=_("such as base or small, or a ./folder")
    )
    command.add_argument(
        "--overwrite", action="store_true", help=_("write over files that are there already")
    )


def _add_submit(commands: Any) -> None:
    purpose = _("have files of the shared folder done before the others")
    command = _add(commands, "submit", purpose, help_texts.SUBMIT, _command("submit"))
    _completes(command.add_argument("files", nargs="+", metavar=_("FILE")), "shared")


def _add_status(commands: Any) -> None:
    purpose = _("show what is done, waiting and failed")
    command = _add(commands, "status", purpose, help_texts.STATUS, _command("status"))
    kind = command.add_mutually_exclusive_group()
    kind.add_argument("--json", action="store_true", help=_("for programs"))
    kind.add_argument("--watch", action="store_true", help=_("go on showing it, until Ctrl-C"))
    command.add_argument(
        "--interval",
        type=_interval,
        default=_INTERVAL_S,
        metavar=_("SECONDS"),
        help=_("with --watch: between two looks (%(default)g)"),
    )


def _add_queue(commands: Any) -> None:
    purpose = _("show what waits, in which order, and for how long")
    command = _add(commands, "queue", purpose, help_texts.QUEUE, _command("queue"))
    command.add_argument("--json", action="store_true", help=_("for programs"))


def _add_retry(commands: Any) -> None:
    purpose = _("bring files that failed back from the manual folder")
    command = _add(commands, "retry", purpose, help_texts.RETRY, _command("retry"))
    _completes(command.add_argument("files", nargs="+", metavar=_("NAME")), "manual")


def _add_delete(commands: Any) -> None:
    purpose = _("delete recordings and every file made from them")
    command = _add(commands, "delete", purpose, help_texts.DELETE, _command("delete"))
    _completes(command.add_argument("files", nargs="+", metavar=_("NAME")), "both")
    command.add_argument("-y", "--yes", action="store_true", help=_("do not ask"))


def _add_export(commands: Any) -> None:
    purpose = _("print or save a finished text, with its corrections")
    command = _add(commands, "export", purpose, help_texts.EXPORT, _command("export"))
    _completes(command.add_argument("file", metavar=_("NAME")), "shared")
    command.add_argument(
        "-f",
        "--format",
        type=_format,
        default="txt",
        metavar=_("FORMAT"),
        help=_("txt, srt, vtt, tsv, json, docx or md; default: %(default)s"),
    )
    output = command.add_argument(
        "-o", "--output", type=Path, metavar=_("FILE"), help=_("a file; default: the terminal")
    )
    _completes(output, "file")
    command.add_argument(
        "--original", action="store_true", help=_("without the corrections that people made")
    )
    command.add_argument(
        "--overwrite", action="store_true", help=_("write over files that are there already")
    )


def _add_corrections(commands: Any) -> None:
    purpose = _("show what people corrected in a text")
    command = _add(
        commands, "corrections", purpose, help_texts.CORRECTIONS, _command("corrections")
    )
    _completes(command.add_argument("file", metavar=_("NAME")), "shared")
    command.add_argument("--json", action="store_true", help=_("for programs"))


def _add_small_ones(commands: Any) -> None:
    purpose = _("check that everything is in place")
    _add(commands, "doctor", purpose, help_texts.DOCTOR, _command("doctor"))
    purpose = _("start no further file until `resume`")
    _add(commands, "pause", purpose, help_texts.PAUSE, _command("pause", "pause"))
    _add(commands, "resume", _("go on after `pause`"), "", _command("pause", "resume"))


def _add_config_command(commands: Any) -> None:
    purpose = _("show where the configuration and the folders are")
    command = _add(commands, "config", purpose, help_texts.CONFIG, _command("config"))
    command.add_argument(
        "--write", action="store_true", help=_("write a configuration with comments, if there is none")
    )


def _add_completion(commands: Any) -> None:
    purpose = _("print a script that completes commands by Tab")
    command = _add(commands, "completion", purpose, "", _command("completion"))
    command.epilog = _(help_texts.COMPLETION).format(**called())
    command.add_argument("shell", choices=SHELLS, metavar=_("SHELL"), help=", ".join(SHELLS))


def _formats(text: str) -> list[str]:
    from modules.config.types import FORMATS

    known = [*FORMATS, "result"]
    formats = [word.strip().lower() for word in text.split(",")]
    for form in formats:
        if form not in known:
            message = _("{format!r} is none of {known}").format(format=form, known=", ".join(known))
            raise argparse.ArgumentTypeError(message)
    return formats


def _format(text: str) -> str:
    *others, form = _formats(text)
    if others or form == "result":
        raise argparse.ArgumentTypeError(_("one of txt, srt, vtt, tsv, json, docx, md"))
    return form


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not _SHORTEST_S <= seconds <= 3600:
        message = _("must be a number of seconds, from {least} to 3600")
        raise argparse.ArgumentTypeError(message.format(least=_SHORTEST_S))
    return seconds
