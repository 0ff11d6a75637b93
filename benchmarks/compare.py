"""The warm daemon against the ``whisperx`` command, in one run: time, memory, word error rate.

    python -m benchmarks.compare [--minutes 10] [--json FILE]

Both use the same weights, int8 and Russian. The command runs as a user would run it, with its own
defaults for threads and voice activity detection (pyannote's model, which is in its package); word
alignment is left out (``--no_align``), as it would fetch one more model. The two take turns, so
that a busy moment of the machine meets both.

The command decodes with an ``ffmpeg`` program. Where there is none, a stand-in is put first on its
PATH: a script that decodes with PyAV to exactly what the command asks for. Its time is measured
and shown; ffmpeg would need a little less.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.measure import PeakMemory, require_everything, seconds_to_result, table, tree
from tests.daemon_process import MODELS, DaemonProcess, text_of
from tests.speech import Clip, festvox_russian, joined, word_error_rate

SHORT_S = 11
TIMEOUT_S = 3600.0
#: What the program promises: of the command's time, for the short clip and for the long one.
SHORT_SHARE = 0.1
LONG_SHARE = 0.5

FFMPEG = '''#!{python}
"""Stands in for ffmpeg: decodes -i FILE to 16-bit mono samples at -ar RATE on stdout."""
import sys

import av

words = sys.argv[1:]
source, rate = words[words.index("-i") + 1], int(words[words.index("-ar") + 1])
resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
with av.open(source) as container:
    for frame in [*container.decode(audio=0), None]:
        for part in resampler.resample(frame):
            sys.stdout.buffer.write(part.to_ndarray().tobytes())
'''


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


class Command:
    """The ``whisperx`` command with a PATH on which it finds an ``ffmpeg``."""

    def __init__(self, program: str, vad_method: str, scratch: Path) -> None:
        self._program = program
        self._vad_method = vad_method
        self._output = scratch / "output"
        # Without these it would wait for servers: it has all it needs.
        self._environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYANNOTE_METRICS_ENABLED": "0"}
        self.stands_in = shutil.which("ffmpeg") is None
        if self.stands_in:
            self._environment["PATH"] = f"{_stand_in(scratch)}{os.pathsep}{os.environ['PATH']}"

    def transcribe(self, clip: Clip) -> tuple[float, float, str]:
        """Seconds, peak of memory in MB, and the text."""
        command = [
            *(self._program, str(clip.path), "--model", str(MODELS / "faster-whisper-base")),
            *("--compute_type", "int8", "--language", "ru", "--vad_method", self._vad_method),
            *("--no_align", "--output_dir", str(self._output)),
        ]
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with PeakMemory(lambda: tree(process.pid)) as memory:
            said, _ = process.communicate(timeout=TIMEOUT_S)
            seconds = time.monotonic() - began
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
        text = (self._output / f"{clip.path.stem}.txt").read_text(encoding="utf-8")
        return seconds, memory.peak_mb, text

    def decoding_s(self, clip: Clip) -> float:
        """What ``ffmpeg``, or what stands in for it, takes of that time."""
        words = f"-nostdin -threads 0 -i {clip.path} -f s16le -ac 1 -acodec pcm_s16le -ar 16000 -"
        program = shutil.which("ffmpeg", path=self._environment["PATH"])
        assert program is not None
        began = time.monotonic()
        subprocess.run([program, *words.split()], check=True, capture_output=True)
        return time.monotonic() - began


def _stand_in(scratch: Path) -> Path:
    folder = scratch / "bin"
    folder.mkdir()
    script = folder / "ffmpeg"
    script.write_text(FFMPEG.format(python=sys.executable), encoding="utf-8")
    script.chmod(0o755)
    return folder


def compare(daemon: DaemonProcess, command: Command, clip: Clip, repeats: int) -> Comparison:
    """Let both transcribe the clip, in turns."""
    command_runs, daemon_s, daemon_mb, text = [], [], 0.0, ""
    for number in range(repeats):
        name = f"clip-{clip.duration_s:.0f}-{number}.wav"
        with PeakMemory(lambda: tree(daemon.pid)) as memory:
            daemon_s.append(seconds_to_result(daemon, clip.path, name, TIMEOUT_S))
        daemon_mb = max(daemon_mb, memory.peak_mb)
        text = text_of(daemon.wait_for_result(name))
        command_runs.append(command.transcribe(clip))
        print(
            f"  {clip.duration_s:.1f} s of speech, {number + 1} of {repeats}: "
            f"daemon {daemon_s[-1]:.2f} s, command {command_runs[-1][0]:.2f} s",
            flush=True,
        )
    return Comparison(
        clip.duration_s,
        Run(daemon_s, daemon_mb, word_error_rate(clip.text, text)),
        Run(
            [seconds for seconds, _, _ in command_runs],
            max(peak for _, peak, _ in command_runs),
            word_error_rate(clip.text, command_runs[-1][2]),
        ),
        command.decoding_s(clip),
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
        command = Command(options.command, options.vad_method, Path(scratch))
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
    beside = Path(sys.executable).parent / "whisperx"
    parser.add_argument("--command", default=str(beside), help=f"default: {beside}")
    parser.add_argument("--vad-method", default="pyannote", help="the command's; pyannote, silero")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
