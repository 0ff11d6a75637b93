"""Headers of every answer, and the limit of requests."""

from __future__ import annotations

from flask import Flask, Response, request
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

from modules.api.server.access import OPEN_PATHS, is_page
from modules.api.server.cors import Cors
from modules.config.schema import ApiConfig


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
    limiter.request_filter(lambda: request.path in OPEN_PATHS or is_page(request.path))
    # An upload counts once, where it begins, in however many pieces it comes.
    limiter.request_filter(
        lambda: request.method in ("HEAD", "PATCH") and request.path.startswith("/files/")
    )


def answer_browsers(app: Flask, config: ApiConfig) -> None:
    """What pages of other sites may do; a question about it is answered whatever the path."""
    cors = Cors(config)

    @app.before_request
    def preflight() -> Response | None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if not cors.is_preflight(request.method, headers):
            return None
        return Response(status=204, headers=[*cors.preflight(headers)])

    @app.after_request
    def add(response: Response) -> Response:
        for name, value in cors.headers(request.headers.get("Origin")):
            response.headers.add(name, value)
        return response


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
