"""Nothing that a client sends, and nothing that lies in the folder, is answered with 500."""

from __future__ import annotations

import contextlib
import copy
import http.client
import json
import random
import select
import socket
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from modules.config.types import FORMATS
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.soak import soak

SEED = 20_240_611
RESULTS = soak(200, 20_000)
REQUESTS = soak(400, 50_000)
AT_ONCE = 200
DEEP: Any = []
for _ in range(200):
    DEEP = [DEEP]
#: As Python writes them; NaN, Infinity and numbers out of all bounds are no JSON.
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 10**30, 10**400, 1e308, float("nan"), float("inf"), -0.0, "", "x", "\ud800",
    "\0", "a" * 5000, "../../etc/passwd", [], [None], {}, {"": None}, {"a": [{}]}, DEEP, [[0, 1]],
)  # fmt: skip


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    config = {"api": {"search_attempts": 1}, "watch": {"rescan_seconds": 3600.0}}
    with ScriptedDaemon(tmp_path_factory.mktemp("fuzzed"), config) as running:
        running.drop("talk.mp3", 3)
        running.wait_for_result("talk.mp3", SOON_S)
        yield running


def port_of(daemon: ScriptedDaemon) -> int:
    return int(daemon.wait_for_log(r"Listening on http://[^:]+:(\d+)", SOON_S).group(1))


def places_in(tree: Any) -> list[tuple[Any, Any]]:
    """Every place of a tree, as a container and the key in it."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    found = [(tree, key) for key in keys]
    for key in keys:
        if isinstance(tree[key], dict | list):
            found += places_in(tree[key])
    return found


def forged(result: dict[str, Any], chance: random.Random) -> bytes:
    """A result with one to three wrong values, or none of its own."""
    wrong = copy.deepcopy(result)
    for _ in range(chance.randint(1, 3)):
        top = [(wrong, key) for key in wrong]
        container, key = chance.choice(chance.choice([places_in(wrong), top]))
        container[key] = copy.deepcopy(chance.choice(VALUES))
    content = json.dumps(wrong).encode()
    if chance.random() < 0.1:
        at = chance.randrange(len(content))
        content = content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :]
    return content


def test_a_forged_result_is_no_error_of_ours(daemon: ScriptedDaemon) -> None:
    earlier = daemon.log.count("Traceback")
    chance = random.Random(SEED)
    result = json.loads((daemon.shared / "talk.mp3.result").read_bytes())
    connection = http.client.HTTPConnection("127.0.0.1", port_of(daemon), timeout=SOON_S)
    told: Counter[int] = Counter()
    with contextlib.closing(connection):

        def ask(address: str, content: bytes) -> None:
            connection.request("GET", address)
            with connection.getresponse() as answer:
                body = answer.read()
            told[answer.status] += 1
            assert answer.status < 500, (address, content[:2000])
            if answer.getheader("Content-Type") == "application/json":
                json.loads(body, parse_constant=lambda name: pytest.fail(f"{name} in {body!r}"))

        for number in range(RESULTS):
            content = forged(result, chance)
            name = f"forged-{number}.mp3"
            path = daemon.shared / f"{name}.result"
            path.write_bytes(content)
            ask(f"/status/{name}", content)
            ask(f"/result/{name}", content)
            for form in FORMATS:
                ask(f"/result/{name}?format={form}", content)
            path.unlink()
        ask("/queue", b"")
    assert told[200] > RESULTS, "most wrong values are of no account"
    assert told[404], "some make a result unusable"
    assert daemon.log.count("Traceback") == earlier


# --- requests ------------------------------------------------------------------------------------

BODIES = (
    b"[" * 100_000, b"[" * 500 + b"]" * 500, b'{"a":' * 900 + b"1" + b"}" * 900, b"{}", b"\xff",
    b'{"filename": ' + b"9" * 5000 + b"}", b'{"filename": NaN}', b'{"filename": "\\ud800.mp3"}',
    b'{"filename": "' + b"a/" * 2000 + b'a.mp3"}',
    b'{"filename": "talk.mp3", "temperature": 1e999}',
    b'{"filename": "talk.mp3", "wait": ' + b"[" * 300 + b"]" * 300 + b"}",
)  # fmt: skip
TARGETS = (
    "/status/talk.mp3", "/result/talk.mp3?format=srt", "/result/talk.mp3?format=%00", "/queue",
    "/transcribe", "/status/" + "a/" * 30, "/status/" + "a/" * 2000, "/result/%ff%fe.mp3",
    "/manual/%2e%2e/retry", "/v1/audio/transcriptions", "/events?filename=%00", "/docs/%00", "*",
    "http://localhost/queue", "//", "/status/" + quote("\U0001f600" * 200), "/nowhere", "/docs/..",
)  # fmt: skip
HEADERS = (
    "Content-Length: 5", "Content-Length: +5", "Content-Length: 5,5", "Content-Length : 5",
    "Transfer-Encoding: chunked", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: x",
    "X: a\r\n b", "X: a\nY: b", "X: a\rb", "X: \0", "Expect: 100-continue", "Origin: null",
    "Content-Type: multipart/form-data; boundary=", "Content-Type: multipart/form-data; boundary=b",
    "Content-Type: application/json", "Content-Type: \xff/\xff; charset=\xff", "Range: bytes=9-1",
    "Authorization: Basic !", "Connection: close", "Upgrade: h2c", "Last-Event-ID: 99999999999999",
    "Accept: */*", "If-None-Match: \"", "If-Modified-Since: x", "Cookie: \xff", "Host: evil",
)  # fmt: skip


def raw_request(chance: random.Random) -> bytes:
    """Parts of requests put together at random; some with a few wrong bytes."""
    method = chance.choice(["GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "TRACE", "CONNECT"])
    lines = [f"{method} {chance.choice(TARGETS)} HTTP/1.{chance.choice('01112')}"]
    lines += ["Host: localhost"] * (chance.random() < 0.9)
    lines += chance.sample(HEADERS, chance.randint(0, 4))
    body = chance.choice(BODIES) if chance.random() < 0.6 else b""
    if chance.random() < 0.6:
        lines.append(f"Content-Length: {len(body)}")
    head = bytearray("\r\n".join(lines).encode("latin-1"))
    while chance.random() < 0.2:
        head[chance.randrange(len(head))] = chance.randrange(256)
    return bytes(head) + b"\r\n\r\n" + body


def answers_to(port: int, requests: list[bytes]) -> list[bytes]:
    """What comes back within a moment; nothing, where a request is not over."""
    with contextlib.ExitStack() as stack:
        came: dict[socket.socket, bytes] = {}
        for request in requests:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), SOON_S))
            with contextlib.suppress(OSError):
                client.sendall(request)
            came[client] = b""
        left, deadline = set(came), time.monotonic() + SOON_S
        while left and time.monotonic() < deadline:
            ready = select.select(list(left), [], [], 1.0)[0]
            if not ready:
                break
            for client in ready:
                piece = b""
                with contextlib.suppress(OSError):
                    piece = client.recv(65536)
                came[client] += piece
                if not piece or b"event-stream" in came[client]:
                    left.discard(client)
        return list(came.values())


def test_no_request_is_an_error_of_ours(daemon: ScriptedDaemon) -> None:
    earlier = daemon.log.count("Traceback")
    chance = random.Random(SEED)
    told: Counter[bytes] = Counter()
    for _ in range(0, REQUESTS, AT_ONCE):
        requests = [raw_request(chance) for _ in range(AT_ONCE)]
        for request, answer in zip(requests, answers_to(port_of(daemon), requests), strict=True):
            told[answer[9:12]] += 1
            assert answer[9:10] != b"5" or answer[9:12] == b"501", (request[:2000], answer[:500])
            assert b"internal_error" not in answer, request[:2000]
    print({status.decode() or "none yet": count for status, count in told.most_common()})
    assert told[b"200"]
    assert told[b"400"]
    assert daemon.log.count("Traceback") == earlier
    assert daemon.health()["status"] == "healthy"


@pytest.mark.parametrize("depth", [65, 900, 5000, 100_000])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_json_may_not_be_nested_deep(daemon: ScriptedDaemon, method: str, depth: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(daemon), timeout=SOON_S)
    with contextlib.closing(connection):
        body = b'{"filename": ' + b"[" * depth + b"]" * depth + b"}"
        connection.request(method, "/transcribe", body, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
    assert answer["error_code"] == "invalid_request"
