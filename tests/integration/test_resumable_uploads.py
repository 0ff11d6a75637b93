"""Uploads by tus 1.0, with a plain client that breaks off, and a daemon that is killed."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.builders import until
from tests.integration.test_api import Client
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text, recording
from tests.tus_client import BODY, Tus, metadata, name_in

FOR_EVER_S = 600.0


def tus(daemon: ScriptedDaemon, **headers: str) -> Tus:
    return Tus(Client(daemon).port, headers or None)


def lying(daemon: ScriptedDaemon) -> set[str]:
    """What lies among the unfinished uploads, by its ending."""
    folder = daemon.shared / ".transcriber" / "uploads"
    return {path.suffix for path in folder.iterdir()}


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    config = {"watch": {"stable_seconds": FOR_EVER_S, "settle_seconds": FOR_EVER_S}}
    with ScriptedDaemon(tmp_path_factory.mktemp("resumable"), config) as running:
        yield running


@pytest.fixture
def client(serving: ScriptedDaemon) -> Iterator[Tus]:
    yield tus(serving)
    for path in serving.shared.iterdir():
        if path.is_file():
            Client(serving).delete(path.name)


# --- the protocol -------------------------------------------------------------------------------


def test_pieces_become_a_recording_with_its_settings(serving: ScriptedDaemon, client: Tus) -> None:
    content = recording(3)
    begun = client.begin(
        len(content), filename="Разговор.mp3", job_id="call-7", language="en", if_exists="rename"
    )
    assert begun.status == 201
    path = begun.headers["location"]
    assert re.fullmatch(r"/files/[0-9a-f]{32}", path)
    assert begun.headers["tus-resumable"] == "1.0.0"
    assert begun.headers["upload-expires"].endswith("GMT")
    for start in range(0, len(content), 1000):
        asked = client.ask("HEAD", path)
        assert asked.status == 200
        assert asked.headers["cache-control"] == "no-store"
        assert asked.headers["upload-length"] == str(len(content))
        assert "filename " in asked.headers["upload-metadata"]
        assert int(asked.headers["upload-offset"]) == start
        reply = client.patch(path, start, content[start : start + 1000])
        assert (reply.status, reply.body) == (204, b"")
        assert int(reply.headers["upload-offset"]) == min(start + 1000, len(content))
    assert name_in(reply) == "Разговор.mp3"
    result = serving.wait_for_result("Разговор.mp3", SOON_S)
    assert result["transcription"]["text"] == full_text(content)
    assert (result["job_id"], result["settings"]["language"]) == ("call-7", "en")
    assert (serving.shared / "Разговор.mp3").read_bytes() == content
    asked = client.ask("HEAD", path)
    assert int(asked.headers["upload-offset"]) == len(content)
    assert name_in(asked) == "Разговор.mp3"
    again = client.patch(path, len(content), b"")
    assert (again.status, name_in(again)) == (204, "Разговор.mp3")
    assert [name for name in serving.files() if name.endswith(".mp3")] == ["Разговор.mp3"]


def test_what_is_understood_is_said(client: Tus) -> None:
    path = client.create(10, filename="talk.mp3")
    for address in ("/files", path):
        reply = client.ask("OPTIONS", address, Tus_Resumable=None)
        assert reply.status == 204
        assert reply.headers["tus-version"] == "1.0.0"
        assert reply.headers["tus-extension"] == "creation,expiration,termination"
        assert int(reply.headers["tus-max-size"]) == 4096 * 2**20
    assert client.ask("DELETE", path).status == 204


def test_another_version_is_refused(client: Tus) -> None:
    path = client.create(10, filename="talk.mp3")
    requests = [("POST", "/files"), ("HEAD", path), ("DELETE", path), ("PATCH", path)]
    for version in ("0.2.2", None):
        for method, address in requests:
            reply = client.ask(
                method,
                address,
                b"" if method == "PATCH" else None,
                Tus_Resumable=version,
                Upload_Offset="0",
                Content_Type=BODY["Content-Type"],
            )
            assert (reply.status, reply.headers["tus-resumable"]) == (412, "1.0.0"), method
            if method != "HEAD":
                assert reply.error_code == "unsupported_version"
    assert client.offset(path) == 0
    client.ask("DELETE", path)


@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [
        ({}, 422, "Upload-Length: must be a number of bytes, it is missing"),
        ({"Upload_Defer_Length": "1"}, 422, "Upload-Defer-Length: is not supported"),
        ({"Upload_Length": "-1"}, 422, "Upload-Length: must be a number"),
        ({"Upload_Length": str(5 * 2**30)}, 413, "may have at most"),
        ({"Upload_Length": "9", "Upload_Metadata": "filename ???"}, 422, "must be base64"),
        ({"Upload_Length": "9", "Upload_Metadata": "a YQ==,a YQ=="}, 422, "must be there once"),
    ],
)
def test_what_is_wrong_is_said_before_the_first_byte(
    client: Tus, headers: dict[str, str], status: int, words: str
) -> None:
    reply = client.ask("POST", "/files", **headers)
    assert reply.status == status, reply.text
    assert words in reply.json["message"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"filename": "talk.mp3", "temperature": "7"}, "invalid_request"),
        ({"filename": "talk.mp3", "colour": "red"}, "invalid_request"),
        ({"filename": "talk.mp3", "wait": "true"}, "invalid_request"),
        ({"filename": "talk.mp3", "model_size": "large-v3"}, "model_unavailable"),
        ({"filename": "talk.mp3", "callback_url": "http://127.0.0.1/x"}, "callback_refused"),
        ({"filename": "x" * 300 + ".mp3"}, "invalid_request"),
        ({"filename": "taken.mp3"}, "name_taken"),
    ],
)
def test_fields_are_those_of_any_upload(
    serving: ScriptedDaemon, client: Tus, fields: dict[str, str], code: str
) -> None:
    (serving.shared / "taken.mp3").write_bytes(recording(1))
    reply = client.begin(10, **fields)
    assert reply.status >= 400
    assert reply.error_code == code


def test_what_a_piece_must_be(client: Tus) -> None:
    path = client.create(10, filename="talk.mp3")
    for reply, status, code in [
        (client.patch(path, 3, b"abc"), 409, "wrong_offset"),
        (client.patch(path, 0, b"abc", Content_Type="audio/mpeg"), 415, "wrong_content_type"),
        (client.patch(path, 0, b"abc", Upload_Offset=None), 422, "invalid_request"),
        (client.patch(path, 0, b"x" * 11), 413, "body_too_large"),
        (client.patch("/files/" + "0" * 32, 0, b"abc"), 404, "upload_not_found"),
        (client.patch("/files/..%2f..%2fpaused", 0, b"abc"), 404, "not_found"),
        (client.patch("/files/talk.mp3", 0, b"abc"), 404, "upload_not_found"),
    ]:
        assert (reply.status, reply.error_code) == (status, code)
    assert client.offset(path) == 0
    assert client.patch(path, 0, b"abc").status == 204
    assert client.offset(path) == 3
    assert client.ask("DELETE", path).status == 204
    assert client.ask("HEAD", path).status == 404
    assert client.ask("DELETE", path).error_code == "upload_not_found"


def test_chunked_pieces_end_where_the_upload_does(serving: ScriptedDaemon, client: Tus) -> None:
    content = recording(1)
    path = client.create(len(content), filename="chunked.mp3")
    head = f"PATCH {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
    head += "Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
    head += f"Content-Type: {BODY['Content-Type']}\r\n\r\n"

    def chunked(data: bytes) -> bytes:
        return f"{len(data):x}\r\n".encode() + data + b"\r\n"

    with closing(socket.create_connection(("127.0.0.1", client.port), timeout=30)) as connection:
        connection.sendall(head.encode() + chunked(content[:100]) + b"0\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 204")
    head = head.replace("Upload-Offset: 0", "Upload-Offset: 100")
    with closing(socket.create_connection(("127.0.0.1", client.port), timeout=30)) as connection:
        connection.sendall(head.encode() + chunked(content[100:] + b"too much"))
        assert connection.recv(4096).startswith(b"HTTP/1.1 413")
    reply = client.ask("HEAD", path)
    assert name_in(reply) == "chunked.mp3"
    assert (serving.shared / "chunked.mp3").read_bytes() == content


def test_an_upload_without_bytes_lands_at_once(serving: ScriptedDaemon, client: Tus) -> None:
    reply = client.begin(0, filename="empty.mp3")
    assert (reply.status, name_in(reply)) == (201, "empty.mp3")
    assert (serving.shared / "empty.mp3").read_bytes() == b"" or (
        serving.manual / "empty.mp3"
    ).exists()


def test_the_content_decides_where_the_name_does_not(serving: ScriptedDaemon, client: Tus) -> None:
    content = b"RIFF\0\0\0\0WAVE" + recording(2)
    path = client.create(len(content), filename="blob", if_exists="rename")
    assert name_in(client.patch(path, 0, content)) == "blob.wav"
    text = b"Dear all, this is only a letter, and nobody speaks in it. " * 200
    path = client.create(2 * len(text), filename="letter.mp3")
    reply = client.patch(path, 0, text)
    assert (reply.status, reply.error_code) == (415, "no_recording")
    assert client.ask("HEAD", path).status == 404
    assert "letter.mp3" not in serving.files()


def test_a_name_that_is_taken_meanwhile_can_be_freed(serving: ScriptedDaemon, client: Tus) -> None:
    content = recording(2)
    path = client.create(len(content), filename="mine.mp3")
    (serving.shared / "mine.mp3").write_bytes(b"\0somebody's")
    reply = client.patch(path, 0, content)
    assert (reply.status, reply.error_code) == (409, "name_taken")
    assert (serving.shared / "mine.mp3").read_bytes() == b"\0somebody's"
    os.unlink(serving.shared / "mine.mp3")
    assert name_in(client.ask("HEAD", path)) == "mine.mp3"
    assert (serving.shared / "mine.mp3").read_bytes() == content


# --- who may ------------------------------------------------------------------------------------


def test_without_the_key_nothing_is_taken(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, {"api": {"port": 0, "key": "secret"}}) as daemon:
        knows = tus(daemon, **{"X-API-Key": "secret"})
        path = knows.create(10, filename="talk.mp3")
        stranger = tus(daemon)
        assert stranger.begin(10, filename="a.mp3").status == 401
        for method in ("HEAD", "DELETE", "OPTIONS"):
            assert stranger.ask(method, path).status == 401
        with closing(stranger.half_patch(path, 0, 10, b"")) as connection:
            assert connection.recv(4096).startswith(b"HTTP/1.1 401")
        foreign = tus(daemon, Origin="http://evil.example")
        assert foreign.begin(10, filename="a.mp3").status == 403
        assert foreign.patch(path, 0, b"abc").status == 403
        assert knows.offset(path) == 0
        cookie = knows.ask("POST", "/login").headers["set-cookie"].partition(";")[0]
        page = tus(daemon, Cookie=cookie, **{"Sec-Fetch-Site": "same-origin"})
        assert page.patch(path, 0, b"abc").status == 204


def test_a_refused_piece_is_refused_at_its_headers(client: Tus) -> None:
    path = client.create(10**9, filename="talk.mp3")
    with closing(client.half_patch(path, 5, 10**8, b"")) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 409")
    client.ask("DELETE", path)


def test_there_is_room_for_all_of_it_or_it_is_refused(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    limit = {"port": 0, "max_upload_mb": 2 * free // 2**20}
    with ScriptedDaemon(tmp_path, {"api": limit}) as daemon:
        client = tus(daemon)
        half = free * 2 // 3
        client.create(half, filename="first.mp3")
        reply = client.begin(half, filename="second.mp3")
        assert (reply.status, reply.error_code) == (507, "no_room")
        assert client.begin(1000, filename="third.mp3").status == 201


def test_two_at_once_do_not_mix(client: Tus) -> None:
    path = client.create(10**6, filename="talk.mp3")
    with closing(client.half_patch(path, 0, 10**6, b"first")):
        until(lambda: client.offset(path) == 5, "the first piece came", SOON_S)
        reply = client.patch(path, 5, b"second")
        assert (reply.status, reply.error_code) == (423, "upload_locked")
        assert client.offset(path) == 5

        # A client whose connection is dead does not wait until the server sees it.
        def taken() -> bool:
            return client.patch(path, client.offset(path), b"second").status == 204

        until(taken, "the silent one gave way", SOON_S)
    assert client.offset(path) == 11
    client.ask("DELETE", path)


def test_what_is_cancelled_takes_no_more(serving: ScriptedDaemon, client: Tus) -> None:
    path = client.create(10**6, filename="talk.mp3")
    with closing(client.half_patch(path, 0, 10**6, b"first")) as connection:
        until(lambda: client.offset(path) == 5, "the first piece came", SOON_S)
        assert client.ask("DELETE", path).status == 204
        connection.sendall(b"second")
        assert connection.recv(4096).startswith(b"HTTP/1.1 423")
    assert client.ask("HEAD", path).status == 404
    part = path.rpartition("/")[2]
    assert not list((serving.shared / ".transcriber" / "uploads").glob(f"{part}*"))


def test_a_finished_one_is_not_cancelled(serving: ScriptedDaemon, client: Tus) -> None:
    content = recording(1)
    path = client.create(len(content), filename="done.mp3")
    client.patch(path, 0, content)
    reply = client.ask("DELETE", path)
    assert (reply.status, reply.error_code) == (409, "upload_finished")
    assert (serving.shared / "done.mp3").read_bytes() == content


# --- what breaks off ----------------------------------------------------------------------------


def test_bytes_that_came_are_kept_when_the_client_is_cut_off(
    serving: ScriptedDaemon, client: Tus
) -> None:
    content = recording(50)
    path = client.create(len(content), filename="cut.mp3")
    for kept in (1000, 4000):
        start = client.offset(path)
        client.half_patch(path, start, len(content) - start, content[start:kept]).close()
        until(lambda kept=kept: client.offset(path) == kept, "what came was kept", SOON_S)
    reply = client.patch(path, kept, content[kept:])
    assert reply.status == 204
    assert (serving.shared / name_in(reply)).read_bytes() == content
    assert serving.wait_for_result("cut.mp3", SOON_S)["transcription"]["text"] == full_text(content)


def test_what_came_whole_lands_though_the_client_left_at_once(
    serving: ScriptedDaemon, client: Tus
) -> None:
    """The server may see that it is gone before anybody has dealt with the last piece."""
    content = recording(1)
    for number in range(10):
        path = client.create(len(content), filename=f"left {number}.mp3")
        head = (
            f"PATCH {path} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\n"
            f"Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", Client(serving).port), timeout=60) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sender.sendall(head.encode() + content)
            time.sleep(0.02)
    names = [f"left {number}.mp3" for number in range(10)]
    serving.wait_for(lambda: set(names) <= set(serving.files()), "all of them landed", SOON_S)
    assert all((serving.shared / name).read_bytes() == content for name in names)


def test_it_goes_on_after_the_daemon_was_killed(tmp_path: Path) -> None:
    content = recording(60)
    with ScriptedDaemon(tmp_path, {}) as daemon:
        path = tus(daemon).create(len(content), filename="killed.mp3", language="en")
        with closing(tus(daemon).half_patch(path, 0, len(content), content[:3000])):
            until(lambda: tus(daemon).offset(path) == 3000, "a piece came", SOON_S)
            daemon.kill()
        daemon.start()
        client = tus(daemon)
        assert client.offset(path) == 3000
        assert "killed.mp3" not in daemon.files()
        daemon.stop()
        daemon.start()
        client = tus(daemon)
        assert name_in(client.patch(path, 3000, content[3000:])) == "killed.mp3"
        assert (daemon.shared / "killed.mp3").read_bytes() == content
        result = daemon.wait_for_result("killed.mp3", SOON_S)
        assert result["transcription"]["text"] == full_text(content)
        assert result["settings"]["language"] == "en"
        daemon.kill()
        daemon.start()
        assert name_in(tus(daemon).ask("HEAD", path)) == "killed.mp3"
        assert [n for n in daemon.files() if n.endswith(".mp3")] == ["killed.mp3"]


def test_the_next_start_lands_what_was_whole(tmp_path: Path) -> None:
    """The daemon died between the last byte and the name."""
    content = recording(2)
    with ScriptedDaemon(tmp_path, {}) as daemon:
        path = tus(daemon).create(len(content), filename="whole.mp3", language="en")
        tus(daemon).patch(path, 0, content[:100])
        daemon.kill()
        part = daemon.shared / ".transcriber" / "uploads" / f"{path.rpartition('/')[2]}.part"
        with part.open("ab") as file:
            file.write(content[100:])
        daemon.start()
        result = daemon.wait_for_result("whole.mp3", SOON_S)
        assert result["settings"]["language"] == "en"
        assert (daemon.shared / "whole.mp3").read_bytes() == content
        assert name_in(tus(daemon).ask("HEAD", path)) == "whole.mp3"
        assert lying(daemon) == {".json"}


def test_what_stands_still_for_a_day_is_removed(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, {}) as daemon:
        old, moving = (tus(daemon).create(9, filename=f"{n}.mp3") for n in ("old", "moving"))
        folder = daemon.shared / ".transcriber" / "uploads"
        day_before = time.time() - 25 * 3600
        for suffix in (".part", ".json"):
            os.utime(folder / f"{old.rpartition('/')[2]}{suffix}", (day_before, day_before))
        # A note is as old as the upload; only the last byte counts.
        os.utime(folder / f"{moving.rpartition('/')[2]}.json", (day_before, day_before))
        for reply in (tus(daemon).patch(old, 0, b"abc"), tus(daemon).ask("DELETE", old)):
            assert (reply.status, reply.error_code) == (410, "upload_expired")
        daemon.stop()
        daemon.start()
        daemon.wait_for_log("An upload was given up", SOON_S)
        assert tus(daemon).ask("HEAD", old).status == 404
        assert tus(daemon).offset(moving) == 0


def test_forged_notes_and_links_lead_nowhere(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, {}) as daemon:
        client = tus(daemon)
        folder = daemon.shared / ".transcriber" / "uploads"
        outside = tmp_path / "outside.mp3"
        outside.write_bytes(b"mine")
        path = client.create(10, filename="talk.mp3")
        note: dict[str, Any] = json.loads(next(folder.glob("*.json")).read_bytes())

        def forge(number: int, **changed: Any) -> str:
            forged = f"{number:032x}"
            (folder / f"{forged}.json").write_text(json.dumps({**note, **changed}))
            return f"/files/{forged}"

        linked = forge(1)
        (folder / f"{1:032x}.part").symlink_to(outside)
        hard = forge(2)
        os.link(outside, folder / f"{2:032x}.part")
        fifo = forge(3)
        os.mkfifo(folder / f"{3:032x}.part")
        (folder / f"{4:032x}.part").write_bytes(b"")
        (folder / f"{4:032x}.json").symlink_to(tmp_path / "config.yaml")
        away = forge(5, name="outside.mp3", metadata=metadata(filename="../../x.mp3"))
        (folder / f"{5:032x}.part").write_bytes(b"\0" * 9)
        landing = forge(6, landing="../outside.mp3")
        for forged in (linked, fifo, f"/files/{4:032x}"):
            assert client.ask("HEAD", forged).status == 404
            assert client.patch(forged, 0, b"abc").status == 404
        assert client.patch(hard, 4, b"abc").status == 503
        assert name_in(client.patch(away, 9, b"\0")) == "x.mp3"
        assert client.ask("HEAD", landing).status == 404
        assert outside.read_bytes() == b"mine"
        assert not (tmp_path / "x.mp3").exists()
        assert (daemon.shared / "x.mp3").read_bytes() == b"\0" * 10
        assert client.ask("DELETE", linked).status == 404
        daemon.stop()
        daemon.start()
        assert outside.read_bytes() == b"mine"
        assert tus(daemon).offset(path) == 0


def test_one_tus_client_is_as_good_as_another(serving: ScriptedDaemon, client: Tus) -> None:
    """tuspy, unchanged."""
    tusclient = pytest.importorskip("tusclient.client")
    content = recording(300)
    made = tusclient.TusClient(f"http://127.0.0.1:{client.port}/files")
    uploader = made.uploader(
        file_stream=io.BytesIO(content), chunk_size=7001, metadata={"filename": "tuspy.mp3"}
    )
    uploader.upload(stop_at=3 * 7001)
    other = made.uploader(url=uploader.url, file_stream=io.BytesIO(content), chunk_size=7001)
    assert other.offset == 3 * 7001
    other.upload()
    assert (serving.shared / "tuspy.mp3").read_bytes() == content
    assert serving.wait_for_result("tuspy.mp3", SOON_S)
