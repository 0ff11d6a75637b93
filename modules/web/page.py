"""The page and what it asks for, added to the application."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response, render_template, request, send_from_directory
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.openapi import OpenAPI

from modules import __version__
from modules.api.schemas import answers
from modules.api.services import Services
from modules.web.login import add_login
from modules.web.sound import add_sound
from modules.web.tasks import add_tasks

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


def add_page(app: OpenAPI, services: Services) -> None:
    """``GET /`` with its files, and the endpoints that it calls."""
    app.template_folder = str(_FOLDER / "templates")
    _add_files(app)
    blueprint = APIBlueprint("page", __name__, abp_responses=answers.COMMON)
    add_tasks(blueprint, services)
    add_sound(blueprint, services)
    add_login(blueprint, services)
    app.register_api(blueprint)


def _add_files(app: Flask) -> None:
    """Plain routes: they are no part of the document, and need no key, as they hold no data."""

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
