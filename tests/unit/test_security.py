"""Keys, limits and headers of the API."""

from __future__ import annotations

import base64

import pytest
from flask import Flask

from modules.api.gatekeeper import Refusal
from modules.api.security import Access, Door, limit_rate, secure_headers
from modules.config import ApiConfig


def an_app(config: ApiConfig) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.after_request(secure_headers)
    limit_rate(app, config)
    for path in ("/queue", "/health", "/docs"):
        app.add_url_rule(path, path, lambda: "fine")
    return app


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_the_rate_limit_holds_for_all_but_health() -> None:
    client = an_app(ApiConfig(rate_limit="3/minute")).test_client()
    assert [client.get("/queue").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert {client.get("/health").status_code for _ in range(9)} == {200}


def test_without_a_rate_limit_there_is_none() -> None:
    client = an_app(ApiConfig()).test_client()
    assert {client.get("/queue").status_code for _ in range(50)} == {200}


def test_every_answer_has_the_security_headers() -> None:
    client = an_app(ApiConfig()).test_client()
    for path in ("/queue", "/nowhere"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "script-src 'self'" in client.get("/docs").headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("headers", "admitted"),
    [
        ({}, False),
        ({"x-api-key": "тайна"}, True),
        ({"x-api-key": "тайна".encode().decode("latin-1")}, True),
        ({"x-api-key": "тайн"}, False),
        ({"x-api-key": ""}, False),
        ({"authorization": "Bearer тайна".encode().decode("latin-1")}, True),
        ({"authorization": "Bearer "}, False),
        (basic("anybody", "тайна"), True),
        (basic("office", "word"), True),
        (basic("office", "тайн"), False),
        (basic("", ""), False),
        ({"authorization": "Basic !!!"}, False),
    ],
)
def test_who_has_the_key_or_the_password_comes_in(headers: dict[str, str], admitted: bool) -> None:
    config = ApiConfig(key="тайна", user="office", password="word")
    assert Access(config).admits(an_app(config), "/queue", headers) is admitted
    assert Access(config).admits(an_app(config), "/health", headers) is True


def test_only_uploads_may_bring_much() -> None:
    config = ApiConfig(max_upload_mb=10)
    door = Door(an_app(config), config)
    form = {"content-type": "Multipart/Form-Data; boundary=x"}
    most = door.admit("POST", "/transcribe", form, None)
    assert isinstance(most, int)
    assert 10 * 2**20 < most < 13 * 2**20
    for method, path, headers in (
        ("POST", "/transcribe", {"content-type": "application/json"}),
        ("DELETE", "/transcribe", form),
        ("POST", "/pause", form),
    ):
        assert door.admit(method, path, headers, None) == 1_000_000


def test_a_stranger_is_refused_with_the_way_in() -> None:
    config = ApiConfig(key="secret")
    answer = Door(an_app(config), config).admit("GET", "/queue", {}, 0)
    assert isinstance(answer, Refusal)
    assert answer.status == 401
    assert b"X-API-Key" in answer.body
    assert b"secret" not in answer.body
