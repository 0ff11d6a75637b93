"""A client of ``/live``, with the ``websockets`` library as it is."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect

from tests.daemon_process import DaemonProcess

RATE = 16_000
SAMPLE_BYTES = 2
#: On a machine three times slower than a quiet one.
SOON_S = 30.0


def port_of(daemon: DaemonProcess) -> int:
    return int(daemon.wait_for_log(r"Listening on http://[^:]+:(\d+)", SOON_S).group(1))


def sound(seconds: float, seed: int = 1, rate: int = RATE) -> bytes:
    """Samples that differ from each other, and from those of another seed."""
    count = int(seconds * rate)
    return b"".join(
        ((n * 7919 + seed * 104_729) % 65_536).to_bytes(SAMPLE_BYTES, "little")
        for n in range(count)
    )


class Live:
    """One connection. Whatever is waited for comes within ``SOON_S``, or an AssertionError does."""

    def __init__(self, daemon: DaemonProcess, query: str = "", **headers: str) -> None:
        address = f"ws://127.0.0.1:{port_of(daemon)}/live{query}"
        self.socket = connect(
            address,
            additional_headers=headers,
            proxy=None,
            open_timeout=SOON_S,
            max_queue=10_000,
            legacy=True,
        )
        self.messages: list[dict[str, Any]] = []

    def __enter__(self) -> Live:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def say(self, kind: str, **content: Any) -> None:
        self.socket.send(json.dumps({"type": kind, **content}))

    def begin(self, **content: Any) -> dict[str, Any]:
        """Its answer: ready, or an error."""
        self.say("start", **content)
        return self.wait_for("ready", "error", "stored")

    def send(self, data: bytes, piece_bytes: int = 6400) -> None:
        for start in range(0, len(data), piece_bytes):
            self.socket.send(data[start : start + piece_bytes])

    def wait_for(self, *kinds: str) -> dict[str, Any]:
        """The next message of one of these kinds; those before are in ``messages`` too."""
        while True:
            message = self._next()
            assert message is not None, f"closed before {kinds}: {self.messages[-3:]}"
            if message["type"] in kinds:
                return message

    def wait_for_seq(self, seq: int) -> None:
        while max((m.get("seq", 0) for m in self.messages), default=0) < seq:
            assert self._next() is not None, f"closed before {seq}"

    def until_closed(self) -> int:
        """The code that the other side closed with."""
        while self._next() is not None:
            pass
        code = self.socket.close_code
        assert code is not None
        return code

    def drop(self) -> None:
        """Without a close, as a network that fails."""
        self.socket.socket.shutdown(2)
        self.socket.close()

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    def _next(self) -> dict[str, Any] | None:
        try:
            message: dict[str, Any] = json.loads(self.socket.recv(timeout=SOON_S))
        except ConnectionClosed:
            return None
        self.messages.append(message)
        return message


class Slow:
    """A client that reads nothing after the handshake, written without the library's reader."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.settimeout(SOON_S)
        self._socket.connect(("127.0.0.1", port_of(daemon)))
        self._socket.sendall(
            b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += self._socket.recv(1)
        assert answer.startswith(b"HTTP/1.1 101 ")

    def __enter__(self) -> Slow:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def begin(self, **content: Any) -> None:
        self._send(Opcode.TEXT, json.dumps({"type": "start", **content}).encode())
        self._socket.recv(1)  # it has begun

    def send_until(self, closed: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 2 * SOON_S
        while not closed():
            assert time.monotonic() < deadline, "it was never closed"
            with contextlib.suppress(ConnectionError):
                for _ in range(8):
                    self._send(Opcode.BINARY, bytes(100_000))
            time.sleep(0.1)

    def _send(self, opcode: Opcode, data: bytes) -> None:
        self._socket.sendall(Frame(opcode, data).serialize(mask=True))
