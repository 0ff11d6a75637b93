"""The real daemon as a process, in folders of its own: for acceptance tests and benchmarks.

Every wait has a deadline and fails with a sentence and the end of the log.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import psutil
import yaml

from modules.config.loader import ENVIRONMENT
from tests.warm_start import Forked

T = TypeVar("T")

PROJECT = Path(__file__).resolve().parent.parent
MODELS = Path(os.environ.get("TRANSCRIBER_TEST_MODELS") or PROJECT / "models")
WORKER = "modules.worker.main"
POLL_S = 0.05
START_S = 120.0
STOP_S = 45.0
SOON_S = 60.0
#: Where speakers or alignment are asked for, imports alone take 15 to 20 s on two quiet cores.
RESULT_S = 360.0
TAIL_LINES = 25
GROWTH_WAIT = "growth_wait_seconds"


class DaemonError(AssertionError):
    """What was waited for did not come; the message tells what, and ends with the log's tail."""


def missing_weights() -> str | None:
    """Why the real engine cannot run here, or None."""
    weights = MODELS / "faster-whisper-base" / "model.bin"
    return None if weights.is_file() else f"the weights are not there: {weights} (make weights)"


class DaemonProcess:
    """``transcriber.py run`` on ``shared`` and ``manual`` under ``root``.

    ``config`` goes over the shipped defaults, section by section. ``prefix`` is a command that
    runs it, such as ``unshare``; it must become the daemon, not its parent. ``variables`` go over
    the environment. ``project`` is the checkout that it is run from. Used as a context manager it
    starts on entry and stops, or is killed, on leaving.
    """

    def __init__(
        self,
        root: Path,
        config: Mapping[str, Mapping[str, object]] | None = None,
        prefix: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
        project: Path = PROJECT,
    ) -> None:
        self.root = root
        self._project = project
        self._variables = dict(variables or {})
        self.shared = root / "shared"
        self.manual = root / "manual"
        self.config_file = root / "config.yaml"
        self.log_file = root / "daemon.log"
        self._prefix = tuple(prefix)
        self._process: subprocess.Popen[bytes] | Forked | None = None
        self._log_start = 0
        for folder in (self.shared, self.manual):
            folder.mkdir(parents=True, exist_ok=True)
        self.configure(config or {})

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # nobody leaves a block that was not entered
            if self.is_alive:
                self.kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.is_alive:
            return
        if error is None:
            self.stop()
        else:  # what went wrong matters more than a stop that goes wrong too
            self.kill()

    # --- life ---

    def configure(self, config: Mapping[str, Mapping[str, object]]) -> None:
        """Write the configuration; it holds from the next start on."""
        tree: dict[str, Any] = {
            "api": {"port": 0},
            "shared_directory": str(self.shared),
            "manual_directory": str(self.manual),
            "models_directory": str(MODELS),
        }
        if GROWTH_WAIT in (self._project / "config.yaml").read_text(encoding="utf-8"):
            tree["processing"] = {GROWTH_WAIT: 0}  # a checkout from before it refuses it
        for section, values in config.items():
            tree[section] = {**tree.get(section, {}), **values}
        self.config_file.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")

    def start(self) -> None:
        """Start it and wait until it watches its folder."""
        if self.is_alive:
            raise RuntimeError("the daemon runs already")
        self._log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        self._launch("run")
        self.wait_for_log(r"\[Daemon\] Watching ", START_S)

    def _launch(self, *arguments: str) -> None:
        """Start a command that goes on; what it says goes into the log."""
        with self.log_file.open("ab") as log:
            self._process = self._begun(self.command(*arguments), log.fileno())

    def _begun(self, command: list[str], log: int) -> subprocess.Popen[bytes] | Forked:
        return subprocess.Popen(
            [*self._prefix, *command],
            cwd=self._project,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def stop(self) -> int:
        """Ask it to end, as Ctrl-C or ``docker stop`` do, and wait; returns the exit code."""
        process = self._started()
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self.failure(f"the daemon did not stop within {STOP_S:.0f} s") from None

    def kill(self) -> None:
        """End it with SIGKILL, and see that its WhisperX process ends with it."""
        process = self._started()
        children = self.children()
        process.kill()
        process.wait(STOP_S)
        self._wait_for_end_of(children)

    def _wait_for_end_of(self, children: Sequence[psutil.Process]) -> None:
        deadline = time.monotonic() + STOP_S
        while left := [child for child in children if not _has_ended(child)]:
            if time.monotonic() > deadline:
                for child in left:
                    child.kill()
                raise self.failure(f"the daemon was killed and left {left} behind")
            time.sleep(POLL_S)

    def command(self, *arguments: str) -> list[str]:
        """``transcriber.py`` with this configuration."""
        program = str(self._project / "transcriber.py")
        return [sys.executable, program, "--config", str(self.config_file), *arguments]

    def environment(self) -> dict[str, str]:
        """Ours, without what would override the configuration."""
        ours = {*ENVIRONMENT, "CONFIG_PATH"}
        inherited = {key: value for key, value in os.environ.items() if key not in ours}
        return inherited | self._variables

    # --- processes ---

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._started().pid

    def children(self) -> list[psutil.Process]:
        """The processes under the daemon."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def worker_pid(self) -> int | None:
        """The process that holds the model, or None while there is none."""
        for child in self.children():
            try:
                if not _has_ended(child) and any(WORKER in word for word in child.cmdline()):
                    return int(child.pid)
            except psutil.NoSuchProcess:
                continue
        return None

    def memory_mb(self) -> tuple[float, float]:
        """Resident memory of the daemon itself and of the processes under it, in MB of 10^6."""
        return resident_mb([psutil.Process(self.pid)]), resident_mb(self.children())

    def _started(self) -> subprocess.Popen[bytes] | Forked:
        if self._process is None:
            raise RuntimeError("the daemon was not started")
        return self._process

    # --- the log ---

    @property
    def log(self) -> str:
        """What the daemon said since its latest start."""
        return self._read_log()[self._log_start :].decode(errors="replace")

    @property
    def whole_log(self) -> str:
        """What it said in all its lives."""
        return self._read_log().decode(errors="replace")

    def _read_log(self) -> bytes:
        return self.log_file.read_bytes() if self.log_file.exists() else b""

    def failure(self, sentence: str) -> DaemonError:
        """The error for a sentence, with the end of the log."""
        tail = "\n    ".join(self.whole_log.splitlines()[-TAIL_LINES:])
        return DaemonError(f"{sentence}\nThe end of the log:\n    {tail}")

    # --- waiting ---

    def wait_for(
        self,
        condition: Callable[[], T | None],
        what: str,
        timeout_s: float = RESULT_S,
        poll_s: float = POLL_S,
    ) -> T:
        """What ``condition`` returns once it is true; ``what`` completes "… did not happen"."""
        deadline = time.monotonic() + timeout_s
        while True:
            alive = self.is_alive  # before the look: what a dying daemon still did counts
            if value := condition():
                return value
            if not alive:
                code = self._started().poll()
                raise self.failure(f"the daemon ended (exit code {code}) before this: {what}")
            if time.monotonic() > deadline:
                raise self.failure(f"within {timeout_s:.0f} s this did not happen: {what}")
            time.sleep(poll_s)

    def wait_for_log(self, pattern: str, timeout_s: float = RESULT_S) -> re.Match[str]:
        """The first match in what it said since its latest start."""
        found = re.compile(pattern)
        return self.wait_for(
            lambda: found.search(self.log), f"a line in the log like {pattern!r}", timeout_s
        )

    def wait_until_warm(self) -> None:
        """Wait until the model is loaded."""
        self.wait_for_log(r"WhisperX has loaded ")

    def wait_for_result(self, name: str, timeout_s: float = RESULT_S) -> dict[str, Any]:
        """The ``.result`` once it is there and the ``.in_progress`` is gone."""
        self.wait_for(
            lambda: (self.result(name) is not None and not self.sidecar(name).exists()) or None,
            f"the result of {name}",
            timeout_s,
        )
        result = self.result(name)
        assert result is not None
        return result

    def wait_until_half_done(self, name: str, timeout_s: float = RESULT_S) -> dict[str, Any]:
        """The ``.in_progress`` at the first look that shows 50 % or more."""

        def at_half() -> dict[str, Any] | None:
            state = self.in_progress(name)
            return state if state and state["progress_info"]["percentage"] >= 50 else None

        return self.wait_for(at_half, f"{name} came to 50 %", timeout_s)

    def wait_until_in_manual(self, name: str, timeout_s: float = RESULT_S) -> dict[str, Any]:
        """The ``.in_progress`` of a file once it and its file lie in ``manual/`` alone."""
        state = self.manual / f"{name}.in_progress"

        def moved() -> bool | None:
            there = (self.manual / name).exists() and state.exists()
            # The move ends with the state in the share; before that it still looks at the file.
            left = (name, f"{name}.in_progress")
            return (there and not any((self.shared / n).exists() for n in left)) or None

        self.wait_for(moved, f"{name} came to manual/", timeout_s)
        content: dict[str, Any] = json.loads(state.read_bytes())
        return content

    # --- the API ---

    def _get(self, path: str) -> str:
        """The body that the API answers with, whatever its status."""
        port = self.wait_for_log(r"Listening on http://[^:]+:(\d+)", SOON_S).group(1)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=SOON_S) as answer:
                return str(answer.read(), "utf-8")
        except urllib.error.HTTPError as refusal:
            with refusal:
                return str(refusal.read(), "utf-8")

    # --- the shared folder ---

    def put(self, source: Path, name: str | None = None) -> str:
        """Copy a recording into the shared folder; returns its name there."""
        name = name or source.name
        shutil.copyfile(source, self.shared / name)
        return name

    def submit(self, name: str) -> str:
        """Order a recording of the shared folder with the command; returns what it said."""
        done = subprocess.run(
            self.command("submit", str(self.shared / name)),
            cwd=self._project,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )
        if done.returncode != 0:
            raise self.failure(f"submit ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def sidecar(self, name: str) -> Path:
        """Where the ``.in_progress`` of a recording lies while it runs."""
        return self.shared / f"{name}.in_progress"

    def in_progress(self, name: str) -> dict[str, Any] | None:
        """The ``.in_progress`` of a recording, or None where there is none just now."""
        return _json_or_none(self.sidecar(name))

    def position_s(self, name: str) -> float:
        """How much of a recording is done, as its ``.in_progress`` says; 0 where there is none."""
        state = self.in_progress(name) or {}
        return float(state.get("intermediate", {}).get("position_seconds") or 0.0)

    def result(self, name: str) -> dict[str, Any] | None:
        """The ``.result`` of a recording, or None where there is none yet."""
        return _json_or_none(self.shared / f"{name}.result")

    def files(self, pattern: str = "*") -> set[str]:
        """Names in the shared folder, hidden ones too, but not the daemon's own folder."""
        return {path.name for path in self.shared.glob(pattern)} - {".transcriber"}


def resident_mb(processes: Sequence[psutil.Process]) -> float:
    """Their resident memory together, in MB of 10^6; one that has ended counts nothing."""
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return float(total / 1e6)


def text_of(result: Mapping[str, Any]) -> str:
    """The transcript in a ``.result``."""
    text: str = result["transcription"]["text"]
    return text


def _has_ended(process: psutil.Process) -> bool:
    """Also true of a zombie: whether it is reaped is up to the machine's first process."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _json_or_none(path: Path) -> dict[str, Any] | None:
    """Not lenient: a reader may see an old file or a new one, but never half of one."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        value: dict[str, Any] = json.loads(content)
    except ValueError as error:
        raise DaemonError(f"{path.name} is not whole: {error}: {content[:300]!r}") from error
    return value
