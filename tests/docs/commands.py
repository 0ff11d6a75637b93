"""Which blocks in the documents are commands, and what becomes of each.

A block is one of commands if its language is that of a shell, or if it has none and begins with
``$`` or with a word that we know for a command. What stands in a comment right before it decides:

- nothing: it is run beside a service in a copy of the project; recordings that it names are there
- ``run with the service stopped``: it is run in such a copy, without a service
- ``run by tests/FILE.py::TEST``: that test is there. Of another file, it must hold the commands
- ``not run here: REASON``: it is not run

What is run here touches nothing outside its copy: only commands that are listed, no absolute path.
"""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

from tests.docs import pages
from tests.docs.translations import RUSSIAN

SHELLS = {"sh", "bash", "console", "shell", "shell-session"}
#: What may be run here.
HARMLESS = {
    ".venv/bin/python", "cat", "cp", "curl", "echo", "grep", "head", "ls", "mkdir", "mv", "tail",
    "touch",
}  # fmt: skip
_KNOWN = HARMLESS | {
    "apt", "apt-get", "cd", "chmod", "chown", "docker", "export", "git", "install", "journalctl",
    "make", "nginx", "pip", "podman", "python", "python3", "rm", "rsync", "ssh", "sudo",
    "supervisorctl", "systemctl", "tar", "useradd", "whisperx",
}  # fmt: skip
BESIDE, STOPPED = "", "run with the service stopped"
#: Written by a program that runs what they show; test_commands.py sees that they are up to date.
RECORDED = {"docs/api.md": "docs/api.template.md"}
_OPERATORS = {"|", "||", "&&", ";", "&"}


def blocks() -> list[pages.Block]:
    """All blocks of commands, less those of translations and of pages that a program writes."""
    left_out = {*RUSSIAN.values(), *RECORDED}
    read = (pages.read(name) for name in pages.names() if name not in left_out)
    return [block for page in read for block in page.blocks if is_command(block)]


def is_command(block: pages.Block) -> bool:
    if block.language:
        return block.language in SHELLS
    first = next((line.strip() for line in block.text.splitlines() if line.strip()), "")
    return first.startswith("$ ") or first.partition(" ")[0] in _KNOWN


def is_run_here(block: pages.Block) -> bool:
    return not block.mark.startswith(("run by ", "not run here:"))


def script(block: pages.Block) -> str:
    """What is typed: with prompts only what stands behind them, else all of it."""
    lines = block.text.splitlines()
    if not any(line.startswith("$ ") for line in lines):
        return block.text
    typed, goes_on = [], False
    for line in lines:
        if line.startswith("$ ") or goes_on:
            typed.append(line.removeprefix("$ ").removeprefix("> "))
            goes_on = line.endswith("\\")
    return "\n".join(typed) + "\n"


def words(text: str) -> list[str]:
    """The words of a script, operators among them. Raises ValueError for what is no script."""
    lines = re.sub(r"^[ \t]*#.*$", "", text.replace("\\\n", " "), flags=re.MULTILINE)
    split = shlex.shlex(lines, posix=True, punctuation_chars="|&;\n")
    split.whitespace, split.whitespace_split = " \t\r", True
    split.commenters = ""  # shlex would take the end of the line along
    return list(split)


def complaint(block: pages.Block) -> str:
    """What is wrong with the mark of a block; empty if nothing is."""
    kind, _, rest = block.mark.partition("run by ")
    if not kind and rest:
        return _wrong_witness(block, rest)
    if block.mark.startswith("not run here:"):
        return "" if block.mark.partition(":")[2].strip() else "says no reason why it is not run"
    try:
        return _harm(words(script(block)))
    except ValueError as error:
        return f"cannot be read as commands: {error}"


def _wrong_witness(block: pages.Block, witness: str) -> str:
    file, _, name = witness.partition("::")
    path = pages.PROJECT / file
    if not path.is_file():
        return f"is said to be run by {file}, which is not there"
    if file.endswith(".py"):
        return "" if not name or name in _functions(path) else f"{file} has no {name}"
    held = path.read_text("utf-8")
    missing = [line for line in script(block).splitlines() if line.strip() and line not in held]
    return f"{file} does not hold {missing[0]!r}" if missing else ""


def _functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def _harm(typed: list[str]) -> str:
    begins = True
    for word in typed:
        is_operator = set(word) <= {"\n"} or word.strip("\n") in _OPERATORS
        if begins and not is_operator and word not in HARMLESS:
            return f"`{word}` is not run here"
        if re.match(r"[/~]|.*\.\./|.*\$", word) and word != "/dev/null":
            return f"`{word}` may lie outside the project"
        if "://" in word and not re.match(r"https?://(localhost|127\.0\.0\.1)[:/]", word):
            return f"`{word}` is an address beyond this machine"
        begins = is_operator
    return ""
