"""Who may use the API, how often, and what web pages may do with it and its answers."""

from __future__ import annotations

import hmac
import ipaddress
import re
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
from modules.config.schema import ApiConfig
from modules.config.types import HOST_NAME

#: Monitoring must reach it, whatever is configured.
OPEN_PATHS = frozenset({"/health"})
_UPLOADING = frozenset({"/transcribe", "/v1/audio/transcriptions", "/v1/audio/translations"})
#: What everything but an upload may send.
_BODY_BYTES = 1_000_000
#: The form around a file.
_FORM_BYTES = 2_000_000
_USUAL_PORTS = {"http": 80, "https": 443}
#: ``host[:port]``, as in the Host header.
_AUTHORITY = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]+)(?::([0-9]{0,5}))?")
#: Nobody can register a name with such an ending.
_OWN_ENDINGS = (".localhost", ".local", ".lan", ".internal", ".home.arpa")


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
        # Schemes are the same in any case (RFC 9110, 11.1), which MultiAuth does not know.
        scheme, space, rest = given.get("authorization", "").partition(" ")
        given |= {"authorization": f"{scheme.title()} {rest}"} if space else {}
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


class Pages:
    """What pages in somebody's browser may do: the API's own all, those of others nothing.

    A browser sends what a page of any site asks for, a password of HTTP Basic with it, and tells
    in ``Origin`` whose page it is. Where a site's name leads to our address all of a sudden (DNS
    rebinding), its page counts as ours, may read the answers, and is known by that name alone.
    """

    def __init__(self, config: ApiConfig) -> None:
        self._names = {config.host.lower().removesuffix("."), *config.trusted_hosts}
        # A page of another site does not know our key, and the browser keeps it from that site.
        self._any_name = Access(config).required

    def refuse(self, headers: Mapping[str, str]) -> Refusal | None:
        """Before the body is there; ``headers`` with names in lower case. Holds for /health too:
        it names recordings, and monitoring sends no Origin.
        """
        return self._foreign(headers) or self._unknown(headers)

    def _foreign(self, headers: Mapping[str, str]) -> Refusal | None:
        origin, host = headers.get("origin"), headers.get("host", "")
        # Pages cannot send these headers unasked, and we answer no such question (CORS) with yes.
        bearer = headers.get("authorization", "").lower().startswith("bearer ")
        if origin is None or bearer or headers.get("x-api-key") or _same_place(origin, host):
            return None
        return refusal(
            403, "cross_site",
            f"The request comes from a page of another site: Origin is {origin[:200]!r}, "
            f"Host is {host[:200]!r}.",
            "Send a key as X-API-Key or as a Bearer token, or no Origin. A proxy has to pass Host "
            "on as it came.",
        )  # fmt: skip

    def _unknown(self, headers: Mapping[str, str]) -> Refusal | None:
        host = headers.get("host")
        if self._any_name or not host:  # no browser leaves it out
            return None
        place = _place(host)
        if place is None:
            why = f"The request is not proper HTTP: Host is {host[:200]!r}."
            return refusal(400, "bad_request", why, "Check the client.")
        name = place[0]
        if name in self._names or _is_own(name):
            return None
        return refusal(
            403, "unknown_host",
            f"The name {name!r} in Host is not known here, and no key is set.",
            f"Set api.key, or add {name!r} to api.trusted_hosts in config.yaml.",
        )  # fmt: skip


def _place(authority: str) -> tuple[str, int | None] | None:
    """Host and port of ``host[:port]``: in lower case, without a final dot and brackets."""
    parts = _AUTHORITY.fullmatch(authority.lower())
    if parts is None:
        return None
    host, port = parts[1], int(parts[2]) if parts[2] else None
    if host.startswith("["):
        address = _address(host[1:-1])
        return (str(address), port) if address and address.version == 6 else None
    name = host.removesuffix(".")
    return (name, port) if HOST_NAME.fullmatch(name) else None


def _same_place(origin: str, host: str) -> bool:
    """Host has no scheme, and TLS may end before us: a port left out is that of Origin's."""
    scheme, _, authority = origin.lower().partition("://")
    page, ours, usual = _place(authority), _place(host), _USUAL_PORTS.get(scheme)
    if page is None or ours is None or usual is None:
        return False
    return (page[0], page[1] or usual) == (ours[0], ours[1] or usual)


def _is_own(name: str) -> bool:
    """An address, or a name that no stranger can have."""
    return "." not in name or name.endswith(_OWN_ENDINGS) or _address(name) is not None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


class Door:
    """Decides at the headers: who comes in, and how much body each may bring."""

    def __init__(self, app: Flask, config: ApiConfig) -> None:
        self._app = app
        self._access = Access(config)
        self._pages = Pages(config)
        self._upload_bytes = config.max_upload_mb * 2**20

    def admit(
        self, method: str, path: str, headers: Mapping[str, str], content_length: int | None
    ) -> Refusal | int:
        # First, or the page of another site could make the browser ask for our password.
        if refused := self._pages.refuse(headers):
            return refused
        if not self._access.admits(self._app, path, headers):
            return _no_key()
        form = headers.get("content-type", "").lower().startswith("multipart/form-data")
        if method == "POST" and form and path in _UPLOADING:
            return self._upload_bytes + _FORM_BYTES
        return _BODY_BYTES


def _no_key() -> Refusal:
    answer = refusal(
        401, "unauthorized", "A key is needed, or it is wrong.",
        "Send it as X-API-Key, as a Bearer token, or as the password of HTTP Basic.",
    )  # fmt: skip
    asking = ("WWW-Authenticate", 'Basic realm="audio-transcriber"')
    return Refusal(answer.status, answer.body, (asking,))


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
