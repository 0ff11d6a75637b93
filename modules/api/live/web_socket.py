"""A WebSocket on a connection that the HTTP server has handed over.

``websockets`` has the protocol; the socket, the deadlines and the bounds are in ``connection.py``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from modules.api.live.connection import CLOSING_S, Connection
from modules.api.server.refusals import Upgraded

#: No message is larger: 2.7 s of sound at 48 kHz.
MESSAGE_BYTES = 256 * 1024
_PING_S = 15.0

# What clients do wrong is told to them; the library would log it.
quiet = logging.getLogger("websockets.server")
quiet.setLevel(logging.CRITICAL)


class Client(Protocol):
    """What the thread calls."""

    def on_text(self, text: str) -> None: ...
    def on_sound(self, data: bytes) -> None: ...

    def on_room(self) -> None:
        """Something may be sent; also called every half second."""


class WebSocket(Connection):
    """``run`` is the thread's; ``wake`` and ``ask_to_close`` are for any."""

    _client: Client

    def __init__(self, upgraded: Upgraded, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(upgraded.socket, monotonic)
        self._protocol = ServerProtocol(state=State.OPEN, max_size=MESSAGE_BYTES, logger=quiet)
        self._message = bytearray()
        self._is_text = False
        self._pinged_at = monotonic()

    def send(self, text: bytes) -> None:
        if self._close_by is None and self._protocol.state is State.OPEN:
            self._protocol.send_text(text)
            self._collect()

    def close(self, code: int, reason: str = "") -> None:
        if self._close_by is None:
            self._close_by = self._monotonic() + CLOSING_S
            if self._protocol.state is State.OPEN:
                self._protocol.fail(code, reason)
                self._collect()

    def run(self, client: Client, response: bytes, early: bytes) -> None:
        """Serve until it is closed. ``response``: what accepts it; ``early``: what came already."""
        self._client = client
        self.serve(client.on_room, response, early)

    @property
    def _is_closed(self) -> bool:
        return self._protocol.state is State.CLOSED

    def _keep_alive(self) -> None:
        super()._keep_alive()
        now = self._monotonic()
        if now - self._pinged_at > _PING_S and self._protocol.state is State.OPEN:
            self._pinged_at = now
            self._protocol.send_ping(b"")
        self._collect()

    def _collect(self) -> None:
        for piece in self._protocol.data_to_send():
            if piece:
                self._unsent += piece
            else:
                self._shut = True

    def _end_of_data(self) -> None:
        self._protocol.receive_eof()

    def _receive(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take(event)
        self._collect()
        if self._protocol.state is not State.OPEN and self._close_by is None:
            self._close_by = self._monotonic() + CLOSING_S

    def _take(self, frame: Frame) -> None:
        """Put a message together, and hand it over when it is whole."""
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._message += frame.data  # in one piece: fragments may be many, and empty
        if not frame.fin:
            return
        message, self._message = bytes(self._message), bytearray()
        if self._close_by is not None:
            return
        if not self._is_text:
            self._client.on_sound(message)
            return
        try:
            text = message.decode()
        except UnicodeDecodeError:
            self.close(CloseCode.INVALID_DATA, "text must be UTF-8")
        else:
            self._client.on_text(text)
