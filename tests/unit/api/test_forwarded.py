"""What replicas may ask the owner for, and how it is given to the application."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from flask import Flask, Response, request

from modules.api import forwarded
from modules.service.replica_mail import Forwarded


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)

    @app.route("/transcribe", methods=["POST"])
    def order() -> Response:
        return Response(request.get_data(), 202, content_type=request.content_type)

    @app.route("/status/<path:name>")
    def status(name: str) -> dict[str, Any]:
        return {"name": name, "query": request.query_string.decode(), "ip": request.remote_addr}

    return app


def asked(method: str, path: str, body: bytes = b"", **more: Any) -> Forwarded:
    return Forwarded(method=method, path=path, body=base64.b64encode(body).decode(), **more)


def test_a_request_arrives_as_the_replica_got_it(app: Flask) -> None:
    path = "/status/Звонок 100%.mp3".encode().decode("latin-1")
    reply = forwarded.answer(app, asked("GET", path, query="a=b%20c", client="192.0.2.7"))
    assert reply.status == 200
    assert json.loads(reply.body) == {
        "name": "Звонок 100%.mp3", "query": "a=b%20c", "ip": "192.0.2.7",
    }  # fmt: skip
    assert dict(reply.headers)["Content-Type"] == "application/json"


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b"])
def test_an_order_never_waits_there(app: Flask, kind: str) -> None:
    body = json.dumps({"filename": "a.mp3", "wait": True}).encode()
    reply = forwarded.answer(
        app, asked("POST", "/transcribe", body, headers={"Content-Type": kind})
    )
    assert json.loads(reply.body) == {"filename": "a.mp3", "wait": False}
    assert dict(reply.headers)["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "passed"),
    [
        ("GET", "/status/a.mp3", True),
        ("PATCH", "/edits/a\n.mp3", True),
        ("DELETE", "/transcribe", True),
        ("POST", "/manual/a.mp3/retry", True),
        ("POST", "/v1/audio/transcriptions", False),
        ("GET", "/events", False),
        ("GET", "/audio/a.mp3", False),
        ("POST", "/files", False),
        ("POST", "/login", False),
        ("GET", "/", False),
    ],
)
def test_only_what_is_listed_is_passed_on(app: Flask, method: str, path: str, passed: bool) -> None:
    assert forwarded.is_passed_on(method, path) is passed
    if not passed:
        assert forwarded.answer(app, asked(method, path)).status == 404
