"""What a rescan costs for each recording: the real scan and the real watcher, without waiting."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modules.clock import SystemClock
from modules.recordings.names import is_recording, is_visible_folder
from modules.watching.rescan_schedule import RESCAN_COST_FACTOR
from modules.watching.scan import scan
from modules.watching.stability import FileSample
from modules.watching.watcher import Watcher

WARM_SCANS = 5
RESCAN_S = 60.0


@dataclass(frozen=True)
class Rescans:
    """Microseconds a recording: reading the folder alone, and the watcher's whole rescan.

    ``first``: of a fresh process, nothing is known; ``again``: the median of those that follow.
    """

    files: int
    scan_first_us: float
    scan_again_us: float
    rescan_first_us: float
    rescan_again_us: float


class LeapingClock(SystemClock):
    """Spares the waiting between two rescans."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self._ahead_s

    def leap(self, seconds: float) -> None:
        self._ahead_s += seconds


class _NoSink:
    """A sink for a watcher that only rescans."""

    def on_complete(self, name: str, sample: FileSample) -> None:
        """Every file that it is asked about is taken."""

    def on_deleted(self, name: str) -> None:
        """None is."""


def rescans(shared: Path, files: int) -> Rescans:
    """The real scan, and the real watcher around it, in this process.

    To be called in a fresh one, so that the first time is a first time. What the kernel knows of
    the folder it keeps, unless the folder was made long ago.
    """
    scans = [_timed(lambda: _scan(shared)) for _ in range(1 + WARM_SCANS)]
    clock = LeapingClock()
    watcher = Watcher(
        shared, _NoSink(), clock, recursive=False, events=False,
        rescan_s=RESCAN_S, settle_s=0.0, stable_s=0.1,
    )  # fmt: skip
    whole = []
    for _ in range(1 + WARM_SCANS):
        clock.leap(RESCAN_S + RESCAN_COST_FACTOR * watcher.health().last_rescan_s)
        watcher.tick()
        whole.append(watcher.health().last_rescan_s)
        while watcher.health().settling_files:
            clock.leap(watcher.tick())
    each = 1e6 / max(1, files)
    return Rescans(
        files,
        scans[0] * each,
        statistics.median(scans[1:]) * each,
        whole[0] * each,
        statistics.median(whole[1:]) * each,
    )


def _scan(shared: Path) -> None:
    scan(shared, recursive=False, wants_file=is_recording, wants_folder=is_visible_folder)


def _timed(action: Callable[[], None]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
