"""``completion``: a script for the shell, made from the command line's own parser.

Names of recordings are completed by the shell itself, from the two folders, so Tab is quick. The
script is made anew with each new shell, and so follows the configuration.
"""

from __future__ import annotations

import shlex
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path

from modules.cli.shells import called


def run(options: Namespace) -> int:
    """Print the script."""
    import shtab

    from modules.cli.parser import build_parser

    parser, how = build_parser(), called()
    parser.prog = how["name"]
    _say_what_completes(parser)
    if how["command"] != how["name"]:
        print(_FUNCTIONS[options.shell].format(**how))
    folders = _folders(options)
    offers = "".join(_offer(options.shell, what, found) for what, found in folders.items())
    print(shtab.complete(parser, options.shell, preamble=_helper(options.shell) + offers))
    return 0


def _say_what_completes(parser: ArgumentParser) -> None:
    """To shtab, as it wants it: files and folders it knows, the rest are functions below."""
    for action in _actions(parser):
        what = getattr(action, "offers", None)
        if what in ("file", "directory"):
            action.complete = what  # type: ignore[attr-defined]
        elif what:
            function = f"_transcriber_{what}_files"
            names = {"bash": function, "zsh": function, "fish": f"({function})"}
            action.complete = names  # type: ignore[attr-defined]


def _actions(parser: ArgumentParser) -> Iterator[Action]:
    for action in parser._actions:
        yield action
        if isinstance(action.choices, Mapping):
            for inner in action.choices.values():
                yield from _actions(inner)


def _folders(options: Namespace) -> dict[str, tuple[Path, ...]]:
    """Where each kind of name is found; nowhere if the configuration is wrong."""
    from modules.cli.session import configured
    from modules.errors import ConfigError

    try:
        config = configured(options)
    except ConfigError:
        return {"shared": (), "manual": (), "both": ()}
    shared, manual = config.shared_directory, config.manual_directory
    return {"shared": (shared,), "manual": (manual,), "both": (shared, manual)}


# --- the scripts ------------------------------------------------------------------------------

_FUNCTIONS = {
    "bash": '{name}() {{ {command} "$@"; }}',
    "zsh": '{name}() {{ {command} "$@"; }}',
    "fish": "function {name}; {command} $argv; end",
}

#: Recordings of a folder, by name. The word may hold backslashes before spaces.
_BASH = r"""
_transcriber_in() {{
  local name
  while IFS= read -r name; do
    case "${{name,,}}" in {bash}) printf '%s\n' "$name" ;; esac
  done < <(cd -- "$1" 2>/dev/null && compgen -f -- "${{2//\\/}}")
}}
"""


def _helper(shell: str) -> str:
    from modules.config.media_types import ENDINGS

    endings = sorted(ENDINGS)
    if shell == "bash":
        return _BASH.format(bash="|".join(f"*.{ending}" for ending in endings))
    if shell == "zsh":
        return f"_transcriber_endings='*.(#i)({'|'.join(endings)})'\n"
    return f"set -g _transcriber_endings '\\\\.({'|'.join(endings)})$'\n"


def _offer(shell: str, what: str, folders: tuple[Path, ...]) -> str:
    """A function that offers the recordings of some folders, and paths."""
    quoted = [shlex.quote(str(folder)) for folder in folders]
    name = f"_transcriber_{what}_files"
    if shell == "bash":
        lines = [f'_transcriber_in {folder} "$1"' for folder in quoted]
        return _function(f"{name}() {{", [*lines, 'compgen -f -- "$1"'], "}")
    if shell == "zsh":
        lines = [f'_files -W {folder} -g "$_transcriber_endings" && ret=0' for folder in quoted]
        body = ["local ret=1", *lines, '_files -g "$_transcriber_endings" && ret=0', "return ret"]
        return _function(f"{name}() {{", body, "}")
    lines = [
        f"for file in {folder}/*; string match -riq -- $_transcriber_endings $file; "
        "and string replace -r '.*/' '' -- $file; end"
        for folder in quoted
    ]
    return _function(f"function {name}", [*lines, "__fish_complete_path (commandline -ct)"], "end")


def _function(head: str, body: list[str], end: str) -> str:
    return "\n".join([head, *(f"  {line}" for line in body), end, ""])
