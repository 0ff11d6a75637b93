"""The HTTP server: waitress, in a thread of its own."""

from __future__ import annotations

import threading
from typing import Any

import waitress
from flask import Flask

from modules.errors import TranscriberError
from modules.logger import get_logger

log = get_logger("Api")


class Server:
    """Serves an application until stopped. The constructor binds the port.

    Raises TranscriberError if the address cannot be had.
    """

    def __init__(self, app: Flask, host: str, port: int) -> None:
        try:
            self._server: Any = waitress.create_server(app, host=host, port=port, threads=4)
        except OSError as error:
            raise TranscriberError(
                "address_in_use",
                f"Cannot listen on {host}:{port}: {error.strerror}.",
                remedy="Choose another api.port, or API_PORT.",
            ) from error
        self.port = int(self._server.effective_port)
        self.host = host
        self._thread = threading.Thread(target=self._serve, name="http")

    def start(self) -> None:
        self._thread.start()
        log.info("Listening on http://%s:%d", self.host, self.port)

    def stop(self) -> None:
        """Close the port and end the server's threads."""
        self._server.close()
        self._server.trigger.close()
        self._thread.join()

    def _serve(self) -> None:
        self._server.run()
