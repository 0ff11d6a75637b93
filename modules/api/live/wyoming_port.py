"""The TCP port at which Wyoming is spoken; there is none unless ``live.wyoming_port`` says so."""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import threading

from websockets.frames import CloseCode

from modules.api.live.session_client import Surroundings
from modules.api.live.wyoming import WyomingClient
from modules.api.live.wyoming_connection import WyomingConnection
from modules.config.schema import Config
from modules.errors import TranscriberError, noted
from modules.logger import get_logger

log = get_logger("Live")

#: Connections beyond ``live.max_sessions``, such as those that only ask what this is.
_FURTHER_MAX = 4
_ACCEPT_S = 0.5
_STOP_S = 5.0


class WyomingPort:
    """``start`` and ``close`` from one thread."""

    def __init__(self, config: Config, around: Surroundings) -> None:
        self._config = config
        self._around = around
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, WyomingConnection] = {}
        self._closing = threading.Event()
        self._listener: socket.socket | None = None
        self._thread = threading.Thread(target=self._accept, name="wyoming", daemon=True)

    def start(self) -> None:
        """Listen, if that is wished. Raises TranscriberError."""
        host, port = self._config.live.wyoming_host, self._config.live.wyoming_port
        if port is None or not self._config.live.enabled:
            return
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._listener = socket.create_server((host, port), family=family)
        except OSError as error:
            raise TranscriberError(
                "address_unavailable",
                noted(
                    "Cannot listen on {host}:{port}: {reason}.",
                    host=host, port=port, reason=error.strerror,
                ),
                remedy=noted("Choose another live.wyoming_port in config.yaml."),
            ) from error  # fmt: skip
        self._listener.setblocking(False)
        log.info("Wyoming is spoken on %s:%d", host, self._listener.getsockname()[1])
        if not _is_loopback(host):
            log.warning("Whoever reaches %s may use Wyoming: it knows no keys", host)
        self._thread.start()

    def close(self) -> None:
        """Accept none any more, and close all."""
        self._closing.set()
        if self._listener is not None:
            self._thread.join(_STOP_S)
            self._listener.close()
        with self._lock:
            open_ = dict(self._open)
        for connection in open_.values():
            connection.ask_to_close(CloseCode.GOING_AWAY, "")
        for thread in open_:
            thread.join(_STOP_S)

    # --- the thread that accepts ---

    def _accept(self) -> None:
        assert self._listener is not None
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        while not self._closing.is_set():
            if poll.poll(1000 * _ACCEPT_S):
                with contextlib.suppress(OSError):  # it is gone, or there are no descriptors
                    self._take(self._listener.accept()[0])

    def _take(self, sock: socket.socket) -> None:
        """Raises OSError."""
        if len(self._open) >= self._config.live.max_sessions + _FURTHER_MAX:
            sock.close()
            self._closing.wait(0.1)  # so that who tries again and again takes no processor
            return
        try:
            connection = WyomingConnection(sock)
        except OSError:
            sock.close()
            raise
        client = WyomingClient(connection, self._around, self._config)
        thread = threading.Thread(
            target=self._serve, args=(connection, client), name="wyoming-client", daemon=True
        )
        with self._lock:
            self._open[thread] = connection
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads
            connection.discard()
            self._forget(thread)

    # --- the threads of connections ---

    def _serve(self, connection: WyomingConnection, client: WyomingClient) -> None:
        try:
            connection.run(client)
        except Exception:
            log.exception("A live connection met an unexpected error")
        finally:
            try:
                client.leave()
            finally:
                self._forget(threading.current_thread())

    def _forget(self, thread: threading.Thread) -> None:
        with self._lock:
            self._open.pop(thread, None)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
