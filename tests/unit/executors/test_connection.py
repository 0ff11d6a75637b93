"""The pipes to a child that does not do its part."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from modules.executors.local import connection
from modules.executors.local.connection import Connection
from modules.executors.local.event_queue import ImplausibleError
from modules.executors.protocol import OversizedError, Stop, parse_event

SOON_S = 30.0


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """To a child that reads nothing and says nothing."""
    monkeypatch.setattr(connection, "_SEND_S", 0.1)
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    ours, its = socket.socketpair()
    pipe = subprocess.PIPE
    with its, subprocess.Popen(command, stdin=its, stdout=pipe, stderr=pipe) as process:
        try:
            made = Connection(process, ours)
            yield made
            made.close_input()
        finally:
            process.kill()
            process.wait()
        assert made.join(SOON_S)


def test_a_child_that_reads_no_commands_does_not_hold_who_sends_them(deaf: Connection) -> None:
    for number in range(5000):
        deaf.send(Stop(task_id=number))
    with pytest.raises(ImplausibleError, match="does not read its commands"):
        deaf.receive(0)


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind":"chunk","order":1,"start_s":0,"position_s":1,"segments":[' + b"0," * 20_001,
        b'{"kind":"alive","more":"' + b"a" * 2**19,
        b'{"kind":"done","task_id":1,"chunks":0,"duration_s":1,"notes":["' + b'","' * 2000 + b'"]}',
    ],
    ids=["items", "bytes", "notes"],
)
def test_a_line_that_is_too_large_is_refused_before_it_is_an_object(line: bytes) -> None:
    with pytest.raises(OversizedError):
        parse_event(line)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"[]", b"{}", b'{"kind":"riddle"}', b'{"kind":"done","kind":"chunk"}', b"\xff",
        b'{"task_id":1,"kind":"stopped"}', b'{"kind":"stopped","task_id":1', b'{"kind":"stopped"}',
    ],
    ids=repr,
)  # fmt: skip
def test_a_line_that_makes_no_sense_is_no_event(line: bytes) -> None:
    assert parse_event(line) is None
