"""Pages of other sites that may use the API: what browsers ask first, and what they are told."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.http_reply import Reply
from tests.integration.test_api import Client
from tests.scripted_daemon import ScriptedDaemon

KEY = "a key that nobody guesses"
NOTES = "app://obsidian.md"
OTHER = "https://evil.example"
ALLOWED = "access-control-allow-origin"


@pytest.fixture(scope="module", params=[[NOTES], ["*"]], ids=["one site", "all sites"])
def serving(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ScriptedDaemon]:
    config = {"api": {"port": 0, "key": KEY, "cors_origins": request.param}}
    with ScriptedDaemon(tmp_path_factory.mktemp("cors"), config) as running:
        yield running


@pytest.fixture
def api(serving: ScriptedDaemon) -> Client:
    return Client(serving)


def preflight(api: Client, origin: str, path: str = "/v1/audio/transcriptions") -> Reply:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, x-stainless-lang",
    }
    return api.ask("OPTIONS", path, headers=asked)


def test_a_browser_is_told_what_it_may_send_without_the_key(api: Client) -> None:
    for path in ("/v1/audio/transcriptions", "/v1/models", "/transcribe", "/files", "/no/such"):
        reply = preflight(api, NOTES, path)
        assert (reply.status, reply.headers[ALLOWED]) == (204, NOTES)
        assert "POST" in reply.headers["access-control-allow-methods"]
        assert reply.headers["access-control-allow-headers"] == "authorization, x-stainless-lang"


def test_answers_and_errors_may_be_read(api: Client) -> None:
    authorization = {"Origin": NOTES, "Authorization": f"Bearer {KEY}"}
    for path, status in [("/v1/models", 200), ("/v1/models/none", 404), ("/queue", 200)]:
        reply = api.ask("GET", path, headers=authorization)
        assert (reply.status, reply.headers[ALLOWED]) == (status, NOTES)
        assert "Origin" in reply.headers["vary"]
    refused = api.ask("GET", "/v1/models", headers={"Origin": NOTES, "Authorization": "Bearer no"})
    assert (refused.status, refused.headers[ALLOWED]) == (401, NOTES)


def test_nothing_is_answered_without_the_key_but_that_question(api: Client) -> None:
    for method, path in [("GET", "/queue"), ("OPTIONS", "/queue"), ("POST", "/pause")]:
        assert api.ask(method, path, headers={"Origin": NOTES}).status in (401, 403)


def test_a_password_that_a_browser_adds_is_worth_nothing(api: Client) -> None:
    added = "Basic " + base64.b64encode(f"any:{KEY}".encode()).decode()
    assert api.ask("GET", "/queue", headers={"Authorization": added}).status == 200
    sent = {"Authorization": added, "Origin": NOTES}
    assert api.ask("GET", "/queue", headers=sent).status == 403


def test_a_page_of_another_site_in_a_browser(
    tmp_path_factory: pytest.TempPathFactory, browser: Any
) -> None:
    """A page that is served elsewhere fetches; Chromium itself asks first and reads the answer."""
    with other_site() as site:
        config = {"api": {"port": 0, "key": KEY, "cors_origins": [site]}}
        with ScriptedDaemon(tmp_path_factory.mktemp("browser"), config) as daemon:
            page = browser.new_page()
            page.goto(site)
            asked = [f"http://127.0.0.1:{Client(daemon).port}/v1/models", KEY]
            assert page.evaluate(FETCH, asked) == [200, "whisper-1"]
            assert page.evaluate(FETCH, [asked[0], "wrong"]) == [401, "unauthorized"]
            page.close()


FETCH = """async ([address, key]) => {
  const answer = await fetch(address, {headers: {Authorization: `Bearer ${key}`}});
  const content = await answer.json();
  return [answer.status, answer.ok ? content.data[0].id : content.error.code];
}"""


@contextmanager
def other_site() -> Iterator[str]:
    """The address of a server with one empty page."""

    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(10)


def test_a_site_that_is_not_named_is_as_foreign_as_before(serving: ScriptedDaemon) -> None:
    api, every = Client(serving), "cors_origins:\n  - '*'" in serving.config_file.read_text("utf-8")
    reply = preflight(api, OTHER)
    assert (reply.status == 204) == every
    assert reply.headers.get(ALLOWED) == (OTHER if every else None)
    # A browser adds a password by itself, so without a key of its own no page is believed.
    assert api.ask("GET", "/queue", headers={"Origin": OTHER}).status == 403


def test_without_the_setting_nothing_is_said_about_other_sites(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with ScriptedDaemon(tmp_path_factory.mktemp("closed"), {}) as daemon:
        api = Client(daemon)
        assert preflight(api, NOTES).status == 403
        reply = api.ask("GET", "/queue", headers={"Origin": NOTES})
        assert (reply.status, reply.headers.get(ALLOWED)) == (403, None)
        assert ALLOWED not in api.get("/queue").headers


def test_a_named_site_needs_no_key_where_none_is_set(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    config = {"api": {"port": 0, "cors_origins": [NOTES]}}
    with ScriptedDaemon(tmp_path_factory.mktemp("open"), config) as daemon:
        api = Client(daemon)
        reply = api.ask("GET", "/v1/models", headers={"Origin": NOTES})
        assert (reply.status, reply.headers[ALLOWED]) == (200, NOTES)
        assert api.ask("GET", "/v1/models", headers={"Origin": OTHER}).status == 403
