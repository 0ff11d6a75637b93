"""What a replica answers itself, what it asks the owner of the folder for, and what it refuses."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from modules.api.forms import is_form
from modules.api.forwarded import HEADERS, is_passed_on
from modules.errors import TranscriberError, noted
from modules.service.answers import Text
from modules.service.replica_mail import Forwarded, OwnerAwayError, Reply

Ask = Callable[[Forwarded], Reply]
#: Answered from the folder, whether or not there is an owner.
_OWN = re.compile(
    r"(?:GET|HEAD) (?:/|/static/.*|/docs.*|/openapi\.json|/health|/manual|/api/.+|/edits/.+"
    r"|/audio/.+|/peaks/.+|/events)|POST (?:/login|/logout)",
    re.DOTALL,
)
#: Answered from the folder where the owner is away.
_EITHER = re.compile(r"GET (?:/queue|/status/.+|/result/.+)", re.DOTALL)


def not_on_replica() -> TranscriberError:
    return TranscriberError(
        "not_on_replica",
        noted("This is a replica: it reads the folder, and passes small requests on."),
        remedy=noted("Ask the service that owns the folder; a balancer does so by itself."),
    )


def make_replica(app: Flask, ask: Ask, finished: Callable[[str], Text | None]) -> None:
    """Put a gate before the application. ``finished``: the text of a name, if it is in the folder.

    A balancer takes 503 for the wish to ask another server.
    """

    @app.before_request
    def gate() -> Response | None:
        what = f"{request.method} {request.path}"
        if _OWN.fullmatch(what) or request.method == "OPTIONS":
            return None
        if what == "POST /transcribe" and is_form(request):
            return None  # it lands in the folder, and is ordered there
        if not is_passed_on(request.method, request.environ["PATH_INFO"]):
            raise not_on_replica()
        if what.startswith("GET /result/") and finished(request.path.removeprefix("/result/")):
            return None
        try:
            return as_response(ask(_request()))
        except OwnerAwayError:
            if _EITHER.fullmatch(what):
                return None
            raise


def passed_on(ask: Ask, order: dict[str, object]) -> HTTPException:
    """The owner's answer to an order, to be raised in a handler."""
    headers = {"Content-Type": "application/json"} | _headers()
    forwarded = Forwarded(
        method="POST", path="/transcribe", headers=headers, client=_client(),
        body=base64.b64encode(json.dumps(order).encode()).decode(),
    )  # fmt: skip
    return HTTPException(response=as_response(ask(forwarded)))


def as_response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, headers=list(reply.headers))


def _request() -> Forwarded:
    content_type = request.headers.get("Content-Type")
    return Forwarded(
        method=request.method,
        path=request.environ["PATH_INFO"],
        query=request.environ.get("QUERY_STRING", ""),
        headers=_headers() | ({"Content-Type": content_type} if content_type else {}),
        body=base64.b64encode(request.get_data()).decode(),
        client=_client(),
    )


def _headers() -> dict[str, str]:
    kept = {name: request.headers.get(name) for name in HEADERS if name != "Content-Type"}
    return {name: value for name, value in kept.items() if value}


def _client() -> str:
    return request.remote_addr or "127.0.0.1"
