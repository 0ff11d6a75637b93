"""A copy of the project in which documents are tried out, with a scripted worker for WhisperX."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

from modules.recordings.names import is_recording
from tests.builders import a_model
from tests.daemon_process import MODELS, DaemonProcess, missing_weights
from tests.docs import commands, pages
from tests.scripted_worker import recording

#: What the copy needs of the project.
_PARTS = ("modules", "samples", "Makefile", "transcriber.py", "config.yaml")
_LOCKS = "requirements*.lock"
WEIGHTS = "faster-whisper-base"
DEADLINE_S = 120.0
#: ``.venv/bin/python`` there: this Python, with another child process.
_PYTHON = """\
import runpy, sys
sys.path[0] = {root!r}
from modules.executors.local import executor
executor.worker_command = lambda config: [sys.executable, "-m", "tests.scripted_worker"]
del sys.argv[0]
if sys.argv[0] == "-m":
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
else:
    runpy.run_path(sys.argv[0], run_name="__main__")
"""
#: ``curl`` there: refusals are failures, the port is ours, and a stream of events has an end.
_CURL = """\
#!/usr/bin/env bash
words=("${@//:8000/:$SERVICE_PORT}")
case " $* " in
*" -N "*) "$REAL_CURL" -sS --fail -m 2 "${words[@]}" || [ $? -eq 28 ] ;;
*) exec "$REAL_CURL" -sS --fail -m 30 "${words[@]}" ;;
esac
"""


class Place(DaemonProcess):
    """The copy, and its service, which ``make run`` starts."""

    def __init__(self, root: Path) -> None:
        for part in _PARTS:
            source = pages.PROJECT / part
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, root / part)
        for lock in pages.PROJECT.glob(_LOCKS):
            shutil.copy2(lock, root)
        (root / "tests").mkdir()
        for part in ("scripted_worker.py", "scripted_live.py", "scripted_text.py"):
            shutil.copy2(pages.PROJECT / "tests" / part, root / "tests")
        self._install(root)
        super().__init__(root)

    def _install(self, root: Path) -> None:
        """What `make` would install: it sees that all of it is there already."""
        binaries = root / ".venv" / "bin"
        binaries.mkdir(parents=True)
        inner = root / ".venv" / "python.py"
        inner.write_text(_PYTHON.format(root=str(root)), "utf-8")
        _program(binaries / "python", f"#!/bin/sh\nexec '{sys.executable}' '{inner}' \"$@\"\n")
        _program(binaries / "curl", _CURL)
        for done in (binaries / "uv", root / ".venv" / ".installed"):
            done.touch()
        if missing_weights():
            a_model(root / "models")
        else:  # nobody loads them, but `doctor` looks at them
            (root / "models").mkdir()
            (root / "models" / WEIGHTS).symlink_to(MODELS.resolve() / WEIGHTS)

    def configure(self, config: object) -> None:
        """The configuration is the one that is shipped."""

    def command(self, *arguments: str) -> list[str]:
        return ["make", "--no-print-directory", "-C", str(self.root), *arguments]

    def environment(self) -> dict[str, str]:
        theirs = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}
        ours = {key: value for key, value in super().environment().items() if key not in theirs}
        return ours | {"API_PORT": "0", "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}

    @property
    def port(self) -> str:
        """Of the running service; any, where none runs."""
        found = re.search(r"Listening on http://[^:]+:(\d+)", self.log) if self.is_alive else None
        return found.group(1) if found else "8000"

    def type(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run a script as a reader would, line for line, up to the first failure."""
        environment = self.environment() | {
            "PATH": f"{self.root / '.venv' / 'bin'}:{self.environment()['PATH']}",
            "REAL_CURL": shutil.which("curl") or "",
            "SERVICE_PORT": self.port,
        }
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    def provide(self, text: str, seed: str) -> None:
        """The scene for a script: the recordings that it names, and no pause left by another.

        Recordings of another ``seed`` say something else.
        """
        (self.shared / ".transcriber" / "paused").unlink(missing_ok=True)
        content = recording(3, seed)
        for name in _to_upload(text):
            (self.root / name).write_bytes(content)
            (self.shared / name).unlink(missing_ok=True)
        for name in _in_use(text):
            self._put(name, content, failed=" retry " in text)

    def _put(self, name: str, content: bytes, failed: bool) -> None:
        """Beside the project's files and in the shared folder, or in the manual folder alone."""
        inside = name.removeprefix("shared/").removeprefix("manual/")
        (self.shared / inside).unlink(missing_ok=True)
        for path in (self.manual / inside,) if failed else (self.root / name, self.shared / inside):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _program(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    path.chmod(0o755)


def _to_upload(text: str) -> list[str]:
    return [w.removeprefix("file=@") for w in commands.words(text) if w.startswith("file=@")]


def _in_use(text: str) -> list[str]:
    """Recordings named in a command, a body or an address."""
    found = []
    for word in commands.words(text):
        named = re.search(r'"filename": *"([^"]+)"|(?:^|[?&])filename=([^&]+)', word)
        address = re.search(r"/(?:status|result)/([^?]+)", word)
        if named:
            found.append(unquote(named.group(1) or named.group(2)))
        elif address:
            found.append(unquote(address.group(1)))
        elif not word.startswith("file=@"):
            found.append(word)
    return [name for name in found if is_recording(name) and ":" not in name]
