"""The daemon's end of the line to one worker: a question at a time, and an answer to wait for."""

from __future__ import annotations

import contextlib
import select
import socket
import time

from modules.executors.ray import frames


class LinkClosedError(Exception):
    """The process in which Ray runs is gone, or has closed this line."""


#: So long a message that has begun may stand still, in seconds.
STUCK_S = 30


class Channel:
    """For one thread at a time."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        line.settimeout(STUCK_S)
        self._poll = select.poll()
        self._poll.register(line, select.POLLIN)
        self._is_closed = False
        self._number = 0

    def ask(self, content: frames.Content, payload: bytes = b"") -> None:
        """Send a question. The answer to one before it is no longer wanted.

        Raises LinkClosedError.
        """
        self._number += 1
        try:
            frames.send(self._line, content | {"number": self._number}, payload)
        except OSError as error:
            raise LinkClosedError(str(error)) from error

    def answer(self, timeout_s: float) -> frames.Content | None:
        """The answer, or None if it does not begin in time. Raises LinkClosedError."""
        if self._is_closed:
            raise LinkClosedError("closed here")
        deadline = time.monotonic() + timeout_s
        while self._poll.poll(1000 * max(0.0, deadline - time.monotonic())):
            content = self._received()
            if content.get("number") == self._number:
                return content
        return None

    def _received(self) -> frames.Content:
        try:
            message = frames.receive(self._line)
        except (OSError, frames.FrameError) as error:
            raise LinkClosedError(str(error)) from error
        if message is None:
            raise LinkClosedError("closed there")
        return message[0]

    def close(self) -> None:
        """End the worker at the other end. May be called twice."""
        self._is_closed = True
        with contextlib.suppress(OSError):
            self._line.close()
