"""A WebSocket on a connection that the HTTP server has handed over: one thread reads and writes.

``websockets`` has the protocol; here are the socket, the deadlines and the bounds.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import time
from collections.abc import Callable
from typing import Protocol

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from modules.api.server.refusals import Upgraded

#: No message is larger: 2.7 s of sound at 48 kHz.
MESSAGE_BYTES = 256 * 1024
#: While more waits to be sent, nothing is taken from the session.
_UNSENT_BYTES = 16 * 1024
#: A client that lets so much wait does not read; beside what a session says, this may be answers to
#: its own messages and pings.
_UNREAD_BYTES = 1024 * 1024
#: What the system keeps for a client that does not read.
_SEND_BUFFER_BYTES = 64 * 1024
_PIECE_BYTES = 64 * 1024
_TICK_S = 0.5
_PING_S, _SILENT_S = 15.0, 45.0
#: So long the other side may take to answer a close, or to read what is left.
_CLOSING_S = 3.0

# What clients do wrong is told to them; the library would log it.
quiet = logging.getLogger("websockets.server")
quiet.setLevel(logging.CRITICAL)


class Client(Protocol):
    """What the thread calls."""

    def on_text(self, text: str) -> None: ...
    def on_sound(self, data: bytes) -> None: ...

    def on_room(self) -> None:
        """Something may be sent; also called every half second."""


class WebSocket:
    """``run`` is the thread's; ``wake`` and ``ask_to_close`` are for any."""

    def __init__(self, upgraded: Upgraded, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._socket = upgraded.socket
        self._monotonic = monotonic
        self._protocol = ServerProtocol(state=State.OPEN, max_size=MESSAGE_BYTES, logger=quiet)
        self._waking, self._woken = socket.socketpair()
        for each in (self._socket, self._waking, self._woken):
            each.setblocking(False)
        self._unsent = bytearray()
        self._message: list[bytes] = []
        self._is_text = False
        self._heard_at = self._pinged_at = monotonic()
        self._close_by: float | None = None
        self._asked_to_close: tuple[int, str] | None = None
        self._shut = False

    # --- any thread ---

    def wake(self) -> None:
        with contextlib.suppress(OSError):  # it is awake already, or over
            self._waking.send(b"x")

    def ask_to_close(self, code: int, reason: str) -> None:
        self._asked_to_close = (code, reason)
        self.wake()

    # --- its thread ---

    @property
    def has_room(self) -> bool:
        """Whether more may be sent now."""
        return len(self._unsent) < _UNSENT_BYTES and self._close_by is None

    def send(self, text: bytes) -> None:
        if self._close_by is None and self._protocol.state is State.OPEN:
            self._protocol.send_text(text)
            self._collect()

    def close(self, code: int, reason: str = "") -> None:
        """Send a close; nothing is read any more but the answer."""
        if self._close_by is None:
            self._close_by = self._monotonic() + _CLOSING_S
            if self._protocol.state is State.OPEN:
                self._protocol.fail(code, reason)

    def run(self, client: Client, response: bytes, early: bytes) -> None:
        """Serve until it is closed. ``response``: what accepts it; ``early``: what came already."""
        self._unsent += response
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if early:
                self._receive(early, client)
            while not self._is_over():
                self._step(client)
        except OSError:
            pass  # the other side is gone
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close it without a word."""
        for each in (self._socket, self._waking, self._woken):
            each.close()

    def _step(self, client: Client) -> None:
        if self._asked_to_close:
            self.close(*self._asked_to_close)
        elif self._close_by is None:
            client.on_room()
        self._keep_alive()
        self._collect()
        self._flush()
        poll = select.poll()
        writing = select.POLLOUT if self._unsent else 0
        poll.register(self._socket, select.POLLIN | writing)
        poll.register(self._woken, select.POLLIN)
        for descriptor, _ in poll.poll(_TICK_S * 1000):
            if descriptor == self._woken.fileno():
                with contextlib.suppress(BlockingIOError):
                    self._woken.recv(4096)
            else:
                self._read(client)

    def _is_over(self) -> bool:
        if self._close_by is not None and self._monotonic() > self._close_by:
            return True
        return self._protocol.state is State.CLOSED and not self._unsent

    def _keep_alive(self) -> None:
        now = self._monotonic()
        if now - self._heard_at > _SILENT_S:
            raise ConnectionAbortedError  # half-open: nobody is there
        if now - self._pinged_at > _PING_S and self._protocol.state is State.OPEN:
            self._pinged_at = now
            self._protocol.send_ping(b"")

    def _collect(self) -> None:
        for piece in self._protocol.data_to_send():
            if piece:
                self._unsent += piece
            else:
                self._shut = True

    def _flush(self) -> None:
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                if len(self._unsent) > _UNREAD_BYTES:
                    raise ConnectionAbortedError from None  # it does not read what it asks for
                return
            del self._unsent[:sent]
        if self._shut:
            self._shut = False
            self._close_by = self._close_by or self._monotonic() + _CLOSING_S
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)

    def _read(self, client: Client) -> None:
        try:
            data = self._socket.recv(_PIECE_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._protocol.receive_eof()
            self._close_by = self._monotonic()  # the connection is gone, with or without a close
            return
        self._heard_at = self._monotonic()
        self._receive(data, client)

    def _receive(self, data: bytes, client: Client) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take(event, client)
        if self._protocol.state is not State.OPEN and self._close_by is None:
            self._close_by = self._monotonic() + _CLOSING_S

    def _take(self, frame: Frame, client: Client) -> None:
        """Put a message together, and hand it over when it is whole."""
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        if frame.data:  # or pieces without end would take memory without end
            self._message.append(bytes(frame.data))
        if not frame.fin:
            return
        message, self._message = b"".join(self._message), []
        if self._close_by is not None:
            return
        if not self._is_text:
            client.on_sound(message)
            return
        try:
            client.on_text(message.decode())
        except UnicodeDecodeError:
            self.close(CloseCode.INVALID_DATA, "text must be UTF-8")
