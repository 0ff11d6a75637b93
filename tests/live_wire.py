"""A client of ``/live`` in one thread: it reads when it likes, and may break off within a frame."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import time
from types import TracebackType
from typing import Any

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from tests.live_client import SOON_S

_PIECE_BYTES = 64 * 1024


class RefusedError(Exception):
    """The answer was no upgrade."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(f"{status}: {body!r}")
        self.status, self.headers, self.body = status, headers, body


class Wire:
    """One connection. ``messages``: all that were read."""

    def __init__(self, port: int, query: str = "", read_bytes: int | None = None) -> None:
        self.messages: list[dict[str, Any]] = []
        self.is_over = False
        self._socket = socket.socket()
        if read_bytes:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, read_bytes)
        self._socket.settimeout(SOON_S)
        self._socket.connect(("127.0.0.1", port))
        self._protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}/live{query}"))
        self._protocol.send_request(self._protocol.connect())
        self._push()
        deadline = time.monotonic() + SOON_S
        while self._protocol.state is State.CONNECTING and not self.is_over:
            assert time.monotonic() < deadline, "no answer to the handshake"
            self.read(1.0)
        error = self._protocol.handshake_exc
        if error is not None:
            self.close()
            if isinstance(error, InvalidStatus):
                answer = error.response
                raise RefusedError(answer.status_code, dict(answer.headers), answer.body) from error
            raise ConnectionError(repr(error))

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def close_code(self) -> int | None:
        return self._protocol.close_code

    # --- what it sends; raises OSError where the other side is gone ---

    def say(self, kind: str, **content: Any) -> None:
        self._check_open()
        self._protocol.send_text(json.dumps({"type": kind, **content}).encode())
        self._push()

    def send(self, data: bytes) -> None:
        self._check_open()
        self._protocol.send_binary(data)
        self._push()

    def _check_open(self) -> None:
        if self._protocol.state is not State.OPEN:
            raise ConnectionError("it is closed")

    def send_torn(self, data: bytes, share: float) -> None:
        """Only the beginning of a frame."""
        whole = Frame(Opcode.BINARY, data).serialize(mask=True)
        self._socket.sendall(whole[: max(1, int(share * len(whole)))])

    def _push(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._socket.sendall(data)
            else:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_WR)

    # --- what it reads ---

    def read(self, seconds: float = 0.0) -> bool:
        """What is there, or comes in time; False if nothing did."""
        if self.is_over or not select.select([self._socket], [], [], seconds)[0]:
            return False
        try:
            data = self._socket.recv(_PIECE_BYTES)
        except OSError:
            data = b""
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
            self.is_over = True
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self.messages.append(json.loads(bytes(event.data)))
        with contextlib.suppress(OSError):
            self._push()
        return True

    def wait_for(self, *kinds: str) -> dict[str, Any] | None:
        """The next message of one of these kinds; None if it is closed before one comes."""
        seen, deadline = len(self.messages), time.monotonic() + 2 * SOON_S
        while True:
            for message in self.messages[seen:]:
                if message["type"] in kinds:
                    return message
            seen = len(self.messages)
            if self.is_over:
                return None
            assert time.monotonic() < deadline, f"no {kinds}, but {self.messages[-3:]}"
            self.read(0.5)

    # --- how it ends ---

    def cut(self) -> None:
        """As a network that fails: what is on its way is lost on both sides."""
        with contextlib.suppress(OSError):
            linger = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close()

    def close(self) -> None:
        self.is_over = True
        self._socket.close()
