"""What strangers and broken clients send through nginx, and that it is answered as documented."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.deployment.conftest import LIMIT_MB
from tests.deployment.front import SOON_S, Front, port_of
from tests.scripted_daemon import ScriptedDaemon

MB = 1_000_000

_HEAD = b"Host: localhost\r\nConnection: close\r\n"
#: Each as it goes over the line, with the status and the code of the answer.
BAD: dict[str, tuple[bytes, int, str]] = {
    "a chunk whose size is no number": (
        b"POST /transcribe HTTP/1.1\r\n" + _HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n",
        400, "bad_request",
    ),
    "a chunk that is longer than it says": (
        b"POST /transcribe HTTP/1.1\r\n" + _HEAD
        + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabcdef\r\n0\r\n\r\n",
        400, "bad_request",
    ),
    "two lengths": (
        b"POST /transcribe HTTP/1.1\r\n" + _HEAD
        + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        400, "bad_request",
    ),
    "a length beside chunks": (
        b"POST /transcribe HTTP/1.1\r\n" + _HEAD
        + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400, "bad_request",
    ),
    "an unknown coding": (
        b"POST /transcribe HTTP/1.1\r\n" + _HEAD + b"Transfer-Encoding: xchunked\r\n\r\n",
        501, "not_implemented",
    ),
    "no name of a host": (b"GET /queue HTTP/1.1\r\nConnection: close\r\n\r\n", 400, "bad_request"),
    "a broken name of a host": (
        b"GET /queue HTTP/1.1\r\nHost: a/b\r\nConnection: close\r\n\r\n", 400, "bad_request",
    ),
    "an unknown host": (
        b"GET /queue HTTP/1.1\r\nHost: evil.example.com\r\nConnection: close\r\n\r\n",
        403, "unknown_host",
    ),
    "a page of another site": (
        b"POST /pause HTTP/1.1\r\nOrigin: https://evil.example.com\r\n" + _HEAD + b"\r\n",
        403, "cross_site",
    ),
    "a page that pretends a host behind the proxy": (
        b"GET /queue HTTP/1.1\r\nX-Forwarded-Host: localhost\r\nForwarded: host=localhost\r\n"
        b"Host: evil.example.com\r\nConnection: close\r\n\r\n",
        403, "unknown_host",
    ),
    "a method for another address": (
        b"PUT /transcribe HTTP/1.1\r\n" + _HEAD + b"Content-Length: 0\r\n\r\n",
        405, "method_not_allowed",
    ),
    "TRACE": (b"TRACE / HTTP/1.1\r\n" + _HEAD + b"\r\n", 405, "method_not_allowed"),
    "CONNECT": (b"CONNECT localhost:22 HTTP/1.1\r\n" + _HEAD + b"\r\n", 400, "bad_request"),
    "an invented method": (b"OINK / HTTP/1.1\r\n" + _HEAD + b"\r\n", 405, "method_not_allowed"),
    "an unknown address": (b"GET /admin HTTP/1.1\r\n" + _HEAD + b"\r\n", 404, "not_found"),
    "no HTTP": (b"\x16\x03\x01 hello\r\n\r\n", 400, "bad_request"),
    "a header too large": (
        b"GET /queue HTTP/1.1\r\n" + _HEAD + b"X-Large: " + b"x" * 20_000 + b"\r\n\r\n",
        431, "headers_too_large",
    ),
    "an address too long": (
        b"GET /status/" + b"x" * 20_000 + b" HTTP/1.1\r\n" + _HEAD + b"\r\n",
        431, "headers_too_large",
    ),
    "a broken code in an address": (
        b"GET /status/%zz.mp3 HTTP/1.1\r\n" + _HEAD + b"\r\n", 400, "bad_request",
    ),
    "a null in an address": (
        b"GET /status/%00.mp3 HTTP/1.1\r\n" + _HEAD + b"\r\n", 400, "bad_request",
    ),
    "out of the root": (
        b"GET /../../etc/passwd HTTP/1.1\r\n" + _HEAD + b"\r\n", 400, "bad_request",
    ),
    "a body that is no JSON": (
        b"POST /transcribe HTTP/1.1\r\n" + _HEAD + b"Content-Length: 3\r\n\r\n{]}",
        422, "invalid_request",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_request_is_answered_as_documented(what: str, front: Front) -> None:
    request, status, code = BAD[what]
    reply = front.say(request)
    assert (reply.status, reply.error_code) == (status, code)
    assert set(reply.json) == {"status", "error_code", "message", "filename", "suggestion"}


#: Ways out of the folder, as they stand in an address.
TRICKS = [
    "..%2f..%2fetc%2fpasswd",
    "..%2fmanual%2fsecret.mp3",
    "%2e%2e/%2e%2e/etc/passwd",
    "%252e%252e%252fmanual%252fsecret.mp3",
    "..%5cmanual%5csecret.mp3",
    "..%c0%afmanual%c0%afsecret.mp3",
    "....//....//etc/passwd",
    "%2fetc%2fpasswd",
    ".transcriber/owner.json",
]


@pytest.mark.parametrize("endpoint", ["status", "result"])
@pytest.mark.parametrize("trick", TRICKS)
def test_no_spelling_of_a_path_leads_out(
    trick: str, endpoint: str, daemon: ScriptedDaemon, front: Front
) -> None:
    (daemon.root / "secret.mp3").write_bytes(b"the words of somebody else")
    reply = front.say(b"GET /%b/%b HTTP/1.1\r\n%b\r\n" % (endpoint.encode(), trick.encode(), _HEAD))
    assert reply.status in (308, 400, 404), reply
    assert b"root:" not in reply.body
    assert b"somebody else" not in reply.body
    assert str(daemon.root).encode() not in reply.body


@pytest.mark.parametrize(
    "spelling",
    [
        "/metrics", "/metrics?x", "//metrics", "/./metrics", "/x/../metrics", "/x/..%2fmetrics",
        "/%6detrics", "/%6Detrics", "/metrics/", "/metrics%2f", "/metrics;x", "/%2fmetrics",
        "/metrics%20", "/metrics%23", "/metrics/.", "http://localhost/metrics",
        "http://localhost//metrics", "/docs/../metrics", "/v1/../metrics", "/v1/..%2fmetrics",
    ],
)  # fmt: skip
def test_no_spelling_leads_to_the_figures(spelling: str, front: Front) -> None:
    reply = front.say(b"GET %b HTTP/1.1\r\n%b\r\n" % (spelling.encode(), _HEAD))
    assert reply.status in (308, 400, 404), reply
    assert b"transcriber_" not in reply.body


# --- limits --------------------------------------------------------------------------------------


def test_a_body_over_the_limit_is_refused_at_its_headers(
    daemon: ScriptedDaemon, front: Front
) -> None:
    length = LIMIT_MB * 2**20 + 3 * MB
    reply = front.say(
        b"POST /transcribe HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n"
        b"Content-Type: multipart/form-data; boundary=bb\r\n\r\n--bb\r\n" % length
    )
    assert (reply.status, reply.error_code) == (413, "body_too_large")


def test_a_json_body_over_its_limit_is_refused(front: Front) -> None:
    reply = front.ask("POST", "/transcribe", b'{"filename": "' + b"x" * 2 * MB + b'"}')
    assert (reply.status, reply.error_code) == (413, "body_too_large")


def heard(client: ssl.SSLSocket) -> bytes:
    """What comes in a moment, such as a network needs for a piece of a body."""
    client.settimeout(0.002)
    try:
        return client.recv(2**16)
    except TimeoutError:
        return b""
    finally:
        client.settimeout(SOON_S)


def test_an_endless_body_is_stopped_at_its_limit(front: Front) -> None:
    with front.connected() as client:
        client.settimeout(SOON_S)
        client.sendall(
            b"POST /transcribe HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        sent, answer, piece = 0, b"", b"10000\r\n" + b" " * 2**16 + b"\r\n"
        while sent < 100 * MB and not answer:
            client.sendall(piece)
            sent += len(piece)
            answer = heard(client)
    assert sent < 100 * MB, "nobody stopped it"
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_without_the_key_an_upload_is_refused_before_its_body(tmp_path: Path) -> None:
    names = ["a.b.example", "office.example.com"]
    api = {"port": 0, "key": "only-for-this-test", "trusted_hosts": names}
    with (
        ScriptedDaemon(tmp_path / "daemon", {"api": api}) as daemon,
        Front(tmp_path / "nginx", port_of(daemon)) as front,
    ):
        form = {"Content-Type": "multipart/form-data; boundary=bb", "Content-Length": str(50 * MB)}
        head = "".join(f"{name}: {value}\r\n" for name, value in form.items())
        with front.connected() as client:
            client.sendall(f"POST /transcribe HTTP/1.1\r\nHost: a.b.example\r\n{head}\r\n".encode())
            client.settimeout(SOON_S)
            assert client.recv(2**16).startswith(b"HTTP/1.1 401 ")
        key = {"X-API-Key": "only-for-this-test", "Host": "office.example.com"}
        assert front.ask("GET", "/queue", headers=key).status == 200
        assert front.ask("GET", "/health").status == 200
