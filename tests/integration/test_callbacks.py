"""Callbacks against a real HTTP receiver on the loopback."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from modules import __version__
from modules.clock import SystemClock
from modules.config.schema import CallbacksConfig
from modules.delivery import http_post, outbox, webhooks
from modules.delivery.addresses import is_public
from modules.delivery.webhooks import Webhooks
from modules.errors import StorageError, TranscriberError
from modules.jobs.backoff import Backoff
from tests.builders import until
from tests.fakes import FakeClock

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
PAYLOAD = {"filename": "беседа.mp3", "status": "done", "text": "Так и есть."}


class Receiver(ThreadingHTTPServer):
    """Answers with the scripted statuses one after another, then 200; remembers what came."""

    daemon_threads = False
    block_on_close = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses: list[int] = []
        self.came: list[tuple[str, dict[str, str], bytes]] = []
        #: Called before each answer.
        self.before: Callable[[], object] = lambda: None
        self.answer_headers: dict[str, str] = {}

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, path: str = "/done", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for _, headers, _ in self.came]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.came.append((self.path, dict(self.headers.items()), body))
        self.server.before()
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        with contextlib.suppress(OSError):  # some are cut off on purpose
            self.send_response(status)
            for name, value in self.server.answer_headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"noted")

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        return


@contextlib.contextmanager
def serving(receiver: Receiver) -> Iterator[Receiver]:
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        receiver.server_close()
        thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with serving(Receiver()) as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "callbacks"


def a_sender(folder: Path, clock: FakeClock, **changes: Any) -> Webhooks:
    facts: dict[str, Any] = {"allow_private": True, "timeout_seconds": 5.0}
    return Webhooks(folder, CallbacksConfig(**(facts | changes)), clock)


def waiting(folder: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted(folder.glob("*.json")):
        with contextlib.suppress(FileNotFoundError):  # sent since it was listed
            found.append(json.loads(path.read_bytes()))
    return found


def failed(folder: Path) -> list[dict[str, Any]]:
    return waiting(folder / "failed")


def points_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    monkeypatch.setattr(http_post, "resolve", lambda host, port: list(addresses))


# --- delivery ---------------------------------------------------------------------------------


def test_message_arrives_and_its_signature_is_right(
    receiver: Receiver, folder: Path, clock: FakeClock
) -> None:
    sender = a_sender(folder, clock, secret=SECRET)
    sender.notify(receiver.url("/hook/готово?token=a%20b&x=[1]#part"), PAYLOAD)
    assert sender.tick() > 60
    [(path, headers, body)] = receiver.came
    assert Webhook(SECRET).verify(body, headers) == PAYLOAD
    assert path == "/hook/%D0%B3%D0%BE%D1%82%D0%BE%D0%B2%D0%BE?token=a%20b&x=%5B1%5D"
    assert headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"] == f"audio-transcriber/{__version__}"
    assert "беседа".encode() in body
    assert waiting(folder) == []


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("открыто", "открыто".encode()),
        ("whsec_!", b"whsec_!"),
        ("whsec_", b"whsec_"),
        ("whsec_a2V5", b"key"),
        ("whsec_a2V5MQ", b"key1"),
    ],
)
def test_secret_in_any_form_signs(
    receiver: Receiver, folder: Path, clock: FakeClock, secret: str, key: bytes
) -> None:
    sender = a_sender(folder, clock, secret=secret)
    sender.notify(receiver.url(), PAYLOAD)
    sender.tick()
    [(_, headers, body)] = receiver.came
    Webhook(key).verify(body, headers)


def test_without_a_secret_nothing_is_signed(
    receiver: Receiver, folder: Path, clock: FakeClock
) -> None:
    sender = a_sender(folder, clock)
    sender.notify(receiver.url(), PAYLOAD)
    sender.tick()
    assert "webhook-signature" not in receiver.came[0][1]


def test_file_names_that_are_no_text_are_told_too(
    receiver: Receiver, folder: Path, clock: FakeClock
) -> None:
    a_sender(folder, clock).notify(receiver.url(), {"filename": "\udcff.mp3"})
    a_sender(folder, clock).tick()  # also through the file
    assert json.loads(receiver.came[0][2]) == {"filename": "\udcff.mp3"}


def test_order_is_that_of_creation(receiver: Receiver, folder: Path, clock: FakeClock) -> None:
    sender = a_sender(folder, clock)
    for number in range(20):
        sender.notify(receiver.url(f"/{number}"), {})
    sender.tick()
    assert [path for path, _, _ in receiver.came] == [f"/{number}" for number in range(20)]


# --- trying again -----------------------------------------------------------------------------


def test_failed_delivery_is_repeated_later_and_later(
    receiver: Receiver, folder: Path, clock: FakeClock
) -> None:
    receiver.statuses = [500, 503, 404]
    sender = a_sender(folder, clock, secret=SECRET)
    sender.notify(receiver.url(), PAYLOAD)
    for attempt, pause_s in enumerate([5, 10, 20], start=1):
        assert sender.tick() == pytest.approx(pause_s)
        assert [message["attempts"] for message in waiting(folder)] == [attempt]
        clock.advance(pause_s - 0.1)
        sender.tick()
        assert len(receiver.came) == attempt, "a try before its time"
        clock.advance(0.2)
    sender.tick()
    assert len(set(receiver.ids())) == 1
    assert len(receiver.came) == 4
    assert waiting(folder) == failed(folder) == []
    first, last = receiver.came[0][1], receiver.came[-1][1]
    assert int(last["webhook-timestamp"]) - int(first["webhook-timestamp"]) in (35, 36)


def test_pause_has_a_limit(receiver: Receiver, folder: Path, clock: FakeClock) -> None:
    receiver.statuses = [500] * 50
    sender = a_sender(folder, clock, max_attempts=50)
    sender.notify(receiver.url(), PAYLOAD)
    pauses = []
    for _ in range(49):
        pauses.append(sender.tick())
        clock.advance(pauses[-1])
    assert pauses[8:11] == pytest.approx([1280, 2560, 3600])
    assert max(pauses) == pytest.approx(3600)


def test_message_survives_a_restart(receiver: Receiver, folder: Path, clock: FakeClock) -> None:
    receiver.statuses = [500]
    before = a_sender(folder, clock)
    before.notify(receiver.url("/1"), PAYLOAD)
    before.tick()
    clock.advance(1)
    before.notify(receiver.url("/2"), PAYLOAD)

    # As after a reboot: the monotonic clock begins anew.
    after = a_sender(folder, FakeClock(clock.utc_now() + timedelta(seconds=1)))
    after.notify(receiver.url("/3"), PAYLOAD)
    after.tick()
    assert [path for path, _, _ in receiver.came] == ["/1", "/1", "/2", "/3"]
    assert receiver.ids()[0] == receiver.ids()[1]
    assert waiting(folder) == []


def test_the_figures_tell_how_callbacks_end(
    receiver: Receiver, folder: Path, clock: FakeClock
) -> None:
    ends: list[str] = []
    config = CallbacksConfig(allow_private=True, max_attempts=1)
    sender = Webhooks(folder, config, clock, ends.append)
    receiver.statuses = [200, 500]
    for _ in range(2):
        sender.notify(receiver.url("/done"), PAYLOAD)
        sender.tick()
    assert ends == ["delivered", "given_up"]


def test_of_those_that_are_given_up_the_latest_are_kept(
    receiver: Receiver, folder: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "FAILED_KEPT", 2)
    receiver.statuses = [500] * 4
    for number in range(4):
        sender = a_sender(folder, clock, max_attempts=1)
        sender.notify(receiver.url("/done"), {"number": number})
        sender.tick()
        for file in (folder / "failed").glob("*.json"):  # as old as they are apart
            os.utime(file, (number, json.loads(file.read_bytes())["payload"]["number"]))
    assert sorted(left["payload"]["number"] for left in failed(folder)) == [2, 3]


def test_attempts_count_across_restarts_and_end(
    receiver: Receiver, folder: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses = [500] * 10
    a_sender(folder, clock).notify(receiver.url("/done?token=hidden"), PAYLOAD)
    for _ in range(5):
        a_sender(folder, clock, max_attempts=3, secret=SECRET).tick()
    assert len(receiver.came) == 3
    assert waiting(folder) == []
    [left] = failed(folder)
    assert (left["attempts"], left["payload"]) == (3, PAYLOAD)
    assert "500" in left["error"]
    assert [r.levelname for r in caplog.records].count("ERROR") == 1
    assert "/done" in caplog.text
    assert "hidden" not in caplog.text
    assert SECRET not in caplog.text


def test_receiver_may_want_no_more(receiver: Receiver, folder: Path, clock: FakeClock) -> None:
    receiver.statuses = [410]
    sender = a_sender(folder, clock)
    sender.notify(receiver.url(), PAYLOAD)
    sender.tick()
    assert waiting(folder) == failed(folder) == []


def test_redirect_is_not_followed(receiver: Receiver, folder: Path, clock: FakeClock) -> None:
    receiver.statuses = [302]
    receiver.answer_headers = {"Location": receiver.url("/elsewhere")}
    sender = a_sender(folder, clock)
    sender.notify(receiver.url(), PAYLOAD)
    sender.tick()
    assert [path for path, _, _ in receiver.came] == ["/done"]
    assert [message["attempts"] for message in waiting(folder)] == [1]


def test_corrupt_files_are_put_aside(
    receiver: Receiver, folder: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    sender = a_sender(folder, clock)
    sender.notify(receiver.url(), PAYLOAD)
    [good] = waiting(folder)
    bad = {
        "a.json": b"{",
        "b.json": b"[]",
        "c.json": json.dumps(good).encode(),  # the id of another
        "d.json": json.dumps(good | {"id": "d", "attempts": True}).encode(),
        "e.json": json.dumps(good | {"id": "e", "payload": {"n": float("nan")}}).encode(),
    }
    for name, content in bad.items():
        (folder / name).write_bytes(content)
    a_sender(folder, clock).tick()
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}.corrupt" for name in bad]
    assert len(receiver.came) == 1
    assert caplog.text.count("corrupt and put aside") == len(bad)


def test_folder_that_cannot_be_made_is_told(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "file").write_bytes(b"")
    sender = a_sender(tmp_path / "file" / "callbacks", clock)
    with pytest.raises(StorageError):
        sender.notify("https://example.com", PAYLOAD)


def test_disk_that_refuses_costs_no_second_delivery(
    receiver: Receiver, folder: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> bool:
        raise StorageError("read_only", "The folder is read-only.")

    sender = a_sender(folder, clock)
    sender.notify(receiver.url(), PAYLOAD)
    with monkeypatch.context() as patched:
        patched.setattr(outbox, "remove", broken)
        assert 0 < sender.tick() <= 5
        clock.advance(5)
        assert 0 < sender.tick() <= 5
    clock.advance(5)
    sender.tick()
    assert len(receiver.came) == 1
    assert waiting(folder) == []


# --- slow and silent receivers ----------------------------------------------------------------


def test_silent_receiver_costs_one_timeout_a_round(
    receiver: Receiver, folder: Path, clock: FakeClock
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sender = a_sender(folder, clock, timeout_seconds=0.3)
        for _ in range(20):
            sender.notify(f"http://127.0.0.1:{silent.getsockname()[1]}/", PAYLOAD)
        sender.notify(receiver.url(), PAYLOAD)
        sender.tick()
    assert len(receiver.came) == 1
    tried = sorted(message["attempts"] for message in waiting(folder))
    assert tried == [0] * 19 + [1], "each message waited for the silent receiver"


def test_receiver_that_dribbles_is_cut_off(folder: Path, clock: FakeClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as slow:
        sender = a_sender(folder, clock, timeout_seconds=0.5)
        sender.notify(f"http://127.0.0.1:{slow.getsockname()[1]}/", PAYLOAD)
        done = threading.Event()

        def dribble() -> None:
            connection, _ = slow.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                for _ in range(2000):  # far longer than may be waited
                    if not done.wait(0.05):
                        connection.sendall(b"x")

        dribbler = threading.Thread(target=dribble)
        dribbler.start()
        started = time.monotonic()
        sender.tick()
        took_s = time.monotonic() - started
        done.set()  # the rest of the loop runs through at once
        dribbler.join()
    assert took_s < 50, "every byte won the receiver a new timeout"


def test_long_answer_is_not_read_to_its_end(
    receiver: Receiver, folder: Path, clock: FakeClock
) -> None:
    receiver.answer_headers = {"Content-Length": str(10**12)}
    sender = a_sender(folder, clock, timeout_seconds=0.3)
    sender.notify(receiver.url(), PAYLOAD)
    sender.tick()
    assert waiting(folder) == []


# --- the thread -------------------------------------------------------------------------------


def test_thread_delivers_what_lay_there_and_what_comes(
    receiver: Receiver, folder: Path, clock: FakeClock
) -> None:
    a_sender(folder, clock).notify(receiver.url("/old"), PAYLOAD)
    config = CallbacksConfig(allow_private=True)
    sender = Webhooks(folder, config, SystemClock())
    sender.start()
    try:
        until(lambda: len(receiver.came) == 1, "what lay there was not sent")
        sender.notify(receiver.url("/new"), PAYLOAD)
        until(lambda: len(receiver.came) == 2, "the new message was not sent")
        until(lambda: not waiting(folder), "the files were not removed")
    finally:
        sender.stop()


def test_stop_does_not_wait_for_a_retry(
    receiver: Receiver, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "_PAUSES", Backoff(first_s=600.0, longest_s=3600.0))
    receiver.statuses = [500]
    sender = Webhooks(folder, CallbacksConfig(allow_private=True), SystemClock())
    sender.start()
    sender.notify(receiver.url(), PAYLOAD)
    until(lambda: [m["attempts"] for m in waiting(folder)] == [1], "no attempt was counted")
    started = time.monotonic()
    sender.stop()
    assert time.monotonic() - started < 60, "the stop waited"
    assert "callbacks" not in [thread.name for thread in threading.enumerate()]
    assert len(receiver.came) == 1


def test_thread_survives_a_surprise(
    receiver: Receiver,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def surprise(host: str, port: int) -> list[str]:
        raise RuntimeError("a surprise")

    sender = Webhooks(folder, CallbacksConfig(allow_private=True), SystemClock())
    sender.start()
    try:
        with monkeypatch.context() as patched:
            patched.setattr(http_post, "resolve", surprise)
            sender.notify(receiver.url(), PAYLOAD)
            until(lambda: "unexpected error" in caplog.text, "the surprise was not logged")
        sender.notify(receiver.url("/next"), PAYLOAD)
        until(lambda: receiver.came, "the sender did not go on")
        assert receiver.came[0][0] == "/next", "one bad message stands before all others"
    finally:
        sender.stop()


def test_a_slow_receiver_holds_up_nobody_and_gets_its_messages_in_order(
    receiver: Receiver, folder: Path
) -> None:
    sender = Webhooks(folder, CallbacksConfig(allow_private=True), SystemClock())
    go_on = threading.Event()
    with serving(Receiver()) as slow:
        slow.before = lambda: go_on.wait(20)
        for number in range(5):
            sender.notify(slow.url(f"/{number}"), PAYLOAD)
        sender.notify(receiver.url(), PAYLOAD)
        sender.start()
        try:
            until(lambda: receiver.came, "the quick receiver got its message")
            sender.notify(receiver.url(), PAYLOAD)
            until(lambda: len(receiver.came) == 2, "and the next one")
            assert len(slow.came) == 1, "one message at a time"
            go_on.set()
            until(lambda: len(slow.came) == 5, "the slow receiver got all of its messages")
        finally:
            go_on.set()
            sender.stop()
    assert [path for path, _, _ in slow.came] == [f"/{number}" for number in range(5)]


def test_many_slow_receivers_take_turns_with_the_others(
    receiver: Receiver, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "RECEIVERS_AT_ONCE", 2)
    monkeypatch.setattr(webhooks, "_TURN_S", 0.0)
    sender = Webhooks(folder, CallbacksConfig(allow_private=True), SystemClock())
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(serving(Receiver())) for _ in range(3)]
        for slow in crowd:
            slow.before = lambda: time.sleep(0.05)
            for _ in range(20):
                sender.notify(slow.url(), PAYLOAD)
        sender.notify(receiver.url(), PAYLOAD)
        sender.start()
        try:
            until(lambda: receiver.came, "it had its turn")
            assert sum(len(slow.came) for slow in crowd) < 20
        finally:
            sender.stop()


# --- who may be called ------------------------------------------------------------------------

PRIVATE_HOSTS = """
    127.0.0.1 127.1 2130706433 0x7f000001 0x7f.1 0177.0.0.1 127.0.0.1. localhost LOCALHOST
    localhost. a.localhost 10.0.0.1 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 0
    224.0.0.1 255.255.255.255 ①②⑦.0.0.1 [::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [fe80::1]
    [fc00::1] [fec0::1] [ff0e::1] [64:ff9b::7f00:1] [64:ff9b:1::808:808] [2002:7f00:1::]
    [::127.0.0.1] [2001:db8::1]
""".split()
PUBLIC_HOSTS = """
    example.com EXAMPLE.com. пример.рф a_b.example 8.8.8.8 134744072 [2001:4860:4860::8888]
    [::ffff:8.8.8.8] [64:ff9b::808:808] 10.0.0.1.example.com localhost.example.com
""".split()


@pytest.mark.parametrize("host", PRIVATE_HOSTS)
def test_private_addresses_are_refused(folder: Path, clock: FakeClock, host: str) -> None:
    url = f"http://{host}:8000/done?token=hidden"
    with pytest.raises(TranscriberError, match="open internet") as caught:
        a_sender(folder, clock, allow_private=False).check(url)
    assert caught.value.code == "callback_refused"
    assert "hidden" not in str(caught.value)
    a_sender(folder, clock).check(url)


@pytest.mark.parametrize("host", PUBLIC_HOSTS)
def test_public_addresses_pass(folder: Path, clock: FakeClock, host: str) -> None:
    sender = a_sender(folder, clock, allow_private=False)
    for url in (f"http://{host}", f"https://{host}:8443/a/@b?c=d#e", f"HTTP://{host}/"):
        sender.check(url)


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("", "must begin with http"),
        ("example.com/done", "must begin with http"),
        ("ftp://example.com", "must begin with http"),
        ("file:///etc/passwd", "must begin with http"),
        ("http://", "names no host"),
        ("http:///done", "names no host"),
        ("http://:80/", "names no host"),
        ("http://./", "no valid name"),
        ("http://me:word@example.com/", "user name or a password"),
        ("http://@example.com/", "user name or a password"),
        ("http://8.8.8.8\\@127.0.0.1/", "user name or a password"),
        ("http://example.com\\.evil/", "no valid name"),
        ("http://a..b/", "no valid name"),
        ("http://a%2eb/", "no valid name"),
        ("http://[::1/", "cannot be read"),
        ("http://[fe80::1%25eth0]/", "cannot be read"),
        ("http://example.com:0/", "port"),
        ("http://example.com:65536/", "port"),
        ("http://example.com:x/", "port"),
        ("http://example.com/" + "a" * 2000, "longer"),
        ("http://example.com/\r\nHost: b", "spaces or control"),
        (" http://example.com/", "spaces or control"),
        ("http://example.com/\u200b", "spaces or control"),
        ("http://example.com/\udcff", "spaces or control"),
    ],
)
@pytest.mark.parametrize("allow_private", [True, False])
def test_addresses_that_break_a_rule_are_refused(
    folder: Path, clock: FakeClock, url: str, rule: str, allow_private: bool
) -> None:
    with pytest.raises(TranscriberError, match=rule) as caught:
        a_sender(folder, clock, allow_private=allow_private).check(url)
    assert caught.value.code == "callback_refused"
    assert "word@" not in str(caught.value)


_PIECES = st.sampled_from(
    [*"htps:/@[]%?#.\\0x7１。", "http://", "https://", "[::1]", "%25", "xn--", "localhost", ":80"]
)
_URLS = st.one_of(
    st.text(),
    st.text(alphabet=st.characters(codec=None)).map(lambda rest: "http://" + rest),
    st.lists(_PIECES | st.text(max_size=3)).map(lambda pieces: "https://" + "".join(pieces)),
    st.ip_addresses(v=4).map(lambda ip: f"http://{int(ip)}/"),
    st.ip_addresses(v=6).map(lambda ip: f"http://[{ip}]/"),
)


@given(url=_URLS)
def test_check_answers_whatever_it_is_asked(url: str) -> None:
    sender = Webhooks(Path("/nowhere"), CallbacksConfig(), SystemClock())
    with contextlib.suppress(TranscriberError):
        sender.check(url)


@given(address=st.ip_addresses(v=4))
def test_disguises_change_nothing(address: Any) -> None:
    number = int(address)
    for disguise in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert is_public(ip_address(disguise)) == is_public(address)
    assert is_public(ip_address((0x2002 << 112) | (number << 80))) == is_public(address)


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"]])
def test_name_that_points_inwards_is_not_called(
    receiver: Receiver,
    folder: Path,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    addresses: list[str],
) -> None:
    points_to(monkeypatch, *addresses)
    sender = a_sender(folder, clock, allow_private=False)
    url = receiver.url(host="innocent.example")
    sender.check(url)
    sender.notify(url, PAYLOAD)
    sender.tick()
    assert receiver.came == []
    [left] = waiting(folder)
    assert left["attempts"] == 1
    assert "open internet" in left["error"]


def test_own_names_are_found(folder: Path, receiver: Receiver, clock: FakeClock) -> None:
    sender = a_sender(folder, clock, allow_private=False)
    sender.notify(receiver.url(host="localhost"), PAYLOAD)  # past the check: resolved for real
    sender.tick()
    assert receiver.came == []
    assert "open internet" in waiting(folder)[0]["error"]


def test_name_is_asked_for_once_and_kept_in_the_header(
    receiver: Receiver, folder: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["192.0.2.1"]

    monkeypatch.setattr(http_post, "resolve", rebinding)
    sender = a_sender(folder, clock)
    sender.notify(receiver.url(host="Hooks.Example"), PAYLOAD)
    sender.tick()
    assert asked == ["hooks.example"]
    assert receiver.came[0][1]["Host"] == f"hooks.example:{receiver.port}"


def test_next_address_is_tried(
    receiver: Receiver, folder: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    points_to(monkeypatch, "::1", "127.0.0.1")  # nobody listens on the first
    sender = a_sender(folder, clock)
    sender.notify(receiver.url(host="hooks.example"), PAYLOAD)
    sender.tick()
    assert len(receiver.came) == 1


def test_name_without_an_address_is_tried_again(
    folder: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(http_post, "resolve", unknown)
    sender = a_sender(folder, clock)
    sender.notify("https://hooks.example/", PAYLOAD)
    assert sender.tick() == pytest.approx(5)
    assert "not known" in waiting(folder)[0]["error"]


# --- TLS --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate, with its key, for hooks.example that vouches for itself."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        " -subj /CN=hooks.example -addext subjectAltName=DNS:hooks.example"
        f" -keyout {path} -out {path}.crt".split(),
        check=True,
        capture_output=True,
        timeout=60,
    )
    path.write_bytes(path.read_bytes() + path.with_name("both.pem.crt").read_bytes())
    return path


@pytest.fixture
def tls_receiver(certificate: Path) -> Iterator[Receiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    receiver = Receiver()
    receiver.socket = context.wrap_socket(
        receiver.socket, server_side=True, do_handshake_on_connect=False
    )
    # A handshake that fails is what these tests are about.
    receiver.handle_error = lambda request, address: None  # type: ignore[method-assign]
    with serving(receiver) as running:
        yield running


@pytest.mark.parametrize(
    ("host", "trusted", "arrives"),
    [
        ("hooks.example", True, True),
        ("other.example", True, False),
        ("hooks.example", False, False),
    ],
)
def test_certificate_is_checked_against_the_name(
    tls_receiver: Receiver,
    certificate: Path,
    folder: Path,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    trusted: bool,
    arrives: bool,
) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
    points_to(monkeypatch, "127.0.0.1")
    sender = a_sender(folder, clock)
    sender.notify(f"https://{host}:{tls_receiver.port}/done", PAYLOAD)
    sender.tick()
    assert bool(tls_receiver.came) == arrives
    if not arrives:
        assert "CERTIFICATE_VERIFY_FAILED" in waiting(folder)[0]["error"]


def test_odd_answers_are_not_logged_with_the_query(
    receiver: Receiver, folder: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    receiver.answer_headers = {"odd\r\nno header at all": "x"}
    sender = a_sender(folder, clock)
    sender.notify(receiver.url("/done?token=hidden"), PAYLOAD)
    sender.tick()
    assert len(receiver.came) == 1
    assert "hidden" not in caplog.text
