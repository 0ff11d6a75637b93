"""What the benchmarks share: memory and CPU time of processes, times to a result, tables."""

from __future__ import annotations

import functools
import importlib.util
import re
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import psutil

from modules.machine.processor import processor
from tests.daemon_process import DaemonProcess, missing_weights, resident_mb
from tests.speech import unavailable

SAMPLE_S = 0.1
#: The kernel walks all pages for the figure, so it is asked less often.
PSS_SAMPLE_S = 0.5
POLL_S = 0.01


def end_in_order() -> None:
    """Let what is open be closed at SIGTERM too: a daemon that a benchmark started would go on."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def require_everything() -> None:
    """End the program, with the reason, where speech or weights are not to be had."""
    for reason in (missing_weights(), unavailable()):
        if reason is not None:
            raise SystemExit(reason)


def computing() -> str:
    """What figures depend on: the processor, and what computes the encoder of base on it."""
    from modules.engines.whisperx.encoder import chosen

    return f"{processor()}; encoder: {chosen('auto') or 'ctranslate2'}"


def require_bytecode(packages: Sequence[str]) -> None:
    """End the program where Python would compile a package anew at each start: uv does not compile
    unless told to, and with PYTHONDONTWRITEBYTECODE it stays so. It costs the command 13 s a call.
    """
    for name in packages:
        spec = importlib.util.find_spec(name)
        if (
            spec
            and spec.origin
            and not Path(importlib.util.cache_from_source(spec.origin)).exists()
        ):
            folder = Path(spec.origin).parents[1]
            raise SystemExit(
                f"{name} is not compiled, so each start would take longer than it must. "
                f"Compile what is installed first: {sys.executable} -m compileall -q {folder}"
            )


class PeakMemory:
    """The most memory, in MB of 10^6, that processes had together while this was open.

    ``figure`` is what a look at them sees: resident memory, in which what several processes share
    counts once for each, so that it errs on the high side, or ``proportional_mb``. An error of a
    look ends the looking, and is raised on leaving.
    """

    def __init__(
        self,
        processes: Callable[[], Sequence[psutil.Process]],
        figure: Callable[[Sequence[psutil.Process]], float] = resident_mb,
        every_s: float = SAMPLE_S,
    ) -> None:
        self._processes = processes
        self._figure = figure
        self._every_s = every_s
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak-memory")
        self._failed: OSError | psutil.Error | None = None
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
        if self._failed is not None and error is None:
            raise self._failed

    def _watch(self) -> None:
        try:
            for latest_mb in self._looks():
                self.latest_mb = latest_mb
                self.peak_mb = max(self.peak_mb, latest_mb)
        except (OSError, psutil.Error) as error:
            self._failed = error

    def _looks(self) -> Iterator[float]:
        """One at once and one at the end too: what is short must not pass between two of them."""
        yield self._figure(self._processes())
        closed = False
        while not closed:
            closed = self._closing.wait(self._every_s)
            yield self._figure(self._processes())


def proportional_mb(processes: Sequence[psutil.Process]) -> float:
    """Their memory together, in MB of 10^6, shared pages counted once: the sum of their PSS.

    One that has ended counts nothing. Linux only; elsewhere it raises OSError.
    """
    total_kb = 0
    for process in processes:
        try:
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
        except (FileNotFoundError, ProcessLookupError):
            if not Path("/proc/self/smaps_rollup").exists():
                raise OSError(
                    "PSS is read from /proc/PID/smaps_rollup, which is not here"
                ) from None
            continue
        total_kb += sum(map(int, re.findall(r"(?m)^Pss:\s+(\d+) kB$", rollup)))
    return total_kb * 1024 / 1e6


def cpu_s(processes: Sequence[psutil.Process]) -> float:
    """User and system seconds of processes, and of those below them that have ended."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:  # from now on its parent's figure holds it
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def cpu_s_of_ended() -> float:
    """The same of all processes that this program started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tree(pid: int) -> list[psutil.Process]:
    """A process and all below it; empty once it has ended."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def started_besides(pid: int) -> list[psutil.Process]:
    """All processes below this program, without ``pid`` and all below that."""
    apart = set(tree(pid))
    return [p for p in psutil.Process().children(recursive=True) if p not in apart]


def seconds_to_results(
    daemon: DaemonProcess, recordings: Mapping[str, Path], timeout_s: float
) -> float:
    """From the end of the last copy to the last ``.result``; each is waited for that long."""
    for name, recording in recordings.items():
        daemon.put(recording, name)
    copied = time.monotonic()
    for name in recordings:
        daemon.wait_for(
            functools.partial(_is_done, daemon, name), f"the result of {name}", timeout_s, POLL_S
        )
    return time.monotonic() - copied


def _is_done(daemon: DaemonProcess, name: str) -> bool:
    if (daemon.manual / f"{name}.error.txt").exists():
        raise daemon.failure(f"{name} could not be transcribed")
    return (daemon.shared / f"{name}.result").exists()


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns, the first row as their heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
