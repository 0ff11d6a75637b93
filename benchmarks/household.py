"""What the daemon itself costs, WhisperX aside: folders of 100,000 files, the queue, idling.

    python -m benchmarks.household [--files 10000 100000] [--idle 60] [--json FILE]

The folders lie in memory where the machine has /dev/shm: what is measured is the program, not the
disk (--folder puts them elsewhere). Each of the finished recordings has its result, txt and srt
beside it, so 100,000 of them are 400,000 files. The last part asks for a recording's state while
it is transcribed by the real WhisperX; it needs the weights, and is left out where there are none.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from benchmarks import crowd
from benchmarks.bookkeeping import Bookkeeping, bookkeeping
from benchmarks.folders import Folder, fill, whole_periods, with_daemon
from benchmarks.measure import end_in_order, table
from benchmarks.queueing import Operation, operations
from benchmarks.rescans import Rescans, rescans
from tests.daemon_process import DaemonProcess, missing_weights
from tests.speech import festvox_russian, joined, unavailable

P = ParamSpec("P")
T = TypeVar("T")

MEMORY = Path("/dev/shm")  # nosec B108 # only a folder is made there, by tempfile
#: What is asked of the program.
FOUND_S, IDLE_SHARE, RESIDENT_MB, STATUS_S = 1.0, 0.01, 80.0, 0.05
CLIENTS, ASKED_EVERY_S, SPEECH_MINUTES = 200, 1.0, 30


@dataclass(frozen=True)
class Goal:
    """Something that is asked of the program; ``measured`` None if it was not to be had."""

    what: str
    most: float
    measured: float | None
    unit: str

    @property
    def reached(self) -> str:
        if self.measured is None:
            return "not measured"
        return "yes" if self.measured < self.most else "NO"

    def row(self) -> tuple[str, ...]:
        number = "-" if self.measured is None else f"{self.measured:.3g} {self.unit}"
        return self.what, f"under {self.most:g} {self.unit}", number, self.reached


@dataclass(frozen=True)
class Figures:
    """All that was measured. ``status_s``: 99 of 100 answers came within this time."""

    with_events: tuple[Folder, ...]
    without_events: tuple[Folder, ...]
    rescans: tuple[Rescans, ...]
    queue: tuple[Operation, ...]
    bookkeeping: tuple[Bookkeeping, ...]
    status_s: float | None


def goals(figures: Figures) -> list[Goal]:
    """What is asked, beside what was measured in the fullest folder and the emptiest one."""
    fullest = max(figures.with_events, key=lambda folder: folder.files)
    emptiest = min(figures.with_events, key=lambda folder: folder.files)
    idle_percent = None if fullest.idle_share is None else 100 * fullest.idle_share
    status_ms = None if figures.status_s is None else 1000 * figures.status_s
    return [
        Goal(f"found among {fullest.files:,}, with events", FOUND_S, max(fullest.found_s), "s"),
        Goal(f"idle among {fullest.files:,}", 100 * IDLE_SHARE, idle_percent, "%"),
        Goal(
            f"idle, resident, {emptiest.files:,} files", RESIDENT_MB, emptiest.memory.rss_mb, "MB"
        ),
        Goal(f"/status, p99, {CLIENTS} clients", 1000 * STATUS_S, status_ms, "ms"),
    ]


def report(figures: Figures) -> str:
    """Every table, the goals last."""
    parts = [
        ("The daemon on a folder of finished recordings", _folder_rows(figures)),
        ("A rescan, microseconds a recording", _rescan_rows(figures.rescans)),
        ("The queue, microseconds", _queue_rows(figures.queue)),
        ("Writing a recording down, chunk by chunk", _bookkeeping_rows(figures.bookkeeping)),
        ("Goals", [("", "asked", "measured", "reached"), *(g.row() for g in goals(figures))]),
    ]
    return "\n".join(f"\n{title}\n{table(rows)}" for title, rows in parts)


def _folder_rows(figures: Figures) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ("recordings", "events", "watches", "settled", "came before", "found", "done", "idle",
         "RSS", "PSS"),
    ]  # fmt: skip
    both = [("on", f) for f in figures.with_events] + [("off", f) for f in figures.without_events]
    for events, f in both:
        times = (f"{s:.2f} s" for s in (f.watching_s, f.settled_s, f.after_start_s))
        waits = (" ".join(f"{s:.2f}" for s in seconds) + " s" for seconds in (f.found_s, f.done_s))
        memory = (f"{mb:.1f} MB" for mb in (f.memory.rss_mb, f.memory.pss_mb))
        idle = "-" if f.idle_share is None else f"{f.idle_share:.2%}"
        rows.append((f"{f.files:,}", events, *times, *waits, idle, *memory))
    return rows


def _rescan_rows(measured: Sequence[Rescans]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ("recordings", "first scan", "scan again", "first rescan", "rescan again")
    ]
    for r in measured:
        costs = (r.scan_first_us, r.scan_again_us, r.rescan_first_us, r.rescan_again_us)
        rows.append((f"{r.files:,}", *(f"{us:.2f}" for us in costs)))
    return rows


def _queue_rows(measured: Sequence[Operation]) -> list[tuple[str, ...]]:
    """An operation a row, a column for each length of the queue, and the last over the first."""
    lengths = sorted({operation.jobs for operation in measured})
    costs = {(o.name, o.jobs): o.median_us for o in measured}
    rows = [("operation", *(f"{length:,} jobs" for length in lengths), "growth")]
    for name in dict.fromkeys(o.name for o in measured):
        own = [costs[name, length] for length in lengths]
        rows.append((name, *(f"{us:.1f}" for us in own), f"{own[-1] / own[0]:.1f}"))
    return rows


def _bookkeeping_rows(measured: Sequence[Bookkeeping]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ("hours", "chunks", "each of the first", "each of the last", "together", "written",
         "publishing", "memory: chunks", "and publishing", "result"),
    ]  # fmt: skip
    for b in measured:
        rows.append(
            (
                *(f"{b.hours:g}", str(b.chunks), f"{b.first_ms:.2f} ms", f"{b.last_ms:.2f} ms"),
                *(f"{b.writing_s:.2f} s", f"{b.written_mb:.1f} MB", f"{b.publishing_s:.2f} s"),
                *(f"{mb:.1f} MB" for mb in (b.chunks_mb, b.publishing_mb, b.result_mb)),
            )
        )
    return rows


def apart(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The function's answer, from a process of its own that knows nothing yet."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


def measure(options: argparse.Namespace, scratch: Path) -> Figures:
    """One part after the other, so that none disturbs another."""
    events, no_events, scans = [], [], []
    for count in (0, *options.files):
        root = scratch / f"folder-{count}"
        print(f"A folder of {count:,} recordings ...", flush=True)
        fill(root / "shared", count)
        cost_s = 0.0
        if count:
            scans.append(apart(rescans, root / "shared", count))
            cost_s = count * scans[-1].rescan_again_us / 1e6
        idle_s = whole_periods(options.idle, cost_s)
        events.append(with_daemon(root, count, True, options.arrivals, idle_s))
        no_events.append(with_daemon(root, count, False, options.rescans, 0))
    print("The queue ...", flush=True)
    queue = [o for length in options.jobs for o in apart(operations, length)]
    print("Long recordings ...", flush=True)
    books = [apart(bookkeeping, scratch / f"{hours:g} h", hours) for hours in options.hours]
    status_s = None if options.no_status else _status(scratch / "status", options.status_seconds)
    return Figures(
        tuple(events), tuple(no_events), tuple(scans), tuple(queue), tuple(books), status_s
    )


def _status(root: Path, seconds: int) -> float | None:
    """The p99 of ``/status`` while the real WhisperX works; None where it cannot."""
    reason = missing_weights() or unavailable()
    if reason is not None:
        print(f"Nobody asks for a state: {reason}")
        return None
    clip = joined(festvox_russian(), SPEECH_MINUTES * 60)
    print(f"{CLIENTS} clients ask for a state during a job ...", flush=True)
    with DaemonProcess(root) as daemon:
        daemon.wait_until_warm()
        asked = crowd.Questions(("status",), ASKED_EVERY_S)
        met = crowd.measure(daemon, clip, 0, CLIENTS, seconds, asked)
        daemon.kill()
    [answers] = met.values()
    # A question that failed waited longer than any.
    failed = [crowd.PATIENCE_S] * answers.errors.total()
    return statistics.quantiles([*answers.seconds, *failed], n=100)[98]


def main() -> None:
    """Measure and print."""
    options = _options()
    end_in_order()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        figures = measure(options, Path(scratch))
    print(report(figures))
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"\n{os.cpu_count()} cores; load at the end {load}.")
    if options.json:
        found = {"figures": asdict(figures), "goals": [asdict(g) for g in goals(figures)]}
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--jobs", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--hours", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--idle", type=float, default=60, help="seconds of idling, at least")
    parser.add_argument("--arrivals", type=int, default=5, help="files that arrive, with events")
    parser.add_argument("--rescans", type=int, default=2, help="files that arrive, without")
    parser.add_argument("--status-seconds", type=int, default=30, help="so long /status is asked")
    parser.add_argument("--no-status", action="store_true", help="leave that out")
    parser.add_argument("--folder", type=Path, default=MEMORY if MEMORY.is_dir() else None)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
