#!/usr/bin/env python3
"""The door of audio-transcriber: reads the command line and maps errors to exit codes."""

from __future__ import annotations

import argparse
import codecs
import locale
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from modules.cli import translation
from modules.cli.parser import build_parser
from modules.cli.printable import printable, printable_lines
from modules.cli.shells import message_as_called
from modules.errors import ConfigError, LockHeldError, ModelError, StorageError, TranscriberError
from modules.messages import in_locale

#: Exit codes as in sysexits.h.
EXIT_CODES: tuple[tuple[type[TranscriberError], int], ...] = (
    (ConfigError, 78),
    (LockHeldError, 75),
    (StorageError, 74),
    (ModelError, 69),
    (TranscriberError, 1),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    _use_utf8()
    _accept_any_name()
    translation.choose(os.environ)
    options = build_parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        code = command(options)
        sys.stdout.flush()
    except TranscriberError as error:
        text = f"transcriber: {message_as_called(in_locale(error.text))}"
        # The complaints about a configuration have lines of their own.
        is_long = isinstance(error, ConfigError)
        print(printable_lines(text) if is_long else printable(text), file=sys.stderr)
        return next(code for kind, code in EXIT_CODES if isinstance(error, kind))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has closed it, as `| head` does; there is nobody to print to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


def _use_utf8() -> None:
    """Start over in Python's UTF-8 mode if the locale says that names are written otherwise.

    What copies files into the share writes UTF-8, and so does every client of the API, whatever
    locale a service was given. What this process starts inherits the mode.
    """
    if sys.flags.utf8_mode or sys.getfilesystemencoding() == "utf-8":
        return
    os.environ["PYTHONUTF8"] = "1"
    # As bytes: not every encoding gives back what it could not read.
    words = Path("/proc/self/cmdline").read_bytes().split(b"\0")[1:-1]
    python = os.fsencode(sys.executable)
    os.execv(python, [python, b"-X", b"utf8", *words])  # nosec B606 # this program again


def _accept_any_name() -> None:
    """File names need not be UTF-8, nor the terminal: no such name may cost us the line."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            encoding = _terminal_encoding() if stream.isatty() else None
            reconfigure(encoding=encoding, errors="backslashreplace")


def _terminal_encoding() -> str | None:
    """What the terminal shows, if it is not what the streams have already."""
    if not sys.flags.utf8_mode or "PYTHONIOENCODING" in os.environ:
        return None
    try:
        encoding = codecs.lookup(locale.getencoding()).name
    except LookupError:
        return None
    # The plain locale says nothing of the terminal.
    return None if encoding == "ascii" else encoding


if __name__ == "__main__":
    sys.exit(main())
