"""The command line: commands, options, and a help that teaches.

Nothing heavy is imported here; each command is imported when it is called, so that ``--help`` is
there at once.
"""

from __future__ import annotations

import argparse
from argparse import Namespace
from pathlib import Path
from typing import Any

from modules import __version__

_EXIT_CODES = """\
exit codes:
  0   all is well                    74  a folder cannot be used
  1   it failed, wholly or in part   75  another transcriber is running
  2   the command line is wrong      78  the configuration is wrong
  69  a model is missing             130 stopped with Ctrl-C
"""

_MAIN = f"""\
examples:
  transcriber.py                      run the service: watch the shared folder
  transcriber.py doctor               is everything in place?
  transcriber.py status               what is done, what is waiting, what failed
  transcriber.py transcribe talk.mp3  one file, here and now, without the service
  transcriber.py COMMAND --help       more on a command

Without a command the service runs. Every command reads config.yaml beside this program;
--config, given before the command, names another one.

{_EXIT_CODES}"""

_TRANSCRIBE = """\
examples:
  transcriber.py transcribe talk.mp3                talk.txt and talk.srt beside it
  transcriber.py transcribe *.mp4 -f srt -o subs/   subtitles only, into a folder
  transcriber.py transcribe talk.mp3 --language en --model small
  transcriber.py transcribe talk.mp3 -f txt,json    several formats

Nothing is ever written over a file unless --overwrite is given. While the service runs it holds
the lock, and this command says so and ends with 75: copy the file into the shared folder then.
Files that lie in the shared folder are the service's work: use `submit` to have one done first.
Ctrl-C ends it; what was written by then stays.
"""

_SUBMIT = """\
examples:
  transcriber.py submit talk.mp3           a file in the shared folder, by its name
  transcriber.py submit shared/talk.mp3    or by its path

The file goes before all those that were merely found in the folder. It must lie in the shared
folder already. If no service runs, the order is kept and carried out at the next start.
"""

_STATUS = """\
examples:
  transcriber.py status          a table of the shared folder and of the files that failed
  transcriber.py status --json   the same for programs

It reads the folder alone, so it works with and without the service. The states:
  pending     found, nothing done yet          completed   the text is there
  queued      ordered, or waits to go on       error       given up on
  processing  the model has it                 manual      failed and moved to the manual folder
"""

_DOCTOR = """\
Each line begins with ok, warning or problem. A warning leaves the program working; a problem does
not, and the exit code is 1. Nothing is changed, and it may run beside the service.
"""

_PAUSE = """\
The file in hand stops after its current piece and later goes on from there. New files and orders
are still accepted. The pause outlives a restart; `transcriber.py resume` ends it.
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; ``options.command(options)`` runs what was asked for."""
    parser = argparse.ArgumentParser(
        prog="transcriber.py",
        description="Turns recordings that are dropped into a folder into text, with WhisperX.",
        epilog=_MAIN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"audio-transcriber {__version__}")
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: config.yaml")
    parser.set_defaults(command=_run, first_run_sample=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_run(commands)
    _add_transcribe(commands)
    _add_submit(commands)
    _add_status(commands)
    _add(commands, "doctor", "check that everything is in place", _DOCTOR, _doctor)
    _add(commands, "pause", "start no further file until `resume`", _PAUSE, _pause)
    _add(commands, "resume", "go on after `pause`", "", _resume)
    return parser


def _add(commands: Any, name: str, purpose: str, epilog: str, command: Any) -> Any:
    added = commands.add_parser(
        name,
        help=purpose,
        description=f"{purpose[0].upper()}{purpose[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    added.set_defaults(command=command)
    return added


def _add_run(commands: Any) -> None:
    run = _add(commands, "run", "watch the shared folder (this is the default)", "", _run)
    run.add_argument(
        "--first-run-sample", type=Path, metavar="FILE",
        help="put this recording into a shared folder that was never used, and print its text",
    )  # fmt: skip


def _add_transcribe(commands: Any) -> None:
    purpose = "turn files into text here and now, without the service"
    command = _add(commands, "transcribe", purpose, _TRANSCRIBE, _transcribe)
    command.add_argument("files", nargs="+", type=Path, metavar="FILE")
    command.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="where the texts go; default: beside FILE"
    )
    command.add_argument(
        "-f", "--format", dest="formats", type=_formats, action="extend", metavar="FORMAT",
        help="txt, srt, vtt, tsv, json, docx, or result for the service's own file with everything "
        "in it; several by commas or by repeating; default: output.formats of the configuration",
    )  # fmt: skip
    command.add_argument("--language", metavar="CODE", help="such as ru or en; auto; mixed")
    command.add_argument("--model", metavar="SIZE", help="such as base or small, or a ./folder")
    command.add_argument(
        "--overwrite", action="store_true", help="write over files that are there already"
    )


def _add_submit(commands: Any) -> None:
    purpose = "have files of the shared folder done before the others"
    command = _add(commands, "submit", purpose, _SUBMIT, _submit)
    command.add_argument("files", nargs="+", metavar="FILE")


def _add_status(commands: Any) -> None:
    command = _add(commands, "status", "show what is done, waiting and failed", _STATUS, _status)
    command.add_argument("--json", action="store_true", help="for programs")


def _formats(text: str) -> list[str]:
    from modules.outputs import FORMATS

    known = [*FORMATS, "result"]
    formats = [word.strip().lower() for word in text.split(",")]
    for form in formats:
        if form not in known:
            raise argparse.ArgumentTypeError(f"{form!r} is none of {', '.join(known)}")
    return formats


# --- the commands -----------------------------------------------------------------------------


def _run(options: Namespace) -> int:
    from modules.cli import service

    return service.run(options)


def _transcribe(options: Namespace) -> int:
    from modules.cli import transcribe

    return transcribe.run(options)


def _submit(options: Namespace) -> int:
    from modules.cli import submit

    return submit.run(options)


def _status(options: Namespace) -> int:
    from modules.cli import status

    return status.run(options)


def _doctor(options: Namespace) -> int:
    from modules.cli import doctor

    return doctor.run(options)


def _pause(options: Namespace) -> int:
    from modules.cli import pause

    return pause.pause(options)


def _resume(options: Namespace) -> int:
    from modules.cli import pause

    return pause.resume(options)
