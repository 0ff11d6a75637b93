"""Who ends with whom: worker, thread, daemon; and numbers that belong to another process now."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modules.clock import SystemClock, iso
from modules.errors import LockHeldError
from modules.executors.local.process import (
    sandbox_options,
    worker_command,
    worker_environment,
)
from modules.recordings.lock import Ownership, note_path
from tests.builders import a_config, until
from tests.daemon_process import PROJECT, text_of
from tests.integration.test_fault_worker import OtherDaemon
from tests.kills import GONE_WITHIN_S, is_alive
from tests.scripted_daemon import SOON_S
from tests.scripted_worker import full_text

#: How long the real worker may take to import its libraries on a busy machine, in seconds.
IMPORT_S = 120.0
#: What of them is seen in its memory: by then it has tied its life to its parent's.
LIBRARY = "libctranslate2"
REAL_WORKER = """
from modules.executors.local import process
executor.worker_command = process.worker_command
"""


def has_its_libraries(pid: int) -> bool:
    return LIBRARY in Path(f"/proc/{pid}/maps").read_text()


def test_a_worker_that_hears_nothing_does_not_outlive_a_killed_daemon(
    tmp_path: Path,
) -> None:
    """The real one, stopped: it cannot see that its input has ended, so the kernel must end it."""
    with OtherDaemon(tmp_path, REAL_WORKER) as daemon:
        worker = daemon.wait_for(daemon.worker_pid, "the worker was started", IMPORT_S)
        daemon.wait_for(lambda: has_its_libraries(worker), "it read its libraries", IMPORT_S)
        os.kill(worker, signal.SIGSTOP)
        os.kill(daemon.pid, signal.SIGKILL)
        try:
            until(lambda: not is_alive(worker), "it outlived the daemon", GONE_WITHIN_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        until(lambda: not daemon.is_alive, "the daemon was not reaped")


@contextlib.contextmanager
def real_worker(root: Path, parent: int) -> Iterator[subprocess.Popen[bytes]]:
    """The real worker, without a model; its input stays open as long as we live."""
    config = a_config(root)
    scratch = root / "scratch"
    scratch.mkdir(mode=0o700)
    command = [*worker_command(config), *sandbox_options(config, scratch, "")]
    ours, its = socket.socketpair()
    with (
        ours,
        subprocess.Popen(
            [*command, "--parent", str(parent)],
            cwd=PROJECT,
            env=worker_environment(scratch),
            stdin=its.fileno(),
            stdout=subprocess.PIPE,
        ) as process,
    ):
        its.close()
        try:
            yield process
        finally:
            process.kill()


def test_the_kernel_ends_a_worker_with_the_thread_that_started_it(tmp_path: Path) -> None:
    """Why it must be a thread that lives as long as the daemon."""
    started: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as stack:

        def start() -> None:
            process = stack.enter_context(real_worker(tmp_path, os.getpid()))
            started.append(process)
            until(lambda: has_its_libraries(process.pid), "it read no libraries", IMPORT_S)

        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
        (process,) = started
        until(lambda: process.poll() is not None, "it outlived its thread", GONE_WITHIN_S)
        assert process.returncode == -signal.SIGKILL


def test_a_worker_whose_parent_is_gone_already_ends_before_it_begins(tmp_path: Path) -> None:
    """Between its start and its asking for the signal the parent may die; nobody else tells it."""
    with real_worker(tmp_path, parent=1) as orphan:
        assert orphan.wait(SOON_S) == 0
        assert orphan.stdout is not None
        assert orphan.stdout.read() == b"", "it found another parent and went on"


TELLS_WHO_STARTS = """
import subprocess, threading
start = subprocess.Popen.__init__
def told(self, *words, **more):
    print("a process was started by the thread", threading.current_thread().name, flush=True)
    start(self, *words, **more)
subprocess.Popen.__init__ = told
"""


def test_every_worker_is_started_by_the_runners_thread(tmp_path: Path) -> None:
    with OtherDaemon(tmp_path, TELLS_WHO_STARTS) as daemon:
        daemon.wait_until_warm()
        daemon.drop("crash.mp3")
        daemon.wait_until_in_manual("crash.mp3", SOON_S)
        content = daemon.drop("talk.mp3")
        assert text_of(daemon.wait_for_result("talk.mp3", SOON_S)) == full_text(content)
        starters = re.findall(r"a process was started by the thread (\S+)", daemon.log)
    assert len(starters) >= 4, "warmed, and again after each crash"
    assert set(starters) == {"runner"}


# --- a number that another process has now -------------------------------------------------------


def note_of(pid: int, root: Path) -> None:
    """What a daemon with this pid left a moment ago, when it was killed."""
    note = {
        "host": socket.gethostname(), "pid": pid, "role": "daemon",
        "since": iso(SystemClock().utc_now()), "heartbeat": iso(SystemClock().utc_now()),
    }  # fmt: skip
    note_path(a_config(root)).write_text(json.dumps(note))


@pytest.fixture
def share(tmp_path: Path) -> Path:
    (tmp_path / "shared" / ".transcriber").mkdir(parents=True)
    return tmp_path


def test_a_note_with_the_pid_of_somebody_else_stops_nobody(share: Path) -> None:
    """The killed daemon's number belongs to a living process now; the lock is free."""
    with subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            note_of(stranger.pid, share)
            with Ownership(a_config(share), SystemClock(), "daemon"):
                assert json.loads(note_path(a_config(share)).read_bytes())["pid"] == os.getpid()
            assert stranger.poll() is None, "a stranger was ended"
        finally:
            stranger.kill()


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


def a_pid_that_nobody_has() -> int:
    with subprocess.Popen(["true"]) as ended:
        return ended.pid


@pytest.mark.parametrize(
    "spoil",
    [
        lambda root: note_of(a_pid_that_nobody_has(), root),
        lambda root: note_path(a_config(root)).unlink(),
    ],
    ids=["dead pid", "no note"],
)
def test_a_held_lock_refuses_whatever_the_note_says(
    share: Path, spoil: Callable[[Path], None]
) -> None:
    command = [sys.executable, "-c", HOLDER, str(share)]
    with subprocess.Popen(
        command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n", "the other process got no lock"
            spoil(share)
            config = a_config(share)
            with pytest.raises(LockHeldError), Ownership(config, SystemClock(), "daemon"):
                pass
            holder.kill()
            holder.wait()
            with Ownership(config, SystemClock(), "daemon"):
                pass  # the kernel let go of it, with no note removed and nothing waited for
        finally:
            holder.kill()
