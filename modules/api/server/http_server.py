"""The HTTP server: waitress, in a thread of its own."""

from __future__ import annotations

import logging
import math
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path

from flask import Flask
from waitress.adjustments import Adjustments
from waitress.task import ThreadedTaskDispatcher

from modules.api.server.refusals import Admit, AdmitUpgrade, Body, Refusal, RequestPolicy
from modules.api.server.server import RequestServer
from modules.errors import TranscriberError, noted
from modules.logger import get_logger

log = get_logger("Api")

STOP_S = 5
_FLUSH_S = 1.0
_HEADER_BYTES = 64 * 1024
_RECEIVE_BYTES = 64 * 1024
_BODY_BYTES = 1024 * 1024
#: Open files for everything else: the log, the folders' events, the worker's pipes, spooled bodies.
_OTHER_FILES = 256
_MOST_FILES = 65536


def admit_all(
    method: str, path: str, headers: Mapping[str, str], content_length: int | None, client: str
) -> Refusal | int | Body:
    """Every request, with a body of up to 1 MiB."""
    return _BODY_BYTES


class Server:
    """Serves an application until stopped. The constructor binds the port; port 0 takes a free one.

    ``spool`` keeps bodies from 256 KiB on while they come. A connection on which nothing moves for
    ``idle_timeout_s`` is closed, unless its request is being worked on, and so is one whose headers
    take longer altogether, or whose body trickles. With ``connection_limit`` connections, a new one
    takes the place of one whose request is not there yet. A handler asks
    ``environ["waitress.client_disconnected"]()`` whether its client has left. Raises
    TranscriberError if the address is not available.
    """

    def __init__(
        self,
        app: Flask,
        host: str,
        port: int,
        *,
        spool: Path,
        threads: int = 16,
        connection_limit: int = 600,
        idle_timeout_s: float = 60.0,
        admit: Admit = admit_all,
        cors: Callable[[str | None], tuple[tuple[str, str], ...]] = lambda origin: (),
        admit_upgrade: AdmitUpgrade = lambda path, query, headers: None,
    ) -> None:
        listener = _listener(host, port)
        self.app = app
        self.host = host
        self.port = int(listener.getsockname()[1])
        self._threads = threads
        self._dispatcher = ThreadedTaskDispatcher()
        self._server = RequestServer(
            RequestPolicy(admit, spool, cors, admit_upgrade),
            app,
            map={},
            _sock=listener,
            dispatcher=self._dispatcher,
            places=_with_files_for(connection_limit),
            adj=_adjustments(threads, idle_timeout_s),
            sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
            bind_socket=False,
        )
        self._thread = threading.Thread(target=self._server.run, name="http")
        # waitress warns of each request that waits for a thread, which clients can cause at will.
        for name in ("waitress", "waitress.queue"):
            logging.getLogger(name).setLevel(logging.ERROR)

    def start(self) -> None:
        self._dispatcher.set_thread_count(self._threads)
        self._thread.start()
        log.info("Listening on http://%s:%d", self.host, self.port)
        log.info("Open http://%s:%d/ in a browser", _reachable(self.host), self.port)

    def stop(self) -> None:
        """Close the port, let running requests end for up to 5 s, and end the server's thread."""
        if self._thread.ident is None:
            self._server.close_all()
            return
        self._server.close_port()
        self._dispatcher.shutdown(timeout=STOP_S)
        # Answers go out through the network thread.
        deadline = time.monotonic() + _FLUSH_S
        while not self._server.flushed() and time.monotonic() < deadline:
            time.sleep(0.01)
        self._server.end()
        self._thread.join()


def _with_files_for(connections: int) -> int:
    """Raise the limit of open files for so many connections; returns how many are possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return connections
    raised = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, raised), hard))
    possible = max(soft, raised) - _OTHER_FILES
    if possible < connections:
        log.warning("Only %d files may be open: at most %d connections", raised, possible)
    return max(1, min(connections, possible))


def can_listen(host: str, port: int) -> str | None:
    """Why nothing can listen there at the moment, or None."""
    try:
        _listener(host, port).close()
    except TranscriberError as error:
        return error.text
    return None


def _listener(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises TranscriberError."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise TranscriberError(
            "address_unavailable",
            noted(
                "Cannot listen on {host}:{port}: {reason}.",
                host=host,
                port=port,
                reason=error.strerror,
            ),
            remedy=noted("Choose another api.port in config.yaml, or set API_PORT."),
        ) from error


def _adjustments(threads: int, idle_timeout_s: float) -> Adjustments:
    """The settings of waitress."""
    return Adjustments(
        threads=threads,
        connection_limit=sys.maxsize,  # the server limits it
        channel_timeout=math.ceil(idle_timeout_s),
        cleanup_interval=1,
        # With it, a client that goes away is noticed while its request waits.
        channel_request_lookahead=1,
        # select() cannot watch a descriptor above 1023.
        asyncore_use_poll=True,
        max_request_header_size=_HEADER_BYTES,
        max_request_body_size=sys.maxsize,  # the policy limits it
        recv_bytes=_RECEIVE_BYTES,
        ident="audio-transcriber",
    )


def _reachable(host: str) -> str:
    """A name for a browser on this machine; a server that listens everywhere has no other."""
    try:
        address = ip_address(host)
    except ValueError:
        return host or "localhost"
    return "localhost" if address.is_unspecified or address.is_loopback else host
