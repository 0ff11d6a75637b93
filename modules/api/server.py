"""The HTTP server: waitress, in a thread of its own."""

from __future__ import annotations

import socket
import threading
from typing import Any, cast

from flask import Flask
from waitress.server import create_server

from modules.errors import TranscriberError
from modules.logger import get_logger

log = get_logger("Api")

_THREADS = 4


class Server:
    """Serves an application until stopped. The constructor binds the port; port 0 takes a free one.

    Raises TranscriberError if the address cannot be had.
    """

    def __init__(self, app: Flask, host: str, port: int) -> None:
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.create_server((host, port), family=family)
        except OSError as error:
            raise TranscriberError(
                "address_unavailable",
                f"Cannot listen on {host}:{port}: {error.strerror}.",
                remedy="Choose another api.port in config.yaml, or set API_PORT.",
            ) from error
        self.host = host
        self.port = int(listener.getsockname()[1])
        self._server = cast("Any", create_server(app, sockets=[listener], threads=_THREADS))
        self._thread = threading.Thread(target=self._server.run, name="http")

    def start(self) -> None:
        self._thread.start()
        log.info("Listening on http://%s:%d", self.host, self.port)

    def stop(self) -> None:
        """Close the port and end the server's threads."""
        self._server.close()
        if self._thread.ident is not None:
            self._thread.join()
        self._server.task_dispatcher.shutdown()
