"""What the page asks for, over HTTP: the list, a text, the sound in parts, the login."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from modules.api.sessions import COOKIE
from tests.integration.test_api import Client
from tests.page import made
from tests.scripted_daemon import SOON_S, ScriptedDaemon

KEY = "open sesame"
SOUND = made.SPEECH.read_bytes()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path) as started:
        yield started


@pytest.fixture
def client(daemon: ScriptedDaemon) -> Client:
    return Client(daemon)


def at(name: str) -> str:
    return quote(name, safe="/")


# --- the list and a text --------------------------------------------------------------------------


def test_the_list_has_every_recording_in_the_order_of_its_turn(
    daemon: ScriptedDaemon, client: Client
) -> None:
    made.talk(daemon.shared, "talk.wav")
    daemon.drop("notmedia.mp3")
    daemon.wait_until_in_manual("notmedia.mp3")
    daemon.drop("slow long.mp3", chunks=500)
    daemon.wait_for_position("slow long.mp3", 10)
    daemon.drop("waits.mp3")
    daemon.wait_for(lambda: "waits" in client.get("/queue").text, "it is queued", SOON_S)
    found = client.get("/api/tasks").json
    assert [(task["filename"], task["state"]) for task in found["tasks"]] == [
        ("slow long.mp3", "processing"),
        ("waits.mp3", "pending"),
        ("notmedia.mp3", "manual"),
        ("talk.wav", "completed"),
    ]
    running, waiting, failed, done = found["tasks"]
    assert running["queue_position"] == 0
    assert waiting["queue_position"] == 1
    assert failed["error"] == "This is not a recording."
    assert (done["speaker_count"], done["duration_seconds"]) == (2, made.SPEECH_S)
    assert (found["total"], found["paused"]) == (4, False)
    assert found["counts"] == {"processing": 1, "pending": 1, "manual": 1, "completed": 1}


def test_the_list_is_filtered_and_cut(daemon: ScriptedDaemon, client: Client) -> None:
    for name in ("Ёлка.wav", "ёлка 2.wav", "other.wav"):
        made.talk(daemon.shared, name)

    def names(query: str) -> list[str]:
        found = client.get(f"/api/tasks?{query}").json
        return [task["filename"] for task in found["tasks"]]

    assert names(f"contains={quote('ЁЛКА')}") == ["Ёлка.wav", "ёлка 2.wav"]
    assert len(names("limit=2")) == 2
    assert names("state=done&limit=2") + names("state=done&limit=2&start=2") == names("")
    assert names("state=done") == names("")
    assert names("state=failed") == names("state=open") == []
    for wrong in ("limit=0", "limit=501", "start=-1", "state=gone", "what=1"):
        assert client.get(f"/api/tasks?{wrong}").status == 422, wrong


def test_a_new_recording_is_in_the_list_at_once(daemon: ScriptedDaemon, client: Client) -> None:
    client.get("/api/tasks")
    answer = client.upload(("slow new.mp3", b"\0" * 500))
    assert answer.status == 202
    assert client.get("/api/tasks/slow%20new.mp3").status == 200


def test_a_text_comes_with_its_words_and_changes_nothing(
    daemon: ScriptedDaemon, client: Client
) -> None:
    name = made.talk(daemon.shared)
    answer = client.get(f"/api/tasks/{at(name)}")
    assert answer.status == 200
    content = answer.json
    assert [segment["text"] for segment in content["segments"]][
        1
    ] == "Пожалуйста, оставайтесь на линии."
    assert content["segments"][0]["words"][4] == ["операторы", 1.8, 2.16, 0.3]
    assert content["segments"][0]["speaker"] == "SPEAKER_00"
    assert content["dropped"][0]["text"] == "Продолжение следует..."
    again = client.get(f"/api/tasks/{at(name)}", If_None_Match=answer.headers["etag"])
    assert (again.status, again.body) == (304, b"")


def test_looking_at_what_waits_makes_nothing_go_first(
    daemon: ScriptedDaemon, client: Client
) -> None:
    daemon.drop("slow long.mp3", chunks=500)
    daemon.wait_for_position("slow long.mp3", 10)
    daemon.drop("waits.mp3")
    daemon.wait_for(lambda: "waits" in client.get("/queue").text, "it is queued", SOON_S)
    content = client.get("/api/tasks/waits.mp3").json
    assert content["explanation"] is None
    assert content["task"]["priority"] == "auto_scan"
    assert client.get("/status/waits.mp3").json["priority"] == "auto_scan"
    assert client.get("/queue").json["jobs"][0]["filename"] == "slow long.mp3"


def test_what_failed_says_why(daemon: ScriptedDaemon, client: Client) -> None:
    daemon.drop("notmedia.mp3")
    daemon.wait_until_in_manual("notmedia.mp3")
    found = client.get("/api/tasks/notmedia.mp3").json
    assert "What happened:" in found["explanation"]
    missing = client.get("/api/tasks/missing.mp3")
    assert (missing.status, missing.error_code) == (404, "file_not_found")


def test_a_forged_result_is_no_error_of_ours(daemon: ScriptedDaemon, client: Client) -> None:
    name = made.talk(daemon.shared, "talk.wav")
    result = daemon.result(name)
    assert result
    words = ["b", {}, {"word": None, "start": 1}, {"word": "a", "start": 1, "confidence": "x"}]
    usable = {"text": "a", "start": 1, "end": 2, "speaker": 5, "flags": {}, "words": words}
    result["transcription"]["segments"] = ["x", {"text": 5}, {"text": "a"}, usable]
    result["metadata"] |= {"speakers": "many", "language": "x" * 10**6, "notes": 5}
    result["metadata"]["dropped"] = [None, {"start": 0}, {"start": 1, "text": "y"}]
    forged = daemon.shared / f"{name}.result"
    forged.write_text(json.dumps(result, indent=2))
    answer = client.get(f"/api/tasks/{name}")
    assert answer.status == 200
    [segment] = answer.json["segments"]
    assert [word[0] for word in segment["words"]] == ["a"]
    assert (segment["speaker"], segment["flags"], answer.json["notes"]) == (None, [], [])
    assert answer.json["dropped"] == [{"id": 0, "start": 1, "end": 1, "text": "y"}]
    assert len(answer.body) < 10_000
    result["transcription"] = None
    forged.write_text(json.dumps(result, indent=2))
    assert client.get(f"/api/tasks/{name}").status in (200, 404)


def test_what_is_planted_leaves_the_list_whole(daemon: ScriptedDaemon, client: Client) -> None:
    made.talk(daemon.shared, "talk.wav")
    late = {"processing_end": "9999-12-31T23:59:59-14:00", "filename": "late.wav"}
    (daemon.shared / "late.wav.result").write_text(json.dumps(late))
    daemon.drop("old.mp3")
    daemon.wait_for_result("old.mp3")
    with contextlib.suppress(OSError, OverflowError):
        os.utime(daemon.shared / "old.mp3", ns=(10**21, 10**21))
    orders = daemon.shared / ".transcriber" / "orders"
    orders.mkdir(exist_ok=True)
    (orders / "x.tmp").write_text('{"filename": []}')
    answer = client.get("/api/tasks")
    assert answer.status == 200
    assert "talk.wav" in answer.text


def test_each_group_is_seen_however_full_another_is(daemon: ScriptedDaemon, client: Client) -> None:
    made.talk(daemon.shared, "talk.wav")
    client.post("/pause")
    for number in range(5):
        daemon.drop(f"waits {number}.mp3")
    daemon.wait_for(lambda: client.get("/queue").json["queue_length"] == 5, "all wait", SOON_S)
    found = client.get("/api/tasks?limit=2").json
    assert [task["state"] for task in found["tasks"]] == ["pending", "pending", "completed"]
    assert [task["queue_position"] for task in found["tasks"][:2]] == [0, 1]
    assert found["total"] == 6


def test_the_one_in_the_share_is_meant_before_the_one_that_failed(
    daemon: ScriptedDaemon, client: Client
) -> None:
    daemon.drop("notmedia.mp3")
    daemon.wait_until_in_manual("notmedia.mp3")
    client.post("/pause")
    daemon.drop("notmedia.mp3")
    daemon.wait_for(lambda: client.get("/queue").json["queue_length"] == 1, "it waits", SOON_S)
    assert client.get("/api/tasks/notmedia.mp3").json["task"]["state"] == "pending"
    states = [task["state"] for task in client.get("/api/tasks").json["tasks"]]
    assert states == ["pending", "manual"]


# --- sound ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "status", "first", "last"),
    [
        (None, 200, 0, len(SOUND) - 1),
        ("bytes=0-", 206, 0, len(SOUND) - 1),
        ("bytes=0-0", 206, 0, 0),
        ("bytes=100-199", 206, 100, 199),
        (f"bytes={len(SOUND) - 10}-", 206, len(SOUND) - 10, len(SOUND) - 1),
        ("bytes=-5", 206, len(SOUND) - 5, len(SOUND) - 1),
        (f"bytes=5-{len(SOUND) + 1000}", 206, 5, len(SOUND) - 1),
        (f"bytes=-{len(SOUND) + 1000}", 206, 0, len(SOUND) - 1),
        ("bytes=0-1,4-5", 200, 0, len(SOUND) - 1),
        ("items=0-5", 200, 0, len(SOUND) - 1),
    ],
)
def test_sound_comes_in_the_part_that_is_asked_for(
    daemon: ScriptedDaemon, client: Client, asked: str | None, status: int, first: int, last: int
) -> None:
    name = made.talk(daemon.shared)
    answer = client.get(f"/audio/{at(name)}", **({"Range": asked} if asked else {}))
    assert answer.status == status
    assert answer.body == SOUND[first : last + 1]
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["accept-ranges"] == "bytes"
    if status == 206:
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(SOUND)}"


def test_a_part_that_is_not_there_is_refused(daemon: ScriptedDaemon, client: Client) -> None:
    name = made.talk(daemon.shared)
    answer = client.get(f"/audio/{at(name)}", Range=f"bytes={len(SOUND)}-")
    assert (answer.status, answer.headers["content-range"]) == (416, f"bytes */{len(SOUND)}")


def test_a_part_of_another_file_is_not_mixed_in(daemon: ScriptedDaemon, client: Client) -> None:
    name = made.talk(daemon.shared)
    tag = client.get(f"/audio/{at(name)}", Range="bytes=0-0").headers["etag"]
    same = client.get(f"/audio/{at(name)}", Range="bytes=5-9", If_Range=tag)
    assert (same.status, same.body) == (206, SOUND[5:10])
    other = client.get(f"/audio/{at(name)}", Range="bytes=5-9", If_Range='"another"')
    assert (other.status, other.body) == (200, SOUND)


def test_what_is_no_recording_has_no_sound(daemon: ScriptedDaemon, client: Client) -> None:
    assert client.get("/audio/missing.wav").status == 404
    (daemon.shared / "notes.txt").write_text("private")
    assert client.get("/audio/notes.txt").status == 404


def test_a_link_is_not_followed(daemon: ScriptedDaemon, client: Client, tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(SOUND)
    name = made.talk(daemon.shared, "talk.wav")
    assert client.get("/audio/talk.wav").status == 200
    (daemon.shared / name).unlink()
    (daemon.shared / name).symlink_to(secret)
    assert client.get("/audio/talk.wav").status in (404, 415, 500, 503)


def test_paused_players_hold_nobody_up(daemon: ScriptedDaemon, client: Client) -> None:
    """More of them than there are threads for what is answered at once."""
    big = daemon.shared.parent / "big.wav"
    with big.open("wb") as file:
        file.truncate(200_000_000)
    made.finish(daemon.shared, "big.wav", made.TALK, source=big)
    paused = []
    try:
        for _ in range(40):
            player = socket.create_connection(("127.0.0.1", client.port), timeout=60)
            player.sendall(b"GET /audio/big.wav HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert player.recv(15) == b"HTTP/1.1 200 OK"
            paused.append(player)
        began = time.monotonic()
        for _ in range(20):
            assert client.get("/health").status == 200
        assert time.monotonic() - began < SOON_S / 2
    finally:
        for player in paused:
            player.close()


# --- keys -----------------------------------------------------------------------------------------


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Client]:
    with ScriptedDaemon(tmp_path, {"api": {"key": KEY}}) as started:
        made.talk(started.shared, "talk.wav")
        yield Client(started)


def login(client: Client, key: str = KEY) -> Any:
    return client.ask("POST", "/login", b"", {"X-API-Key": key})


def test_the_page_is_open_and_all_that_it_shows_is_not(locked: Client) -> None:
    assert locked.get("/").status == 200
    assert locked.get("/static/app.js").status == 200
    for address in ("/api/tasks", "/api/tasks/talk.wav", "/audio/talk.wav"):
        assert locked.get(address).status == 401, address
    assert locked.get("/static/../api/tasks").status in (401, 404)
    assert locked.get("/static/%2e%2e/files.py").status == 404


def test_a_cookie_opens_what_the_key_opens(locked: Client) -> None:
    assert login(locked, "wrong").status == 401
    answer = login(locked)
    assert answer.status == 204
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    value = cookie.partition(";")[0]
    assert locked.get("/api/tasks", Cookie=value).status == 200
    assert locked.get("/audio/talk.wav", Cookie=value).status == 200
    for site in ("cross-site", "same-site"):
        assert locked.get("/api/tasks", Cookie=value, Sec_Fetch_Site=site).status == 401, site
    assert locked.get("/api/tasks", Cookie=value, Origin="http://evil.example").status == 403
    gone = locked.ask("POST", "/logout", b"", {"Cookie": value}).headers["set-cookie"]
    assert gone.startswith(f"{COOKIE}=;")


def test_a_forged_or_old_cookie_opens_nothing(locked: Client) -> None:
    until, signature = (
        login(locked).headers["set-cookie"].partition(";")[0].split("=")[1].split(".")
    )
    other = f"{signature[:-1]}{'1' if signature.endswith('0') else '0'}"
    for value in (
        "", "x", until, f"{until}.", f"{until}.{other}", f"{int(until) + 1}.{signature}",
        f"0.{signature}", f"-{until}.{signature}", f"{'9' * 30}.{signature}", f"{until}.{'я' * 9}",
    ):  # fmt: skip
        cookie = f"{COOKIE}={value}".encode()
        assert locked.get("/api/tasks", Cookie=cookie).status == 401, value


def test_only_what_a_person_opens_asks_with_the_browsers_window(locked: Client) -> None:
    assert "www-authenticate" in locked.get("/api/tasks").headers
    assert "www-authenticate" in locked.get("/docs", Sec_Fetch_Dest="document").headers
    for kind in ("empty", "audio"):
        assert "www-authenticate" not in locked.get("/api/tasks", Sec_Fetch_Dest=kind).headers


def test_a_recording_without_a_byte_is_sent_as_that(daemon: ScriptedDaemon, client: Client) -> None:
    made.finish(daemon.shared, "empty.wav", made.TALK)
    (daemon.shared / "empty.wav").write_bytes(b"")
    answer = client.get("/audio/empty.wav")
    assert (answer.status, answer.body) == (200, b"")


def test_the_files_of_the_page_come_compressed_to_who_can_read_that(client: Client) -> None:
    plain = client.get("/static/app.js")
    packed = client.get("/static/app.js", Accept_Encoding="gzip, br")
    assert gzip.decompress(packed.body) == plain.body
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == (
        "gzip", "Accept-Encoding",
    )  # fmt: skip
    assert packed.headers["content-type"] == plain.headers["content-type"]
    assert packed.headers["etag"] != plain.headers["etag"]
    again = client.get(
        "/static/app.js", Accept_Encoding="gzip", If_None_Match=packed.headers["etag"]
    )
    assert (again.status, again.body) == (304, b"")
    assert client.get("/static/nothing.js", Accept_Encoding="gzip").status == 404
