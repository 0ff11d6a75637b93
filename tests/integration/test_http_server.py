"""The HTTP server with real sockets: who gets in, how much, and that nobody holds up the others."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from flask import Flask, Response, request

from modules.api.server import http_server as server_module
from modules.api.server import parser
from modules.api.server.http_server import Server
from modules.api.server.parser import SPOOL_FROM_BYTES
from modules.api.server.refusals import Refusal, refusal
from tests.builders import until
from tests.http_reply import Reply

MIB = 1024 * 1024
SOON_S = 30.0


@dataclass
class Handlers:
    """What the application saw, and what its waiting handler waits for."""

    go_on: threading.Event = field(default_factory=threading.Event)
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    gone: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, str, int | None]] = field(default_factory=list)
    clients: set[str] = field(default_factory=set)


@dataclass
class Running:
    server: Server
    handlers: Handlers
    spool: Path


def broken_pieces() -> list[bytes]:
    raise RuntimeError("on purpose")


def an_app(handlers: Handlers, spool: Path) -> Flask:
    app = Flask("test", static_folder=None)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "healthy"}

    @app.post("/body")
    def body() -> dict[str, Any]:
        links = []
        for number in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                links.append(os.readlink(f"/proc/self/fd/{number}"))
        spooled = [link for link in links if link.startswith(str(spool))]
        content = request.get_data()
        return {"size": len(content), "spooled": spooled, "sum": sum(content[::4099])}

    @app.get("/wait")
    def wait() -> dict[str, bool]:
        handlers.waiting.release()
        gone = request.environ["waitress.client_disconnected"]
        while not handlers.go_on.wait(0.05):
            if gone():
                handlers.gone.set()
                break
        return {"went_on": handlers.go_on.is_set()}

    @app.get("/endless")
    def endless() -> Response:
        def pieces() -> Iterator[bytes]:
            handlers.waiting.release()
            try:
                while True:
                    yield b"x" * MIB
            finally:
                handlers.gone.set()

        return Response(pieces())

    @app.get("/broken")
    def broken() -> Response:
        def pieces() -> Iterator[bytes]:
            yield from broken_pieces()

        return Response(pieces())

    return app


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def begin(**options: Any) -> Running:
        handlers = Handlers()
        spool = tmp_path / "spool"
        spool.mkdir(exist_ok=True)

        def admit(
            method: str, path: str, headers: Mapping[str, str], length: int | None, client: str
        ) -> Refusal | int:
            handlers.asked.append((method, path, length))
            handlers.clients.add(client)
            if headers.get("authorization") == "wrong":
                answer = refusal(401, "unauthorized", "The key is wrong.", "Check it.")
                return Refusal(answer.status, answer.body, (("WWW-Authenticate", "Basic"),))
            return MIB

        server = Server(
            an_app(handlers, spool), "127.0.0.1", 0, spool=spool, **({"admit": admit} | options)
        )
        server.start()
        started.append(Running(server, handlers, spool))
        return started[-1]

    yield begin
    for running in started:
        running.handlers.go_on.set()
        running.server.stop()


@pytest.fixture
def running(start: Callable[..., Running]) -> Running:
    return start()


def connected(running: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", running.server.port), SOON_S)


def answer_from(connection: socket.socket) -> Reply:
    """One answer that has a length."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        assert piece, f"closed after {received!r}"
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
    while len(body) < int(headers["content-length"]):
        piece = connection.recv(65536)
        assert piece, f"closed after {body!r}"
        body += piece
    return Reply(int(first.split()[1]), headers, body)


def sent(running: Running, content: bytes) -> Reply:
    with connected(running) as connection:
        connection.sendall(content)
        return answer_from(connection)


def check_error(answer: Reply, status: int, code: str) -> None:
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["connection"] == "close"
    assert answer.headers["server"] == "audio-transcriber"
    assert set(answer.json) == {"status", "error_code", "message", "filename", "suggestion"}
    assert (answer.json["status"], answer.json["error_code"]) == ("error", code)


def check_healthy(running: Running) -> None:
    answer = sent(running, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (answer.status, answer.json) == (200, {"status": "healthy"})


def send_until_refused(connection: socket.socket, pieces: Iterator[bytes], looks: bool) -> int:
    """Send; a client that looks stops at the first byte of an answer. Returns what went out."""
    went = 0
    try:
        for piece in pieces:
            if looks and select.select([connection], [], [], 0)[0]:
                break
            connection.sendall(piece)
            went += len(piece)
    except OSError:
        assert not looks, "the connection broke before the answer came"
    return went


CHUNKED = b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("looks", [True, False], ids=["polite", "stubborn"])
def test_an_endless_chunked_upload_ends_at_its_limit(running: Running, looks: bool) -> None:
    piece = b"%x\r\n%s\r\n" % (MIB, b"x" * MIB)
    check_healthy(running)
    before = psutil.Process().memory_info().rss
    with connected(running) as connection:
        connection.sendall(CHUNKED)
        send_until_refused(connection, (piece for _ in range(200)), looks)
        check_error(answer_from(connection), 413, "body_too_large")
    assert psutil.Process().memory_info().rss - before < 30e6
    assert list(running.spool.iterdir()) == []
    until(lambda: not spooled_now(running), "the spooled file was closed")
    check_healthy(running)


def spooled_now(running: Running) -> list[str]:
    links = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            links.append(os.readlink(f"/proc/self/fd/{number}"))
    return [link for link in links if link.startswith(str(running.spool))]


@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"], ids=["", "expect"])
def test_a_length_over_the_limit_is_refused_before_the_body(
    running: Running, expect: bytes
) -> None:
    head = b"POST /body HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n"
    check_error(sent(running, head % (expect, MIB + 1)), 413, "body_too_large")
    assert running.handlers.asked == [("POST", "/body", MIB + 1)]


@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"], ids=["", "expect"])
@pytest.mark.parametrize("length", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_who_is_not_admitted_is_told_before_the_body(
    running: Running, expect: bytes, length: bytes
) -> None:
    head = b"POST /body HTTP/1.1\r\nHost: x\r\nAuthorization: wrong\r\n" + expect + length
    answer = sent(running, head + b"\r\n")
    check_error(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Basic"


def test_what_follows_a_refused_request_is_no_request(running: Running) -> None:
    inner = b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"POST /body HTTP/1.1\r\nHost: x\r\nAuthorization: wrong\r\nContent-Length: %d\r\n\r\n"
    with connected(running) as connection:
        connection.sendall(head % (2 * len(inner)) + inner)
        check_error(answer_from(connection), 401, "unauthorized")
        connection.sendall(inner)
        assert connection.recv(1) == b"", "a second answer came"
    assert running.handlers.asked == [("POST", "/body", 2 * len(inner))]


def test_the_gate_sees_the_path_that_the_application_sees(running: Running) -> None:
    sent(running, b"GET ///%D1%8F%2Fb?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert running.handlers.asked == [("GET", "/я/b", 0)]


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [0, 1, 100_000, SPOOL_FROM_BYTES, MIB])
def test_a_body_within_the_limit_arrives_whole(running: Running, size: int, chunked: bool) -> None:
    content = bytes(i % 251 for i in range(size))
    with connected(running) as connection:
        for _ in range(2):  # the connection stays
            if chunked:
                connection.sendall(CHUNKED)
                for start in range(0, size, 70_001):
                    piece = content[start : start + 70_001]
                    connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
                connection.sendall(b"0\r\n\r\n")
            else:
                head = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
                connection.sendall(head + content)
            answer = answer_from(connection)
            assert answer.status == 200
            assert (answer.json["size"], answer.json["sum"]) == (size, sum(content[::4099]))
            assert bool(answer.json["spooled"]) == (size >= SPOOL_FROM_BYTES)
    assert list(running.spool.iterdir()) == []
    until(lambda: not spooled_now(running), "the spooled files were closed")


def test_a_client_that_may_go_on_is_told_so(running: Running) -> None:
    head = b"POST /body HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    with connected(running) as connection:
        connection.sendall(head)
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert answer_from(connection).json["size"] == 3


def test_expecting_without_a_body_is_answered(running: Running) -> None:
    answer = sent(running, b"GET /health HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n")
    assert answer.status == 200


def test_a_client_that_leaves_in_the_middle_of_a_body_leaves_no_file(running: Running) -> None:
    with connected(running) as connection:
        head = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % MIB
        connection.sendall(head + b"x" * (MIB // 2))
        until(lambda: spooled_now(running), "the body was spooled")
    until(lambda: not spooled_now(running), "the file was closed")


def test_a_folder_that_takes_nothing_is_told(running: Running) -> None:
    running.spool.rmdir()
    head = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % MIB
    check_error(sent(running, head + b"x" * MIB), 503, "storage_error")
    check_healthy(running)


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (errno.ENOSPC, 507, "no_room"),
        (errno.EDQUOT, 507, "no_room"),
        (errno.EFBIG, 507, "no_room"),
        (errno.EIO, 503, "storage_error"),
        (errno.ESTALE, 503, "storage_error"),
        (errno.EROFS, 503, "storage_error"),
    ],
)
def test_only_what_has_no_room_is_not_to_be_sent_again(
    running: Running, monkeypatch: pytest.MonkeyPatch, number: int, status: int, code: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(parser._SpooledBuffer, "append", fail)
    head = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % MIB
    answer = sent(running, head + b"x" * MIB)
    check_error(answer, status, code)
    assert answer.headers.get("retry-after") == (None if status == 507 else "10")
    monkeypatch.undo()
    check_healthy(running)


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "bad_request"),
        (b"get / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GET http://[ HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nContent-Length: %s\r\n\r\n" % (b"9" * 5000), 400, "bad_request"),
        (
            b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: x\r\n\r\n",
            400,
            "bad_request",
        ),
        (CHUNKED + b"zz\r\n", 400, "bad_request"),
        (CHUNKED + b"1" * 20_000, 400, "bad_request"),
        (CHUNKED + b"0\r\n" + b"x" * 20_000, 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "not_implemented"),
        (b"GET / HTTP/1.1\r\nX: %s\r\n\r\n" % (b"x" * MIB), 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nX: %s" % (b"x" * MIB), 431, "headers_too_large"),
    ],
    ids=range(13),
)
def test_what_is_no_request_is_told_in_json(
    running: Running, content: bytes, status: int, code: str
) -> None:
    with connected(running) as connection:
        connection.sendall(content)
        check_error(answer_from(connection), status, code)
        assert connection.recv(1) == b"", "it stayed open"
    check_healthy(running)


def test_an_error_while_answering_is_told_in_json(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    answer = sent(running, b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
    check_error(answer, 500, "internal_error")
    assert "on purpose" in caplog.text


def test_a_refused_head_has_no_body(running: Running) -> None:
    with connected(running) as connection:
        connection.sendall(b"HEAD /health HTTP/1.1\r\nHost: x\r\nAuthorization: wrong\r\n\r\n")
        received = b""
        while piece := connection.recv(65536):
            received += piece
    assert received.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert received.endswith(b"\r\n\r\n")


def test_idle_connections_hold_up_nobody_and_are_closed(start: Callable[..., Running]) -> None:
    idle_s = 12.0  # a busy machine opens 200 slowly
    running = start(threads=2, idle_timeout_s=idle_s)
    beginnings = [
        b"",
        b"GET /hea",
        b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab",
    ]
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connected(running)) for _ in range(200)]
        for number, connection in enumerate(idle):
            connection.sendall(beginnings[number % 3])
        began = time.monotonic()
        check_healthy(running)
        assert time.monotonic() - began < idle_s - 2, "it waited until they were closed"
        for connection in idle:
            assert connection.recv(1) == b""
    check_healthy(running)


def test_headers_that_trickle_in_have_an_end(start: Callable[..., Running]) -> None:
    running = start(idle_timeout_s=1.0)
    began = time.monotonic()
    with connected(running) as connection:

        def cut_off() -> bool:
            try:
                connection.sendall(b"G")
                return bool(select.select([connection], [], [], 0.2)[0])
            except OSError:
                return True

        until(cut_off, "the connection was closed")
    assert time.monotonic() - began > 0.9


def test_the_gate_sees_the_address_of_the_client(running: Running) -> None:
    head = b"GET /health HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
    assert sent(running, head).status == 200
    assert running.handlers.clients == {"127.0.0.1"}, "anybody can send the header"


def test_a_body_that_trickles_in_has_an_end(start: Callable[..., Running]) -> None:
    running = start(idle_timeout_s=1.0)
    with connected(running) as connection:
        connection.sendall(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n")

        def cut_off() -> bool:
            try:
                connection.sendall(b"x")
                return bool(select.select([connection], [], [], 0.2)[0])
            except OSError:
                return True

        until(cut_off, "the connection was closed")


def test_empty_lines_keep_no_connection_open(start: Callable[..., Running]) -> None:
    running = start(idle_timeout_s=1.0)
    with connected(running) as connection:

        def cut_off() -> bool:
            try:
                connection.sendall(b"\r\n\r\n")
                return bool(select.select([connection], [], [], 0.2)[0])
            except OSError:
                return True

        until(cut_off, "the connection was closed")


def bytes_received(running: Running) -> list[int]:
    """Of the bodies that are on their way."""
    channels = list(running.server._server.active_channels.values())
    return [channel.request.body_bytes_received for channel in channels if channel.request]


BEGINNINGS = {
    "silent": b"",
    "half a head": b"GET /health HTTP/1.1\r\nX: ",
    "answered before": b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "half a body": b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab",
}


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS)
def test_the_unfinished_make_way_and_who_is_served_does_not(
    start: Callable[..., Running], beginning: bytes
) -> None:
    running = start(connection_limit=20, threads=4)
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(connected(running))
        served.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert running.handlers.waiting.acquire(timeout=SOON_S)
        upload = stack.enter_context(connected(running))
        upload.sendall(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n")
        upload.sendall(b"x" * 150_000)
        until(lambda: 150_000 in bytes_received(running), "the first part was read")
        for _ in range(60):
            client = stack.enter_context(connected(running))
            with contextlib.suppress(OSError):  # it made way already
                client.sendall(beginning)
        check_healthy(running)
        assert len(running.server._server.active_channels) <= 20
        upload.sendall(b"x" * 50_000)
        assert answer_from(upload).json["size"] == 200_000
        running.handlers.go_on.set()
        assert answer_from(served).json == {"went_on": True}


def test_where_all_are_served_others_wait_for_their_turn(start: Callable[..., Running]) -> None:
    running = start(connection_limit=2, threads=4)
    with connected(running) as first, connected(running) as second:
        for connection in (first, second):
            connection.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
            assert running.handlers.waiting.acquire(timeout=SOON_S)
        with connected(running) as third:
            third.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert select.select([third], [], [], 0.5)[0] == []
            running.handlers.go_on.set()
            assert answer_from(third).status == 200
        assert answer_from(first).status == answer_from(second).status == 200


def test_a_waiting_request_is_not_idle(start: Callable[..., Running]) -> None:
    running = start(idle_timeout_s=1.0)
    with connected(running) as connection:
        connection.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert running.handlers.waiting.acquire(timeout=SOON_S)
        assert not running.handlers.gone.wait(3.5)
        running.handlers.go_on.set()
        assert answer_from(connection).json == {"went_on": True}


@pytest.mark.parametrize("abrupt", [False, True], ids=["closed", "reset"])
def test_a_waiting_handler_sees_that_its_client_left(running: Running, abrupt: bool) -> None:
    with connected(running) as connection:
        connection.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert running.handlers.waiting.acquire(timeout=SOON_S)
        assert not running.handlers.gone.wait(0.3)
        if abrupt:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert running.handlers.gone.wait(SOON_S)


def test_a_client_that_takes_no_answer_is_let_go(start: Callable[..., Running]) -> None:
    running = start(idle_timeout_s=1.0)
    with connected(running) as connection:
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        assert running.handlers.gone.wait(SOON_S)


def test_stop_lets_a_waiting_request_end_and_be_answered(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "STOP_S", 3 * SOON_S)
    with connected(running) as connection, connected(running) as idle:
        connection.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert running.handlers.waiting.acquire(timeout=SOON_S)
        stopping = threading.Thread(target=running.server.stop)
        stopping.start()
        until(lambda: not accepts(running), "the port was closed")
        running.handlers.go_on.set()
        assert answer_from(connection).json == {"went_on": True}
        stopping.join(SOON_S)
        assert not stopping.is_alive(), "it waited longer than for the answer"
        assert idle.recv(1) == b""


def accepts(running: Running) -> bool:
    try:
        with connected(running):
            return True
    except ConnectionError:
        return False


def test_stop_does_not_wait_for_ever(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "STOP_S", 1)
    with connected(running) as connection:
        connection.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert running.handlers.waiting.acquire(timeout=SOON_S)
        stopping = threading.Thread(target=running.server.stop)
        stopping.start()
        stopping.join(SOON_S)
        assert not stopping.is_alive(), "it waits for the handler, which waits for ever"
        # Those that still wait learn that there is nobody to answer to.
        assert running.handlers.gone.wait(SOON_S)


def test_stop_before_the_start_frees_the_port(tmp_path: Path) -> None:
    server = Server(an_app(Handlers(), tmp_path), "127.0.0.1", 0, spool=tmp_path)
    server.stop()
    with socket.create_server(("127.0.0.1", server.port)):
        pass


def test_more_connections_than_files_raise_the_limit(start: Callable[..., Running]) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(300, limits[1]), limits[1]))
        check_healthy(start(connection_limit=700))
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= min(700, limits[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
