"""Keys, limits and headers of the API."""

from __future__ import annotations

import base64
import json
import socket
import threading

import pytest
from flask import Flask

from modules.api.headers import limit_rate, secure_headers
from modules.api.server import origins, wrong_keys
from modules.api.server.access import Access
from modules.api.server.admission import Admission
from modules.api.server.refusals import Refusal
from modules.config.schema import ApiConfig
from tests.builders import until
from tests.fakes import FakeClock

CLIENT = "192.0.2.1"


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
    for path in ("/transcribe", "/v1/audio/transcriptions", "/asr", "/detect-language"):
        most = door.admit("POST", path, form, None, CLIENT)
        assert isinstance(most, int)
        assert 10 * 2**20 < most < 13 * 2**20
    for method, path, headers in (
        ("POST", "/transcribe", {"content-type": "application/json"}),
        ("DELETE", "/transcribe", form),
        ("POST", "/pause", form),
    ):
        assert door.admit(method, path, headers, None, CLIENT) == 1_000_000


def test_a_stranger_is_refused_with_the_way_in() -> None:
    config = ApiConfig(key="secret")
    answer = Admission(an_app(config), config).admit("GET", "/queue", {}, 0, CLIENT)
    assert isinstance(answer, Refusal)
    assert answer.status == 401
    assert b"X-API-Key" in answer.body
    assert b"secret" not in answer.body


# --- wrong keys ----------------------------------------------------------------------------------

LOCKED = ApiConfig(key="secret", user="office", password="word")
RIGHT = {"x-api-key": "secret"}


class Door:
    """Who is answered what, with a clock that stands still."""

    def __init__(self, config: ApiConfig = LOCKED) -> None:
        self.clock = FakeClock()
        self.wrong = 0
        self._door = Admission(an_app(config), config, self.clock, self._count)

    def _count(self) -> None:
        self.wrong += 1

    def knock(self, headers: dict[str, str], client: str = CLIENT, path: str = "/queue") -> int:
        answer = self.answer(headers, client, path)
        return answer.status if isinstance(answer, Refusal) else 200

    def answer(
        self, headers: dict[str, str], client: str = CLIENT, path: str = "/queue"
    ) -> Refusal | int:
        return self._door.admit("GET", path, {"host": "localhost", **headers}, 0, client)

    def guess(self, times: int, client: str = CLIENT) -> list[int]:
        return [self.knock({"x-api-key": f"no {n}"}, client) for n in range(times)]


def test_ten_wrong_keys_a_minute_may_be_tried_then_none_is_looked_at() -> None:
    door = Door()
    assert door.guess(12) == [401] * 10 + [429] * 2
    assert door.knock(RIGHT) == 429, "it was not even compared"
    assert door.knock(basic("office", "word")) == 429
    answer = door.answer(RIGHT)
    assert isinstance(answer, Refusal)
    assert answer.headers == (("Retry-After", "60"),)
    assert json.loads(answer.body)["error_code"] == "too_many_requests"
    door.clock.advance(59)
    assert door.knock(RIGHT) == 429
    door.clock.advance(1)
    assert door.knock(RIGHT) == 200
    assert door.wrong == 16


def test_wrong_passwords_count_as_wrong_keys() -> None:
    door = Door()
    tried = [door.knock(basic("office", str(n))) for n in range(11)]
    assert tried == [401] * 10 + [429]


def test_other_addresses_health_and_those_without_a_key_are_not_concerned() -> None:
    door = Door()
    door.guess(20)
    assert door.knock(RIGHT, "192.0.2.2") == 200
    assert door.knock({"x-api-key": "no"}, path="/health") == 200
    assert door.knock({}) == 401, "browsers ask without a key first"


def test_without_a_key_to_guess_nothing_is_counted() -> None:
    door = Door(ApiConfig())
    assert set(door.guess(50)) == {200}
    assert door.wrong == 0


def test_an_ipv6_customer_counts_as_one() -> None:
    door = Door()
    assert [door.guess(1, f"2001:db8::{n:x}")[0] for n in range(11)] == [401] * 10 + [429]
    assert door.guess(1, "2001:db8:0:1::1") == [401]
    assert door.guess(10, "::ffff:192.0.2.7") == [401] * 10
    assert door.guess(1, "192.0.2.7") == [429]


def test_who_guesses_behind_the_same_proxy_locks_nobody_out() -> None:
    door = Door()
    assert door.knock(RIGHT) == 200
    assert door.guess(30) == [401] * 10 + [429] * 20
    assert door.knock(RIGHT) == 200
    door.clock.advance(wrong_keys.TRUSTED_S)
    assert door.guess(12)[-1] == 429
    assert door.knock(RIGHT) == 429, "the right key had not come for long"


@pytest.mark.parametrize(
    ("rate", "most", "span_s"),
    [("5/minute", 5, 60), ("120/minute", 10, 60), ("1/second", 10, 60), ("3/hour", 3, 3600)],
)
def test_a_lower_rate_limit_holds_for_wrong_keys_too(rate: str, most: int, span_s: int) -> None:
    door = Door(LOCKED.model_copy(update={"rate_limit": rate}))
    assert door.guess(most + 1) == [401] * most + [429]
    door.clock.advance(span_s)
    assert door.guess(1) == [401]


def test_wrong_keys_are_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    door = Door()
    door.guess(50)
    assert [record.getMessage() for record in caplog.records] == [
        "Wrong keys or passwords: 1, the last one from 192.0.2.1"
    ]
    caplog.clear()
    door.clock.advance(60)
    door.knock({}, path="/health")
    assert [record.getMessage() for record in caplog.records] == [
        "Wrong keys or passwords: 49, the last one from 192.0.2.1"
    ]
    caplog.clear()
    door.clock.advance(600)
    door.knock({}, path="/health")
    assert caplog.records == []


def test_addresses_that_were_noted_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrong_keys, "_ADDRESSES", 3)
    door = Door()
    for number in range(9):
        door.guess(10, f"192.0.2.{number}")
    assert door.guess(1, "192.0.2.8") == [429]
    assert door.guess(1, "192.0.2.0") == [401]


@pytest.mark.parametrize("path", ["/status" + "/a" * 80, "/result/" + "a" * 4096 + ".mp3"])
def test_what_nothing_can_be_called_is_not_looked_for(path: str) -> None:
    assert Door(ApiConfig()).knock({}, path=path) == 404
    assert Door().knock(RIGHT, path=path) == 404


# --- pages in browsers ---------------------------------------------------------------------------

APP = an_app(ApiConfig())
METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")


def refused(config: ApiConfig, method: str = "POST", **headers: str) -> tuple[int, str] | None:
    """Status and code of what the door refuses, or None; it is open to /health as well."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    door = Admission(APP, config)
    answers = [door.admit(method, path, named, 0, CLIENT) for path in ("/transcribe", "/health")]
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
        "GET", "/queue", {**foreign, "x-api-key": "no"}, 0, CLIENT
    )
    assert isinstance(wrong, Refusal)
    assert wrong.status == 401


MACHINE = socket.gethostname()
OWN_NAMES = [
    "127.0.0.1", "127.0.0.1.:8000", "8.8.8.8", "[::1]", "[::1]:8000", "[2001:DB8::1]:80",
    "[fe80::1%25eth0]:8000", "localhost", "localhost:", "LocalHost.", "transcriber:8000",
    "audio-transcriber", "transcriber-gpu:8000", "host.docker.internal:8000", MACHINE,
    f"{MACHINE}.local:8000".lower(), MACHINE.upper(), socket.getfqdn(), "office.example.com",
    "OFFICE.example.COM.:8443", "api.example.org:8000", "",
]  # fmt: skip
STRANGERS_NAMES = [
    "evil.example", "evil.example:8000", "EVIL.example.", "localhost.evil.example",
    "127.0.0.1.evil.example", "1.2.3", "evillocal.example", "evil.notlocal",
    "sub.office.example.com", "office.example.com.evil.example", "home.arpa", "evil.local.example",
    "evil.notlocalhost", "evil.milan", "evil.notinternal", "evilhome.arpa",
    "evil", "evil.local", "evil.lan", "evil.internal", "evil.home.arpa", "evil.localhost",
]  # fmt: skip
NO_NAMES = [
    " ", ".", "..", ":", ":8000", "localhost:x", "localhost:800000", "localhost:-1", "local host",
    "evil.example..", ".local", "evil..local", "a" * 64, "a." * 200 + "local", "localhost/",
    "user@localhost", "http://localhost", "localhost, evil.example", "::1", "[::1", "[]", "[x]",
    "[127.0.0.1]", "[::1]x", "[::1]evil.example", "%6cocalhost", "localhost\0", "lócalhost",
    "localhost\n", "x" * 50_000, "[" * 50_000,
]  # fmt: skip
NAMED = ApiConfig(host="API.example.org", trusted_hosts=("office.example.com",))


KEYED = NAMED.model_copy(update={"key": "secret", "user": "office", "password": "word"})
PROOFS: list[dict[str, str]] = [{"x_api_key": "secret"}, basic("office", "word")]


@pytest.mark.parametrize("host", OWN_NAMES)
def test_a_name_that_no_stranger_can_own_is_answered(host: str) -> None:
    assert refused(NAMED, host=host) is None
    for proof in PROOFS:
        assert refused(KEYED, host=host, **proof) is None


def test_a_request_without_a_host_is_answered() -> None:
    assert refused(ApiConfig()) is None


@pytest.mark.parametrize("host", STRANGERS_NAMES)
def test_a_name_that_a_stranger_can_own_is_refused_with_and_without_a_key(host: str) -> None:
    assert refused(NAMED, host=host) == (403, "unknown_host")
    assert refused(NAMED, host=host, origin=f"http://{host}") == (403, "unknown_host")
    assert refused(NAMED, host=host, x_api_key="any") == (403, "unknown_host")
    for proof in PROOFS:
        assert refused(KEYED, host=host, **proof) == (403, "unknown_host")


@pytest.mark.parametrize("host", NO_NAMES, ids=lambda host: ascii(host)[:20])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    assert refused(NAMED, host=host) == (400, "bad_request")
    assert refused(KEYED, host=host, x_api_key="secret") == (400, "bad_request")


def test_a_silent_resolver_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()
    monkeypatch.setattr(origins, "_RESOLVER_S", 0.01)
    monkeypatch.setattr(socket, "getfqdn", lambda: str(answers.wait(10)) and "Box.Example.org")
    names = origins.own_names.__wrapped__()
    assert "localhost" in names
    assert "box.example.org" not in names
    answers.set()
    until(lambda: "box.example.org" in names, "the name was known later")


def test_a_refusal_names_what_was_sent_and_what_to_do() -> None:
    door = Admission(an_app(ApiConfig()), ApiConfig())
    for headers, words in (
        (
            {"host": "Office.example.com:80"},
            ("'office.example.com'", "IP address", "trusted_hosts"),
        ),
        ({"host": "box", "origin": "http://a.example"}, ("'http://a.example'", "'box'", "proxy")),
        ({"host": "bo x"}, ("'bo x'",)),
    ):
        answer = door.admit("GET", "/queue", headers, 0, CLIENT)
        assert isinstance(answer, Refusal)
        assert [word for word in words if word.encode() not in answer.body] == []


def test_the_page_of_another_site_does_not_make_the_browser_ask_for_a_password() -> None:
    config = ApiConfig(key="secret")
    headers = {"host": "localhost", "origin": "https://evil.example"}
    answer = Admission(an_app(config), config).admit("GET", "/queue", headers, 0, CLIENT)
    assert isinstance(answer, Refusal)
    assert answer.headers == ()
