"""The page and its files, added to the application."""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, render_template, request, send_from_directory

from modules import __version__

_FOLDER = Path(__file__).resolve().parent
_STATIC = _FOLDER / "static"
LANGUAGES = ("en", "ru")
#: A browser that obeys it runs nothing but our own files, and asks no other machine for anything.
_CSP = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:",
        "media-src 'self' blob:", "connect-src 'self'", "manifest-src 'self'",
        "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)  # fmt: skip


def add_page(app: Flask) -> None:
    """``GET /`` and its files. Plain routes: they are no part of the document, and need no key, as
    they hold no data."""
    app.template_folder = str(_FOLDER / "templates")

    def page() -> Response:
        language = request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0]
        text = render_template("page.html", language=language, version=__version__)
        response = Response(text, content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = _CSP
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Vary"] = "Accept-Language"
        return response

    def file(name: str) -> Response:
        response = send_from_directory(_STATIC, name)
        if _is_text(name) and request.accept_encodings.quality("gzip") > 0:
            response = _smaller(name, response)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Vary"] = "Accept-Encoding"
        return response

    app.add_url_rule("/", view_func=page)
    app.add_url_rule("/static/<path:name>", endpoint="page_file", view_func=file)


def _is_text(name: str) -> bool:
    return name.endswith((".js", ".css", ".svg"))


def _smaller(name: str, plain: Response) -> Response:
    """The same file compressed, under a tag of its own."""
    plain.close()
    changed_ns = (_STATIC / name).stat().st_mtime_ns
    response = Response(_compressed(name, changed_ns), content_type=plain.content_type)
    response.headers["Content-Encoding"] = "gzip"
    response.set_etag(f"{changed_ns:x}-gzip")
    response.make_conditional(request)
    return response


@lru_cache(maxsize=64)
def _compressed(name: str, changed_ns: int) -> bytes:
    """``changed_ns`` makes it anew for a file that was changed."""
    return gzip.compress((_STATIC / name).read_bytes(), mtime=0)
