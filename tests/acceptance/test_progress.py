"""What can be seen of a recording of four minutes while it runs, and what it costs in memory."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import LongRun
from tests.daemon_process import DaemonProcess, resident_mb
from tests.speech import Clip, word_error_rate

pytestmark = pytest.mark.acceptance

#: Resident; the page, the search with its stemmers and the uploads take 5 to 10 MB of it.
#: What everything takes together is held in test_memory.
DAEMON_MB = 92


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
