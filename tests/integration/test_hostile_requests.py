"""What strangers, broken clients and crowds can send to a running daemon, and what it may cost."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import resource
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from modules.api.server.channel import LINGER_BYTES
from tests.builders import until
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text, recording

MB = 1_000_000
#: What stands in for an endless body.
FLOOD_BYTES = 300 * MB
MEMORY_MB = 20
SECRET = "the words of somebody else"
KEY = "ключ-clé"
FORM = "multipart/form-data; boundary=bb"
FORM_START = (
    b'--bb\r\nContent-Disposition: form-data; name="file"; filename="talk.mp3"\r\n'
    b"Content-Type: audio/mpeg\r\n\r\n"
)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def port_of(daemon: ScriptedDaemon) -> int:
    return int(daemon.wait_for_log(r"Listening on http://[^:]+:(\d+)", SOON_S).group(1))


def connected(daemon: ScriptedDaemon) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port_of(daemon)), SOON_S)


def ask(
    daemon: ScriptedDaemon,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str | bytes] | None = None,
    timeout_s: float = SOON_S,
) -> Answer:
    """The answer to one request; a redirection to another spelling of the path is followed."""
    connection = http.client.HTTPConnection("127.0.0.1", port_of(daemon), timeout=timeout_s)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers or {})
        found = connection.getresponse()
        answer = Answer(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read())
    if answer.status == 308:
        place = answer.headers["location"]
        assert place.startswith((f"http://127.0.0.1:{port_of(daemon)}/", "/")), place
        return ask(daemon, method, "/" + place.split("/", 3)[3], body, headers)
    return answer


def order(daemon: ScriptedDaemon, name: str, **fields: Any) -> Answer:
    body = json.dumps({"filename": name, **fields}).encode()
    return ask(daemon, "POST", "/transcribe", body, {"Content-Type": "application/json"})


def waiting_clients(daemon: ScriptedDaemon) -> float:
    lines = ask(daemon, "GET", "/metrics").body.decode().splitlines()
    (line,) = [line for line in lines if line.startswith("transcriber_waiting_clients ")]
    return float(line.split()[1])


def wait_in_vain(daemon: ScriptedDaemon, name: str) -> socket.socket:
    """A client that asked for a text and waits for it."""
    body = json.dumps({"filename": name, "wait": True}).encode()
    client = connected(daemon)
    head = f"POST /transcribe HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    client.sendall(head.encode() + body)
    return client


def answer_of(client: socket.socket) -> Answer:
    """What a client that has sent all gets."""
    found = http.client.HTTPResponse(client)
    with contextlib.closing(found):
        found.begin()
        return Answer(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read())


# --- names ---------------------------------------------------------------------------------------

#: As they stand in a JSON body, or in a form.
NAMES = [
    "../../etc/passwd",
    "../outside/secret.mp3",
    "sub/../../outside/secret.mp3",
    "..\\outside\\secret.mp3",
    "/etc/passwd",
    "/etc/passwd.mp3",
    "\0",
    "secret.mp3\0.mp3",
    "odd\udcff.mp3",
    "half \ud83c.mp3",
    "a" * 300 + ".mp3",
    "a" * 250 + ".mp3",
    "a" * 5000 + ".mp3",
    "a/" * 2000 + "a.mp3",
    ".transcriber/owner.json",
    ".transcriber/uploads/x.mp3",
    "./.transcriber/x.mp3",
    "link",
    "link/secret.mp3",
    "",
    ".",
    "..",
]
#: As they stand in an address.
SPELLINGS = [
    "../../etc/passwd",
    "../outside/secret.mp3",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%2e%2e/outside/secret.mp3",
    "..%2foutside%2fsecret.mp3",
    "%252e%252e%252foutside%252fsecret.mp3",
    "..%5coutside%5csecret.mp3",
    "/etc/passwd",
    "/etc/passwd.mp3",
    "%2fetc%2fpasswd.mp3",
    "%00",
    "secret%00.mp3",
    "secret.mp3%00",
    "%ff",
    "%ff.mp3",
    "%ed%a0%bd.mp3",
    "a" * 300 + ".mp3",
    "a" * 250 + ".mp3",
    "a" * 5000 + ".mp3",
    "a" * 5000,
    ".transcriber/owner.json",
    ".transcriber%2fowner.json",
    ".transcriber/uploads/x.mp3",
    "link",
    "link/secret.mp3",
    "link%2fsecret.mp3",
    "%2e",
    "%2e%2e",
]


@pytest.fixture(scope="module")
def beside_secrets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    """A daemon that looks into subfolders; from its folders links lead to somebody's files."""
    daemon = ScriptedDaemon(
        tmp_path_factory.mktemp("names"),
        {"watch": {"recursive": True}, "api": {"search_attempts": 1}},
    )
    outside = daemon.root / "outside"
    outside.mkdir()
    result = {"job_id": "theirs", "transcription": {"text": SECRET, "segments": []}}
    content = {
        "secret.mp3": SECRET.encode() * 20,
        "secret.mp3.result": json.dumps(result | {"filename": "secret.mp3"}).encode(),
        "secret.mp3.error.txt": SECRET.encode(),
        "secret.mp3.in_progress": json.dumps({"job_id": SECRET}).encode(),
        "secret.txt": SECRET.encode(),
    }
    for name, data in content.items():
        (outside / name).write_bytes(data)
    for folder in (daemon.shared, daemon.manual):
        (folder / "link").symlink_to(outside)
        (folder / "secret-link.mp3").symlink_to(outside / "secret.mp3")
    (daemon.shared / "sub").mkdir()
    with daemon:
        daemon.wait_until_warm()
        yield daemon


@pytest.fixture
def guarded(beside_secrets: ScriptedDaemon) -> Iterator[ScriptedDaemon]:
    """The same; nothing outside its folders may change, and the daemon goes on."""
    before, logged = outside_files(beside_secrets), len(beside_secrets.log)
    yield beside_secrets
    assert outside_files(beside_secrets) == before
    assert beside_secrets.health()["status"] == "healthy", beside_secrets.log[-2000:]
    assert "A request failed" not in beside_secrets.log[logged:]


def outside_files(daemon: ScriptedDaemon) -> dict[str, bytes]:
    """What lies outside the daemon's folders."""
    return {p.name: p.read_bytes() for p in (daemon.root / "outside").iterdir()}


def unsafe(answer: Answer) -> str | None:
    """What is wrong with an answer to such a name, or None."""
    if not 400 <= answer.status < 500:
        return f"{answer.status} {answer.body[:300]!r}"
    leaked = SECRET.encode() in answer.body or b"root:" in answer.body
    return f"it shows what is outside: {answer.body[:300]!r}" if leaked else None


def shown(name: str) -> str:
    return ascii(name if len(name) < 60 else f"{name[:8]}… of {len(name)}")


@pytest.mark.parametrize(
    ("method", "template"),
    [
        ("GET", "/status/{}"),
        ("GET", "/result/{}"),
        ("GET", "/result/{}?format=txt"),
        ("POST", "/manual/{}/retry"),
        ("DELETE", "/transcribe?filename={}"),
        ("GET", "/docs/{}"),
    ],
    ids=lambda word: word.replace("/", " ").strip(),
)
def test_no_spelling_in_an_address_reaches_a_file_outside(
    guarded: ScriptedDaemon, method: str, template: str
) -> None:
    told = {shown(name): unsafe(ask(guarded, method, template.format(name))) for name in SPELLINGS}
    assert {name: wrong for name, wrong in told.items() if wrong} == {}


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_no_name_in_a_body_reaches_a_file_outside(guarded: ScriptedDaemon, method: str) -> None:
    told = {}
    for name in NAMES:
        body = json.dumps({"filename": name}).encode()
        told[shown(name)] = unsafe(ask(guarded, method, "/transcribe", body))
    assert {name: wrong for name, wrong in told.items() if wrong} == {}


def test_an_answer_does_not_tell_which_files_are_outside(guarded: ScriptedDaemon) -> None:
    told = []
    for name in ("secret.mp3", "nobody.mp3"):
        for address in (f"/result/..%2foutside%2f{name}", f"/status/..%2foutside%2f{name}"):
            answer = ask(guarded, "GET", address)
            told.append((answer.status, answer.body.replace(name.encode(), b"NAME")))
    assert told[:2] == told[2:]


@pytest.mark.parametrize("address", ["/transcribe", "/v1/audio/transcriptions", "/asr"])
def test_an_upload_lands_in_the_share_under_its_last_name_or_not_at_all(
    guarded: ScriptedDaemon, address: str
) -> None:
    before = guarded.files()
    for name in ("../../etc/passwd", "..\\up", "/etc/passwd", ".mp3", "..", ".hidden.mp3", ""):
        form = FORM_START.replace(b"talk.mp3", name.replace("\\", "\\\\").encode())
        form = form.replace(b"audio/mpeg", b"text/plain")  # else it has an ending by its type
        form += b"content\r\n--bb--\r\n"
        answer = ask(guarded, "POST", address, form, {"Content-Type": FORM})
        assert unsafe(answer) is None, (name, unsafe(answer))
    assert guarded.files() == before
    for number, name in enumerate(("../outside/landed{}.mp3", "/tmp/landed{}.mp3")):
        landed = name.format(number)
        form = FORM_START.replace(b"talk.mp3", landed.encode())
        form += b"\xff\xfb\x90\0" * 75 + b"\r\n--bb--\r\n"
        assert ask(guarded, "POST", address, form, {"Content-Type": FORM}).status in (200, 202)
    assert os.listdir(guarded.shared / ".transcriber" / "uploads") == []
    assert not Path("/tmp/landed1.mp3").exists()
    for number in (0, 1):
        ask(guarded, "DELETE", f"/transcribe?filename=landed{number}.mp3")
    # What ran meanwhile is tidied up a moment later, and the next test counts the files.
    gone = lambda: not any("landed" in name for name in guarded.files())  # noqa: E731
    until(gone, "nothing is left of them", SOON_S)


def test_a_link_to_a_recording_is_not_followed_and_deleted_alone(guarded: ScriptedDaemon) -> None:
    for method, address in (
        ("GET", "/result/secret-link.mp3"),
        ("POST", "/manual/secret-link.mp3/retry"),
    ):
        assert unsafe(ask(guarded, method, address)) is None
    assert order(guarded, "secret-link.mp3").status == 404
    assert ask(guarded, "DELETE", "/transcribe?filename=secret-link.mp3").status == 200
    assert not (guarded.shared / "secret-link.mp3").is_symlink()


def test_what_a_linked_folder_holds_is_not_taken_up_at_the_start(tmp_path: Path) -> None:
    daemon = ScriptedDaemon(tmp_path, {"watch": {"recursive": True}})
    (tmp_path / "outside").mkdir()
    for name in ("secret.mp3.in_progress", ".~transcriber-draft", "secret.mp3"):
        (tmp_path / "outside" / name).write_bytes(b"{}")
    (daemon.shared / "link").symlink_to(tmp_path / "outside")
    before = outside_files(daemon)
    with daemon:
        daemon.wait_until_warm()
    assert outside_files(daemon) == before


def test_a_link_in_the_place_of_a_service_file_is_not_read(guarded: ScriptedDaemon) -> None:
    outside = guarded.root / "outside"
    (guarded.manual / "failed.mp3").write_bytes(b"x")
    links = {
        guarded.manual / "failed.mp3.error.txt": outside / "secret.txt",
        guarded.manual / "failed.mp3.in_progress": outside / "secret.mp3.in_progress",
        guarded.shared / "kept.mp3.result": outside / "secret.mp3.result",
    }
    for path, target in links.items():
        path.symlink_to(target)
    told = [ask(guarded, "GET", a) for a in ("/manual", "/status/failed.mp3", "/result/kept.mp3")]
    for path in (*links, guarded.manual / "failed.mp3"):
        path.unlink(missing_ok=True)
    assert [answer.body for answer in told if SECRET.encode() in answer.body] == []


def test_the_page_of_the_interface_has_its_files(guarded: ScriptedDaemon) -> None:
    for name in ("/docs/css/swagger-ui.css", "/docs/js/swagger-ui-bundle.js"):
        assert name in ask(guarded, "GET", "/docs").body.decode()
        assert ask(guarded, "GET", name).status == 200


def test_a_linked_folder_is_neither_listed_nor_transcribed(guarded: ScriptedDaemon) -> None:
    (guarded.shared / "sub" / "inside.mp3").write_bytes(b"\0x" * 150)
    guarded.wait_for_result("sub/inside.mp3", SOON_S)
    for address in ("/queue", "/manual"):
        answer = ask(guarded, "GET", address)
        assert answer.status == 200
        assert b"secret" not in answer.body
    assert ask(guarded, "DELETE", "/transcribe?filename=sub/inside.mp3").status == 200


# --- bodies --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    """A daemon that takes uploads of up to 1 MB."""
    root = tmp_path_factory.mktemp("small")
    with ScriptedDaemon(root, {"api": {"max_upload_mb": 1}}) as daemon:
        daemon.wait_until_warm()
        yield daemon


def buffers_bytes() -> int:
    """The most that the kernel keeps of one connection on the way."""
    sizes = (Path("/proc/sys/net/ipv4") / name for name in ("tcp_rmem", "tcp_wmem"))
    return sum(int(size.read_text().split()[2]) for size in sizes)


def flood(client: socket.socket, polite: bool) -> int:
    """Send an endless chunked body until the server has answered, or hung up; how much went."""
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    sent = 0
    while sent < FLOOD_BYTES:
        if polite and select.select([client], [], [], 0)[0]:
            break
        try:
            client.sendall(chunk)
        except OSError:
            break
        sent += len(chunk)
    return sent


@pytest.mark.parametrize("polite", [True, False], ids=["polite", "deaf"])
@pytest.mark.parametrize(
    ("method", "address", "kind"),
    [
        ("POST", "/transcribe", "application/json"),
        ("DELETE", "/transcribe", "application/json"),
        ("POST", "/transcribe", FORM),
        ("POST", "/v1/audio/transcriptions", FORM),
        ("POST", "/v1/audio/translations", FORM),
        ("POST", "/asr?encode=false", FORM),
        ("POST", "/detect-language", FORM),
    ],
)
def test_an_endless_body_is_stopped_at_its_limit(
    small: ScriptedDaemon, method: str, address: str, kind: str, polite: bool
) -> None:
    before_mb = small.memory_mb()[0]
    head = (
        f"{method} {address} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    with connected(small) as client:
        client.sendall(head.encode())
        start = FORM_START if kind == FORM else b'{"filename": "'
        client.sendall(f"{len(start):x}\r\n".encode() + start + b"\r\n")
        sent = flood(client, polite)
        read_on = MB + LINGER_BYTES  # the limit of an upload, and what is read after a refusal
        assert sent < read_on + buffers_bytes(), "it went on reading"
        if polite:
            answer = answer_of(client)
            assert (answer.status, answer.headers["connection"]) == (413, "close")
    assert small.memory_mb()[0] - before_mb < MEMORY_MB
    assert os.listdir(small.shared / ".transcriber" / "uploads") == []
    assert small.files() == set()


def test_a_length_over_the_limit_is_refused_before_the_body(small: ScriptedDaemon) -> None:
    for kind, length in (("application/json", 1_100_000), (FORM, 10_000_000_000)):
        with connected(small) as client:
            head = f"Host: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
            client.sendall(f"POST /transcribe HTTP/1.1\r\n{head}".encode())
            assert answer_of(client).status == 413


def test_a_client_that_leaves_in_the_middle_of_its_upload_leaves_nothing(
    small: ScriptedDaemon,
) -> None:
    with connected(small) as client:
        head = f"Host: localhost\r\nContent-Type: {FORM}\r\nContent-Length: 1000000\r\n\r\n"
        client.sendall(f"POST /transcribe HTTP/1.1\r\n{head}".encode() + FORM_START)
        client.sendall(b"x" * 500_000)
    until(
        lambda: (
            not [n for n in os.listdir(f"/proc/{small.pid}/fd") if "uploads" in link(small.pid, n)]
        ),
        "the file of the broken upload was closed",
    )
    assert os.listdir(small.shared / ".transcriber" / "uploads") == []
    assert small.files() == set()


def link(pid: int, number: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/fd/{number}")
    except OSError:
        return ""


# --- keys ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    """A daemon whose key is not ASCII."""
    root = tmp_path_factory.mktemp("locked")
    config = {"api": {"key": KEY, "trusted_hosts": ["office.example.com"]}}
    with ScriptedDaemon(root, config) as daemon:
        yield daemon


def basic(user: bytes, password: bytes) -> bytes:
    return b"Basic " + base64.b64encode(user + b":" + password)


WRONG_KEYS: list[dict[str, str | bytes]] = [
    {},
    *(
        {name: prefix + key}
        for name, prefix in (("X-API-Key", b""), ("Authorization", b"Bearer "))
        for key in (
            b"", b"wrong", b"cl\xe9", "clé".encode(), b"\xff\xfe", KEY.encode()[:-1],
            KEY.encode() + b"x", b"?" * len(KEY), b"k" * 10_000,
        )
    ),
    *(
        {"Authorization": value}
        for value in (
            b"", b"Bearer", b"Basic", b"Basic ", b"Basic !!!", b"Basic /w==", b"Basic \xff",
            b"Nonsense x", b"Basic " + base64.b64encode(b"no colon"), basic(b"", b""),
            basic(b"user", b"wrong"), basic(b"\xff", b"\xff"), basic(KEY.encode(), b""),
            basic(b"user", b"cl\xe9"), KEY.encode(), b"Digest username=x",
        )
    ),
]  # fmt: skip


def test_a_wrong_key_is_refused_however_it_is_sent(locked: ScriptedDaemon) -> None:
    told = {}
    for headers in WRONG_KEYS:
        for address in ("/queue", "/docs", "/openapi.json", "/metrics", "/v1/audio/translations"):
            told[f"{str(headers)[:100]} {address}"] = ask(
                locked, "GET", address, headers=headers
            ).status
    assert {what: status for what, status in told.items() if status != 401} == {}
    assert "Traceback" not in locked.log


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": KEY.encode()},
        {"Authorization": b"Bearer " + KEY.encode()},
        {"Authorization": basic(b"anybody", KEY.encode())},
        {"Authorization": basic(b"", KEY.encode())},
    ],
    ids=["key", "bearer", "password", "password alone"],
)
def test_the_right_key_may_be_any_text(
    locked: ScriptedDaemon, headers: dict[str, str | bytes]
) -> None:
    assert ask(locked, "GET", "/queue", headers=headers).status == 200


def test_a_key_that_latin_1_can_hold_may_be_sent_so(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, {"api": {"key": "clé"}}) as daemon:
        for key in ("clé".encode("latin-1"), "clé".encode()):
            for headers in ({"X-API-Key": key}, {"Authorization": b"Bearer " + key}):
                assert ask(daemon, "GET", "/queue", headers=dict(headers)).status == 200
        assert ask(daemon, "GET", "/queue", headers={"X-API-Key": "cle"}).status == 401


def test_a_stranger_is_refused_before_the_upload_is_sent(locked: ScriptedDaemon) -> None:
    for expect in ("", "Expect: 100-continue\r\n"):
        with connected(locked) as client:
            head = f"Host: localhost\r\n{expect}Content-Type: {FORM}\r\n"
            head += "Content-Length: 3000000000\r\n\r\n"
            client.sendall(f"POST /transcribe HTTP/1.1\r\n{head}".encode())
            assert answer_of(client).status == 401


def test_a_refusal_at_openais_addresses_is_worded_as_openai_does(
    locked: ScriptedDaemon, small: ScriptedDaemon
) -> None:
    for daemon, status, code in ((locked, 401, "unauthorized"), (small, 413, "body_too_large")):
        with connected(daemon) as client:
            head = f"Host: localhost\r\nContent-Type: {FORM}\r\nContent-Length: 3000000000\r\n\r\n"
            client.sendall(f"POST /v1/audio/translations HTTP/1.1\r\n{head}".encode())
            answer = answer_of(client)
        error = json.loads(answer.body).get("error") or {}
        assert (answer.status, error.get("code")) == (status, code), answer.body


def test_health_is_open_to_all(locked: ScriptedDaemon) -> None:
    assert locked.health()["status"] in ("healthy", "degraded")
    for spelling in ("/health/../queue", "//queue", "/health%2f..%2fqueue", "/HEALTH"):
        assert ask(locked, "GET", spelling).status == 401


# --- pages in browsers ---------------------------------------------------------------------------

FOREIGN = "https://evil.example"
#: What a page may send to any address without asking first.
PLAIN = "text/plain;charset=UTF-8"
CONFIDENTIAL = full_text(recording(1, "confidential")).encode()
#: A page that asks whether it may.
PREFLIGHT: dict[str, str | bytes] = {
    "Access-Control-Request-Method": "DELETE",
    "Access-Control-Request-Headers": "content-type, x-api-key, authorization",
}


@pytest.fixture(scope="module")
def with_a_text(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    """A daemon without a key, behind a proxy of that name; it has transcribed a recording."""
    config = {"api": {"search_attempts": 1, "trusted_hosts": ["office.example.com"]}}
    with ScriptedDaemon(tmp_path_factory.mktemp("pages"), config) as daemon:
        daemon.drop("talk.mp3", 3, "confidential")
        daemon.wait_for_result("talk.mp3", SOON_S)
        yield daemon


@pytest.fixture
def browsed(with_a_text: ScriptedDaemon) -> Iterator[ScriptedDaemon]:
    """The same; whatever pages send, nothing changes."""

    def state() -> tuple[bytes, set[str], bytes, bytes]:
        result = (with_a_text.shared / "talk.mp3.result").read_bytes()
        queue = ask(with_a_text, "GET", "/queue").body
        return result, with_a_text.files(), queue, ask(with_a_text, "GET", "/status/talk.mp3").body

    before = state()
    yield with_a_text
    until(lambda: state() == before, "all was as before")
    assert with_a_text.health()["status"] == "healthy"


def changing() -> list[tuple[str, str, bytes, str]]:
    """Requests that would order, upload, hold up or delete: method, address, body, content type."""
    name = b'{"filename": "talk.mp3"'
    form = FORM_START.replace(b"talk", b"new") + b"\xff\xfb\x90\0" * 75 + b"\r\n--bb--\r\n"
    return [
        ("POST", "/transcribe", name + b', "force": true}', PLAIN),
        ("POST", "/transcribe", name + b', "callback_url": "https://evil.example/"}', PLAIN),
        ("POST", "/transcribe", form, FORM),
        ("POST", "/v1/audio/transcriptions", form, FORM),
        ("POST", "/pause", b"", PLAIN),
        ("DELETE", "/transcribe?filename=talk.mp3", b"", PLAIN),
        ("DELETE", "/transcribe", name + b"}", PLAIN),
    ]


def code_of(answer: Answer) -> str:
    """The code of an error, in our form or in OpenAI's."""
    told = json.loads(answer.body)
    return str(told["error"]["code"] if "error" in told else told["error_code"])


def own_name(daemon: ScriptedDaemon) -> str:
    return f"localhost:{port_of(daemon)}"


@pytest.mark.parametrize("origin", [FOREIGN, "null", "http://localhost:3000"])
def test_a_page_of_another_site_orders_uploads_and_deletes_nothing(
    browsed: ScriptedDaemon, origin: str
) -> None:
    for method, address, body, kind in changing():
        headers = {"Host": own_name(browsed), "Origin": origin, "Content-Type": kind}
        answer = ask(browsed, method, address, body, dict(headers))
        assert (answer.status, code_of(answer)) == (403, "cross_site"), (method, address)


def test_what_is_refused_from_other_pages_works_from_the_apis_own(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, {"api": {"search_attempts": 1}}) as daemon:
        daemon.drop("talk.mp3")
        daemon.wait_for_result("talk.mp3", SOON_S)
        here = {"Host": own_name(daemon), "Origin": f"http://{own_name(daemon)}"}
        for method, address, body, kind in changing()[:-1]:
            answer = ask(daemon, method, address, body, {**here, "Content-Type": kind})
            assert answer.status in (200, 202, 422), (method, address, answer.body)
            ask(daemon, "POST", "/resume")
        assert not (daemon.shared / "talk.mp3").exists()


def test_a_password_that_the_browser_sends_along_does_not_help_other_pages(
    locked: ScriptedDaemon,
) -> None:
    headers = {"Authorization": basic(b"", KEY.encode()), "Content-Type": PLAIN}
    for method, address, body, kind in changing():
        sent = {**headers, "Origin": FOREIGN, "Content-Type": kind}
        assert code_of(ask(locked, method, address, body, sent)) == "cross_site"
    assert locked.health()["status"] == "healthy", "it was not paused"
    assert ask(locked, "POST", "/resume", b"", dict(headers)).status == 200


def test_other_pages_are_granted_nothing(browsed: ScriptedDaemon, locked: ScriptedDaemon) -> None:
    for daemon in (browsed, locked):
        own = f"http://127.0.0.1:{port_of(daemon)}"
        for origin in (FOREIGN, "null", own):
            for address in ("/transcribe", "/queue", "/health", "/v1/audio/translations", "*"):
                asked = ask(daemon, "OPTIONS", address, None, {**PREFLIGHT, "Origin": origin})
                assert not [name for name in asked.headers if name.startswith("access-control")]
                assert asked.status == 403 or origin == own, (address, asked.status)
    keyed: dict[str, str | bytes] = {"X-API-Key": KEY.encode(), "Origin": FOREIGN}
    answer = ask(locked, "GET", "/queue", None, keyed)
    assert answer.status == 200, "an extension of the browser may have a key of its own"
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_page_is_refused_before_its_upload_is_sent(browsed: ScriptedDaemon) -> None:
    with connected(browsed) as client:
        head = f"Host: localhost\r\nOrigin: {FOREIGN}\r\nContent-Type: {FORM}\r\n"
        head += "Content-Length: 3000000000\r\n\r\n"
        client.sendall(f"POST /v1/audio/translations HTTP/1.1\r\n{head}".encode())
        answer = answer_of(client)
    assert (answer.status, code_of(answer)) == (403, "cross_site")


@pytest.mark.parametrize("name", ["evil.example", "EVIL.example.", "127.0.0.1.evil.example"])
def test_a_name_that_was_led_here_reads_and_deletes_nothing(
    browsed: ScriptedDaemon, name: str
) -> None:
    host = f"{name}:{port_of(browsed)}"
    addresses = ("/result/talk.mp3?format=txt", "/queue", "/status/talk.mp3", "/manual", "/events")
    reading = [("GET", a, b"", PLAIN) for a in (*addresses, "/metrics", "/health", "/docs", "/")]
    for method, address, body, kind in [*reading, *changing()]:
        for page in ({}, {"Origin": f"http://{host}"}, {"X-API-Key": "any"}):
            headers = {"Host": host, "Content-Type": kind, **page}
            answer = ask(browsed, method, address, body, dict(headers))
            assert (answer.status, code_of(answer)) == (403, "unknown_host"), (method, address)
            assert CONFIDENTIAL not in answer.body
    assert CONFIDENTIAL in ask(browsed, "GET", addresses[0]).body


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"HTTP/1.0\r\n", 200),
        (b"HTTP/1.1\r\nHost: [::1]:8000\r\n", 200),
        (b"HTTP/1.1\r\nhOST:\tLOCALHOST.\t\r\n", 200),
        (b"HTTP/1.1\r\nHost: evil.example\r\n", 403),
        (b"HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n", 400),
        (b"HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\n", 400),
        (b"HTTP/1.1\r\nHost: \xff\xfe\r\n", 400),
        (b"HTTP/1.1\r\nHost: http://localhost/\r\n", 400),
        (b"HTTP/1.1\r\nHost: localhost\r\nOrigin: \xff\r\n", 403),
        (b"HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nOrigin: null\r\n", 403),
        (b"HTTP/1.0\r\nOrigin: http://localhost\r\n", 403),
    ],
)
def test_whatever_stands_in_host_and_origin_is_answered(
    browsed: ScriptedDaemon, start: bytes, status: int
) -> None:
    with connected(browsed) as client:
        client.sendall(b"GET /result/talk.mp3 " + start + b"\r\n")
        answer = answer_of(client)
    assert (answer.status, CONFIDENTIAL in answer.body) == (status, status == 200)


def test_a_proxy_passes_its_own_name_on(browsed: ScriptedDaemon, locked: ScriptedDaemon) -> None:
    for host, page in (
        ("office.example.com", "https://office.example.com"),
        ("office.example.com:8443", "https://office.example.com:8443"),
    ):
        headers: dict[str, str | bytes] = {"Host": host, "Origin": page}
        assert ask(browsed, "POST", "/resume", b"", headers).status == 200
        assert ask(browsed, "GET", "/result/talk.mp3", None, {"Host": host}).status == 200
        keyed = {**headers, "Authorization": basic(b"", KEY.encode())}
        assert ask(locked, "POST", "/resume", b"", keyed).status == 200
    # As nginx does unless it is told otherwise.
    unnamed = ask(browsed, "POST", "/resume", b"", {"Origin": "https://office.example.com"})
    assert (unnamed.status, code_of(unnamed)) == (403, "cross_site")
    assert "proxy" in json.loads(unnamed.body)["suggestion"]


def test_the_page_of_the_interface_works_in_a_browser(browsed: ScriptedDaemon) -> None:
    for host in (own_name(browsed), f"127.0.0.1:{port_of(browsed)}", "office.example.com"):
        visited: dict[str, str | bytes] = {"Host": host, "Sec-Fetch-Site": "same-origin"}
        for address in ("/", "/docs", "/docs/js/swagger-ui-bundle.js", "/openapi.json"):
            assert ask(browsed, "GET", address, None, visited).status in (200, 302)
        tried: dict[str, str | bytes] = {**visited, "Origin": f"http://{host}"}
        assert ask(browsed, "POST", "/resume", b"", tried).status == 200
        assert ask(browsed, "GET", "/queue", None, tried).status == 200


def test_programs_that_send_no_origin_notice_nothing(browsed: ScriptedDaemon) -> None:
    curl: dict[str, str | bytes] = {
        "Host": own_name(browsed),
        "User-Agent": "curl/8.5.0",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    assert ask(browsed, "POST", "/transcribe", b'{"filename": "talk.mp3"}', curl).status == 200
    base = f"http://{own_name(browsed)}/v1"
    sound = recording(1, "spoken")
    with OpenAI(base_url=base, api_key="none", max_retries=0, timeout=SOON_S) as client:
        heard = client.audio.transcriptions.create(model="whisper-1", file=("new.mp3", sound))
    assert heard.text == full_text(sound)


# --- crowds --------------------------------------------------------------------------------------


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path, {"api": {"search_attempts": 1}}) as daemon:
        daemon.wait_until_warm()
        yield daemon


CROWD = 2000
CROWD_BEGINNINGS = (
    b"", b"GET /queue HTTP/1.1\r\nHost: localhost\r\nX-Half: ", b"GET /hea",
    b"POST /transcribe HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n{",
)  # fmt: skip
#: On a busy machine; alone it is a tenth of that.
CROWD_P99_S = 2.0


@contextlib.contextmanager
def many_files(count: int) -> Iterator[None]:
    """Leave to open so many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"only {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("key", [None, "s3cret"], ids=["open", "with a key"])
def test_two_thousand_who_never_finish_hold_up_nobody(tmp_path: Path, key: str | None) -> None:
    proof: dict[str, str | bytes] = {"X-API-Key": key} if key else {}
    config = {"api": {"search_attempts": 1, **({"key": key} if key else {})}}
    with (
        ScriptedDaemon(tmp_path, config) as daemon,
        many_files(CROWD + 500),
        contextlib.ExitStack() as stack,
    ):
        daemon.wait_until_warm()
        crowd = [stack.enter_context(connected(daemon)) for _ in range(CROWD)]
        for number, client in enumerate(crowd):
            client.setblocking(False)
            _trickle(client, CROWD_BEGINNINGS[number % len(CROWD_BEGINNINGS)])
        took = []
        for number in range(100):
            for client in crowd[number % 20 :: 20]:
                _trickle(client, b"a")
            began = time.monotonic()
            assert ask(daemon, "GET", "/health").status == 200
            took.append(time.monotonic() - began)
        print(f"p50 {sorted(took)[50] * 1000:.0f} ms, p99 {sorted(took)[98] * 1000:.0f} ms")
        assert sorted(took)[98] < CROWD_P99_S
        assert ask(daemon, "GET", "/queue", headers=proof).status == 200


def _trickle(client: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # it made way
        client.send(data)


def test_a_client_that_leaves_while_it_waits_frees_its_place(crowded: ScriptedDaemon) -> None:
    crowded.drop("slow.mp3", 100)
    with wait_in_vain(crowded, "slow.mp3"):
        until(lambda: waiting_clients(crowded) == 1, "the client was counted as waiting")
    until(lambda: waiting_clients(crowded) == 0, "its place was freed when it left", SOON_S)


def test_one_client_too_many_is_told_at_once_where_to_look(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, {"api": {"max_waiting": 2}}) as daemon:
        daemon.drop("slow.mp3", 100)
        with wait_in_vain(daemon, "slow.mp3") as first, wait_in_vain(daemon, "slow.mp3") as second:
            until(lambda: waiting_clients(daemon) == 2, "two clients waited")
            answer = order(daemon, "slow.mp3", wait=True)
            assert answer.status == 202
            seen = ask(daemon, "GET", answer.headers["location"])
            assert json.loads(seen.body)["filename"] == "slow.mp3"
            assert select.select([first, second], [], [], 0)[0] == [], "the others wait on"


def test_the_others_are_answered_while_thirty_wait_and_all_get_the_text(
    crowded: ScriptedDaemon,
) -> None:
    crowded.drop("slow.mp3", 20)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(wait_in_vain(crowded, "slow.mp3")) for _ in range(30)]
        until(lambda: waiting_clients(crowded) == 30, "thirty clients waited")
        status = ask(crowded, "GET", "/status/slow.mp3")
        assert json.loads(status.body)["status"] == "processing"
        until(lambda: crowded.health()["processing"] == "slow.mp3", "health named the file")
        texts = set()
        for client in clients:
            client.settimeout(30)
            answer = answer_of(client)
            assert answer.status == 200
            texts.add(json.loads(answer.body)["transcription"]["text"])
    assert len(texts) == 1
    until(lambda: waiting_clients(crowded) == 0, "all places were free again")
