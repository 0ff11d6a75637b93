"""Who has a file open for writing: real processes, real leases."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.watching.open_writers import has_writer, ignore_lease_signals, leases_tell

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")

HOLD = """
import mmap, os, sys
path, how = sys.argv[1:]
if how == "append": handle = open(path, "ab")
if how == "read": handle = open(path, "rb")
if how == "read-write": handle = os.open(path, os.O_RDWR)
if how == "mapped":
    with open(path, "r+b") as opened:
        handle = mmap.mmap(opened.fileno(), 0)
print("holding", flush=True)
sys.stdin.read()
"""

CHURN = """
import sys
for _ in range(3000):
    open(sys.argv[1], "ab").close()
"""


@pytest.fixture(autouse=True)
def _lease_signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGIO)
    ignore_lease_signals()
    yield
    signal.signal(signal.SIGIO, before)


@pytest.fixture(params=["disk", "memory"])
def recording(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path if request.param == "disk" else Path("/dev/shm")
    if not leases_tell(folder):
        pytest.skip(f"leases say nothing about writers on the file system of {folder}")
    path = folder / f"transcriber-test-{os.getpid()}.wav"
    path.write_bytes(b"x" * 4096)
    yield path
    path.unlink()


def _while_held(path: Path, how: str) -> bool | None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b"holding\n", "the holding process did not start"
        answer = has_writer(path)
        child.stdin.close()
        child.wait(timeout=30)
    return answer


@pytest.mark.parametrize("how", ["append", "read-write", "mapped"])
def test_an_open_writer_is_seen_until_it_ends(recording: Path, how: str) -> None:
    assert has_writer(recording) is False
    assert _while_held(recording, how) is True
    assert has_writer(recording) is False


def test_a_reader_is_no_writer(recording: Path) -> None:
    assert _while_held(recording, "read") is False


def test_a_lease_broken_by_a_writer_does_not_kill_us(recording: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", CHURN, str(recording)]) as child:
        asked = 0
        while child.poll() is None:
            assert has_writer(recording) is not None
            asked += 1
        assert child.returncode == 0, "the writer was disturbed by our questions"
    assert asked > 100


def test_it_may_be_asked_from_any_thread(recording: Path) -> None:
    answers: list[bool | None] = []
    thread = threading.Thread(target=lambda: answers.append(has_writer(recording)))
    thread.start()
    thread.join(10)
    assert answers == [False]


def test_it_is_blind_while_the_signal_could_kill(recording: Path) -> None:
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    assert has_writer(recording) is None
    assert not leases_tell(recording.parent)


def test_links_and_missing_files_are_unknown(tmp_path: Path) -> None:
    (tmp_path / "link.wav").symlink_to(tmp_path / "target.wav")
    assert has_writer(tmp_path / "link.wav") is None
    assert has_writer(tmp_path / "missing.wav") is None


def test_leases_tell_nothing_on_file_systems_that_refuse_them_for_other_reasons() -> None:
    assert not leases_tell(Path("/proc"))
