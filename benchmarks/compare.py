"""The warm daemon against the ``whisperx`` command, in one run: time, memory, word error rate.

    python -m benchmarks.compare [--minutes 10] [--json FILE]

Both use the same weights, int8 and Russian. The command runs as a user would run it (see
``whisperx_command``), with its own voice activity detection (pyannote's model, which is in its
package). The two take turns, so that a busy moment of the machine meets both. The time of ffmpeg,
or of its stand-in, is measured and shown; ffmpeg would need a little less.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.measure import PeakMemory, require_everything, seconds_to_result, table, tree
from benchmarks.whisperx_command import PROGRAM, WhisperxCommand
from tests.daemon_process import DaemonProcess, text_of
from tests.speech import Clip, festvox_russian, joined, word_error_rate

SHORT_S = 11
TIMEOUT_S = 3600.0
#: What the program promises: of the command's time, for the short clip and for the long one.
SHORT_SHARE = 0.1
LONG_SHARE = 0.5


@dataclass(frozen=True)
class Run:
    """One way to transcribe one clip. Times of all runs, the peak of the whole process tree."""

    seconds: list[float]
    peak_mb: float
    word_error_rate: float

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Comparison:
    """Both on the same clip."""

    clip_s: float
    daemon: Run
    command: Run
    ffmpeg_s: float

    @property
    def share(self) -> float:
        """The daemon's time as a part of the command's."""
        return self.daemon.median_s / self.command.median_s


def compare(
    daemon: DaemonProcess, command: WhisperxCommand, clip: Clip, repeats: int
) -> Comparison:
    """Let both transcribe the clip, in turns."""
    command_runs, daemon_s, daemon_mb, text = [], [], 0.0, ""
    for number in range(repeats):
        name = f"clip-{clip.duration_s:.0f}-{number}.wav"
        with PeakMemory(lambda: tree(daemon.pid)) as memory:
            daemon_s.append(seconds_to_result(daemon, clip.path, name, TIMEOUT_S))
        daemon_mb = max(daemon_mb, memory.peak_mb)
        text = text_of(daemon.wait_for_result(name))
        command_runs.append(command.transcribe([clip.path], "ru"))
        print(
            f"  {clip.duration_s:.1f} s of speech, {number + 1} of {repeats}: "
            f"daemon {daemon_s[-1]:.2f} s, command {command_runs[-1].seconds:.2f} s",
            flush=True,
        )
    return Comparison(
        clip.duration_s,
        Run(daemon_s, daemon_mb, word_error_rate(clip.text, text)),
        Run(
            [run.seconds for run in command_runs],
            max(run.peak_mb for run in command_runs),
            word_error_rate(clip.text, command_runs[-1].texts[0]),
        ),
        command.decoding_s(clip.path),
    )


def report(comparison: Comparison, most: float) -> str:
    """The table for one clip."""
    daemon, command = comparison.daemon, comparison.command
    rows = [
        ("", "warm daemon", "whisperx command", "daemon/command"),
        (
            f"median of {len(daemon.seconds)}" if len(daemon.seconds) > 1 else "time",
            f"{daemon.median_s:.2f} s",
            f"{command.median_s:.2f} s",
            f"{comparison.share:.3f} (asked: at most {most})",
        ),
        (
            "peak memory",
            f"{daemon.peak_mb:.0f} MB",
            f"{command.peak_mb:.0f} MB",
            f"{daemon.peak_mb / command.peak_mb:.2f}",
        ),
        (
            "word error rate",
            f"{daemon.word_error_rate:.1%}",
            f"{command.word_error_rate:.1%}",
            f"{100 * (daemon.word_error_rate - command.word_error_rate):+.1f} points",
        ),
    ]
    return f"\n{comparison.clip_s:.1f} s of Russian speech\n{table(rows)}"


def main() -> None:
    """Measure and print."""
    options = _options()
    require_everything()
    sentences = festvox_russian()
    short = min(sentences, key=lambda clip: abs(clip.duration_s - SHORT_S))
    long = joined(sentences, options.minutes * 60)
    with tempfile.TemporaryDirectory() as scratch:
        command = WhisperxCommand(options.command, options.vad_method, Path(scratch))
        with DaemonProcess(Path(scratch) / "daemon") as daemon:
            daemon.wait_until_warm()
            results = {
                "short": compare(daemon, command, short, options.repeats),
                "long": compare(daemon, command, long, 1),
            }
    print(report(results["short"], SHORT_SHARE))
    print(report(results["long"], LONG_SHARE))
    decoder = "the stand-in for ffmpeg" if command.stands_in else "ffmpeg"
    times = " and ".join(f"{comparison.ffmpeg_s:.2f} s" for comparison in results.values())
    print(f"\nOf the command's time, {decoder} took {times}. {_machine()}")
    if options.json:
        options.json.write_text(json.dumps(_as_json(results), indent=2) + "\n", encoding="utf-8")


def _machine() -> str:
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores; load at the end {load}."


def _as_json(results: Mapping[str, Comparison]) -> dict[str, object]:
    return {name: {**asdict(c), "daemon/command": c.share} for name, c in results.items()}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10, help="length of the long clip")
    parser.add_argument("--repeats", type=int, default=5, help="runs of the short clip")
    parser.add_argument("--command", default=str(PROGRAM), help=f"default: {PROGRAM}")
    parser.add_argument("--vad-method", default="pyannote", help="the command's; pyannote, silero")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
