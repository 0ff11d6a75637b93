"""What a long recording costs beside a short one: time per minute of sound, and memory.

    python -m benchmarks.long_recording [--minutes 10,600] [--diarize]
    CT2_USE_MKL=0 python -m benchmarks.long_recording    # the other matrix library, on Intel

One warm daemon does them one after the other, read Russian joined to each length; before them a
clip of 7 s. Memory (PSS) is told when the daemon has its model and nothing to do, at its peak, and
at rest again after each recording, as much as is kept for the next one. Ten hours take about 40
minutes and 2.4 GB of disk.
"""

from __future__ import annotations

import argparse
import tempfile
import time
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
from modules.machine.processor import processor
from tests.daemon_process import DaemonProcess

TIMEOUT_S = 8 * 3600.0
CLIP_S = 7
#: Longer than the child waits before it gives back what only a long recording needs.
REST_S = 8.0
HEADINGS = (
    "recording", "wall", "CPU", "a minute of sound", "peak PSS", "daemon", "its child", "at rest",
)  # fmt: skip


def measured(daemon: DaemonProcess, number: int, seconds: int) -> tuple[str, ...]:
    """A row of the table: the daemon's recording of that number, so many seconds long."""
    clip = read_prose(seconds)
    everything = partial(tree, daemon.pid)
    parts = (everything, lambda: tree(daemon.pid)[:1], lambda: tree(daemon.pid)[1:])
    whole, alone, child = (PeakMemory(part, proportional_mb, PSS_SAMPLE_S) for part in parts)
    began_s = cpu_s(everything())
    with whole, alone, child:
        wall_s = seconds_to_results(daemon, {f"{number}.wav": clip.path}, TIMEOUT_S)
        used_s = cpu_s(everything()) - began_s
    time.sleep(REST_S)
    return (
        f"{clip.duration_s / 60:.1f} min",
        f"{wall_s:.1f} s",
        f"{used_s:.1f} s",
        f"{60 * wall_s / clip.duration_s:.2f} s",
        *(f"{memory.peak_mb:.0f} MB" for memory in (whole, alone, child)),
        f"{proportional_mb(everything()):.0f} MB",
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", default="10,600", help="default: 10,600")
    parser.add_argument("--diarize", action="store_true", help="tell the speakers apart too")
    options = parser.parse_args()
    wanted_s = [CLIP_S, *(60 * int(part) for part in options.minutes.split(","))]
    config = {"whisperx": {"diarize": options.diarize}}
    end_in_order()
    require_everything()
    print(processor())
    rows: list[tuple[str, ...]] = [HEADINGS]
    with tempfile.TemporaryDirectory() as scratch, DaemonProcess(Path(scratch), config) as daemon:
        daemon.wait_until_warm()
        time.sleep(REST_S)
        print(f"with its model: {proportional_mb(tree(daemon.pid)):.0f} MB", flush=True)
        for number, seconds in enumerate(wanted_s):
            rows.append(measured(daemon, number, seconds))
            print("  ".join(rows[-1]), flush=True)
        replaced = daemon.log.count("Replacing the WhisperX process")
    print(f"\n{table(rows)}\nThe child was replaced {replaced} times.")


if __name__ == "__main__":
    main()
