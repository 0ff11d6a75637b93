"""What the benchmarks share: peak memory of processes, times to a result, tables."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

import psutil

from tests.daemon_process import DaemonProcess, missing_weights, resident_mb
from tests.speech import unavailable

SAMPLE_S = 0.1
POLL_S = 0.01


def require_everything() -> None:
    """End the program, with the reason, where speech or weights are not to be had."""
    for reason in (missing_weights(), unavailable()):
        if reason is not None:
            raise SystemExit(reason)


class PeakMemory:
    """The most resident memory, in MB of 10^6, that processes had together while this was open.

    What several processes share counts once for each, so it errs on the high side.
    """

    def __init__(self, processes: Callable[[], Sequence[psutil.Process]]) -> None:
        self._processes = processes
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak-memory")
        self.peak_mb = 0.0
        self.latest_mb = 0.0

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closing.wait(SAMPLE_S):
            self.latest_mb = resident_mb(self._processes())
            self.peak_mb = max(self.peak_mb, self.latest_mb)


def tree(pid: int) -> list[psutil.Process]:
    """A process and all below it; empty once it has ended."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def seconds_to_result(daemon: DaemonProcess, recording: Path, name: str, timeout_s: float) -> float:
    """From the end of the copy into the shared folder to the ``.result`` that lies there."""
    result = daemon.shared / f"{name}.result"
    daemon.put(recording, name)
    copied = time.monotonic()
    daemon.wait_for(lambda: result.exists() or None, f"the result of {name}", timeout_s, POLL_S)
    return time.monotonic() - copied


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns, the first row as their heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
