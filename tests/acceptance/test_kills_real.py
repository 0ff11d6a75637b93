"""SIGKILL, standing still and many jobs in a row, with real WhisperX."""

from __future__ import annotations

import signal
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from random import Random

import psutil
import pytest

from modules.config.schema import ProcessingConfig
from tests.acceptance.recordings import SAMPLES
from tests.daemon_process import WORKER, DaemonProcess, resident_mb, text_of
from tests.footprint import Footprint, quarters
from tests.kills import GONE_WITHIN_S, Killer, Reader, Target, group_of, is_alive
from tests.soak import SOAKING

pytestmark = pytest.mark.acceptance

SHORT = SAMPLES / "please-hold-ru.wav"
#: Two chunks and a bit, so that there is something to go on from.
REPEATED = 5
KILLS = 50
#: No more is counted against a file than it was killed; so many it never is.
ATTEMPTS = 100
#: From the moment when a file is in the worker's hands, in seconds: most of its time there.
KILLED_WITHIN_S = 4.0
JOBS = 200
WARM_UP = 50
DAEMON_GROWTH_MB = 8.0
WORKER_GROWTH_MB = 100.0

#: In ``make test``, test_long_recording.py kills the daemon and the worker once each.
only_in_soak = pytest.mark.skipif(not SOAKING, reason="takes many minutes: make soak")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of half a minute, made of a sample over and over."""
    made = tmp_path_factory.mktemp("clip") / "clip.wav"
    with wave.open(str(SHORT)) as source, wave.open(str(made), "wb") as target:
        target.setparams(source.getparams())
        frames = source.readframes(source.getnframes())
        for _ in range(REPEATED):
            target.writeframes(frames)
    return made


@pytest.fixture
def calm(russian: DaemonProcess, clip: Path) -> str:
    """The text of the clip as it is when nobody disturbs."""
    return text_of(russian.wait_for_result(russian.put(clip, "calm.wav")))


@pytest.fixture
def robust(weights: None, tmp_path: Path) -> Iterator[DaemonProcess]:
    tries = {"retry_backoff_seconds": 0.01, "max_retry_attempts": ATTEMPTS}
    with DaemonProcess(tmp_path, {"processing": tries}) as daemon:
        yield daemon


@only_in_soak
@pytest.mark.timeout(300 + 60 * KILLS)
def test_kills_at_random_lose_double_tear_and_orphan_nothing(
    robust: DaemonProcess, clip: Path, calm: str
) -> None:
    seed = 5
    rng = Random(seed)
    killer = Killer(robust, WORKER, rng)
    names: list[str] = []
    with Reader([robust.shared, robust.manual]) as reader:
        while len(killer.hits) < KILLS:
            if not names or robust.result(names[-1]):
                names.append(robust.put(clip, f"clip {len(names):02}.wav"))
            # The first kill is of the whole group, in the middle of a file.
            first = not killer.hits
            target: Target = "group" if first else rng.choice(["worker", "daemon", "group"])
            killer.strike(target, KILLED_WITHIN_S, busy=first or rng.random() < 0.7)
            if target != "worker":
                robust.start()
        results = {name: robust.wait_for_result(name) for name in names}
    reader.check()
    killer.check_no_orphans()
    assert {text_of(result) for result in results.values()} == {calm}, f"seed {seed}"
    counted = sum(r["processing_stats"]["total_attempts"] - 1 for r in results.values())
    assert counted <= len(killer.hits) == KILLS
    written = {
        f"{name[:-4]}{end}" for name in names for end in (".wav", ".wav.result", ".txt", ".srt")
    }
    assert robust.files() == written
    assert not list(robust.manual.iterdir())
    kinds = {kind: killer.count(kind) for kind in ("worker", "daemon", "group")}
    print(f"{kinds}, {len(names)} files, {counted} attempts counted, {reader.reads} versions read")


@only_in_soak
def test_a_worker_that_stands_still_is_killed_within_a_minute_and_its_file_goes_on(
    weights: None, tmp_path: Path, clip: Path, calm: str
) -> None:
    """With the model and the patience that ship."""
    hang_s = ProcessingConfig().worker_hang_seconds
    assert hang_s <= 60
    with DaemonProcess(tmp_path) as daemon:
        name = daemon.put(clip)
        daemon.wait_for(lambda: daemon.position_s(name) > 0, "the first chunk was done")
        worker = daemon.worker_pid()
        assert worker is not None
        group = group_of(worker)
        psutil.Process(worker).send_signal(signal.SIGSTOP)
        stopped = time.monotonic()  # its last sign of life came before
        daemon.wait_for(
            lambda: not any(is_alive(pid) for pid in group),
            "the worker that stood still was killed, and its group with it",
            hang_s + GONE_WITHIN_S,
        )
        print(f"gone {time.monotonic() - stopped:.2f} s after it was stopped")
        result = daemon.wait_for_result(name)
        assert text_of(result) == calm
        assert result["processing_stats"]["total_attempts"] == 2, "one attempt counts"


@only_in_soak
@pytest.mark.timeout(JOBS * 30)
def test_jobs_in_a_row_leave_nothing_behind(weights: None, tmp_path: Path) -> None:
    daemon_mb: list[float] = []
    worker_mb: list[float] = []
    texts: set[str] = set()
    after_warm_up: Footprint | None = None
    with DaemonProcess(tmp_path) as daemon:
        for number in range(JOBS):
            name = daemon.put(SHORT, f"{number:03}.wav")
            texts.add(text_of(daemon.wait_for_result(name)))
            daemon_mb.append(resident_mb([psutil.Process(daemon.pid)]))
            worker_mb.append(resident_mb(daemon.children()))
            for path in daemon.shared.glob(f"{number:03}*"):
                path.unlink()
            if number + 1 == WARM_UP:
                after_warm_up = Footprint.of(daemon)
        assert len(texts) == 1, f"one sample, several texts: {texts}"
        own, child = quarters(daemon_mb), quarters(worker_mb)
        print(f"daemon {own} MB, worker {child} MB, {after_warm_up}")
        assert own[1] - own[0] <= DAEMON_GROWTH_MB
        assert child[1] - child[0] <= WORKER_GROWTH_MB
        assert after_warm_up is not None
        after_warm_up.wait_until_held_again(daemon)
