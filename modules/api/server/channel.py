"""One connection: errors as JSON, and an answer that arrives although its body was refused."""

from __future__ import annotations

import functools
import socket
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask

from modules.api.languages import language_of
from modules.api.openai import format
from modules.api.server.parser import RequestParser
from modules.api.server.refusals import answer_to, as_openai

#: How long, and how much, is still read from a client whose request was refused.
LINGER_S = 2.0

LINGER_BYTES = 16 * 1024 * 1024

_DISCARD_BYTES = 256 * 1024

#: A body that comes slower than this in the end, in bytes a second, is given up.
SLOWEST_BYTES_S = 10_000


#: An answer of which so long no byte could be sent is not being read.
ANSWER_S = 5.0


@dataclass(frozen=True)
class Unfinished:
    """A connection whose next request is not there yet: not its head, or not its body.

    ``began``: when the request did, ``since``: when the client was answered before; seconds of
    ``time.time()``. ``got_bytes``: what came of the body.
    """

    waits_for: Literal["head", "body"]
    since: float
    began: float
    got_bytes: int = 0

    def is_overdue(self, now: float, limit_s: float) -> bool:
        """Whether it took too long altogether: a body may take longer the more of it came."""
        return now - self.began > limit_s + self.got_bytes / SLOWEST_BYTES_S

    def worth(self, now: float) -> float:
        """The lowest goes first: the oldest of those without a head, the slowest body."""
        if self.waits_for == "head":
            return self.since
        return self.got_bytes / (1 + now - self.began)


class JsonErrorTask(ErrorTask):
    """Answers a refused request."""

    request: Any
    channel: Any
    response_headers: list[tuple[str, str]]

    def execute(self) -> None:
        language = language_of(self.request.headers.get("ACCEPT_LANGUAGE"))
        answer = answer_to(self.request.error).said_in(language)
        try:
            phrase = HTTPStatus(answer.status).phrase
        except ValueError:
            phrase = "Refused"
        self.status = f"{answer.status} {phrase}"
        cors = self.channel.server.policy.cors(self.request.headers.get("ORIGIN"))
        self.response_headers += [("Content-Type", "application/json"), *answer.headers, *cors]
        self.set_close_on_finish()
        openai = str(self.request.path).startswith(format.PREFIX)
        body = as_openai(answer) if openai else answer.body
        self.content_length = len(body)
        self.write(b"" if self.request.command == "HEAD" else body)
        self.channel.linger_when_flushed = True


class RequestChannel(HTTPChannel):
    """A connection. Closing one with unread data in it would destroy the answer on its way to a
    client that still sends; so after a refusal only the sending side is shut down, and reading
    goes on for a while.
    """

    parser_class: Any
    requests_lock: threading.Lock
    socket: Any  # None once it is closed
    _flush_exception: Any
    _flush_some: Any

    error_task_class = JsonErrorTask
    linger_when_flushed = False
    #: When the last request was answered, or the connection began.
    idle_since: float
    creation_time: float
    last_activity: float
    total_outbufs_len: int
    addr: Any
    request: Any
    requests: list[Any]
    outbufs: list[Any]
    connected: bool
    _linger_until: float | None = None
    _discarded = 0

    # The server is a RequestServer, whose file imports this one.
    def __init__(self, server: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(server, *args, **kwargs)
        client = str(self.addr[0])
        self.parser_class = functools.partial(RequestParser, policy=server.policy, client=client)
        self.idle_since = self.creation_time

    def unfinished(self, now: float) -> Unfinished | None:
        """What the server waits for, in the network thread; None while the client is served."""
        if self.requests:
            return None
        if self.total_outbufs_len and now - self.last_activity < ANSWER_S:
            return None  # the answer is on its way
        request = self.request
        began = request.began if request else self.idle_since
        if request is None or not request.headers_finished:
            return Unfinished("head", self.idle_since, began)
        return Unfinished("body", self.idle_since, began, request.body_bytes_received)

    def write_soon(self, data: Any) -> int:
        if not self.total_outbufs_len:
            # Or a client that waited long for its answer would count as one that does not read it.
            self.last_activity = self.idle_since = time.time()
        return int(super().write_soon(data))

    def service(self) -> None:
        super().service()
        self.idle_since = time.time()

    def received(self, data: bytes) -> bool:
        with self.requests_lock:
            refused = bool(self.requests) and self.requests[-1].error is not None
        return False if refused else bool(super().received(data))

    def readable(self) -> bool:
        return self._linger_until is not None or bool(super().readable())

    def writable(self) -> bool:
        if self._linger_until is not None:
            return time.monotonic() > self._linger_until  # then handle_write closes
        return bool(super().writable())

    def handle_write(self) -> None:
        if self._linger_until is not None:
            self.handle_close()
        elif self.linger_when_flushed and self.close_when_flushed and not self.will_close:
            self._flush_exception(self._flush_some)
            # Sending may have found the client disconnected, and closed.
            if self.socket is not None and not self.total_outbufs_len:
                self._linger()
        else:
            super().handle_write()

    def handle_read(self) -> None:
        if self._linger_until is None:
            super().handle_read()
        elif not self._discard():
            self.handle_close()

    def _linger(self) -> None:
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:  # the client has disconnected
            self.handle_close()
            return
        self._linger_until = time.monotonic() + LINGER_S

    def _discard(self) -> bool:
        """Read all there is; False if there will be no more, or it was enough."""
        while self._discarded < LINGER_BYTES:
            try:
                count = len(self.socket.recv(_DISCARD_BYTES))
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not count:
                return False
            self._discarded += count
        return False

    def handle_close(self) -> None:
        super().handle_close()
        request, self.request = self.request, None
        if request is not None:
            request.close()

    def detach(self) -> socket.socket:
        """The socket, which belongs to the caller now; for the network thread."""
        detached: socket.socket = self.socket
        self.del_channel()
        self.socket, self.connected = None, False
        for each in (*self.outbufs, *self.requests):
            each.close()
        return detached

    def cancel(self) -> None:
        for request in self.requests:
            request.close()
        super().cancel()
