"""Keys, limits and headers of the API."""

from __future__ import annotations

import base64
import json

import pytest
from flask import Flask

from modules.api.headers import limit_rate, secure_headers
from modules.api.server.access import Access
from modules.api.server.admission import Admission
from modules.api.server.refusals import Refusal
from modules.config.schema import ApiConfig


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
        ({"authorization": "bearer тайна".encode().decode("latin-1")}, True),
        ({"authorization": "BEARER тайн".encode().decode("latin-1")}, False),
        ({"authorization": "Bearer "}, False),
        (basic("anybody", "тайна"), True),
        (basic("office", "word"), True),
        (basic("office", "тайн"), False),
        (
            {"authorization": basic("office", "word")["authorization"].replace("Basic", "basic")},
            True,
        ),
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
    door = Admission(an_app(config), config)
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
    answer = Admission(an_app(config), config).admit("GET", "/queue", {}, 0)
    assert isinstance(answer, Refusal)
    assert answer.status == 401
    assert b"X-API-Key" in answer.body
    assert b"secret" not in answer.body


# --- pages in browsers ---------------------------------------------------------------------------

APP = an_app(ApiConfig())
METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")


def refused(config: ApiConfig, method: str = "POST", **headers: str) -> tuple[int, str] | None:
    """Status and code of what the door refuses, or None; it is open to /health as well."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    door = Admission(APP, config)
    answers = [door.admit(method, path, named, 0) for path in ("/transcribe", "/health")]
    found = [
        (answer.status, json.loads(answer.body)["error_code"])
        for answer in answers
        if isinstance(answer, Refusal)
    ]
    assert found in ([], found[:1] * 2), "the same rule holds for /health"
    return found[0] if found else None


OWN_PAGES = [
    ("localhost:8000", "http://localhost:8000"),
    ("localhost:8000", "HTTP://LocalHost:8000"),
    ("LOCALHOST.:8000", "http://localhost:8000"),
    ("127.0.0.1:8000", "http://127.0.0.1:8000"),
    ("[::1]:8000", "http://[::1]:8000"),
    ("[0:0:0:0:0:0:0:1]:8000", "http://[::1]:8000"),
    ("localhost", "http://localhost"),
    ("localhost:80", "http://localhost"),
    ("localhost:", "http://localhost"),
    ("localhost", "http://localhost:80"),
    ("localhost", "https://localhost"),
    ("localhost:443", "https://localhost"),
    ("localhost", "https://localhost:443"),
]
FOREIGN_PAGES = [
    ("localhost:8000", "https://evil.example"),
    ("localhost:8000", "http://localhost:3000"),
    ("localhost:8000", "http://localhost"),
    ("localhost", "http://localhost:8000"),
    ("localhost:80", "https://localhost"),
    ("localhost:443", "http://localhost"),
    ("localhost:8000", "http://127.0.0.1:8000"),
    ("localhost:8000", "http://localhost:8000.evil.example"),
    ("localhost:8000", "http://evil.example/localhost:8000"),
    ("localhost:8000", "http://evil@localhost:8000"),
    ("localhost:8000", "http://localhost:8000, http://evil.example"),
    ("localhost:8000", "null"),
    ("localhost:8000", ""),
    ("localhost:8000", "localhost:8000"),
    ("localhost:8000", "http://"),
    ("localhost:8000", "http://[::1"),
    ("localhost:8000", "ftp://localhost:8000"),
    ("localhost:8000", "chrome-extension://abcdefghijklmnop"),
    ("localhost:8000", "x" * 50_000),
    ("localhost:8000, evil.example", "http://localhost:8000"),
    ("", "http://localhost"),
    ("[::1]:8000", "http://[::2]:8000"),
]


@pytest.mark.parametrize(("host", "origin"), OWN_PAGES)
def test_the_apis_own_page_comes_in(host: str, origin: str) -> None:
    for method in METHODS:
        assert refused(ApiConfig(), method, host=host, origin=origin) is None


@pytest.mark.parametrize(("host", "origin"), FOREIGN_PAGES)
def test_a_page_of_another_site_is_refused(host: str, origin: str) -> None:
    for config in (ApiConfig(), ApiConfig(key="secret"), ApiConfig(user="office", password="word")):
        for method in METHODS:
            assert refused(config, method, host=host, origin=origin) == (403, "cross_site")


def test_a_page_of_another_site_is_refused_where_no_host_is_told() -> None:
    assert refused(ApiConfig(), origin="http://localhost") == (403, "cross_site")


def test_a_key_that_no_page_can_send_unasked_vouches_for_any_origin() -> None:
    config = ApiConfig(key="secret", user="office", password="word")
    foreign = {"host": "localhost:8000", "origin": "https://evil.example"}
    assert refused(config, **foreign, x_api_key="secret") is None
    assert refused(config, **foreign, authorization="Bearer secret") is None
    for sent_along in (basic("office", "word"), basic("any", "secret"), {"x_api_key": ""}):
        assert refused(config, **foreign, **sent_along) == (403, "cross_site")
    wrong = Admission(an_app(config), config).admit(
        "GET", "/queue", {**foreign, "x-api-key": "no"}, 0
    )
    assert isinstance(wrong, Refusal)
    assert wrong.status == 401


OWN_NAMES = [
    "127.0.0.1", "127.0.0.1.:8000", "8.8.8.8", "[::1]", "[::1]:8000", "[2001:DB8::1]:80",
    "[fe80::1%25eth0]:8000", "localhost", "localhost:", "LocalHost.", "transcriber:8000",
    "audio_transcriber", "app.localhost", "nas.local:8000", "NAS.Local.", "box.lan",
    "a.b.internal", "pc.home.arpa", "office.example.com", "OFFICE.example.COM.:8443",
    "api.example.org:8000", "",
]  # fmt: skip
STRANGERS_NAMES = [
    "evil.example", "evil.example:8000", "EVIL.example.", "localhost.evil.example",
    "127.0.0.1.evil.example", "1.2.3", "evillocal.example", "evil.notlocal",
    "sub.office.example.com", "office.example.com.evil.example", "home.arpa", "evil.local.example",
    "evil.notlocalhost", "evil.milan", "evil.notinternal", "evilhome.arpa",
]  # fmt: skip
NO_NAMES = [
    " ", ".", "..", ":", ":8000", "localhost:x", "localhost:800000", "localhost:-1", "local host",
    "evil.example..", ".local", "evil..local", "a" * 64, "a." * 200 + "local", "localhost/",
    "user@localhost", "http://localhost", "localhost, evil.example", "::1", "[::1", "[]", "[x]",
    "[127.0.0.1]", "[::1]x", "[::1]evil.example", "%6cocalhost", "localhost\0", "lócalhost",
    "localhost\n", "x" * 50_000, "[" * 50_000,
]  # fmt: skip
NAMED = ApiConfig(host="API.example.org", trusted_hosts=("office.example.com",))


@pytest.mark.parametrize("host", OWN_NAMES)
def test_without_a_key_a_name_that_no_stranger_can_own_is_answered(host: str) -> None:
    assert refused(NAMED, host=host) is None


def test_without_a_key_a_request_without_a_host_is_answered() -> None:
    assert refused(ApiConfig()) is None


@pytest.mark.parametrize("host", STRANGERS_NAMES)
def test_without_a_key_a_name_that_a_stranger_can_own_is_refused(host: str) -> None:
    assert refused(NAMED, host=host) == (403, "unknown_host")
    assert refused(NAMED, host=host, origin=f"http://{host}") == (403, "unknown_host")
    assert refused(NAMED, host=host, x_api_key="any") == (403, "unknown_host")


@pytest.mark.parametrize("host", NO_NAMES, ids=lambda host: ascii(host)[:20])
def test_without_a_key_a_host_that_is_none_is_refused(host: str) -> None:
    assert refused(NAMED, host=host) == (400, "bad_request")


@pytest.mark.parametrize("host", [*OWN_NAMES, *STRANGERS_NAMES])
def test_with_a_key_any_name_is_answered(host: str) -> None:
    config = ApiConfig(key="secret", user="office", password="word")
    for proof in ({"x_api_key": "secret"}, basic("office", "word")):
        assert refused(config, host=host, **proof) is None


def test_a_refusal_names_what_was_sent_and_what_to_do() -> None:
    door = Admission(an_app(ApiConfig()), ApiConfig())
    for headers, words in (
        ({"host": "Office.example.com:80"}, ("'office.example.com'", "api.key", "trusted_hosts")),
        ({"host": "box", "origin": "http://a.example"}, ("'http://a.example'", "'box'", "proxy")),
        ({"host": "bo x"}, ("'bo x'",)),
    ):
        answer = door.admit("GET", "/queue", headers, 0)
        assert isinstance(answer, Refusal)
        assert [word for word in words if word.encode() not in answer.body] == []


def test_the_page_of_another_site_does_not_make_the_browser_ask_for_a_password() -> None:
    config = ApiConfig(key="secret")
    headers = {"host": "localhost", "origin": "https://evil.example"}
    answer = Admission(an_app(config), config).admit("GET", "/queue", headers, 0)
    assert isinstance(answer, Refusal)
    assert answer.headers == ()
