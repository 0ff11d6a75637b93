"""Two checkouts of this program in turns, in one run: is a change faster, and what does it take?

    git worktree add ../before HEAD~3
    python -m benchmarks.turns --before ../before [--lengths 10,600] [--turns 10] [--diarize]

A warm daemon of each stays; the recording goes to one, then to the other, and in the next turn the
other way round. A ratio is that of one turn, so that a busy moment of the machine meets both. The
interval is that of the median, by resampling the turns. Both use the packages and weights of this
checkout.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.bench import by_daemon, read_prose
from benchmarks.measure import computing, end_in_order, require_everything, table
from tests.daemon_process import PROJECT, DaemonProcess

_RESAMPLES = 2000
HEADINGS = (
    "recording", "before", "after", "after / before", "95 % of the median", "CPU", "peak PSS",
    "text",
)  # fmt: skip


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """In which the median lies with 95 %, by resampling."""
    chance = random.Random(0)  # nosec B311 # no secret
    medians = sorted(
        statistics.median(chance.choices(ratios, k=len(ratios))) for _ in range(_RESAMPLES)
    )
    return medians[int(0.025 * _RESAMPLES)], medians[int(0.975 * _RESAMPLES) - 1]


def compared(daemons: dict[str, DaemonProcess], seconds: int, turns: int) -> tuple[str, ...]:
    """A row of the table: a recording of so many seconds, so many times by each daemon."""
    clip = read_prose(seconds)
    goes: dict[str, list[tuple[float, float, float]]] = {who: [] for who in daemons}
    texts: dict[str, set[str]] = {who: set() for who in daemons}
    for turn in range(-1, turns):  # the first is not counted: buffers are filled, files cached
        for who in list(daemons)[:: 1 if turn % 2 else -1]:
            taken, [text] = by_daemon(daemons[who], {f"{seconds}-{turn}.wav": clip.path})
            texts[who].add(text)
            if turn >= 0:
                goes[who].append((taken.wall_s, taken.cpu_s, taken.pss_mb))
                print(f"  {who}: {taken.wall_s:.2f} s, {taken.cpu_s:.2f} s of CPU", flush=True)
    wall, cpu, memory = (
        {who: [go[index] for go in done] for who, done in goes.items()} for index in range(3)
    )
    ratios = [after / before for before, after in zip(wall["before"], wall["after"], strict=True)]
    least, most = interval(ratios)
    middle = statistics.median
    return (
        f"{clip.duration_s:.0f} s",
        f"{middle(wall['before']):.2f} s",
        f"{middle(wall['after']):.2f} s",
        f"{middle(ratios):.3f}",
        f"{least:.3f} to {most:.3f}",
        f"{middle(cpu['before']):.2f} and {middle(cpu['after']):.2f} s",
        f"{max(memory['before']):.0f} and {max(memory['after']):.0f} MB",
        "the same" if texts["before"] == texts["after"] else "differs",
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--before", type=Path, required=True, help="the other checkout")
    parser.add_argument("--lengths", default="10,600", help="seconds of read prose, by commas")
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--diarize", action="store_true", help="tell speakers apart, too")
    options = parser.parse_args()
    end_in_order()
    require_everything()
    print(computing())
    rows: list[tuple[str, ...]] = [HEADINGS]
    config = {"whisperx": {"diarize": options.diarize}}
    projects = {"before": options.before.resolve(), "after": PROJECT}
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as open_:
        daemons = {
            who: open_.enter_context(DaemonProcess(Path(scratch) / who, config, project=project))
            for who, project in projects.items()
        }
        for daemon in daemons.values():
            daemon.wait_until_warm()
        for seconds in map(int, options.lengths.split(",")):
            rows.append(compared(daemons, seconds, options.turns))
            print("  ".join(rows[-1]), flush=True)
    print(f"\n{table(rows)}")


if __name__ == "__main__":
    main()
