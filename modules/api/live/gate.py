"""Which WebSockets for live sound are accepted, decided before the upgrade; and all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from urllib.parse import parse_qs

from websockets.datastructures import Headers
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from modules.api.live import protocols
from modules.api.live.session_client import Check, MessageClient, Surroundings
from modules.api.live.web_socket import WebSocket, quiet
from modules.api.live.wyoming_port import WyomingPort
from modules.api.server.access import begins_web_socket
from modules.api.server.refusals import Refusal, Upgraded, refusal, refusal_of
from modules.config.schema import Config
from modules.errors import TranscriberError, noted
from modules.live.containers import Containers
from modules.live.offered import why_not
from modules.live.sessions import LiveSessions
from modules.logger import get_logger

log = get_logger("Live")

_RETRY_AFTER_S = 5
_STOP_S = 5.0
#: Beyond ``live.max_sessions``, for clients that come back while their old connection still seems
#: to be there.
_RETURNING_MAX = 4


_PATHS = frozenset({protocols.LIVE, protocols.REALTIME, protocols.DEEPGRAM, protocols.VOSK})


class LiveGate:
    """``admit`` is for the network thread, after keys and origins were checked there."""

    def __init__(
        self, config: Config, sessions: LiveSessions, containers: Containers, check: Check
    ) -> None:
        self._config = config
        self._sessions = sessions
        self._around = Surroundings(sessions, containers, check, config.live_folder)
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, WebSocket] = {}
        self._closing = False
        self._wyoming = WyomingPort(config, self._around)

    def start(self) -> None:
        """Open the ports besides the one of the API. Raises TranscriberError."""
        self._wyoming.start()

    @property
    def connections(self) -> int:
        return len(self._open)

    def admit(
        self, path: str, query: str, headers: Mapping[str, str]
    ) -> Refusal | Callable[[Upgraded], None] | None:
        """None for any other request; ``headers`` with names in lower case."""
        if path not in _PATHS or (path == protocols.VOSK and not begins_web_socket(headers)):
            return None
        if problem := why_not(self._config):
            return refusal_of(problem)
        response = _handshake(headers)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            return _no_handshake(response)
        try:
            new_client = protocols.protocol_of(path, query)
            with self._sessions.statistics.refusals():
                self._check_room("session" in parse_qs(query))
        except TranscriberError as error:
            return refusal_of(error, (("Retry-After", str(_RETRY_AFTER_S)),))
        assert new_client is not None
        return lambda upgraded: self._take(upgraded, response, new_client)

    def _check_room(self, says_that_it_returns: bool) -> None:
        """Raises TranscriberError. Who comes back is only known later, so nobody is refused for
        want of room while somebody is awaited; a new session is, when it begins."""
        if self._closing:
            raise TranscriberError("too_many_sessions", noted("The program is being stopped."))
        awaited = says_that_it_returns or any(
            session.state == "open" and not session.presence.is_connected
            for session in self._sessions.all()
        )
        most = self._config.live.max_sessions + (_RETURNING_MAX if awaited else 0)
        if self.connections >= most:
            raise TranscriberError(
                "too_many_sessions",
                noted(
                    "There are {connections} live connections already.",
                    connections=self.connections,
                ),
                remedy=noted("Try again later, or raise live.max_sessions."),
            )
        if not awaited:
            self._sessions.check_room()

    def _take(
        self, upgraded: Upgraded, response: Response, new_client: protocols.NewClient
    ) -> None:
        try:
            web_socket = WebSocket(upgraded)
        except OSError:  # the system has no more descriptors
            upgraded.socket.close()
            upgraded.release()
            return
        client = new_client(web_socket, self._around)
        thread = threading.Thread(
            target=self._serve, args=(upgraded, web_socket, response, client), name="live-client",
            daemon=True,
        )  # fmt: skip
        with self._lock:
            self._open[thread] = web_socket
            if self._closing:
                web_socket.ask_to_close(CloseCode.GOING_AWAY, "the program is being stopped")
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads
            web_socket.discard()
            self._forget(thread, upgraded)

    def _serve(
        self, upgraded: Upgraded, web_socket: WebSocket, response: Response, client: MessageClient
    ) -> None:
        try:
            web_socket.run(client, response.serialize(), upgraded.early)
        except Exception:
            log.exception("A live connection met an unexpected error")
        finally:
            try:
                client.leave()
            finally:
                self._forget(threading.current_thread(), upgraded)

    def _forget(self, thread: threading.Thread, upgraded: Upgraded) -> None:
        upgraded.release()
        with self._lock:
            self._open.pop(thread, None)

    def close(self) -> None:
        """Accept none any more, and close all. Their sessions are stored at the next start."""
        with self._lock:
            self._closing = True
            open_ = dict(self._open)
        for web_socket in open_.values():
            web_socket.ask_to_close(CloseCode.GOING_AWAY, "the program is being stopped")
        for thread in open_:
            thread.join(_STOP_S)
        self._wyoming.close()
        self._around.containers.stop()


def _handshake(headers: Mapping[str, str]) -> Response:
    """What the library answers to the request."""
    protocol = ServerProtocol(select_subprotocol=_subprotocol, logger=quiet)
    return protocol.accept(Request(protocols.LIVE, Headers(headers)))


def _subprotocol(protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return next((each for each in offered if each in protocols.SUBPROTOCOLS), None)


def _no_handshake(response: Response) -> Refusal:
    answer = refusal(
        response.status_code,
        "upgrade_required"
        if response.status_code == HTTPStatus.UPGRADE_REQUIRED
        else "bad_request",
        noted("This address speaks WebSocket only, and the request does not begin one."),
        noted("See docs/live.md."),
    )
    return Refusal(answer.status, answer.body, (("Upgrade", "websocket"),))
