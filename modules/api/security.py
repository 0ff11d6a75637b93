"""Who may use the API, how often, and what browsers may do with its answers."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, request
from flask_httpauth import HTTPBasicAuth, HTTPTokenAuth, MultiAuth
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from secure import (
    ContentSecurityPolicy,
    CrossOriginResourcePolicy,
    ReferrerPolicy,
    Secure,
    XContentTypeOptions,
    XFrameOptions,
)

from modules.api.gatekeeper import Refusal, refusal
from modules.config import ApiConfig

#: Monitoring must reach it, whatever is configured.
OPEN_PATHS = frozenset({"/health"})
_UPLOADING = frozenset({"/transcribe", "/v1/audio/transcriptions", "/v1/audio/translations"})
#: What everything but an upload may send.
_BODY_BYTES = 1_000_000
#: The form around a file.
_FORM_BYTES = 2_000_000


class Access:
    """Keys and passwords, compared in constant time. Without either everybody may come in."""

    def __init__(self, config: ApiConfig) -> None:
        self._config = config
        self._basic = HTTPBasicAuth(realm="audio-transcriber")
        self._key = HTTPTokenAuth(header="X-API-Key")
        self._bearer = HTTPTokenAuth(scheme="Bearer")
        self._basic.verify_password(self._is_user)
        self._key.verify_token(self._is_key)
        self._bearer.verify_token(self._is_key)
        self._any = MultiAuth(self._basic, self._bearer, self._key)

    @property
    def required(self) -> bool:
        return self._config.key is not None or self._config.user is not None

    def admits(self, app: Flask, path: str, headers: Mapping[str, str]) -> bool:
        """Before the body is there; ``headers`` with names in lower case."""
        if path in OPEN_PATHS or not self.required:
            return True
        given = {k: v for k, v in headers.items() if k in ("authorization", "x-api-key")}
        with app.test_request_context(headers=given):
            wrapped = self._any.login_required(lambda: "")
            answer: Any = wrapped()
        return bool(answer == "")

    def _is_key(self, given: str | None) -> bool:
        return _same(given, self._config.key)

    def _is_user(self, user: str, password: str) -> bool:
        """The key is a password too, for browsers, which know no other way to send it."""
        known = _same(user, self._config.user) & _same(password, self._config.password)
        return known | _same(password, self._config.key)


def _same(given: str | None, wanted: str | None) -> bool:
    # Headers come as Latin-1, and may hold what was UTF-8.
    if wanted is None:
        return False
    raw = (given or "").encode("latin-1", errors="replace")
    return hmac.compare_digest(raw, wanted.encode()) | hmac.compare_digest(
        (given or "").encode(errors="replace"), wanted.encode()
    )


class Door:
    """Decides at the headers: who comes in, and how much body each may bring."""

    def __init__(self, app: Flask, config: ApiConfig) -> None:
        self._app = app
        self._access = Access(config)
        self._upload_bytes = config.max_upload_mb * 2**20

    def admit(
        self, method: str, path: str, headers: Mapping[str, str], content_length: int | None
    ) -> Refusal | int:
        if not self._access.admits(self._app, path, headers):
            answer = refusal(
                401, "unauthorized", "A key is needed, or it is wrong.",
                "Send it as X-API-Key, as a Bearer token, or as the password of HTTP Basic.",
            )  # fmt: skip
            return Refusal(
                answer.status,
                answer.body,
                (("WWW-Authenticate", 'Basic realm="audio-transcriber"'),),
            )
        form = headers.get("content-type", "").lower().startswith("multipart/form-data")
        if method == "POST" and form and path in _UPLOADING:
            return self._upload_bytes + _FORM_BYTES
        return _BODY_BYTES


def limit_rate(app: Flask, config: ApiConfig) -> None:
    """At most so many requests from one address, where the configuration says so."""
    if config.rate_limit is None:
        return
    limiter = Limiter(
        get_remote_address,
        app=app,
        default_limits=[config.rate_limit],
        storage_uri="memory://",
        headers_enabled=True,
    )
    limiter.request_filter(lambda: request.path in OPEN_PATHS)


#: No transport security: that is for the proxy that has the certificate.
_HEADERS = Secure(
    csp=ContentSecurityPolicy().default_src("'none'").frame_ancestors("'none'"),
    corp=CrossOriginResourcePolicy().same_origin(),
    referrer=ReferrerPolicy().no_referrer(),
    xcto=XContentTypeOptions().nosniff(),
    xfo=XFrameOptions().deny(),
).headers
#: The page of /docs brings its own scripts and styles, some of them inside the page.
_PAGE = ContentSecurityPolicy().default_src("'self'").img_src("'self'", "data:")
_PAGE_CSP = _PAGE.script_src("'self'", "'unsafe-inline'").style_src("'self'", "'unsafe-inline'")


def secure_headers(response: Response) -> Response:
    """Added to every answer."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if request.path.startswith("/docs"):
        response.headers["Content-Security-Policy"] = _PAGE_CSP.header_value
    return response
