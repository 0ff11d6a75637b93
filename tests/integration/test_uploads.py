"""Uploads of clients that differ, that leave, and that cannot wait; with a scripted worker."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.builders import until
from tests.http_reply import Reply
from tests.integration.test_api import Client
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text, recording
from tests.tus_client import Tus

SPEECH = "/v1/audio/transcriptions"
FORM = "multipart/form-data; boundary=B"
#: So long that a file which has to hold still is not begun within a test.
FOR_EVER_S = 600.0


def part(disposition: str | bytes, content: bytes, kind: str = "") -> bytes:
    header = disposition.encode() if isinstance(disposition, str) else disposition
    typed = f"\r\nContent-Type: {kind}".encode() if kind else b""
    return b"--B\r\nContent-Disposition: form-data; " + header + typed + b"\r\n\r\n" + content


def form(*parts: bytes, **fields: str) -> bytes:
    texts = [part(f'name="{key}"', value.encode()) for key, value in fields.items()]
    return b"\r\n".join([*texts, *parts, b"--B--\r\n"])


def send(api: Client, path: str, body: bytes) -> Reply:
    return api.ask("POST", path, body, {"Content-Type": FORM})


def everything(daemon: ScriptedDaemon) -> set[str]:
    """All files in the share, but for the daemon's own; and what it noted of uploads."""
    notes = daemon.shared / ".transcriber" / "unanswered"
    return daemon.files() | ({path.name for path in notes.iterdir()} if notes.exists() else set())


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    config = {"watch": {"stable_seconds": FOR_EVER_S, "settle_seconds": FOR_EVER_S}}
    with ScriptedDaemon(tmp_path_factory.mktemp("uploads"), config) as running:
        yield running


@pytest.fixture
def api(serving: ScriptedDaemon) -> Iterator[Client]:
    yield Client(serving)
    for path in serving.shared.iterdir():
        if path.is_file():
            Client(serving).delete(path.name)


# --- what clients send --------------------------------------------------------------------------


def test_a_name_of_windows_curl_is_read(api: Client) -> None:
    name = 'name="file"; filename="Привет.wav"'.encode("cp1251")
    reply = send(api, "/transcribe", form(part(name, recording(1))))
    assert (reply.status, reply.json["filename"]) == (202, "Привет.wav")


@pytest.mark.parametrize("path", ["/transcribe", SPEECH])
@pytest.mark.parametrize(
    ("disposition", "kind"),
    [
        ('name="file"; filename="blob"', "audio/webm;codecs=opus"),
        ('name="file"', "audio/ogg"),
        ('name="file"; filename=""', "audio/mpeg"),
        ('name="audio_file"; filename="talk.mp3"', ""),
        ('name="file"; filename="C:\\fakepath\\talk.mp3"', ""),
        ('name="file"; filename="talk"', "audio/x-m4a"),
    ],
)
def test_a_file_is_taken_however_it_is_called(
    api: Client, path: str, disposition: str, kind: str
) -> None:
    body = form(part(disposition, recording(1), kind), language="ru-RU")
    reply = send(api, path, body)
    assert reply.status in (200, 202), reply.text


def test_two_recordings_of_a_browser_do_not_meet(api: Client) -> None:
    body = form(part('name="file"; filename="blob"', recording(1), "audio/webm"))
    names = [send(api, "/transcribe", body).json["filename"] for _ in range(2)]
    assert names == ["blob.webm", "blob (2).webm"]


@pytest.mark.parametrize("path", ["/transcribe", SPEECH])
def test_what_is_wrong_with_a_file_is_said(api: Client, path: str) -> None:
    chinese = 'name="file"; filename="会议记录.wav"'.encode("gb18030")
    for body, words in [
        (form(part(chinese, b"the sound")), "file: its name must be UTF-8"),
        (form(part('name="file"', b"talk.mp3")), "file: it came without a name"),
        (form(language="ru"), "file: is missing"),
        (form(part('name="file"', b"a"), part('name="file"', b"b")), "file: must be one file"),
        (b"--B\r\nnothing", "The form cannot be read"),
    ]:
        reply = send(api, path, body)
        assert reply.status in (400, 415, 422)
        assert words in reply.text


# --- when it begins -----------------------------------------------------------------------------


def test_an_upload_is_begun_at_once_with_its_own_settings(api: Client) -> None:
    reply = api.upload(("talk.mp3", recording(2)), language="en", wait="true")
    assert reply.status == 200
    assert reply.json["settings"]["language"] == "en"


@pytest.mark.parametrize("way", ["/transcribe", SPEECH, f"{SPEECH} stream", "/asr", "/files"])
def test_no_upload_has_to_hold_still(api: Client, way: str) -> None:
    """Its last byte came with the request. What has to hold still is not begun for ten minutes."""
    content, name = recording(2, way), "talk.mp3"
    path, _, stream = way.partition(" ")
    if path == "/files":
        tus = Tus(api.port)
        assert tus.patch(tus.create(len(content), filename=name), 0, content).status == 204
    else:
        key = "audio_file" if path == "/asr" else "file"
        fields = {"stream": "true"} if stream else {"wait": "true"}
        reply = send(api, path, form(part(f'name="{key}"; filename="{name}"', content), **fields))
        assert reply.status == 200, reply.text
    until(lambda: api.queue() == [], "it is done", SOON_S)
    said = re.findall(rf"{name}: (\w+) \(", api.daemon.log.rpartition(f"{name}: arriving")[2])
    assert said == ["queued", "running", "completed"]


def test_a_recording_that_comes_back_is_begun_at_once(api: Client) -> None:
    api.upload(("talk notmedia.mp3", recording(1)))
    api.daemon.wait_until_in_manual("talk notmedia.mp3", SOON_S)
    assert api.post("/manual/talk%20notmedia.mp3/retry").status == 202
    until(
        lambda: api.status("talk notmedia.mp3")["status"] == "error",
        "it is tried again, and fails again",
        SOON_S,
    )


# --- clients that leave -------------------------------------------------------------------------


def left_alone(api: Client, body: bytes) -> socket.socket:
    """A connection on which a client has asked, and does not wait for the answer yet."""
    connection = socket.create_connection(("127.0.0.1", api.port), timeout=30)
    head = f"POST {SPEECH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n"
    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def slow(name: str = "slow.mp3") -> bytes:
    return form(part(f'name="file"; filename="{name}"', recording(100)))


def test_what_a_client_leaves_is_cancelled_and_removed(api: Client) -> None:
    with closing(left_alone(api, slow())):
        api.daemon.wait_for_position("slow.mp3", 10)
    until(lambda: everything(api.daemon) == set(), "all of it is removed", SOON_S)
    until(lambda: api.queue() == [], "its job is over", SOON_S)
    api.daemon.wait_for_log(r"slow\.mp3: nobody waits for its text any more", SOON_S)


def test_of_two_alike_only_the_one_that_is_left_is_removed(api: Client) -> None:
    with closing(left_alone(api, slow())):
        api.daemon.wait_for_position("slow.mp3", 10)
        short = form(part('name="file"; filename="slow.mp3"', recording(3)))
        staying = left_alone(api, short)
        until(lambda: len(api.queue()) == 2, "both are queued", SOON_S)
    with closing(staying):
        answer = staying.recv(65536)
        while full_text(recording(3)).encode() not in answer and (more := staying.recv(65536)):
            answer += more
    assert answer.startswith(b"HTTP/1.1 200")
    assert full_text(recording(3)).encode() in answer
    until(lambda: everything(api.daemon) == set(), "nothing is left of both", SOON_S)


def test_what_others_wait_for_too_is_kept(api: Client) -> None:
    with closing(left_alone(api, slow())):
        api.daemon.wait_for_position("slow.mp3", 10)
        assert api.order("slow.mp3", wait=False).status == 202
        api.wait_for_clients("slow.mp3", 2)
    until(lambda: everything(api.daemon) <= set(api.daemon.files()), "its note is gone", SOON_S)
    assert [name for name, _ in api.queue()] == ["slow.mp3"]


@pytest.mark.parametrize("killed", [True, False])
def test_what_a_client_leaves_is_removed_across_a_restart(tmp_path: Path, killed: bool) -> None:
    with ScriptedDaemon(tmp_path, {}) as daemon:
        api = Client(daemon)
        daemon.drop("mine.mp3")
        daemon.wait_for_result("mine.mp3", SOON_S)
        with closing(left_alone(api, slow())):
            daemon.wait_for_position("slow.mp3", 10)
            if killed:
                daemon.kill()
        if not killed:
            daemon.stop()
        daemon.start()
        daemon.wait_for_log(r"Watching", SOON_S)
        until(
            lambda: not [name for name in everything(daemon) if not name.startswith("mine")],
            "all of it is removed",
            SOON_S,
        )
        assert daemon.result("mine.mp3")
        until(lambda: Client(daemon).queue() == [], "its job is over", SOON_S)


def test_a_setting_keeps_what_a_client_leaves(tmp_path: Path) -> None:
    config: dict[str, dict[str, Any]] = {"api": {"port": 0, "keep_openai_uploads": True}}
    with ScriptedDaemon(tmp_path, config) as daemon:
        api = Client(daemon)
        body = form(part('name="file"; filename="slow.mp3"', recording(15)))
        with closing(left_alone(api, body)):
            daemon.wait_for_position("slow.mp3", 10)
        daemon.wait_for_result("slow.mp3", SOON_S)
        assert (
            send(api, SPEECH, form(part('name="file"; filename="a.mp3"', recording(1)))).status
            == 200
        )
        assert {"slow.mp3", "a.mp3", "a.txt"} <= daemon.files()
