"""Whatever ends a run in the middle, work that was done is not done again and the text is whole."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import LongRun
from tests.acceptance.recordings import SAMPLES
from tests.daemon_process import DaemonProcess, text_of
from tests.speech import Clip

pytestmark = pytest.mark.acceptance

GOING_ON = r"{}: going on from the checkpoint at (\d+\.\d) s"


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
