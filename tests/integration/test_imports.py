"""What a process imports is what it weighs: the child of a plain recording goes without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.daemon_process import PROJECT

HEAVY = ("torch", "transformers", "pyannote", "lightning", "pandas", "scipy")
#: The parent opens no media and holds no model either.
ENGINES = ("ctranslate2", "faster_whisper", "onnxruntime", "av", "numpy")


@pytest.mark.parametrize(
    ("module", "left_out"),
    [
        ("modules.worker.transcription", HEAVY),
        ("modules.worker.main", HEAVY + ENGINES),
        ("modules.daemon.daemon", HEAVY + ENGINES),
    ],
)
def test_what_is_not_needed_is_not_imported(module: str, left_out: tuple[str, ...]) -> None:
    code = f"import sys, {module}\nprint([m for m in {left_out} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
