"""The owner's side of what replicas pass on: a request from the folder, given to the application.

Only what can be answered from a small body and without waiting. Whoever can write into the shared
folder could give such an order before, too: by a file in ``orders/`` or ``errands/``.
"""

from __future__ import annotations

import base64
import io
import json
import re

from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app

from modules.service.replica_mail import Forwarded, Reply

_PASSED_ON = re.compile(
    r"(?:GET (?:/queue|/search|/stats|/sessions|/status/.+|/result/.+)"
    r"|POST (?:/transcribe|/pause|/resume|/manual/.+/retry)"
    r"|DELETE /transcribe|PATCH /edits/.+)",
    re.DOTALL,
)
#: Of the request, and of its answer: the others are between a client and its own server.
HEADERS = ("Accept-Language", "Content-Type")
_ANSWERED = frozenset({"content-type", "location", "retry-after", "vary", "etag", "allow"})


def is_passed_on(method: str, path: str) -> bool:
    """Whether a replica may ask the owner for this."""
    return _PASSED_ON.fullmatch(f"{method} {path}") is not None


def answer(app: Flask, request: Forwarded) -> Reply:
    """What the application answers; 404 for what is not passed on."""
    if not is_passed_on(request.method, request.path):
        return Reply(404, (), b"")
    body = base64.b64decode(request.body)
    headers = [(name, value) for name, value in request.headers.items() if name in HEADERS]
    if (request.method, request.path) == ("POST", "/transcribe"):
        # Never a form, which could ask to wait as well.
        headers = [each for each in headers if each[0] != "Content-Type"]
        headers.append(("Content-Type", "application/json"))
        body = _without_waiting(body)
    builder = EnvironBuilder(
        method=request.method, input_stream=io.BytesIO(body), headers=headers,
        content_length=len(body), environ_base={"REMOTE_ADDR": request.client},
    )  # fmt: skip
    environ = builder.get_environ()
    # As the replica got them: names need not be text.
    environ |= {"PATH_INFO": request.path, "QUERY_STRING": request.query}
    parts, status, found = run_wsgi_app(app.wsgi_app, environ)
    kept = tuple((name, value) for name, value in found if name.lower() in _ANSWERED)
    return Reply(int(status.split()[0]), kept, b"".join(parts))


def _without_waiting(body: bytes) -> bytes:
    """The same order, answered at once: others wait behind it, and the replica can wait itself."""
    try:
        asked = json.loads(body)
    except ValueError:
        return body  # the application says what is wrong
    return json.dumps(asked | {"wait": False}).encode() if isinstance(asked, dict) else body
