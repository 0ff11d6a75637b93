"""What the child says of live sessions, written to the daemon by one thread."""

from __future__ import annotations

import queue
import socket
import struct
from collections.abc import Callable

from modules.executors.live_protocol import LiveEvent, Reading

#: A daemon that reads no event for so long is given up, in seconds.
_SEND_S = 10
#: The least time between two signs that commands are read, in seconds.
_SIGN_S = 1.0


class LiveEvents:
    """For any thread; only ``write`` waits."""

    def __init__(self, connection: socket.socket, monotonic: Callable[[], float]) -> None:
        # Python's own time-outs need a call that the sandbox refuses.
        time_out = struct.pack("ll", _SEND_S, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, time_out)
        self._socket = connection
        self._monotonic = monotonic
        self._events: queue.SimpleQueue[LiveEvent | None] = queue.SimpleQueue()
        self._signed_at: float | None = None

    def put(self, event: LiveEvent) -> None:
        self._events.put(event)

    def note_read(self, session: int) -> None:
        """Commands about this session are read, or what they bring is heard."""
        now = self._monotonic()
        if self._signed_at is None or now - self._signed_at >= _SIGN_S:
            self._signed_at = now
            self.put(Reading(session=session))

    def end(self) -> None:
        """Have ``write`` return after what was put before."""
        self._events.put(None)

    def write(self) -> None:
        """Until the end, or until the daemon reads no more."""
        while (event := self._events.get()) is not None:
            line = event.model_dump_json(exclude_none=True).encode() + b"\n"
            try:
                self._socket.sendall(line)
            except OSError:
                break
