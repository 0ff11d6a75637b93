"""Keys and passwords of the API."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from flask import Flask
from flask_httpauth import HTTPBasicAuth, HTTPTokenAuth, MultiAuth

from modules.api.sessions import Sessions
from modules.config.schema import ApiConfig

#: Monitoring must reach it, whatever is configured.
OPEN_PATHS = frozenset({"/health"})
#: The page asks for the key itself. It holds no data, and neither do its files.
_PAGE, _PAGE_FILES = "/", "/static/"
#: Before a key among the protocols that a WebSocket offers, as browsers cannot send headers.
_KEY_PREFIX, _TOKEN = "openai-insecure-api-key.", "token"  # nosec B105 # no password


class Access:
    """Keys and passwords, compared in constant time. Without either, every client is admitted."""

    def __init__(self, config: ApiConfig) -> None:
        self._config = config
        self._sessions = Sessions(config)
        self._basic = HTTPBasicAuth(realm="audio-transcriber")
        self._key = HTTPTokenAuth(header="X-API-Key")
        self._bearer = HTTPTokenAuth(scheme="Bearer")
        self._basic.verify_password(self._is_user)
        self._key.verify_token(self._is_key)
        self._bearer.verify_token(self._is_key)
        self._token = HTTPTokenAuth(scheme="Token")  # as Deepgram's clients write it
        self._token.verify_token(self._is_key)
        self._any = MultiAuth(self._basic, self._bearer, self._token, self._key)

    @property
    def required(self) -> bool:
        return self._config.key is not None or self._config.user is not None

    def guards(self, path: str, headers: Mapping[str, str]) -> bool:
        """Whether a key is needed there; ``headers`` with names in lower case. A WebSocket at the
        address of the page is for live sound."""
        is_open = (path in OPEN_PATHS or is_page(path)) and not begins_web_socket(headers)
        return self.required and not is_open

    def admits(self, app: Flask, path: str, headers: Mapping[str, str]) -> bool:
        """Before the body is there; ``headers`` with names in lower case."""
        if not self.guards(path, headers):
            return True
        if self._has_session(headers):
            return True
        given = credentials(headers)
        # Schemes are the same in any case (RFC 9110, 11.1), which MultiAuth does not know.
        scheme, space, rest = given.get("authorization", "").partition(" ")
        given |= {"authorization": f"{scheme.title()} {rest}"} if space else {}
        with app.test_request_context(headers=given):
            wrapped = self._any.login_required(lambda: "")
            answer: Any = wrapped()
        return bool(answer == "")

    def _has_session(self, headers: Mapping[str, str]) -> bool:
        """Another site on this machine counts as the same site: a browser sends the cookie to it,
        but says so."""
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        return self._sessions.admits(headers.get("cookie", ""))

    def _is_key(self, given: str | None) -> bool:
        return _same(given, self._config.key)

    def _is_user(self, user: str, password: str) -> bool:
        """The key is a password too, for browsers, which know no other way to send it."""
        known = _same(user, self._config.user) & _same(password, self._config.password)
        return known | _same(password, self._config.key)


def begins_web_socket(headers: Mapping[str, str]) -> bool:
    """Whether it is the first request of a WebSocket; ``headers`` with names in lower case."""
    return headers.get("upgrade", "").strip().lower() == "websocket"


def credentials(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with a key or a password; ``headers`` with names in lower case."""
    given = {k: v for k, v in headers.items() if k in ("authorization", "x-api-key") and v}
    if not given and begins_web_socket(headers) and (key := _offered_key(headers)):
        return {"x-api-key": key}
    return given


def _offered_key(headers: Mapping[str, str]) -> str | None:
    """The key among the protocols that a WebSocket offers."""
    offered = [each.strip() for each in headers.get("sec-websocket-protocol", "").split(",")]
    if len(offered) == 2 and offered[0].lower() == _TOKEN:
        return offered[1]
    keys = (each for each in offered if each.startswith(_KEY_PREFIX))
    return next((each.removeprefix(_KEY_PREFIX) for each in keys), None)


def is_page(path: str) -> bool:
    """Whether it is the page for people, or a file of it."""
    return path == _PAGE or path.startswith(_PAGE_FILES)


def _same(given: str | None, wanted: str | None) -> bool:
    # Headers come as Latin-1, and may hold what was UTF-8.
    if wanted is None:
        return False
    raw = (given or "").encode("latin-1", errors="replace")
    return hmac.compare_digest(raw, wanted.encode()) | hmac.compare_digest(
        (given or "").encode(errors="replace"), wanted.encode()
    )
