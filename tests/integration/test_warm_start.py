"""What is forked from a warm process is a daemon as any other, and its end is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.daemon_process import PROJECT
from tests.scripted_daemon import SOON_S
from tests.warm_start import warm_process

#: What a process can see of itself.
SEEN = """
import json, os, signal, sys
print(json.dumps({
    "arguments": sys.argv,
    "name": __name__,
    "own": sys.modules["__main__"].__dict__ is globals(),
    "folder": os.getcwd(),
    "session": os.getsid(0) == os.getpid(),
    "descriptors": sorted(set(map(int, os.listdir("/proc/self/fd"))) - {3}),
    "input": os.readlink("/proc/self/fd/0"),
    "given": os.environ.get("GIVEN"),
    "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    "mask": os.umask(0o77),
}))
sys.exit(7)
"""


def started_as_users_do(log: Path, environment: dict[str, str]) -> int:
    with log.open("wb") as file:
        return subprocess.run(
            [sys.executable, "-c", SEEN, "one", "two"],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            timeout=SOON_S,
        ).returncode


def test_it_sees_what_one_that_was_started_sees(tmp_path: Path) -> None:
    warm = warm_process()
    if warm is None:
        pytest.skip("Linux alone tells of the end of a process by its descriptor")
    environment = {**os.environ, "GIVEN": "yes"}
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    with ours.open("wb") as log:
        forked = warm.start(SEEN, ["one", "two"], environment, log.fileno())
    assert forked.wait(SOON_S) == started_as_users_do(theirs, environment) == 7
    seen = json.loads(ours.read_text())
    assert seen == json.loads(theirs.read_text())
    assert seen["descriptors"] == [0, 1, 2]
    assert forked.poll() == 7


def test_a_signal_ends_it_and_is_told(tmp_path: Path) -> None:
    warm = warm_process()
    if warm is None:
        pytest.skip("Linux alone tells of the end of a process by its descriptor")
    program = "import time\nprint('begun', flush=True)\ntime.sleep(600)"
    with (tmp_path / "log").open("wb") as log:
        forked = warm.start(program, [], dict(os.environ), log.fileno())
    assert forked.poll() is None
    assert psutil.pid_exists(forked.pid)
    with pytest.raises(subprocess.TimeoutExpired):
        forked.wait(0.01)
    forked.send_signal(signal.SIGKILL)
    assert forked.wait(SOON_S) == -signal.SIGKILL
    assert not psutil.pid_exists(forked.pid)
    forked.kill()  # no error, and nobody else's process


def test_another_locale_or_path_is_no_matter_for_it() -> None:
    warm = warm_process()
    if warm is None:
        pytest.skip("Linux alone tells of the end of a process by its descriptor")
    assert warm.knows({**os.environ, "API_PORT": "1"})
    for changed in ({"LC_ALL": "ru_RU.UTF-8"}, {"TZ": "Asia/Omsk"}, {"PYTHONPATH": "/nowhere"}):
        assert not warm.knows({**os.environ, **changed})
