"""The Flask application over the services of a running daemon."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import flask_openapi3_swagger
from flask import Flask, Response, g, request, send_from_directory
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException
from werkzeug.routing import PathConverter

from modules import __version__
from modules.api import forms, responses
from modules.api.asr.routes import asr
from modules.api.control.blueprint import control
from modules.api.headers import answer_browsers, limit_rate, secure_headers
from modules.api.openai.format import PREFIX
from modules.api.openai.routes import openai, openai_error
from modules.api.page.blueprint import page
from modules.api.resumable.routes import resumable
from modules.api.schemas import answers
from modules.api.services import Services
from modules.errors import Message, TranscriberError, noted
from modules.logger import get_logger
from modules.web.files import add_page

log = get_logger("Api")

_UI = Path(flask_openapi3_swagger.__file__).parent / "templates" / "swagger"
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>audio-transcriber</title>
<link rel="stylesheet" href="/docs/css/swagger-ui.css"></head>
<body><div id="ui"></div>
<script src="/docs/js/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({url: "/openapi.json", dom_id: "#ui", deepLinking: true});</script>
</body></html>
"""
_SCHEMES: dict[str, Any] = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic"},
}


class NameConverter(PathConverter):
    """Names may hold line ends, which the pattern of the base stops at."""

    regex = r"[^/](?s:.)*?"
    part_isolating = False


def create_app(services: Services) -> Flask:
    """The application. The server decides before who may use it."""
    api = services.config.api
    app = OpenAPI(
        "audio-transcriber",
        info=Info(title="audio-transcriber", version=__version__),
        security_schemes=_SCHEMES if api.key or api.user else {},
        validation_error_model=answers.ErrorAnswer,
        validation_error_callback=_not_valid,
        doc_ui=False,
        static_folder=None,
    )
    request_class = type("Request", (forms.UploadingRequest,), {"uploads": services.uploads})
    app.request_class = request_class
    app.url_map.converters["path"] = NameConverter
    app.register_api(control(services))
    app.register_api(openai(services))
    app.register_api(asr(services))
    app.register_api(page(services))
    app.register_api(resumable(services))
    add_page(app)
    if api.key or api.user:
        app.openapi_extensions["security"] = [{name: []} for name in _SCHEMES]
    _show_document(app)
    _time(app, services)
    app.after_request(secure_headers)
    answer_browsers(app, api)
    limit_rate(app, api)
    _answer_errors(app, services)
    return app


def _show_document(app: OpenAPI) -> None:
    """Plain Flask routes: they are no part of the document."""

    def document() -> Response:
        return responses.as_json(app.api_doc)

    def docs() -> Response:
        return Response(_PAGE, content_type="text/html; charset=utf-8")

    def docs_file(name: str) -> Response:
        return send_from_directory(_UI, name)

    app.add_url_rule("/openapi.json", view_func=document)
    app.add_url_rule("/docs", view_func=docs)
    app.add_url_rule("/docs/<path:name>", view_func=docs_file)


def _time(app: Flask, services: Services) -> None:
    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        rule = request.url_rule.rule if request.url_rule else "unknown"
        seconds = time.perf_counter() - g.get("began", time.perf_counter())
        services.metrics.request(request.method, rule, response.status_code, seconds)
        return response


def _not_valid(failure: ValidationError) -> Response:
    raise forms.invalid(forms.describe(failure)) from failure


#: What Flask refuses; in its own words where that is rare.
_REFUSED = {
    400: noted("The request cannot be understood."),
    404: noted("There is nothing at this address."),
    405: noted("What is at this address knows no such method."),
    413: noted("The body is too large."),
    429: noted("Too many requests came from this address; try again later."),
}


def _answer_errors(app: Flask, services: Services) -> None:
    config = services.config

    def answer(problem: TranscriberError, status: int | None = None) -> Response:
        if request.path.startswith(PREFIX):
            return openai_error(problem, status)
        response = responses.error(problem, config=config, debug=config.whisperx.debug)
        response.status_code = status or response.status_code
        return response

    @app.errorhandler(TranscriberError)
    def on_error(problem: TranscriberError) -> Response:
        return answer(problem)

    @app.errorhandler(HTTPException)
    def on_http(problem: HTTPException) -> Response:
        status = problem.code or 500
        code = {404: "not_found", 405: "method_not_allowed", 429: "too_many_requests"}
        own = problem.description if isinstance(problem.description, Message) else None
        error = TranscriberError(
            code.get(status, "bad_request"),
            own or _REFUSED.get(status) or problem.description or problem.name,
            remedy=noted("See /docs for what is understood."),
        )
        response = answer(error, status)
        for name, value in problem.get_headers():
            if name.lower() in ("allow", "retry-after", "location"):
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def on_unexpected(problem: Exception) -> Response:
        log.exception("A request failed", exc_info=problem)
        error = TranscriberError(
            "internal_error", noted("Unexpected error."), remedy=noted("See the log.")
        )
        return answer(error, 500)
