"""What holds for every test: it leaves no thread and no process behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

from tests.warm_start import warm_pid

pytest_plugins = ("tests.page.browsing",)

# No deadline: these machines are shared. In CI the same cases each time, so that what is red there
# is red here; everywhere else new ones, which is where they find something.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")

# Who starts the tests in the background of a shell has it ignored, and so would every child.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What the program says is tested in English, whatever language this machine speaks.
os.environ["LC_ALL"] = "C.UTF-8"

#: What a test started and ended may need this long to be gone, in seconds.
GONE_WITHIN_S = 30.0
#: Threads of the loop that drives the browser, which serves all tests of the page.
_OF_THE_SESSION = "asyncio_"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What tests log holds names that are not UTF-8; between processes only UTF-8 travels."""
    report = yield
    report.sections = [(title, _printable(text)) for title, text in report.sections]
    return report


def _printable(text: str) -> str:
    return text.encode("utf-8", errors="backslashreplace").decode()


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """Fail a test that leaves threads or child processes; those of wider fixtures were there."""
    threads, children = set(threading.enumerate()), _children()
    yield
    deadline = time.monotonic() + GONE_WITHIN_S
    while True:
        leaked_threads = [
            t
            for t in threading.enumerate()
            if t not in threads and t.is_alive() and not t.name.startswith(_OF_THE_SESSION)
        ]
        leaked_children = {pid: what for pid, what in _children().items() if pid not in children}
        if not leaked_threads and not leaked_children:
            return
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    for pid in leaked_children:
        _kill(pid)
    pytest.fail(f"the test left threads {leaked_threads} and processes {leaked_children} behind")


def _children() -> dict[int, str]:
    found = {}
    # Not theirs in turn: a daemon of a wider fixture may replace its worker at any time.
    warm = warm_pid()
    pids = [pid for pid in _pids_below(os.getpid()) if pid != warm]
    for pid in pids + (_pids_below(warm) if warm else []):
        try:
            child = psutil.Process(pid)
            found[pid] = f"{child.status()} {' '.join(child.cmdline())}"
        except psutil.NoSuchProcess:
            continue  # gone since it was listed
        except psutil.ZombieProcess:
            found[pid] = "not waited for"
    return found


def _pids_below(parent: int) -> list[int]:
    """The children of a process. The kernel's own list is had in a hundredth of the time that
    psutil takes, which looks at all processes, and this is done twice for each of the tests."""
    try:
        lists = [path.read_text() for path in Path(f"/proc/{parent}/task").glob("*/children")]
    except OSError:  # a thread has ended meanwhile
        lists = []
    if lists:
        return [int(pid) for each in lists for pid in each.split()]
    return [child.pid for child in psutil.Process(parent).children()]


def _kill(pid: int) -> None:
    try:
        process = psutil.Process(pid)
        process.kill()
        process.wait(GONE_WITHIN_S)
    except psutil.Error:
        return
