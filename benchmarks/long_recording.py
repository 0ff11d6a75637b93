"""What a long recording costs beside a short one: time per minute of sound, and memory.

    python -m benchmarks.long_recording [--minutes 10,600]

One warm daemon does them one after the other, read Russian joined to each length. Its memory and
that of its child (PSS) are told apart. Ten hours take about 40 minutes and 2.4 GB of disk.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.bench import read_prose
from benchmarks.measure import (
    PSS_SAMPLE_S,
    PeakMemory,
    cpu_s,
    end_in_order,
    proportional_mb,
    require_everything,
    seconds_to_results,
    table,
    tree,
)
from tests.daemon_process import DaemonProcess

TIMEOUT_S = 8 * 3600.0
HEADINGS = ("recording", "wall", "CPU", "a minute of sound", "peak PSS", "daemon", "its child")


def measured(daemon: DaemonProcess, number: int, minutes: int) -> tuple[str, ...]:
    """A row of the table: the daemon's recording of that number, so many minutes long."""
    clip = read_prose(60 * minutes)
    everything = partial(tree, daemon.pid)
    parts = (everything, lambda: tree(daemon.pid)[:1], lambda: tree(daemon.pid)[1:])
    whole, alone, child = (PeakMemory(part, proportional_mb, PSS_SAMPLE_S) for part in parts)
    began_s = cpu_s(everything())
    with whole, alone, child:
        wall_s = seconds_to_results(daemon, {f"{number}.wav": clip.path}, TIMEOUT_S)
        used_s = cpu_s(everything()) - began_s
    return (
        f"{clip.duration_s / 60:.1f} min",
        f"{wall_s:.1f} s",
        f"{used_s:.1f} s",
        f"{60 * wall_s / clip.duration_s:.2f} s",
        *(f"{memory.peak_mb:.0f} MB" for memory in (whole, alone, child)),
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", default="10,600", help="default: 10,600")
    wanted = [int(part) for part in parser.parse_args().minutes.split(",")]
    end_in_order()
    require_everything()
    rows: list[tuple[str, ...]] = [HEADINGS]
    with tempfile.TemporaryDirectory() as scratch, DaemonProcess(Path(scratch)) as daemon:
        daemon.wait_until_warm()
        for number, minutes in enumerate(wanted):
            rows.append(measured(daemon, number, minutes))
            print("  ".join(rows[-1]), flush=True)
    print(f"\n{table(rows)}")


if __name__ == "__main__":
    main()
