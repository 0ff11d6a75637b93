"""A connection that one thread reads and writes, whatever is spoken: its socket, the deadlines and
the bounds."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

#: While more waits to be sent, nothing is taken from the session.
_UNSENT_BYTES = 16 * 1024
#: While more waits, nothing is read either: who asks without reading the answers would otherwise
#: fill the memory with them.
_UNREAD_BYTES = 2**20
#: What the system keeps for a client that does not read.
_SEND_BUFFER_BYTES = 64 * 1024
_PIECE_BYTES = 64 * 1024
_TICK_S = 0.5
#: So long the other side may take to answer a close, or to read what is left.
CLOSING_S = 3.0


class Connection(ABC):
    """``serve`` is the thread's; ``wake`` and ``ask_to_close`` are for any."""

    def __init__(
        self, sock: socket.socket, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises OSError: the socket stays the caller's."""
        self._waking, self._woken = socket.socketpair()
        self._socket = sock
        for each in (self._socket, self._waking, self._woken):
            each.setblocking(False)
        self._monotonic = monotonic
        self._unsent = bytearray()
        self._heard_at = monotonic()
        self._close_by: float | None = None
        self._asked_to_close: tuple[int, str] | None = None
        self._shut = False

    # --- what a protocol adds ---

    @abstractmethod
    def send(self, text: bytes) -> None:
        """Send a message, unless it is being closed."""

    @abstractmethod
    def close(self, code: int, reason: str = "") -> None:
        """Say that it is over; nothing is read any more but the answer to that."""

    @abstractmethod
    def _receive(self, data: bytes) -> None:
        """These bytes came."""

    @abstractmethod
    def _end_of_data(self) -> None:
        """The other side sends no more."""

    #: Who sends nothing for so long is gone.
    silent_s = 45.0

    def _keep_alive(self) -> None:
        """Called every half second, and more often. Raises OSError if nobody is there."""
        if self._monotonic() - self._heard_at > self.silent_s:
            raise ConnectionAbortedError  # half-open: nobody is there

    @property
    @abstractmethod
    def _is_closed(self) -> bool:
        """Whether both sides have said that it is over."""

    # --- any thread ---

    def wake(self) -> None:
        with contextlib.suppress(OSError):  # it is awake already, or over
            self._waking.send(b"x")

    def ask_to_close(self, code: int, reason: str) -> None:
        self._asked_to_close = (code, reason)
        self.wake()

    def discard(self) -> None:
        """Close the sockets of a connection that is not served."""
        for each in (self._socket, self._waking, self._woken):
            each.close()

    # --- its thread ---

    @property
    def has_room(self) -> bool:
        """Whether more may be sent now."""
        return len(self._unsent) < _UNSENT_BYTES and self._close_by is None

    def serve(self, on_room: Callable[[], None], first: bytes = b"", early: bytes = b"") -> None:
        """Until it is closed. ``first``: is sent at once; ``early``: what came already;
        ``on_room``: something may be sent; also called every half second."""
        self._unsent += first
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if early:
                self._receive(early)
            while not self._is_over():
                self._step(on_room)
        except OSError:
            pass  # the other side is gone
        finally:
            self.discard()

    def _step(self, on_room: Callable[[], None]) -> None:
        if self._asked_to_close:
            self.close(*self._asked_to_close)
        elif self._close_by is None:
            on_room()
        self._keep_alive()
        self._flush()
        poll = select.poll()
        reading = select.POLLIN if len(self._unsent) < _UNREAD_BYTES else 0
        writing = select.POLLOUT if self._unsent else 0
        poll.register(self._socket, reading | writing)
        poll.register(self._woken, select.POLLIN)
        for descriptor, happened in poll.poll(_TICK_S * 1000):
            if descriptor == self._woken.fileno():
                with contextlib.suppress(BlockingIOError):
                    self._woken.recv(4096)
            elif reading:
                self._read()
            elif happened & (select.POLLERR | select.POLLHUP):
                raise ConnectionAbortedError

    def _is_over(self) -> bool:
        if self._close_by is not None and self._monotonic() > self._close_by:
            return True
        return self._is_closed and not self._unsent

    def _flush(self) -> None:
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                return
            del self._unsent[:sent]
        if self._shut:
            self._shut = False
            self._close_by = self._close_by or self._monotonic() + CLOSING_S
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)

    def _read(self) -> None:
        try:
            data = self._socket.recv(_PIECE_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._end_of_data()
            self._close_by = self._monotonic()  # the connection is gone, with or without a close
            return
        self._heard_at = self._monotonic()
        self._receive(data)
