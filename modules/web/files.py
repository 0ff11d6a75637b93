"""The page and its files, added to the application."""

from __future__ import annotations

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
        response.headers["Cache-Control"] = "no-cache"
        return response

    app.add_url_rule("/", view_func=page)
    app.add_url_rule("/static/<path:name>", endpoint="page_file", view_func=file)
