"""One live session with the daemon, over its WebSocket ``/live``; a lost connection is resumed."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from modules.cli.live_source import Source
from modules.config.schema import ApiConfig
from modules.errors import TranscriberError, noted

#: How long a lost connection is tried again, in seconds, and how often.
_RESUME_S, _AGAIN_S = 60.0, 0.5
_OPEN_S = 10.0
#: No message is longer, in bytes.
_MESSAGE_BYTES = 2**20
#: The daemon takes messages of 256 KiB at most.
_PIECE_BYTES = 64 * 1024
_SAMPLE_BYTES = 2

Message = Mapping[str, Any]


class LiveClient:
    """Sends the sound of a source and passes on what comes back.

    ``on_message`` gets each message of the daemon, in the thread that calls ``run``.
    """

    def __init__(
        self, api: ApiConfig, source: Source, start: Message, on_message: Callable[[Message], None]
    ) -> None:
        self._address = address(api)
        self._headers = headers(api)
        self._source = source
        self._start = dict(start)
        self._on_message = on_message
        self._socket: ClientConnection | None = None
        self._lock = threading.Lock()
        #: Sound that the daemon has not written yet, from sample ``_base`` on.
        self._kept = bytearray()
        self._base = 0
        self._session: str | None = None
        self._seq = 0
        self._ended = self._closing = False

    def run(self) -> Message:
        """Until the recording is stored; returns that message. Raises TranscriberError."""
        sender: threading.Thread | None = None
        give_up_at = time.monotonic()
        try:
            while True:
                try:
                    with self._connected() as socket:
                        sender = sender or self._begin()
                        stored = self._receive(socket)
                        if stored is not None:
                            return stored
                except (OSError, TimeoutError, ConnectionClosed) as error:
                    if self._session is None or time.monotonic() > give_up_at:
                        raise _away(self._address) from error
                    time.sleep(_AGAIN_S)
                else:
                    give_up_at = time.monotonic() + _RESUME_S
                    time.sleep(_AGAIN_S)
        finally:
            self._closing = True
            self._source.close()
            if sender:
                sender.join(2 * _OPEN_S)

    def stop(self) -> None:
        """No more sound; what was said is transcribed and stored. From any thread."""
        self._closing = True
        self._end()

    def _connected(self) -> ClientConnection:
        try:
            return connect(
                self._address,
                additional_headers=self._headers,
                open_timeout=_OPEN_S,
                max_size=_MESSAGE_BYTES,
                proxy=None,
            )
        except InvalidStatus as error:
            raise _refused(error) from error

    def _begin(self) -> threading.Thread:
        thread = threading.Thread(target=self._send_all, name="live-sound", daemon=True)
        thread.start()
        return thread

    def _send_all(self) -> None:
        for piece in self._source.pieces:
            if self._closing:
                break
            with self._lock:
                self._kept += piece
                self._try(piece)
        self._end()

    def _end(self) -> None:
        with self._lock:
            if not self._ended:
                self._ended = True
                self._try(json.dumps({"type": "stop"}))

    def _try(self, message: bytes | str) -> None:
        """Send, where there is a connection; else it is sent once there is one again."""
        if self._socket is not None:
            try:
                self._socket.send(message)
            except (ConnectionClosed, OSError):
                self._socket = None

    def _receive(self, socket: ClientConnection) -> Message | None:
        """Messages until the end; None if the connection broke off."""
        start = {**self._start, "session": self._session, "seq": self._seq}
        try:
            socket.send(json.dumps(start))
            for line in socket:
                message = json.loads(line)
                kind = message.get("type")
                if kind == "ready":
                    self._resume(socket, message)
                elif kind == "received":
                    self._forget(message["received_samples"])
                elif kind == "error":
                    raise _error(message)
                self._seq = max(self._seq, message.get("seq", 0))
                self._on_message(message)
                if kind == "stored" and self._is_over(socket):
                    return dict(message)
        except ConnectionClosed:
            pass
        finally:
            with self._lock:
                self._socket = None
        return None

    def _is_over(self, socket: ClientConnection) -> bool:
        """Whether nothing is left to be said. Else the service was away for long, and stored the
        session without being asked; what it did not write begins another one."""
        with self._lock:
            if self._socket is socket or (self._ended and not self._kept):
                return True
            self._session, self._seq, self._base = None, 0, 0
            return False

    def _resume(self, socket: ClientConnection, message: Message) -> None:
        with self._lock, contextlib.suppress(ConnectionClosed):
            self._session = message["session"]
            self._drop(message["received_samples"])
            for start in range(0, len(self._kept), _PIECE_BYTES):
                socket.send(bytes(self._kept[start : start + _PIECE_BYTES]))
            if self._ended:
                socket.send(json.dumps({"type": "stop"}))
            self._socket = socket

    def _forget(self, samples: int) -> None:
        with self._lock:
            self._drop(samples)

    def _drop(self, samples: int) -> None:
        written = max(0, min(samples - self._base, len(self._kept) // _SAMPLE_BYTES))
        del self._kept[: written * _SAMPLE_BYTES]
        self._base += written


def address(api: ApiConfig) -> str:
    """Of the daemon's WebSocket on this machine."""
    host = api.host
    with contextlib.suppress(ValueError):  # it is a name
        if (given := ip_address(host)).is_unspecified:
            host = "::1" if given.version == 6 else "127.0.0.1"
    return f"ws://{f'[{host}]' if ':' in host else host}:{api.port}/live"


def headers(api: ApiConfig) -> dict[str, str]:
    """What the configuration asks of clients."""
    if api.key:
        return {"X-API-Key": str(api.key)}
    if api.user:
        pair = f"{api.user}:{api.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}


def _away(where: str) -> TranscriberError:
    return TranscriberError(
        "service_away",
        noted("The service does not answer at {address}.", address=where),
        remedy=noted("Start it with `transcriber.py run`."),
    )


def _refused(error: InvalidStatus) -> TranscriberError:
    try:
        answer = json.loads(error.response.body or b"")
    except ValueError:
        answer = {}
    code = answer.get("error_code", f"http_{error.response.status_code}")
    message = answer.get("message", noted("The service refused live text."))
    return TranscriberError(code, message, remedy=answer.get("suggestion"))


def _error(message: Message) -> TranscriberError:
    return TranscriberError(str(message.get("error_code")), str(message.get("message")))
