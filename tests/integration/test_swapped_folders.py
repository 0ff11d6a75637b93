"""A subfolder that somebody swaps for a link, a thousand times a second: nothing leads outside."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripted_daemon import ScriptedDaemon
from tests.scripted_worker import recording
from tests.soak import soak

SECONDS = soak(usual=12, long=600)
RECORDINGS = 8
NAMES = [f"call{n}.mp3" for n in range(RECORDINGS)]
#: What lies outside: recordings of the same names, with everything that would be made from them.
BESIDE = ("", ".result", ".in_progress", ".settings.yaml", ".error.txt")

SWAPPER = """
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
one, other = (os.fsencode(path) for path in sys.argv[1:3])
count = 0
print("swapping", flush=True)
while os.getppid() == int(sys.argv[3]):
    if libc.renameat2(-100, one, -100, other, 2):  # RENAME_EXCHANGE
        sys.exit(os.strerror(ctypes.get_errno()))
    count += 1
    time.sleep(0.001)
"""


class Witness:
    """Everything that the kernel reports of a folder and its files."""

    OPENED, ACCESSED = 0x20, 0x1
    #: Opened and read, written, changed in their attributes, moved, made, deleted.
    ALL = 0xFFF
    FOLDER = 0x40000000

    def __init__(self, folder: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        watch = self._libc.inotify_add_watch(self._descriptor, os.fsencode(folder), self.ALL)
        assert self._descriptor >= 0 <= watch

    def seen(self) -> list[tuple[int, str]]:
        """What happened to files since the last look: kind and name.

        That a folder is listed is left out: watchdog lists every folder that appears.
        """
        found = []
        while True:
            try:
                raw = os.read(self._descriptor, 2**16)
            except BlockingIOError:
                return found
            while raw:
                _, mask, _, length = struct.unpack_from("iIII", raw)
                name = os.fsdecode(raw[16 : 16 + length].rstrip(b"\0"))
                if not mask & self.FOLDER:
                    found.append((mask, name))
                raw = raw[16 + length :]

    def close(self) -> None:
        os.close(self._descriptor)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    config = {"watch": {"recursive": True}, "api": {"port": 0}}
    with ScriptedDaemon(tmp_path, config) as daemon:
        yield daemon


def test_nothing_outside_is_read_written_or_deleted(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for n, name in enumerate(NAMES):
        for ending in BESIDE:
            content = recording(2, f"secret{n}") if not ending else b"{}"
            (outside / f"{name}{ending}").write_bytes(content)
    before = {path.name: path.read_bytes() for path in outside.iterdir()}
    inside, link = daemon.shared / "calls", daemon.shared / ".swap"
    inside.mkdir()
    link.symlink_to(outside)
    held = os.open(inside, os.O_PATH | os.O_DIRECTORY)
    witness = Witness(outside)
    command = [sys.executable, "-c", SWAPPER, str(inside), str(link), str(os.getpid())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as swapper:
        try:
            assert swapper.stdout
            assert swapper.stdout.readline() == "swapping\n"
            statuses, seen = _use_it(daemon, held, SECONDS, witness)
            assert swapper.poll() is None, "the folders were swapped all the while"
        finally:
            swapper.kill()
            os.close(held)
    assert seen + witness.seen() == []
    witness.close()
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == before
    assert {200, 404} <= statuses <= {200, 202, 404, 409, 410, 503}
    daemon.drop("good.mp3")
    daemon.wait_for_result("good.mp3")


def _use_it(
    daemon: ScriptedDaemon, inside: int, seconds: float, witness: Witness
) -> tuple[set[int], list[tuple[int, str]]]:
    """Keep the daemon busy with the folder; the statuses that it answered, and what was witnessed,
    which is asked for again and again, as the kernel keeps 16,384 events."""
    port = int(daemon.wait_for_log(r"Listening on http://[^:]+:(\d+)").group(1))
    statuses, until, turn = set(), time.monotonic() + seconds, 0
    seen: list[tuple[int, str]] = []
    while time.monotonic() < until:
        name = NAMES[turn % RECORDINGS]
        # By the open folder, wherever it is at this moment.
        with contextlib.suppress(FileExistsError):
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=inside)
            with open(file, "wb") as new:
                new.write(recording(2, f"speech{turn}"))
        if turn % 5 == 0:
            daemon.order(f"calls/{name}")
        statuses.add(_asked(port, "GET", f"/status/calls/{name}", None))
        statuses.add(_asked(port, "GET", f"/result/calls/{name}", None))
        if turn % 3 == 0:
            statuses.add(_asked(port, "DELETE", "/transcribe", {"filename": f"calls/{name}"}))
        seen += witness.seen()
        turn += 1
        time.sleep(0.02)
    return statuses, seen


def _asked(port: int, method: str, path: str, body: dict[str, str] | None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {"Content-Type": "application/json"} if body else {}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        return connection.getresponse().status
    finally:
        connection.close()
