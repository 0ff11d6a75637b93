"""What the program is called, and the shells that completion scripts are made for."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from modules import IS_INSTALLED, PACKAGE

SHELLS = ("bash", "zsh", "fish")

#: What ``transcriber.py`` is called in the shell. Once installed, the program has its own name.
PROGRAM_NAME = "transcriber"
#: The start script of a checkout. Messages and help texts name the program so.
START_SCRIPT = "transcriber.py"


def program_name() -> str:
    """The name by which a user called the program; in a checkout that of the start script."""
    if not IS_INSTALLED:
        return START_SCRIPT
    name = Path(sys.argv[0]).name
    return f"python -m {PACKAGE}" if name == "__main__.py" else name


def as_called(text: str) -> str:
    """A help text with ``program_name`` in its commands."""
    return text.replace(f"{START_SCRIPT} ", f"{program_name()} ")


def message_as_called(text: str) -> str:
    """A message with ``program_name`` in its commands, which are in backticks.

    File names in it stay as they are.
    """
    return text.replace(f"`{START_SCRIPT} ", f"`{program_name()} ")


def called() -> dict[str, str]:
    """How this program was started, and what its name in the shell is, for the help."""
    program = Path(sys.argv[0])
    if program.suffix != ".py":
        return {"command": program.name, "name": program.name, "shell": SHELLS[0]}
    command = f"{shlex.quote(sys.executable)} {shlex.quote(str(program.absolute()))}"
    return {"command": command, "name": PROGRAM_NAME, "shell": SHELLS[0]}
