"""A large upload that is cut again and again: whole in the end, with the daemon's memory flat.

In ``make soak`` it is 2 GB, here 64 MiB.
"""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.builders import until
from tests.daemon_process import DaemonProcess
from tests.integration.test_api import Client
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.soak import soak
from tests.tus_client import Tus, name_in

MIB = 2**20
SIZE = soak(64 * MIB, 2000 * MIB)
BLOCK = MIB
CUTS = 5
#: What receiving may take beyond what the daemon had, in MB: it holds what a socket gives at once.
MEMORY_MB = 40


def block(number: int) -> bytes:
    """Of the file's content; each is different, and half of each is zeros."""
    seed = hashlib.sha256(str(number).encode()).digest()
    return bytes(BLOCK // 2) + seed * (BLOCK // 2 // len(seed))


def content_from(offset: int) -> Iterator[bytes]:
    for number in range(offset // BLOCK, SIZE // BLOCK):
        piece = block(number)
        yield piece[offset % BLOCK :] if number == offset // BLOCK else piece


@contextmanager
def peak_mb(daemon: DaemonProcess) -> Iterator[list[float]]:
    """The daemon's largest resident memory while the block runs; it may be killed in between."""
    seen, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            try:
                seen[0] = max(seen[0], psutil.Process(daemon.pid).memory_info().rss / 1e6)
            except psutil.NoSuchProcess:
                continue

    thread = threading.Thread(target=watch, name="peak")
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def send(connection: socket.socket, offset: int, stop: int) -> None:
    for piece in content_from(offset):
        if offset >= stop:
            return
        connection.sendall(piece[: stop - offset])
        offset += len(piece)


def client(daemon: ScriptedDaemon) -> Tus:
    return Tus(Client(daemon).port)


@pytest.mark.timeout(soak(300, 3000))
def test_a_large_upload_is_cut_five_times_and_is_whole(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, {"watch": {"rescan_seconds": 600.0}}) as daemon:
        (daemon.shared / ".transcriber" / "paused").touch()
        daemon.wait_for_log("Watching", SOON_S)
        before_mb = daemon.memory_mb()[0]
        path = client(daemon).create(SIZE, filename="large.wav")
        with peak_mb(daemon) as peak:
            for cut in range(1, CUTS + 1):
                offset = client(daemon).offset(path)
                stop = SIZE * cut // (CUTS + 1) + 12345
                with closing(client(daemon).half_patch(path, offset, SIZE - offset, b"")) as line:
                    send(line, offset, stop)
                    until(
                        lambda stop=stop: client(daemon).offset(path) == stop,  # type: ignore[misc]
                        "all that was sent is there",
                        SOON_S,
                    )
                    if cut % 2:
                        daemon.kill()
                if cut % 2:
                    daemon.start()
                    (daemon.shared / ".transcriber" / "paused").touch()
                assert client(daemon).offset(path) == stop
            offset = client(daemon).offset(path)
            with closing(client(daemon).half_patch(path, offset, SIZE - offset, b"")) as line:
                send(line, offset, SIZE)
                line.settimeout(120)
                assert line.recv(4096).startswith(b"HTTP/1.1 204")
        assert name_in(client(daemon).ask("HEAD", path)) == "large.wav"
        expected, found = hashlib.sha256(), hashlib.sha256()
        for piece in content_from(0):
            expected.update(piece)
        with (daemon.shared / "large.wav").open("rb") as file:
            while piece := file.read(BLOCK):
                found.update(piece)
        assert found.digest() == expected.digest()
        print(f"{SIZE // MIB} MiB: {before_mb:.0f} MB before, {peak[0]:.0f} MB at most")
        assert peak[0] < before_mb + MEMORY_MB
