"""The process that decodes live sound: how it is confined, and how little it is trusted."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.config.schema import Config
from modules.errors import WorkerError
from modules.executors.listen_protocol import Kind, Piece
from modules.executors.local.live_decoder import DecoderProcess, command
from modules.worker.sandbox import landlock
from tests.builders import a_config
from tests.daemon_process import PROJECT
from tests.integration.test_listening import POSSIBLE, REFUSALS
from tests.integration.test_sandbox import victim
from tests.sandbox_probe import VARIABLE, Targets

DEADLINE_S = 120.0
COMMAND = "modules.executors.local.live_decoder.command"


@contextlib.contextmanager
def running(config: Config) -> Iterator[DecoderProcess]:
    process = DecoderProcess(config, "webm")
    try:
        yield process
    finally:
        process.end()


def pieces_of(process: DecoderProcess) -> list[Piece]:
    """All that it sends, up to DONE. Raises WorkerError."""
    found: list[Piece] = []
    ours, theirs = socket.socketpair()
    deadline = time.monotonic() + DEADLINE_S
    with ours, theirs:
        while not found or found[-1][0] is not Kind.DONE:
            assert time.monotonic() < deadline, f"nothing more came after {found}"
            process.wait(False, ours.fileno(), 0.5)
            found += process.pieces()
    return found


def test_it_is_confined_as_the_whisperx_process_is(tmp_path: Path) -> None:
    """And has no file at all."""
    try:
        landlock.landlock_version()
    except OSError as error:
        pytest.skip(f"this kernel has no Landlock ({error})")
    config = a_config(tmp_path)
    for folder in (config.shared_directory, config.manual_directory):
        folder.mkdir()
    for name in ("talk.wav", "other.wav", "victim.wav"):
        (config.shared_directory / name).write_bytes(b"content of a recording")
        with contextlib.suppress(OSError):
            os.setxattr(config.shared_directory / name, "user.note", b"private")
    share = str(config.shared_directory)
    secrets = ("/etc/passwd", "/etc/hostname", str(PROJECT / "config.yaml"))
    listener = str(tmp_path / "listener")
    with (
        victim() as process,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard,
        pytest.MonkeyPatch.context() as patched,
    ):
        heard.bind(listener)
        targets = Targets(process.pid, share, f"{share}/talk.wav", secrets, listener)
        patched.setenv(VARIABLE, targets.encoded())
        patched.setattr(COMMAND, probing)
        with running(config) as decoder:
            said = json.loads(dict(pieces_of(decoder))[Kind.SAMPLES])
    for group, attempts in said.items():
        done = {name for name, what in attempts.items() if what == "done"}
        if group == "usual":
            assert done == set(attempts)
            continue
        assert done == POSSIBLE.get(group, set()), group
        assert {what for what in attempts.values() if what != "done"} <= REFUSALS, group
    assert sum(map(len, said.values())) > 180


def probing(config: Config, kind: str) -> list[str]:
    """The real command line, of another program."""
    return [
        "tests.live_decoder_probe" if word.endswith("worker.live_decoder") else word
        for word in command(config, kind)
    ]


FLOOD = "import sys\nwhile True: sys.stdout.buffer.write(bytes([7, 0, 16, 0, 0]) + bytes(2**20))"


@pytest.mark.parametrize(
    ("program", "code"),
    [
        (FLOOD, "implausible_output"),
        ("print('hello')", "implausible_output"),
        ("import sys\nsys.stdout.buffer.write(bytes([3, 0, 0, 0, 1, 1]))", "implausible_output"),
        ("import sys\nsys.stdout.buffer.write(bytes([7, 0, 0, 0, 1, 1]))", "implausible_output"),
        (
            "import sys\nsys.stdout.buffer.write(bytes([8, 0, 0, 0, 8]) + bytes([1] * 8))",
            "implausible_output",
        ),
        ("", "live_failed"),
    ],
    ids=["flood", "no piece", "another kind", "half a sample", "read too much", "dead"],
)
def test_what_it_sends_is_counted(tmp_path: Path, program: str, code: str) -> None:
    """By the bytes that it was given, which are none here."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(COMMAND, lambda config, kind: [sys.executable, "-c", program])
        with running(a_config(tmp_path)) as decoder, pytest.raises(WorkerError) as error:
            pieces_of(decoder)
    assert error.value.code == code
