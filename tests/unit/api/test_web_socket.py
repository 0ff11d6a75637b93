"""What a client may send without reading, and in how many pieces."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from websockets.frames import Frame, Opcode

from modules.api.live.web_socket import WebSocket
from modules.api.server.refusals import Upgraded
from tests.builders import until


class Heard:
    """Keeps what came."""

    def __init__(self) -> None:
        self.sound: list[bytes] = []

    def on_text(self, text: str) -> None:
        pass

    def on_sound(self, data: bytes) -> None:
        self.sound.append(data)

    def on_room(self) -> None:
        pass


class Served:
    """A connection with its thread, and the client's end of it."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.theirs = socket.create_connection(listening.getsockname(), 30)
            ours, _ = listening.accept()
        ours.setblocking(False)
        self.heard = Heard()
        self.web_socket = WebSocket(Upgraded(ours, "somebody", b"", lambda: None))
        self.thread = threading.Thread(target=self.web_socket.run, args=(self.heard, b"", b""))
        self.thread.start()

    def send(self, opcode: Opcode, data: bytes, fin: bool = True) -> None:
        self.theirs.sendall(Frame(opcode, data, fin).serialize(mask=True))

    def close(self) -> None:
        self.theirs.close()
        self.thread.join(30)
        assert not self.thread.is_alive()


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.close()


def test_a_client_that_asks_and_never_reads_is_left_before_it_takes_the_memory(
    served: Served,
) -> None:
    ping = Frame(Opcode.PING, b"x" * 125).serialize(mask=True) * 1000
    sent = 0
    served.theirs.settimeout(3)
    with contextlib.suppress(TimeoutError):
        while sent < 100_000_000:
            served.theirs.sendall(ping)
            sent += len(ping)
    assert 1_000_000 < sent < 50_000_000, "nothing is read from it any more"
    assert len(served.web_socket._unsent) < 2_000_000
    served.web_socket.silent_s = 0.1
    served.thread.join(30)
    assert not served.thread.is_alive()


def test_a_message_in_pieces_without_end_takes_no_memory_without_end(served: Served) -> None:
    served.send(Opcode.BINARY, b"ab", fin=False)
    nothing = Frame(Opcode.CONT, b"", False).serialize(mask=True)
    for _ in range(100):
        served.theirs.sendall(nothing * 1000)
    served.send(Opcode.PING, b"all of it was read")
    assert b"all of it was read" in served.theirs.recv(1000)
    assert len(served.web_socket._message) == 2
    served.send(Opcode.CONT, b"cd")
    until(lambda: served.heard.sound, "the message came", 30)
    assert served.heard.sound == [b"abcd"]
