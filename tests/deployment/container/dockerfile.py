"""The Dockerfile and ``.dockerignore`` as an engine reads them, as far as they are in use."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
_OPTION = re.compile(r"--([a-z-]+)=(\S+)\s+")


@dataclass(frozen=True)
class Step:
    """One instruction. ``options``: what stands before its text as ``--name=value``."""

    kind: str
    text: str
    options: Mapping[str, str]

    @property
    def words(self) -> list[str]:
        """The text in words, be it written as JSON or as in a shell."""
        words: list[str] = json.loads(self.text) if self.text[0] == "[" else shlex.split(self.text)
        return words


@dataclass
class Stage:
    """From one FROM to the next."""

    base: str
    name: str
    steps: list[Step] = field(default_factory=list)

    def all(self, kind: str) -> list[Step]:
        return [step for step in self.steps if step.kind == kind]

    def last(self, kind: str) -> Step:
        """The one that counts. Fails with a sentence if there is none."""
        found = self.all(kind)
        assert found, f"the stage {self.name or self.base} has no {kind}"
        return found[-1]

    @property
    def health_command(self) -> list[str]:
        kind, _, command = self.last("HEALTHCHECK").text.partition(" ")
        assert kind == "CMD", "the health check has no command"
        return Step("CMD", command, {}).words


def read(path: Path = PROJECT / "Dockerfile") -> list[Stage]:
    """The stages, in order."""
    stages: list[Stage] = []
    for line in _instructions(path.read_text(encoding="utf-8")):
        kind, _, text = line.partition(" ")
        if kind == "FROM":
            base, *name = re.split(r"\s+AS\s+", text)
            stages.append(Stage(base, "".join(name)))
        else:
            stages[-1].steps.append(_step(kind, text.strip()))
    return stages


def _instructions(text: str) -> Iterator[str]:
    """Without comments, each in one line."""
    begun = ""
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            begun += line.strip() if not begun else line
            if not begun.endswith("\\"):
                yield begun
                begun = ""
            begun = begun.removesuffix("\\")


def _step(kind: str, text: str) -> Step:
    options = {}
    while found := _OPTION.match(text):
        options[found[1]] = found[2]
        text = text[found.end() :]
    return Step(kind, text, options)


# --- what the engine gets to see ----------------------------------------------------------------


def is_let_through(path: str, ignored: str) -> bool:
    """Whether ``.dockerignore`` lets a path in: the last line counts that meets it or a parent."""
    through = True
    parts = path.split("/")
    tops = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
    for line in ignored.splitlines():
        if line.strip() and not line.startswith("#"):
            pattern = _pattern(line.strip().removeprefix("!").strip("/"))
            if any(pattern.fullmatch(top) for top in tops):
                through = line.strip().startswith("!")
    return through


def _pattern(glob: str) -> re.Pattern[str]:
    translated = re.escape(glob).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
    return re.compile(translated)


def context(source: str, project: Path = PROJECT) -> Iterator[Path]:
    """The files that COPY brings in for a source: itself, or everything under it."""
    ignored = (project / ".dockerignore").read_text(encoding="utf-8")
    top = project / source.rstrip("/")
    found = [top] if top.is_file() else [
        Path(folder, name) for folder, _, names in os.walk(top) for name in names
    ]  # fmt: skip
    for path in found:
        if is_let_through(path.relative_to(project).as_posix(), ignored):
            yield path
