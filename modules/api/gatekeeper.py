"""What waitress lets in: who may send, how much, and where it is kept meanwhile.

waitress takes a whole body before any handler sees the request. Here a request is judged when its
headers are there, a body is counted while it comes, and a large one waits on the share.
"""

from __future__ import annotations

import contextlib
import functools
import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeAlias

from waitress.adjustments import Adjustments
from waitress.buffers import OverflowableBuffer, TempfileBasedBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask
from waitress.utilities import Error

from modules.api import openai_format
from modules.logger import get_logger
from modules.storage.atomic import TEMPORARY_PREFIX, to_json

log = get_logger("Api")

#: Bodies from this size on are kept in a file.
SPOOL_FROM_BYTES = 256 * 1024
#: A line of chunked coding, and the headers after the last chunk; waitress itself sets no limit.
FRAMING_BYTES = 16 * 1024
#: How long, and for how much, we go on reading from a client whose request was refused.
LINGER_S = 2.0
LINGER_BYTES = 16 * 1024 * 1024
_DISCARD_BYTES = 256 * 1024


@dataclass(frozen=True)
class Refusal:
    """The answer that ends a request before its body is taken; ``body`` is JSON."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


#: ``admit(method, path, headers, content_length)``: a refusal, or the most bytes that the body may
#: have. The path is decoded, without the query; header names are in lower case; the length is None
#: where the client does not tell it (chunked coding). Called in the network thread: it must not
#: wait for anything. If it raises, the connection is closed.
Admit: TypeAlias = Callable[[str, str, Mapping[str, str], int | None], Refusal | int]


@dataclass(frozen=True)
class Gate:
    """Who is let in, and the folder where large bodies are kept."""

    admit: Admit
    spool: Path


def refusal(status: int, code: str, message: str, suggestion: str | None = None) -> Refusal:
    """A refusal in the form of all our errors."""
    answer = {
        "status": "error",
        "error_code": code,
        "message": message,
        "filename": None,
        "suggestion": suggestion,
    }
    return Refusal(status, to_json(answer))


class RefusedError(Error):
    """waitress takes an error to answer from a request's ``error``; this one holds ours."""

    def __init__(self, answer: Refusal) -> None:
        super().__init__("")
        self.code = answer.status
        self.answer = answer


_OWN_ERRORS = {
    400: ("bad_request", "The request is not proper HTTP", "Check the client."),
    413: ("body_too_large", "The body is too large", "Send less."),
    431: ("headers_too_large", "The headers are too large", "Send fewer or shorter headers."),
    501: ("not_implemented", "The request asks for what is not supported", "Check the client."),
}


def _answer_to(error: Error) -> Refusal:
    """What to answer for an error of ours, or of waitress's own."""
    if isinstance(error, RefusedError):
        return error.answer
    if error.code not in _OWN_ERRORS:
        return refusal(500, "internal_error", "Something went wrong here.", "The log says what.")
    code, message, suggestion = _OWN_ERRORS[error.code]
    return refusal(error.code, code, f"{message}: {error.body}.", suggestion)


def _as_openai(answer: Refusal) -> bytes:
    told = json.loads(answer.body)
    message = " ".join(filter(None, (told["message"], told["suggestion"])))
    return to_json(openai_format.error(message, answer.status, code=told["error_code"]))


class _SpoolFile(TempfileBasedBuffer):
    """A body in an unnamed file: gone when it is closed, whatever becomes of us."""

    def __init__(self, folder: Path, from_buffer: Any) -> None:
        self._folder = folder
        super().__init__(from_buffer)

    def newfile(self) -> Any:
        # Where a folder cannot hold unnamed files, it has this name for an instant.
        return tempfile.TemporaryFile("w+b", dir=self._folder, prefix=TEMPORARY_PREFIX)


class _SpooledBuffer(OverflowableBuffer):
    """As its base, but the file is in our folder, not in the system's."""

    buf: Any

    def __init__(self, folder: Path) -> None:
        super().__init__(SPOOL_FROM_BYTES)
        self._folder = folder

    def _set_large_buffer(self) -> None:
        small = self.buf
        self.buf = _SpoolFile(self._folder, small)
        if small is not None:
            small.close()
        self.overflowed = True


class GatedParser(HTTPRequestParser):
    """Asks the gate once the headers are there, and stops a body that outgrows its limit."""

    # What malformed requests lack, and waitress uses all the same.
    command: Any = ""
    path: Any = ""
    body_rcv: Any

    def __init__(self, adj: Adjustments, gate: Gate) -> None:
        super().__init__(adj)
        self._gate = gate
        self._limit = 0
        self.began = time.time()

    def received(self, data: bytes) -> int:
        had_headers = self.headers_finished
        consumed = self._received(data)
        if self.headers_finished and not had_headers and not (self.error or self.empty):
            self._ask()
        elif self.body_rcv is not None and not self.error:
            self._check_body()
        if self.error:
            # Whatever follows belongs to this request; waitress would read it as the next one.
            return len(data)
        if self.body_rcv is None:
            # waitress would wait for ever for the body that it asked for.
            self.expect_continue = False
        return consumed

    def _received(self, data: bytes) -> int:
        try:
            return int(super().received(data))
        except OSError as error:
            log.error("A request's body could not be kept in %s: %s", self._gate.spool, error)
            why = "The body of the request cannot be kept just now."
            self._refuse(refusal(507, "storage_error", why, "Try again later."))
            return len(data)
        finally:
            if self.error:
                self._drop()

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # a length of 5000 digits, or an address such as http://[
            raise ParsingError(f"{error}") from error
        if self.body_rcv is not None:
            self.body_rcv.buf = _SpooledBuffer(self._gate.spool)

    def _ask(self) -> None:
        # As the application will see it, or a rule on paths could be got round.
        path = "/" + self.path.lstrip("/") if self.path.startswith("/") else self.path
        headers = {name.lower().replace("_", "-"): value for name, value in self.headers.items()}
        length = None if self.chunked else self.content_length
        shown = path.encode("latin-1").decode("utf-8", "replace")
        verdict = self._gate.admit(self.command, shown, headers, length)
        if isinstance(verdict, Refusal):
            self._refuse(verdict)
            return
        self._limit = verdict
        if self.content_length > self._limit:
            self._refuse_size()

    def _check_body(self) -> None:
        if len(self.body_rcv) > self._limit:
            self._refuse_size()
        elif self.chunked and not self.completed:
            framing = self.body_rcv
            if max(len(framing.control_line), len(framing.trailer)) > FRAMING_BYTES:
                why = "The request is not proper HTTP: a chunk's header is too long."
                self._refuse(refusal(400, "bad_request", why, "Check the client."))

    def _refuse_size(self) -> None:
        why = f"The body may have at most {self._limit} bytes here."
        self._refuse(refusal(413, "body_too_large", why, "Send less."))

    def _refuse(self, answer: Refusal) -> None:
        self.error = RefusedError(answer)
        self._drop()

    def _drop(self) -> None:
        self.completed = True
        # Otherwise waitress says "100 Continue", and forgets that the request is complete.
        self.expect_continue = False
        self.close()

    def close(self) -> None:
        # What a full disk did not take is lost anyhow; the file is closed all the same.
        with contextlib.suppress(OSError):
            super().close()


class JsonErrorTask(ErrorTask):
    """Answers a refused request."""

    request: Any
    channel: Any
    response_headers: list[tuple[str, str]]

    def execute(self) -> None:
        answer = _answer_to(self.request.error)
        try:
            phrase = HTTPStatus(answer.status).phrase
        except ValueError:
            phrase = "Refused"
        self.status = f"{answer.status} {phrase}"
        self.response_headers += [("Content-Type", "application/json"), *answer.headers]
        self.set_close_on_finish()
        openai = str(self.request.path).startswith(openai_format.PREFIX)
        body = _as_openai(answer) if openai else answer.body
        self.content_length = len(body)
        self.write(b"" if self.request.command == "HEAD" else body)
        self.channel.linger_when_flushed = True


class GatedChannel(HTTPChannel):
    """A connection. Closing one with unread data in it would destroy the answer on its way to a
    client that still sends; so after a refusal we say that we are done, and read on for a while.
    """

    parser_class: Any
    requests_lock: threading.Lock
    socket: Any  # None once it is closed
    _flush_exception: Any
    _flush_some: Any

    error_task_class = JsonErrorTask
    linger_when_flushed = False
    _linger_until: float | None = None
    _discarded = 0

    def __init__(self, server: GatedServer, *args: Any, **kwargs: Any) -> None:
        self.parser_class = functools.partial(GatedParser, gate=server.gate)
        super().__init__(server, *args, **kwargs)

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
            # Sending may have found the client gone, and closed.
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
        except OSError:  # the client is gone
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

    def cancel(self) -> None:
        for request in self.requests:
            request.close()
        super().cancel()


class GatedServer(TcpWSGIServer):
    """waitress's server over such connections. Other threads may call what needs no loop:
    ``pull_trigger``, ``close_port``, ``end``, ``flushed``.
    """

    active_channels: Any
    trigger: Any
    socket: Any
    asyncore: Any
    _map: Any

    channel_class = GatedChannel

    def __init__(self, gate: Gate, *args: Any, **kwargs: Any) -> None:
        self.gate = gate
        self._closing_port = threading.Event()
        self._ending = threading.Event()
        self._pulling = threading.Lock()
        self._closed = False
        super().__init__(*args, **kwargs)

    def maintenance(self, now: Any) -> None:
        """Close what stands still: waitress leaves a connection with a running request alone."""
        super().maintenance(now)
        cutoff = now - self.adj.channel_timeout
        for channel in list(self.active_channels.values()):
            request = channel.request
            trickles = request and not request.headers_finished and request.began < cutoff
            # Nobody takes the answer. waitress would wait until the socket can be written to.
            stuck = channel.total_outbufs_len and channel.last_activity < cutoff
            if trickles or stuck:
                channel.handle_close()

    def run(self) -> None:
        """Serve until ``end`` is asked for, then close everything."""
        while not self._ending.is_set():
            if self._closing_port.is_set() and self.accepting:
                self._close_port()
            self.asyncore.loop(
                self.adj.asyncore_loop_timeout, self.adj.asyncore_use_poll, self._map, count=1
            )
        self.close_all()

    def pull_trigger(self, thunk: Callable[[], None] | None = None) -> None:
        with self._pulling:
            # The number of a closed pipe may be another file's by now.
            if not self._closed:
                self.trigger.pull_trigger(thunk)

    def close_port(self) -> None:
        """Take no more connections; those there are go on."""
        self._closing_port.set()
        self.pull_trigger()

    def end(self) -> None:
        """Let ``run`` return."""
        self._ending.set()
        self.pull_trigger()

    def flushed(self) -> bool:
        """Whether every answer is out."""
        return not any(c.total_outbufs_len for c in list(self.active_channels.values()))

    def close_all(self) -> None:
        """Close everything; for the network thread, or where there is none."""
        with self._pulling:
            self._closed = True
        for channel in list(self.active_channels.values()):
            channel.handle_close()
        self.close()

    def _close_port(self) -> None:
        self.del_channel()
        self.accepting = False
        self.socket.close()
