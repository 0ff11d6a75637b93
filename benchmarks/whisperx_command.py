"""The ``whisperx`` command as a user runs it, with a stand-in for ``ffmpeg`` where there is none.

It gets the weights that the tests use, int8, and beam search of width 5 at temperature 0, which
are its own defaults; threads and batches are left to it. Word alignment is left out
(``--no_align``), as it would fetch one more model.

The command decodes with an ``ffmpeg`` program. Where there is none, a stand-in is put first on its
PATH: a script that decodes with PyAV to exactly what the command asks for.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import PeakMemory, tree
from tests.daemon_process import MODELS

TIMEOUT_S = 3600.0
#: The command that is installed with this Python.
PROGRAM = Path(sys.executable).parent / "whisperx"

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
class CommandRun:
    """What one call took, all of it, and the texts in the order of the recordings."""

    seconds: float
    peak_mb: float
    texts: list[str]


class WhisperxCommand:
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

    def transcribe(self, recordings: Sequence[Path], language: str) -> CommandRun:
        """All of them in one call, which loads the model once; no two may have the same stem."""
        command = self._command(recordings, language)
        began = time.monotonic()
        process = subprocess.Popen(  # nosec B603 # our own words, no shell
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
        return CommandRun(seconds, memory.peak_mb, [self._text(path) for path in recordings])

    def decoding_s(self, recording: Path) -> float:
        """What ``ffmpeg``, or what stands in for it, takes of that time."""
        words = "-f s16le -ac 1 -acodec pcm_s16le -ar 16000 -".split()
        program = shutil.which("ffmpeg", path=self._environment["PATH"])
        assert program is not None
        began = time.monotonic()
        command = [program, "-nostdin", "-threads", "0", "-i", recording, *words]
        subprocess.run(command, check=True, capture_output=True)  # nosec B603 # our own words
        return time.monotonic() - began

    def _command(self, recordings: Sequence[Path], language: str) -> list[str]:
        if len({path.stem for path in recordings}) < len(recordings):
            raise ValueError("two recordings would write the same text file")
        return [
            *(self._program, *map(str, recordings)),
            *("--model", str(MODELS / "faster-whisper-base"), "--compute_type", "int8"),
            *("--beam_size", "5", "--temperature", "0", "--language", language),
            *("--vad_method", self._vad_method, "--no_align"),
            *("--output_format", "json", "--output_dir", str(self._output)),
        ]

    def _text(self, recording: Path) -> str:
        written = (self._output / f"{recording.stem}.json").read_text(encoding="utf-8")
        return " ".join(segment["text"].strip() for segment in json.loads(written)["segments"])


def _stand_in(scratch: Path) -> Path:
    folder = scratch / "bin"
    folder.mkdir()
    script = folder / "ffmpeg"
    script.write_text(FFMPEG.format(python=sys.executable), encoding="utf-8")
    script.chmod(0o755)
    return folder
