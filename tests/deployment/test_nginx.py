"""The service behind nginx as deploy/nginx has it: a real nginx, TLS, ports of the loopback."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from websockets.sync.client import connect

from modules.config.schema import ApiConfig
from tests.builders import until
from tests.deployment.front import SOON_S, Front, port_of
from tests.deployment.names import NameServer
from tests.deployment.tools import DEPLOY
from tests.http_reply import Reply
from tests.scripted_daemon import ScriptedDaemon
from tests.scripted_worker import full_text, recording
from tests.soak import soak

MB = 1_000_000
PIECE = 2**18
#: What a daemon that keeps its memory may gain while an upload comes, in MB.
GAIN_MB = 16
#: Events come at once, or they were held back; on a busy machine "at once" takes a moment.
AT_ONCE_S = 5.0
#: A recording whose text nobody ever wrote so: blanks, a percent sign, a slash's code, Cyrillic.
NAME = "Звонок 100% готов %2f №5.mp3"


def order(front: Front, name: str, **fields: object) -> Reply:
    return front.ask("POST", "/transcribe", json.dumps({"filename": name, **fields}))


def ordering(name: str) -> bytes:
    """A request that waits for its text, as it goes over the line."""
    body = json.dumps({"filename": name, "wait": True}).encode()
    return b"POST /transcribe HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


def address(name: str, endpoint: str = "status") -> str:
    return f"/{endpoint}/{urllib.parse.quote(name)}"


# --- the files themselves ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["host.conf", "container.conf", "balanced.conf"])
def test_nginx_finds_the_configuration_good(name: str, tmp_path: Path) -> None:
    done = Front(tmp_path, 8000, name).check()
    assert done.returncode == 0, done.stdout
    assert "warn" not in done.stdout


def test_a_request_may_wait_for_its_text_longer_than_the_service_lets_it() -> None:
    said = (DEPLOY / "nginx" / "locations.conf").read_text()
    found = re.search(r"^proxy_read_timeout (\d+)s;$", said, re.MULTILINE)
    assert found is not None
    assert int(found[1]) > ApiConfig().wait_seconds


def test_a_connection_is_given_up_before_the_service_closes_it() -> None:
    said = (DEPLOY / "nginx" / "host.conf").read_text()
    found = re.search(r"^ +keepalive_timeout (\d+)s;$", said, re.MULTILINE)
    assert found is not None
    assert int(found[1]) < ApiConfig().request_timeout_seconds


# --- what must pass ------------------------------------------------------------------------------


def a_form(name: str, size: int) -> tuple[bytes, bytes]:
    """What stands around a file in a form."""
    start = (
        '--bb\r\nContent-Disposition: form-data; name="file"; filename="'
        f'{name}"\r\nContent-Type: audio/wav\r\n\r\n'
    )
    wave = b"RIFF" + (36 + size).to_bytes(4, "little") + b"WAVEfmt "
    wave += b"\x10\0\0\0\1\0\1\0\x80\x3e\0\0\0\x7d\0\0\2\0\x10\0data" + size.to_bytes(4, "little")
    return start.encode() + wave, b"\r\n--bb--\r\n"


class Upload:
    """The body of a large upload, which looks at the daemon's memory while it is sent."""

    def __init__(self, name: str, size: int, daemon: ScriptedDaemon, front: Front) -> None:
        self.start, self.end = a_form(name, size)
        self.length = len(self.start) + size + len(self.end)
        self._size, self._front = size, front
        self._process = psutil.Process(daemon.pid)
        self.memory_mb = [self._resident_mb()]
        self.kept_by_nginx = 0

    def _resident_mb(self) -> float:
        return float(self._process.memory_info().rss / MB)

    def __iter__(self) -> Iterator[bytes]:
        yield self.start
        for at in range(0, self._size, PIECE):
            yield b"\1" * min(PIECE, self._size - at)
            if at % (16 * PIECE) == 0:
                self.memory_mb.append(self._resident_mb())
                files = (self._front.root / "temporary").rglob("*")
                self.kept_by_nginx += sum(file.is_file() for file in files)
        yield self.end


def send(front: Front, upload: Upload) -> Reply:
    headers = {
        "Content-Type": "multipart/form-data; boundary=bb",
        "Content-Length": str(upload.length),
    }
    reply = front.ask("POST", "/transcribe", upload, headers, timeout_s=120)
    upload.memory_mb.append(upload._resident_mb())
    return reply


def test_a_large_upload_passes_and_is_held_in_memory_by_nobody(
    daemon: ScriptedDaemon, paused: Front
) -> None:
    size = soak(40, 200) * MB
    upload = Upload("large.wav", size, daemon, paused)
    began = time.monotonic()
    reply = send(paused, upload)
    took_s = time.monotonic() - began
    gained = max(upload.memory_mb) - upload.memory_mb[0]
    print(f"{size / MB:.0f} MB in {took_s:.1f} s, daemon gained {gained:.1f} MB")
    assert reply.status == 202, reply.text
    landed = daemon.shared / "large.wav"
    assert landed.stat().st_size == 44 + size
    assert landed.read_bytes()[44:].count(1) == size
    assert gained < GAIN_MB
    assert upload.kept_by_nginx == 0
    assert paused.ask("DELETE", "/transcribe?filename=large.wav").status == 200


def test_a_request_may_wait_long_and_then_gets_its_text(
    daemon: ScriptedDaemon, paused: Front
) -> None:
    silence_s = soak(2, 70)
    content = daemon.drop("patience.mp3")
    with paused.connected() as client:
        client.sendall(ordering("patience.mp3"))
        until(lambda: daemon.metrics()["transcriber_waiting_clients"] == 1, "it waited", SOON_S)
        client.settimeout(silence_s)
        with pytest.raises(TimeoutError):
            client.recv(1)
        assert paused.ask("POST", "/resume").status == 200
        client.settimeout(SOON_S)
        answer = client.recv(2**16)
        while b'"outputs"' not in answer:
            more = client.recv(2**16)
            assert more, f"the answer broke off: {answer!r}"
            answer += more
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert daemon.wait_for_result("patience.mp3")["transcription"]["text"] == full_text(content)


def test_the_time_that_a_request_may_wait_is_the_one_that_is_written_there(
    daemon: ScriptedDaemon, paused: Front, tmp_path: Path
) -> None:
    daemon.drop("impatience.mp3")
    impatient = {"proxy_read_timeout 1860s;": "proxy_read_timeout 1s;"}
    with Front(tmp_path, port_of(daemon), locations=impatient) as front:
        reply = order(front, "impatience.mp3", wait=True)
        assert (reply.status, reply.error_code) == (504, "timeout")
    until(
        lambda: daemon.metrics()["transcriber_waiting_clients"] == 0,
        "the place of a client that nginx gave up on was free again",
        SOON_S,
    )


def test_a_client_that_leaves_gives_its_place_back(daemon: ScriptedDaemon, paused: Front) -> None:
    daemon.drop("leaving.mp3")
    with paused.connected() as client:
        client.sendall(ordering("leaving.mp3"))
        until(lambda: daemon.metrics()["transcriber_waiting_clients"] == 1, "it waited", SOON_S)
    until(lambda: daemon.metrics()["transcriber_waiting_clients"] == 0, "it was free", SOON_S)


def told_of_end(name: str, told: bytes) -> bool:
    wanted = (f'"filename": "{name}"'.encode(), b'"status": "completed"')
    return any(all(words in message for words in wanted) for message in told.split(b"\n\n"))


def test_events_arrive_one_by_one_and_at_once(daemon: ScriptedDaemon, front: Front) -> None:
    with front.connected() as client:
        client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.settimeout(SOON_S)
        told = b""
        while b"retry: 2000" not in told:
            told += client.recv(2**16)
        for number in range(3):
            name = f"event{number}.mp3"
            daemon.drop(name, chunks=1)
            daemon.wait_for_result(name)
            client.settimeout(AT_ONCE_S)
            while not told_of_end(name, told):
                told += client.recv(2**16)


def test_names_in_other_scripts_with_blanks_and_percent_signs_pass(
    daemon: ScriptedDaemon, front: Front
) -> None:
    start, end = a_form(NAME, 200)
    headers = {"Content-Type": "multipart/form-data; boundary=bb"}
    reply = front.ask("POST", "/transcribe", start + b"\1" * 200 + end, headers)
    assert reply.status == 202, reply.text
    assert reply.json["filename"] == NAME
    said = daemon.wait_for_result(NAME)["transcription"]["text"]
    assert front.ask("GET", address(NAME)).json["status"] == "completed"
    text = front.ask("GET", address(NAME, "result") + "?format=txt")
    assert (text.status, text.text.split()) == (200, said.split())
    twice = urllib.parse.quote(urllib.parse.quote(NAME))
    assert front.ask("GET", f"/status/{twice}").json["filename"] == NAME
    gone = front.ask("DELETE", f"/transcribe?filename={urllib.parse.quote(NAME)}")
    assert gone.status == 200
    assert NAME in gone.json["deleted_files"]


def test_a_name_as_long_as_names_can_be_passes(daemon: ScriptedDaemon, front: Front) -> None:
    name = "/".join(["п" * 120] * 16) + "/ы.mp3"
    reply = front.ask("GET", address(name))
    assert len(address(name)) > 8 * 1024
    assert (reply.status, reply.json["status"]) == (404, "not_found")


def test_openai_s_endpoint_passes(daemon: ScriptedDaemon, front: Front) -> None:
    content = recording(2, "said to OpenAI")
    fields = b'\r\n--bb\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1'
    start = b'--bb\r\nContent-Disposition: form-data; name="file"; filename="o.mp3"\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=bb"}
    body = start + content + fields + b"\r\n--bb--\r\n"
    reply = front.ask("POST", "/v1/audio/transcriptions", body, headers)
    assert (reply.status, reply.json["text"]) == (200, full_text(content))


def test_the_page_to_try_it_out_works(front: Front) -> None:
    """Its own scripts send an Origin, which has to be the address in Host."""
    page = front.ask("GET", "/docs")
    assert page.status == 200
    assert page.headers["strict-transport-security"]
    assert "/" not in page.headers["server"], "it tells its version"
    origin = {"Host": f"localhost:{front.port}", "Origin": f"https://localhost:{front.port}"}
    assert front.ask("POST", "/resume", headers=origin).status == 200


def test_a_redirection_stays_with_tls(front: Front) -> None:
    place = front.ask("GET", "//queue").headers.get("location", "https://")
    assert place.startswith(("https://", "/")), place


def test_plain_http_leads_to_tls(front: Front) -> None:
    plain = http.client.HTTPConnection("127.0.0.1", front.http, timeout=SOON_S)
    plain.request("POST", "/pause?a=b", headers={"Host": "localhost"})
    found = plain.getresponse()
    plain.close()
    assert found.status == 308
    assert found.getheader("Location") == f"https://localhost:{front.port}/pause?a=b"


@pytest.mark.parametrize("path", ["/", "/live", "/v1/listen", "/v1/realtime"])
def test_live_sessions_pass(front: Front, path: str) -> None:
    address = f"wss://localhost:{front.port}{path}"
    context = ssl.create_default_context(cafile=str(front.root / "tls" / "fullchain.pem"))
    with connect(address, ssl=context, proxy=None, open_timeout=SOON_S) as client:
        if path == "/v1/realtime":
            assert json.loads(client.recv(SOON_S))["type"] == "session.created"
        client.send("no JSON")
        assert "error" in str(client.recv(SOON_S)).lower()


def test_a_client_of_vosk_is_heard_where_the_page_is(front: Front) -> None:
    context = ssl.create_default_context(cafile=str(front.root / "tls" / "fullchain.pem"))
    address = f"wss://localhost:{front.port}/"
    with connect(address, ssl=context, proxy=None, open_timeout=SOON_S) as client:
        client.send(json.dumps({"config": {"sample_rate": 16_000}}))
        client.send(bytes(32_000))
        assert json.loads(client.recv(SOON_S)).keys() <= {"partial", "text", "result"}
        client.send(json.dumps({"eof": 1}))
        assert "w0" in json.loads(client.recv(SOON_S))["text"]
    page = front.ask("GET", "/", headers={"Upgrade": "h2c", "Connection": "Upgrade"})
    assert (page.status, page.headers["content-type"].split(";")[0]) == (200, "text/html")


# --- without the service -------------------------------------------------------------------------


def test_what_comes_while_the_service_is_away_is_told_and_then_goes_on(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path / "daemon") as daemon:
        port = port_of(daemon)
        daemon.configure({"api": {"port": port}})
        with Front(tmp_path / "nginx", port) as front:
            assert front.ask("GET", "/health").status == 200
            daemon.stop()
            away = front.ask("GET", "/health")
            assert (away.status, away.error_code) == (502, "unavailable")
            openai = front.ask("POST", "/v1/audio/transcriptions", b"x")
            assert (openai.status, openai.json["error"]["code"]) == (502, "unavailable")
            daemon.start()
            assert front.ask("GET", "/health").status == 200


def test_in_the_network_of_containers_the_service_is_found_by_its_name_wherever_it_is(
    daemon: ScriptedDaemon, tmp_path: Path
) -> None:
    with (
        NameServer("transcriber") as names,
        Front(tmp_path, port_of(daemon), "container.conf", resolver=names.address) as front,
    ):
        assert front.ask("GET", "/health").status == 200
        names.known = False
        assert front.ask("GET", "/queue").status == 200, "an answer is good for ten seconds"
    with NameServer("somebody-else") as names:
        elsewhere = Front(tmp_path / "2", 1, "container.conf", resolver=names.address)
        with elsewhere as front:
            away = front.ask("GET", "/health")
            assert (away.status, away.error_code) == (502, "unavailable")
