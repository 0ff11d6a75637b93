"""SIGKILL for a daemon, its worker or both, and a reader that sees every version of its files."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Literal

import psutil

from modules.recordings.names import is_recording
from tests.daemon_process import DaemonProcess

Target = Literal["daemon", "worker", "group"]
#: What was killed, and all that it started, is gone within this time, in seconds: at once on a
#: quiet machine. What is not killed at all lives for ever.
GONE_WITHIN_S = 30.0
#: How long a worker is waited for that is to be killed: a busy machine starts one slowly.
WORKER_WITHIN_S = 60.0
READ_EVERY_S = 0.005


@dataclass(frozen=True)
class Kill:
    """One that hit: what was killed was alive a moment before."""

    target: str
    at: datetime


class Killer:
    """Kills at random, keeps count, and finds whatever outlives it.

    ``worker`` is the module that the daemon's child runs.
    """

    def __init__(self, daemon: DaemonProcess, worker: str, rng: Random) -> None:
        self._daemon = daemon
        self._worker = worker
        self._rng = rng
        self.hits: list[Kill] = []
        self._lives: set[int] = set()

    def strike(self, target: Target, within_s: float = 0.4, busy: bool = False) -> None:
        """Wait for a worker, let a random time pass, and kill; an ended daemon is waited for.

        ``busy``: wait until a file is in the worker's hands, and not only until it runs; where
        all of them were done meanwhile it has none.
        """
        while True:
            if busy:
                self._daemon.wait_for(
                    lambda: is_busy(self._daemon) or are_all_done(self._daemon),
                    "a worker got a file",
                    WORKER_WITHIN_S,
                    0.01,
                )
            worker = self._daemon.wait_for(self._child, "a worker runs", WORKER_WITHIN_S, 0.01)
            time.sleep(self._rng.uniform(0, within_s))  # the moment is what is tried out
            victims = self._victims(target, worker)
            if all(is_alive(victim.pid) for victim in victims):
                break
        self._lives.add(self._daemon.pid)
        for victim in victims:
            victim.send_signal(signal.SIGKILL)
        self.hits.append(Kill(target, datetime.now(UTC)))
        self._see_the_end_of(worker.pid, target)

    def count(self, target: Target) -> int:
        return sum(kill.target == target for kill in self.hits)

    def check_no_orphans(self) -> None:
        """Nothing that a killed daemon started is alive."""
        left = [pid for life in self._lives for pid in workers_of(life, self._worker)]
        running = [pid for pid in left if not self._daemon.is_alive or pid != self._child_pid()]
        assert not running, f"workers of killed daemons are alive: {running}"

    def _victims(self, target: Target, worker: psutil.Process) -> list[psutil.Process]:
        daemon = psutil.Process(self._daemon.pid)
        if target == "group":
            both = [daemon, worker]
            self._rng.shuffle(both)
            return both
        return [daemon if target == "daemon" else worker]

    def _child(self) -> psutil.Process | None:
        pid = self._child_pid()
        try:
            return psutil.Process(pid) if pid and is_alive(pid) else None
        except psutil.NoSuchProcess:
            return None

    def _child_pid(self) -> int | None:
        return next(iter(workers_of(self._daemon.pid, self._worker)), None)

    def _see_the_end_of(self, worker: int, target: Target) -> None:
        def left() -> list[int]:
            found = group_of(worker)
            if target == "worker":
                return [pid for pid in found if is_alive(pid)]
            found += workers_of(self._daemon.pid, self._worker)
            still = [self._daemon.pid] if self._daemon.is_alive else []
            return still + [pid for pid in found if is_alive(pid)]

        deadline = time.monotonic() + GONE_WITHIN_S
        while alive := left():
            if time.monotonic() > deadline:
                what = [described(pid) for pid in alive]
                raise self._daemon.failure(
                    f"{GONE_WITHIN_S:g} s after the {target} was killed these are alive: {what}"
                )
            time.sleep(0.01)


def is_busy(daemon: DaemonProcess) -> bool:
    """Whether a file is in a worker's hands."""
    names = (path.name for path in daemon.shared.glob("*.in_progress"))
    states = (daemon.in_progress(name.removesuffix(".in_progress")) for name in names)
    opened = (state["attempts"][-1:] for state in states if state)
    return any(attempt[0]["status"] == "processing" for attempt in opened if attempt)


def are_all_done(daemon: DaemonProcess) -> bool:
    """Whether there is no file that a worker could get."""
    names = set(os.listdir(daemon.shared))
    return not any(is_recording(n) and f"{n}.result" not in names for n in names)


def is_alive(pid: int) -> bool:
    """A zombie is not: who reaps it after its parent's death is up to the machine."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def group_of(worker: int) -> list[int]:
    """The processes in the session of a worker, which it leads; itself too."""
    found = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == worker:
                found.append(pid)
        except ProcessLookupError:
            continue
    return found


def workers_of(daemon: int, module: str) -> list[int]:
    """The workers that a daemon started, dead or alive: each is told the daemon's pid."""
    return [pid for pid in psutil.pids() if _is_worker(command_of(pid), daemon, module)]


def described(pid: int) -> str:
    return f"{pid} {' '.join(command_of(pid))[:200]}"


def _is_worker(command: Sequence[str], daemon: int, module: str) -> bool:
    return module in command and f"--parent {daemon} " in f"{' '.join(command)} "


def command_of(pid: int) -> list[str]:
    """The words that a process was started with; none where it has ended."""
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")
    except OSError:
        return []


class Reader:
    """Reads every ``.result`` and ``.in_progress`` again and again, as an impatient client does.

    ``torn``: files that were not whole JSON at some instant. ``rewritten``: results that were
    there and became others. A context manager.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(folders)
        self._seen: dict[str, tuple[int, int]] = {}
        self._results: dict[str, bytes] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reader")
        self.reads = 0
        self.torn: list[str] = []
        self.rewritten: list[str] = []

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def check(self) -> None:
        """Every file that was seen was whole, and no result was made twice."""
        assert self.reads, "nothing was read, so nothing is known"
        assert not self.torn, f"not whole JSON: {self.torn[:5]}"
        assert not self.rewritten, f"results were made twice: {self.rewritten[:5]}"

    def _run(self) -> None:
        while not self._done.wait(READ_EVERY_S):
            for folder in self._folders:
                self._look_into(folder)

    def _look_into(self, folder: Path) -> None:
        with os.scandir(folder) as entries:
            listed = [e for e in entries if e.name.endswith((".result", ".in_progress"))]
        for entry in listed:
            try:
                facts = os.stat(entry.path)
                if self._seen.get(entry.path) != (facts.st_ino, facts.st_mtime_ns):
                    self._seen[entry.path] = (facts.st_ino, facts.st_mtime_ns)
                    self._read(entry.path, Path(entry.path).read_bytes())
            except FileNotFoundError:
                continue  # done with, or moved, since it was listed

    def _read(self, path: str, content: bytes) -> None:
        self.reads += 1
        try:
            json.loads(content)
        except ValueError:
            self.torn.append(f"{path}: {content[:200]!r}")
        if path.endswith(".result") and self._results.setdefault(path, content) != content:
            self.rewritten.append(path)


def moment(text: str) -> datetime:
    """The time in a state file."""
    return datetime.fromisoformat(text)


def within(kill: Kill, attempt: dict[str, Any], slack_s: float) -> bool:
    """Whether a kill came between an attempt's beginning and its end."""
    began, ended = moment(attempt["start_time"]), moment(attempt["end_time"])
    before, after = (kill.at - began).total_seconds(), (ended - kill.at).total_seconds()
    return before > -slack_s and after > -slack_s
