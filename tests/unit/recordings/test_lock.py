"""One transcriber at a time: a real lock, real other processes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from modules.clock import iso
from modules.config.schema import Config
from modules.errors import LockHeldError, StorageError
from modules.recordings import lock
from modules.recordings.lock import (
    Ownership,
    foreign_whisperx,
    holder,
    lock_path,
    note_path,
    read_note,
)
from tests.builders import a_config, until
from tests.fakes import FakeClock

PROJECT = Path(__file__).resolve().parents[3]
HOLDER = """
import sys
from pathlib import Path
from modules.clock import SystemClock
from modules.recordings.lock import Ownership
from tests.builders import a_config
with Ownership(a_config(Path(sys.argv[1])), SystemClock(), "daemon"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "shared" / ".transcriber").mkdir(parents=True)
    return a_config(tmp_path)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@contextlib.contextmanager
def another_process(root: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n", "the other process got no lock"
            yield process
        finally:
            process.kill()


def test_who_holds_it_is_said(config: Config, clock: FakeClock, tmp_path: Path) -> None:
    assert holder(config) is None
    with another_process(tmp_path) as other:
        with (
            pytest.raises(LockHeldError, match=f"PID {other.pid}") as caught,
            Ownership(config, clock, "daemon"),
        ):
            pass
        assert caught.value.code == "lock_held"
        assert str(other.pid) in (holder(config) or "")
        other.kill()
        other.wait()
        with Ownership(config, clock, "daemon"):
            assert (read_note(config) or {})["pid"] == os.getpid()


def test_it_is_free_again_after_the_owner(config: Config, clock: FakeClock) -> None:
    with Ownership(config, clock, "daemon"):
        assert note_path(config).exists()
    assert not note_path(config).exists()
    assert holder(config) is None
    with Ownership(config, clock, "transcribe"):
        assert (read_note(config) or {})["role"] == "transcribe"


def test_the_note_says_who_and_since_when(config: Config, clock: FakeClock) -> None:
    with Ownership(config, clock, "daemon") as held:
        clock.advance(10)
        held.beat()
        assert read_note(config) == {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "role": "daemon",
            "since": "2024-01-01T00:00:00.000Z",
            "heartbeat": "2024-01-01T00:00:10.000Z",
        }


@pytest.mark.parametrize(
    ("age_s", "refused"), [(0, True), (59, True), (61, False), (-61, False), (86400, False)]
)
def test_a_fresh_note_from_another_host_refuses_the_start(
    config: Config, clock: FakeClock, age_s: float, refused: bool
) -> None:
    beat = iso(clock.utc_now() - timedelta(seconds=age_s))
    note = {"host": "elsewhere", "pid": 7, "role": "daemon", "heartbeat": beat}
    note_path(config).write_text(json.dumps(note))
    if refused:
        with (
            pytest.raises(LockHeldError, match="PID 7 on host elsewhere"),
            Ownership(config, clock, "daemon"),
        ):
            pass
    else:
        with Ownership(config, clock, "daemon"):
            pass


@pytest.mark.parametrize(
    ("silent_s", "age_s", "ends"),
    [(75, 5, True), (8 * 3600, 0, True), (75, 70, False), (20, 5, False)],
)
def test_an_owner_that_stood_still_makes_way_for_the_one_that_came_meanwhile(
    config: Config, clock: FakeClock, silent_s: float, age_s: float, ends: bool
) -> None:
    with contextlib.ExitStack() as stack:
        held = stack.enter_context(Ownership(config, clock, "daemon"))
        clock.advance(silent_s)
        beat = iso(clock.utc_now() - timedelta(seconds=age_s))
        note = {"host": "elsewhere", "pid": 7, "role": "daemon", "heartbeat": beat}
        note_path(config).write_text(json.dumps(note))
        if ends:
            for _ in range(2):
                with pytest.raises(LockHeldError, match="PID 7 on host elsewhere took this folder"):
                    held.beat()
        else:
            held.beat()
    left = (read_note(config) or {}).get("pid")
    assert left == (7 if ends else None), "the note of the other owner stays"


def test_an_owner_that_stood_still_alone_goes_on(config: Config, clock: FakeClock) -> None:
    with Ownership(config, clock, "daemon") as held:
        clock.advance(8 * 3600)
        held.beat()
        assert (read_note(config) or {})["pid"] == os.getpid()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"host": "x", "heartbeat": 5}'])
def test_a_note_that_makes_no_sense_stops_nobody(
    config: Config, clock: FakeClock, content: bytes
) -> None:
    note_path(config).write_bytes(content)
    with Ownership(config, clock, "daemon"):
        pass


def test_the_lock_can_be_moved(tmp_path: Path, clock: FakeClock) -> None:
    elsewhere = tmp_path / "run" / "lock"
    config = a_config(tmp_path, processing={"lock_file": str(elsewhere)})
    config.shared_directory.mkdir()
    with Ownership(config, clock, "daemon"):
        assert lock_path(config) == elsewhere
        assert elsewhere.exists()


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "file").write_bytes(b"")
    config = a_config(tmp_path, processing={"lock_file": str(tmp_path / "file" / "lock")})
    config.shared_directory.mkdir()
    with pytest.raises(StorageError, match="cannot be used"), Ownership(config, clock, "daemon"):
        pass


@contextlib.contextmanager
def running(*words: str, executable: str = "/bin/sleep") -> Iterator[int]:
    """A process with these words as its command line."""
    with subprocess.Popen(list(words), executable=executable, stdin=subprocess.DEVNULL) as process:
        try:
            until(
                lambda: psutil.Process(process.pid).cmdline()[: len(words)] == list(words),
                "the process did not start",
            )
            yield process.pid
        finally:
            process.kill()


#: What a process is called here in place of ``whisperx``: while one bears that name, no daemon on
#: this machine can start, those of other tests included.
ALIAS = "whisperx-of-a-test"


def see_only(patched: pytest.MonkeyPatch, pid: int) -> None:
    """Of all processes this one alone, under the name that it stands for."""
    real = psutil.process_iter

    def renamed(attrs: list[str]) -> Iterator[psutil.Process]:
        for process in real(attrs):
            if process.pid == pid:
                info = process.info
                info["cmdline"] = [word.replace(ALIAS, "whisperx") for word in info["cmdline"]]
                info["exe"] = info["exe"].replace(ALIAS, "whisperx")
                yield process

    patched.setattr(psutil, "process_iter", renamed)


def test_a_foreign_whisperx_refuses_the_start(
    config: Config, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = shutil.copy("/bin/sleep", tmp_path / ALIAS)
    with running(f"/usr/local/bin/{ALIAS}", "600", executable=program) as pid:
        assert pid not in foreign_whisperx(), "daemons of other tests would not start"
        see_only(monkeypatch, pid)
        assert foreign_whisperx() == [pid]
        with (
            pytest.raises(LockHeldError, match=rf"WhisperX is already running \(PID {pid}\)"),
            Ownership(config, clock, "daemon"),
        ):
            pass
    assert foreign_whisperx() == []


def test_a_program_that_only_bears_the_name_refuses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with running("/usr/local/bin/whisperx", "600") as pid:
        see_only(monkeypatch, pid)
        assert foreign_whisperx() == []


@pytest.mark.parametrize(
    ("uid", "exe", "counts"),
    [
        (os.getuid(), "/usr/bin/python3.11", True),
        (os.getuid(), "/usr/bin/sleep", False),
        (0, None, True),
        (os.getuid() + 1, "/usr/bin/python3.11", False),
        (os.getuid() + 1, None, False),
    ],
)
def test_only_our_own_processes_and_those_of_root_count(
    uid: int, exe: str | None, counts: bool
) -> None:
    assert lock._counts(SimpleNamespace(real=uid), exe) is counts


def test_nobody_else_may_hold_the_lock(config: Config, clock: FakeClock) -> None:
    lock_path(config).touch(0o644)
    with Ownership(config, clock, "daemon"):
        assert stat.S_IMODE(lock_path(config).stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["link", "FIFO", "folder"])
def test_what_is_no_file_is_no_lock(config: Config, clock: FakeClock, kind: str) -> None:
    path = lock_path(config)
    if kind == "link":
        path.symlink_to(config.shared_directory / "elsewhere")
    elif kind == "FIFO":
        os.mkfifo(path)
    else:
        path.mkdir()
    with Ownership(config, clock, "daemon"):
        assert stat.S_ISREG(path.lstat().st_mode)
    assert not (config.shared_directory / "elsewhere").exists()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["whisperx", "a.mp3"], True),
        (["/venv/bin/python3", "/venv/bin/whisperx", "a.mp3"], True),
        (["python", "-m", "whisperx", "a.mp3"], True),
        (["python3.11", "-u", "-m", "whisperx"], True),
        (["vim", "whisperx"], False),
        (["grep", "-r", "whisperx"], False),
        (["tail", "-f", "/var/log/whisperx"], False),
        (["python", "-m", "modules.worker.main"], False),
        (["python", "-m", "pip", "install", "whisperx"], False),
        (["python", "-m"], False),
        (["python"], False),
        ([], False),
    ],
)
def test_which_command_lines_run_whisperx(words: list[str], found: bool) -> None:
    assert lock._is_whisperx(words) is found
