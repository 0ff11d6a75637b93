"""What a user is promised of memory, whatever library the processor has CTranslate2 use.

Not how one library's heap behaves: everything that the program takes, together, at each stage.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial

import psutil
import pytest

from benchmarks.measure import PSS_SAMPLE_S, PeakMemory, proportional_mb, tree
from modules.machine.processor import processor
from tests.acceptance.recordings import SAMPLES
from tests.daemon_process import MODELS, DaemonProcess
from tests.speech import Clip

pytestmark = pytest.mark.acceptance

#: In MB of 10^6: with the model, after a clip, in a long recording, with speakers.
IDLE_MB, CLIP_MB, LONG_MB, SPEAKERS_MB = 600, 700, 1100, 1600
#: What a long recording leaves behind, once it is given back.
REST_MB = 700
#: Longer than the child waits before it gives back what only a long recording needs.
REST_S = 7.0
CLIP, SPEAKERS = "please-hold-ru.wav", "please-hold-en.flac"


def libraries() -> dict[str, dict[str, str]]:
    """Those that CTranslate2 may use here, and how it is told to. On AMD's processors MKL works
    too, nine times slower, so nobody uses it."""
    used = processor().library
    return {used: {}} | ({"oneDNN": {"CT2_USE_MKL": "0"}} if used == "MKL" else {})


@pytest.fixture(params=libraries())
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def daemon(
    weights: None, library: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DaemonProcess]:
    folder = tmp_path_factory.mktemp("memory")
    with DaemonProcess(folder, variables=libraries()[library]) as running:
        running.wait_until_warm()
        yield running


def peak_mb(daemon: DaemonProcess, name: str) -> float:
    """The most that everything takes together until this recording is done."""
    with PeakMemory(partial(tree, daemon.pid), proportional_mb, PSS_SAMPLE_S) as memory:
        daemon.wait_for_result(name)
    return memory.peak_mb


def own_mb(pid: int | None) -> float:
    """What the child shares with nobody, so that no other program on the machine changes it."""
    return float(psutil.Process(pid).memory_full_info().uss / 1e6)


def test_it_stays_within_its_limits_from_start_to_rest(
    daemon: DaemonProcess, library: str, long_clip: Clip
) -> None:
    child = daemon.worker_pid()
    idle_mb = proportional_mb(tree(daemon.pid))
    clip_mb = peak_mb(daemon, daemon.put(SAMPLES / CLIP))
    taken_mb = own_mb(child)
    time.sleep(REST_S)
    kept_mb = own_mb(child)
    long_mb = peak_mb(daemon, daemon.put(long_clip.path, "long.wav"))
    swollen_mb = own_mb(child)
    time.sleep(REST_S)
    rest_mb, left_mb = proportional_mb(tree(daemon.pid)), own_mb(child)
    (daemon.shared / f"{SPEAKERS}.settings.yaml").write_text("diarize: true\nlanguage: en\n")
    speakers_mb = peak_mb(daemon, daemon.put(SAMPLES / SPEAKERS))
    print(
        f"{library}: idle {idle_mb:.0f} MB, clip {clip_mb:.0f} MB, "
        f"long {long_mb:.0f} MB, at rest {rest_mb:.0f} MB, with speakers {speakers_mb:.0f} MB"
    )
    result = daemon.result(SPEAKERS)
    assert result is not None
    assert result["metadata"]["diarization"] == "campplus", "the last figure means nothing"
    assert idle_mb < IDLE_MB
    assert clip_mb < CLIP_MB
    assert long_mb < LONG_MB
    assert rest_mb < REST_MB
    assert speakers_mb < SPEAKERS_MB
    assert daemon.worker_pid() == child, "it was replaced"
    # The next clip would take a quarter longer if it had to ask the kernel for all of it anew.
    assert kept_mb > 0.95 * taken_mb, "what a short recording took was not kept"
    assert swollen_mb > left_mb + 100, "nothing was given back, or this is too short to tell"


def test_the_library_is_the_one_that_ctranslate2_says_it_uses(weights: None, library: str) -> None:
    model = MODELS / "faster-whisper-base"
    code = f"import ctranslate2; ctranslate2.models.Whisper({str(model)!r}, compute_type='int8')"
    environment = {**os.environ, "CT2_VERBOSE": "1", **libraries()[library]}
    said = subprocess.run(
        [sys.executable, "-c", code],
        env=environment, capture_output=True, text=True, timeout=60, check=True,
    ).stderr  # fmt: skip
    backend = re.search(r"GEMM_S8 backend: (\w+)", said)
    assert backend, f"CTranslate2 does not say what it uses: {said!r}"
    names = {"MKL": "MKL", "DNNL": "oneDNN", "Ruy": "OpenBLAS and Ruy"}
    assert names[backend[1]] == library == processor(environ=environment).library
