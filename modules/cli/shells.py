"""The shells that completion scripts are made for, and what the program is called in them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

SHELLS = ("bash", "zsh", "fish")

#: What ``transcriber.py`` is called in the shell. Once installed, the program has its own name.
PROGRAM_NAME = "transcriber"


def called() -> dict[str, str]:
    """How this program was started, and what its name in the shell is, for the help."""
    program = Path(sys.argv[0])
    if program.suffix != ".py":
        return {"command": program.name, "name": program.name, "shell": SHELLS[0]}
    command = f"{shlex.quote(sys.executable)} {shlex.quote(str(program.absolute()))}"
    return {"command": command, "name": PROGRAM_NAME, "shell": SHELLS[0]}
