"""Runs the steps of the Dockerfile in a chroot: what can be tried of it where no engine is.

Needs root, and a mount namespace of its own, so that no mount outlives it. ``FROM`` is a bookworm
with its Python, made by debootstrap from the mirror that this machine's apt uses.
"""

from __future__ import annotations

import os
import re
import shutil
import string
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.deployment.container.dockerfile import PROJECT, Stage, Step, context

SUITE = "bookworm"
_PACKAGES = "python3.11,python3.11-venv,python3-pip,ca-certificates"
#: What a process finds where an image says nothing, as engines have it.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: What tells pip, uv and apt on this machine how to reach their indexes.
_NETWORK = re.compile(r"(PIP|UV)_\w*INDEX\w*|PIP_CERT|SSL_CERT_(FILE|DIR)|\w+_proxy", re.IGNORECASE)
_NO_EFFECT = ("EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD", "HEALTHCHECK", "USER")


class BuildError(Exception):
    """A step failed; the text says which."""


def mirror() -> str:
    """Where apt on this machine has the suite from."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for line in listed.splitlines():
        address, *rest = line.split()
        if rest == [SUITE, "main"]:
            return address
    raise BuildError(f"apt on this machine knows no mirror of {SUITE}; run `apt-get update`")


def make_base(folder: Path) -> None:
    """What stands for ``python:3.11-slim``: the same version of Python under the same name."""
    if (folder / "usr/local/bin/pip").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", SUITE]
    _checked([*command, str(folder), mirror()], "debootstrap")
    for name, program in {"python": "python3.11", "python3": "python3.11", "pip": "pip3"}.items():
        (folder / "usr/local/bin" / name).symlink_to(f"/usr/bin/{program}")
    # The official image's Python is its own, not Debian's, and lets pip install.
    (folder / "usr/lib/python3.11/EXTERNALLY-MANAGED").unlink()


@dataclass
class Tree:
    """An image on the way: its files, and what the instructions so far have set."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": _PATH})
    arguments: dict[str, str] = field(default_factory=dict)
    folder: str = "/"

    def inside(self, path: str) -> Path:
        """Where a path of the image lies on this machine."""
        return self.root / os.path.join(self.folder, path).lstrip("/")

    def expanded(self, text: str) -> str:
        return string.Template(text).safe_substitute(self.arguments | self.environment)


@dataclass
class Builder:
    """``given``: build arguments. ``seen``: folders that steps see, by their path in the tree."""

    work: Path
    given: Mapping[str, str]
    seen: Mapping[str, Path]
    trees: dict[str, Tree] = field(default_factory=dict)
    seconds: list[tuple[str, float]] = field(default_factory=list)

    def build(self, stages: Sequence[Stage]) -> Tree:
        """Every stage; returns the last one's tree."""
        base = self.work / "base"
        with self._timed(f"FROM {stages[0].base}, here debootstrap {SUITE}"):
            make_base(base)
        for number, stage in enumerate(stages):
            tree = Tree(self.work / f"stage-{number}")
            shutil.rmtree(tree.root, ignore_errors=True)
            _checked(["cp", "-a", str(base), str(tree.root)], "copying the base")
            self.trees[stage.name or str(number)] = tree
            for step in stage.steps:
                with self._timed(f"{step.kind} {step.text}"):
                    self._carry_out(tree, step)
        return tree

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        short = re.sub(r"\s+", " ", what)[:88]
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        self.seconds.append((short, took))
        print(f"{took:7.1f} s  {short}", flush=True)

    def _carry_out(self, tree: Tree, step: Step) -> None:
        if step.kind == "ARG":
            name, _, default = step.text.partition("=")
            tree.arguments[name] = self.given.get(name, default)
        elif step.kind == "ENV":
            pairs = (word.partition("=") for word in step.words)
            tree.environment |= {name: tree.expanded(value) for name, _, value in pairs}
        elif step.kind == "WORKDIR":
            tree.folder = step.text
            tree.inside(".").mkdir(parents=True, exist_ok=True)
        elif step.kind == "COPY":
            self._copy(tree, step)
        elif step.kind == "RUN":
            self._run(tree, step)
        elif step.kind not in _NO_EFFECT:
            raise BuildError(f"{step.kind} is not known here: teach it to {__file__}")

    def _copy(self, tree: Tree, step: Step) -> None:
        *sources, target = step.words
        place = tree.inside(target)
        into = target.endswith(("/", ".")) or len(sources) > 1
        for source in sources:
            if "from" in step.options:
                origin = self.trees[step.options["from"]].root / source.lstrip("/")
                _copy_tree(origin, place)
                continue
            top = PROJECT / source.rstrip("/")
            for path in context(source):
                end = path.relative_to(top) if top.is_dir() else Path(path.name if into else "")
                (place / end).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, place / end)

    def _run(self, tree: Tree, step: Step) -> None:
        environment = {k: v for k, v in os.environ.items() if _NETWORK.fullmatch(k)}
        environment |= _of_pip() | {"HOME": "/root"} | tree.arguments | tree.environment
        command = ["chroot", str(tree.root), "env", "-C", tree.folder, "/bin/sh", "-c", step.text]
        with ExitStack() as mounts:
            for at, what in {"/dev": Path("/dev"), "/proc": Path("/proc"), **self.seen}.items():
                mounts.enter_context(_bound(what, tree.root / at.lstrip("/")))
            for file in ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt"):
                if Path(file).exists():
                    mounts.enter_context(_bound(Path(file), tree.root / file.lstrip("/")))
            _checked(command, step.text, environment)


def _of_pip() -> dict[str, str]:
    """Where pip's own configuration says its indexes are, as environment variables."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.findall(r"(?m)^global\.((?:extra-)?index-url|cert)='(.*)'$", listed)
    return {f"PIP_{name.upper().replace('-', '_')}": value for name, value in found}


def _copy_tree(origin: Path, place: Path) -> None:
    """As between stages: rights and times stay, but layers know whole seconds only."""
    if origin.is_file():
        shutil.copy2(origin, place)
        return
    place.mkdir(parents=True, exist_ok=True)
    _checked(["cp", "-a", f"{origin}/.", str(place)], f"copying {origin}")
    for folder, _, names in os.walk(place):
        for path in (os.path.join(folder, name) for name in names):
            second = int(os.lstat(path).st_mtime)
            os.utime(path, (second, second), follow_symlinks=False)


@contextmanager
def _bound(what: Path, at: Path) -> Iterator[None]:
    """Seen at a second place; what had to be made for that is taken away again."""
    made = [] if at.exists() else [at, *(p for p in at.parents if not p.exists())]
    if what.is_dir():
        at.mkdir(parents=True, exist_ok=True)
    else:
        at.parent.mkdir(parents=True, exist_ok=True)
        at.touch()
    _checked(["mount", "--bind", str(what), str(at)], f"mounting {what}")
    try:
        yield
    finally:
        _checked(["umount", str(at)], f"unmounting {what}")
        for path in made:
            with suppress(OSError):  # the step itself left something there
                path.rmdir() if path.is_dir() else path.unlink()


def _checked(
    command: Sequence[str], what: str, environment: Mapping[str, str] | None = None
) -> None:
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        end = "\n    ".join(done.stdout.splitlines()[-25:])
        raise BuildError(f"this failed with {done.returncode}: {what}\n    {end}")
