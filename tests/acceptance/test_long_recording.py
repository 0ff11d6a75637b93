"""A recording of three minutes: what is seen while it runs, and what a run costs that is cut short.

Whatever ends one in the middle, work that was done is not done again and the text is whole.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import LongRun
from tests.acceptance.recordings import SAMPLES
from tests.daemon_process import DaemonProcess, resident_mb, text_of
from tests.speech import Clip, word_error_rate

pytestmark = pytest.mark.acceptance

#: Resident; the page, the search with its stemmers and the uploads take 5 to 10 MB of it.
#: What everything takes together is held in test_memory.
DAEMON_MB = 92
GOING_ON = r"{}: going on from the checkpoint at (\d+\.\d) s"


def test_the_percentage_moves_and_the_state_is_always_whole(undisturbed: LongRun) -> None:
    # Every look parsed the JSON; half a file would have failed the fixture.
    assert undisturbed.looks > 100
    assert "processing_audio" in undisturbed.stages
    assert undisturbed.percentages == sorted(undisturbed.percentages)
    assert len(undisturbed.percentages) >= 4, undisturbed.percentages
    assert all(0 <= percentage <= 100 for percentage in undisturbed.percentages)


def test_three_minutes_are_heard_to_their_end(undisturbed: LongRun, long_clip: Clip) -> None:
    assert word_error_rate(long_clip.text, undisturbed.text) <= 0.20
    assert undisturbed.result["duration_seconds"] == pytest.approx(long_clip.duration_s, abs=0.1)
    last = undisturbed.result["transcription"]["segments"][-1]
    assert last["end"] > long_clip.duration_s - 10


def test_the_daemon_stays_small_while_it_works(undisturbed: LongRun) -> None:
    print(f"daemon {undisturbed.daemon_mb:.0f} MB")
    assert 0 < undisturbed.daemon_mb < DAEMON_MB


def test_the_daemon_alone_is_small(weights: None, tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        own_mb = resident_mb([psutil.Process(daemon.pid)])
    print(f"daemon {own_mb:.0f} MB")
    assert own_mb < DAEMON_MB


@pytest.fixture
def robust(weights: None, tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon that may be killed; it backs off for a moment only."""
    config = {"processing": {"retry_backoff_seconds": 0.2}}
    with DaemonProcess(tmp_path, config) as daemon:
        yield daemon


def test_a_killed_daemon_goes_on_from_the_checkpoint(
    robust: DaemonProcess, long_clip: Clip, undisturbed: LongRun
) -> None:
    name = robust.put(long_clip.path, "killed-daemon.wav")
    robust.wait_until_half_done(name)
    robust.kill()
    assert robust.result(name) is None
    robust.start()
    result = robust.wait_for_result(name)
    _check_gone_on(robust, name, long_clip)
    assert text_of(result) == undisturbed.text
    assert result["processing_stats"]["total_attempts"] == 1, "the attempt was counted as failed"
    assert " failed: " not in robust.log


def test_a_killed_worker_costs_one_attempt_and_goes_on(
    robust: DaemonProcess, long_clip: Clip, undisturbed: LongRun
) -> None:
    name = robust.put(long_clip.path, "killed-worker.wav")
    robust.wait_until_half_done(name)
    worker = robust.worker_pid()
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    result = robust.wait_for_result(name)
    _check_gone_on(robust, name, long_clip)
    assert text_of(result) == undisturbed.text
    assert len(re.findall(rf"{name}: attempt \d+ failed: ", robust.log)) == 1
    assert result["processing_stats"]["total_attempts"] == 2


def test_an_urgent_recording_goes_before_a_long_scanned_one(
    russian: DaemonProcess, long_clip: Clip, undisturbed: LongRun
) -> None:
    name = russian.put(long_clip.path, "long.wav")
    russian.wait_for(lambda: russian.position_s(name) > 0, "the first chunk of the long one")
    russian.submit(russian.put(SAMPLES / "please-hold-ru.wav", "urgent.wav"))
    urgent = russian.wait_for_result("urgent.wav")
    assert russian.result(name) is None, "the long one was done first"
    assert "операторы заняты" in text_of(urgent)
    result = russian.wait_for_result(name)
    _check_gone_on(russian, name, long_clip)
    assert text_of(result) == undisturbed.text
    assert result["processing_stats"]["total_attempts"] == 1


def _check_gone_on(daemon: DaemonProcess, name: str, clip: Clip) -> None:
    at_s = float(daemon.wait_for_log(GOING_ON.format(re.escape(name)), 1).group(1))
    assert 0 < at_s < clip.duration_s
    assert not daemon.files(f".{name}*"), "the checkpoint was left over"
