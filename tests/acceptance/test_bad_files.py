"""Files that cannot become text: they end in ``manual/``, with a plain explanation."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modules.messages import restored, translated
from tests.acceptance.recordings import SAMPLES, silent_video
from tests.daemon_process import DaemonProcess

pytestmark = pytest.mark.acceptance

RUSSIAN = SAMPLES / "please-hold-ru.wav"
#: "In seconds", on a machine that is busy with other things.
SECONDS = 30


def _random_bytes(path: Path) -> None:
    path.write_bytes(random.Random(7).randbytes(200_000))


def _empty(path: Path) -> None:
    path.touch()


@pytest.mark.parametrize(
    ("name", "make", "code"),
    [
        ("noise.mp3", _random_bytes, "not_media"),
        ("empty.wav", _empty, "empty_file"),
        ("picture.mp4", silent_video, None),
    ],
)
def test_what_holds_no_sound_goes_to_manual_at_once(
    russian: DaemonProcess,
    tmp_path: Path,
    name: str,
    make: Callable[[Path], None],
    code: str | None,
) -> None:
    make(tmp_path / name)
    worker = russian.worker_pid()
    state = russian.wait_until_in_manual(russian.put(tmp_path / name), SECONDS)
    assert state["status"] == "error"
    assert state["moved_to_manual"] is True
    assert [attempt["status"] for attempt in state["attempts"]] == ["failed"]
    assert code is None or state["error"]["code"] == code
    explanation = (russian.manual / f"{name}.error.txt").read_text(encoding="utf-8")
    message = restored(state["error"]["message"], state["error"].get("template"))
    assert translated(message, "ru") in explanation
    assert "верните запись в общую папку" in explanation, "it does not say how to try again"
    assert "Traceback" not in explanation
    assert russian.files(f"*{name}*") == set()
    assert russian.worker_pid() == worker, "a bad file must not cost the loaded model"
    russian.wait_for_result(russian.put(RUSSIAN, "afterwards.wav"))


@pytest.fixture
def impatient(weights: None, tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon that backs off for a moment only."""
    with DaemonProcess(tmp_path, {"processing": {"retry_backoff_seconds": 0.2}}) as daemon:
        yield daemon


def test_a_file_that_crashes_the_worker_each_time_is_given_up_on(
    impatient: DaemonProcess,
) -> None:
    name = impatient.put(RUSSIAN, "crashing.wav")
    for attempt in (1, 2, 3):
        _wait_until_it_runs(impatient, name, attempt)
        worker = impatient.worker_pid()
        assert worker is not None
        os.kill(worker, signal.SIGKILL)
        impatient.wait_for_log(rf"{name}: attempt {attempt} failed", 60)
    state = impatient.wait_until_in_manual(name, 60)
    assert [attempt["status"] for attempt in state["attempts"]] == ["failed"] * 3
    assert [attempt["attempt_number"] for attempt in state["attempts"]] == [1, 2, 3]
    explanation = (impatient.manual / f"{name}.error.txt").read_text(encoding="utf-8")
    assert all(f"попытка {number}: " in explanation for number in (1, 2, 3))
    _check_fresh_start(impatient, name)


def _wait_until_it_runs(daemon: DaemonProcess, name: str, attempt: int) -> None:
    """Not sooner: a worker that dies while it loads its model is not the recording's fault."""

    def runs() -> bool | None:
        state = daemon.in_progress(name) or {}
        stage = state.get("progress_info", {}).get("stage")
        return (stage == "processing_audio" and state["current_attempt"] == attempt) or None

    daemon.wait_for(runs, f"attempt {attempt} at {name} began")


def _check_fresh_start(daemon: DaemonProcess, name: str) -> None:
    """All its files are dragged back at once, and it starts as if nothing had been."""
    for path in list(daemon.manual.iterdir()):
        path.rename(daemon.shared / path.name)

    def fresh() -> bool | None:
        state = daemon.in_progress(name) or {}
        return (state.get("status") == "processing" and state["current_attempt"] == 1) or None

    daemon.wait_for(fresh, f"{name} started afresh", SECONDS)
    assert not (daemon.shared / f"{name}.error.txt").exists()
