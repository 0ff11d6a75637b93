"""The command line: commands, options, and a help that teaches.

Open ``adding.py`` for how one is added, ``upkeep.py`` for those that look after the installation.
"""

from __future__ import annotations

import argparse
import difflib
import os
from argparse import Action, ArgumentError, ArgumentParser
from gettext import gettext as _
from pathlib import Path
from typing import Any

from modules import IS_INSTALLED, __version__
from modules.cli.adding import (
    add_command,
    add_config,
    command_of,
    completes,
    list_of_formats,
    one_format,
    seconds_between,
)
from modules.cli.shells import as_called, program_name
from modules.cli.terminal import help_texts
from modules.cli.upkeep import add_upkeep
from modules.config.user_folders import config_file, data_folder

#: Between two looks of ``status --watch``, in seconds.
_INTERVAL_S = 1.0


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
    add_config(parser, None)
    parser.set_defaults(command=command_of("run"), first_run_sample=None, standby=False)
    commands = parser.add_subparsers(title=_("commands"), metavar=_("COMMAND"))
    _add_run(commands)
    _add_serve(commands)
    _add_transcribe(commands)
    _add_live(commands)
    _add_submit(commands)
    _add_status(commands)
    _add_queue(commands)
    _add_retry(commands)
    _add_redo(commands)
    _add_summarize(commands)
    _add_delete(commands)
    _add_export(commands)
    _add_corrections(commands)
    add_upkeep(commands)
    return parser


def _places() -> str:
    """Where the configuration and the folders are unless something else is said."""
    if not IS_INSTALLED:
        return _(help_texts.PLACES)
    places = {"config": config_file(os.environ), "data": data_folder(os.environ)}
    return _(help_texts.PLACES_INSTALLED).format(**places)


def _add_run(commands: Any) -> None:
    purpose = _("watch the shared folder (this is the default)")
    run = add_command(commands, "run", purpose, "", command_of("run"))
    sample = run.add_argument(
        "--first-run-sample",
        type=Path,
        metavar=_("FILE"),
        help=_("put this recording into a shared folder that was never used, and print its text"),
    )
    completes(sample, "file")
    run.add_argument(
        "--standby",
        action="store_true",
        help=_("wait while another process does this, and take over when it ends or falls silent"),
    )


def _add_serve(commands: Any) -> None:
    purpose = _("answer requests beside the service, from the shared folder")
    serve = add_command(commands, "serve", purpose, help_texts.SERVE, command_of("serve"))
    serve.add_argument(
        "--replica",
        action="store_true",
        required=True,
        help=_("read the folder, and pass orders on to the process that owns it"),
    )


def _add_transcribe(commands: Any) -> None:
    purpose = _("turn files into text here and now, without the service")
    command = add_command(
        commands, "transcribe", purpose, help_texts.TRANSCRIBE, command_of("transcribe")
    )
    completes(command.add_argument("files", nargs="+", type=Path, metavar=_("FILE")), "file")
    output = command.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar=_("DIR"),
        help=_("where the texts go; default: beside FILE"),
    )
    completes(output, "directory")
    command.add_argument(
        "-f",
        "--format",
        dest="formats",
        type=list_of_formats,
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


def _add_live(commands: Any) -> None:
    purpose = _("show words while they are spoken, and keep the recording")
    command = add_command(commands, "live", purpose, help_texts.LIVE, command_of("live"))
    source = command.add_argument(
        "source",
        nargs="?",
        metavar=_("FILE"),
        help=_("a WAV file, or - for raw sound; default: the microphone"),
    )
    completes(source, "file")
    command.add_argument(
        "--device", metavar=_("NAME"), help=_("the microphone, as `arecord -L` lists it")
    )
    command.add_argument(
        "--language", default="auto", metavar=_("CODE"), help=_("such as en or ru; default: auto")
    )
    command.add_argument("--name", metavar=_("NAME"), help=_("a part of the recording's name"))
    command.add_argument(
        "--pace", action="store_true", help=_("send a file no faster than it was spoken")
    )


def _add_submit(commands: Any) -> None:
    purpose = _("have files of the shared folder done before the others")
    command = add_command(commands, "submit", purpose, help_texts.SUBMIT, command_of("submit"))
    completes(command.add_argument("files", nargs="+", metavar=_("FILE")), "shared")


def _add_status(commands: Any) -> None:
    purpose = _("show what is done, waiting and failed")
    command = add_command(commands, "status", purpose, help_texts.STATUS, command_of("status"))
    kind = command.add_mutually_exclusive_group()
    kind.add_argument("--json", action="store_true", help=_("for programs"))
    kind.add_argument("--watch", action="store_true", help=_("go on showing it, until Ctrl-C"))
    command.add_argument(
        "--interval",
        type=seconds_between,
        default=_INTERVAL_S,
        metavar=_("SECONDS"),
        help=_("with --watch: between two looks (%(default)g)"),
    )


def _add_queue(commands: Any) -> None:
    purpose = _("show what waits, in which order, and for how long")
    command = add_command(commands, "queue", purpose, help_texts.QUEUE, command_of("queue"))
    command.add_argument("--json", action="store_true", help=_("for programs"))


def _add_retry(commands: Any) -> None:
    purpose = _("bring files that failed back from the manual folder")
    command = add_command(commands, "retry", purpose, help_texts.RETRY, command_of("retry"))
    completes(command.add_argument("files", nargs="+", metavar=_("NAME")), "manual")


def _add_redo(commands: Any) -> None:
    purpose = _("transcribe recordings anew, with other settings")
    command = add_command(commands, "redo", purpose, help_texts.REDO, command_of("redo"))
    completes(command.add_argument("files", nargs="+", metavar=_("NAME")), "shared")
    command.add_argument("--language", metavar=_("CODE"), help=_("such as ru or en; auto; mixed"))
    command.add_argument("--model", metavar=_("SIZE"), help=_("such as base or small"))


def _add_summarize(commands: Any) -> None:
    purpose = _("have finished texts summarised, or try a summary again")
    command = add_command(
        commands, "summarize", purpose, help_texts.SUMMARIZE, command_of("summarize")
    )
    completes(command.add_argument("files", nargs="+", metavar=_("NAME")), "shared")


def _add_delete(commands: Any) -> None:
    purpose = _("delete recordings and every file made from them")
    command = add_command(commands, "delete", purpose, help_texts.DELETE, command_of("delete"))
    completes(command.add_argument("files", nargs="+", metavar=_("NAME")), "both")
    command.add_argument("-y", "--yes", action="store_true", help=_("do not ask"))


def _add_export(commands: Any) -> None:
    purpose = _("print or save a finished text, with its corrections")
    command = add_command(commands, "export", purpose, help_texts.EXPORT, command_of("export"))
    completes(command.add_argument("file", metavar=_("NAME")), "shared")
    command.add_argument(
        "-f",
        "--format",
        type=one_format,
        default="txt",
        metavar=_("FORMAT"),
        help=_("txt, srt, vtt, tsv, json, docx or md; default: %(default)s"),
    )
    output = command.add_argument(
        "-o", "--output", type=Path, metavar=_("FILE"), help=_("a file; default: the terminal")
    )
    completes(output, "file")
    command.add_argument(
        "--original", action="store_true", help=_("without the corrections that people made")
    )
    command.add_argument(
        "--overwrite", action="store_true", help=_("write over files that are there already")
    )


def _add_corrections(commands: Any) -> None:
    purpose = _("show what people corrected in a text")
    command = add_command(
        commands, "corrections", purpose, help_texts.CORRECTIONS, command_of("corrections")
    )
    completes(command.add_argument("file", metavar=_("NAME")), "shared")
    command.add_argument("--json", action="store_true", help=_("for programs"))
