"""Corrections over HTTP: kept beside the recording, in every text, and never lost."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, TypeVar
from urllib.parse import quote

import pytest

from tests.builders import until
from tests.daemon_process import DaemonError
from tests.integration.test_api import Client, Reply
from tests.page import made
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.soak import soak

T = TypeVar("T")
NAME = "talk 1.wav"
OPERATIONS, KILLS = soak(200, 2000), soak(10, 100)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path) as started:
        yield started


@pytest.fixture
def client(daemon: ScriptedDaemon) -> Client:
    return Client(daemon)


def read(client: Client, name: str = NAME) -> dict[str, Any]:
    return client.get(f"/api/tasks/{quote(name)}").json


def patch(client: Client, version: str, *ops: dict[str, Any], name: str = NAME) -> Reply:
    body = json.dumps({"version": version, "ops": ops}, ensure_ascii=False).encode()
    return client.ask("PATCH", f"/edits/{quote(name)}", body, {"Content-Type": "application/json"})


def words(key: str, segment: str, first: int, was: str, now: str) -> dict[str, Any]:
    said = was.split()
    return {
        "id": key, "op": "words", "segment": segment, "from": first, "to": first + len(said),
        "was": said, "now": now.split(),
    }  # fmt: skip


def text_of(found: dict[str, Any]) -> list[str]:
    return [each["text"] for each in found["segments"]]


def correct(client: Client, *ops: dict[str, Any], name: str = NAME) -> dict[str, Any]:
    answer = patch(client, read(client, name)["version"], *ops, name=name)
    assert answer.status == 200, answer.text
    return answer.json


OPERATORS = words("a1", "0", 4, "операторы", "Операторы")


def test_a_correction_is_in_every_format_and_the_original_stays(
    daemon: ScriptedDaemon, client: Client
) -> None:
    made.talk(daemon.shared, NAME)
    whole = (daemon.shared / f"{NAME}.result").read_bytes()
    before = read(client)
    assert (before["corrections"], before["not_applied"]) == (0, [])
    answer = patch(client, before["version"], words("a1", "0", 4, "операторы", "наши специалисты"))
    changed = answer.json["segments"]["0"]
    assert (answer.status, answer.json["reload"]) == (200, False)
    assert changed["text"] == "В данный момент все наши специалисты заняты."
    assert [word[1:] for word in changed["words"][4:6]] == [
        [1.8, 1.896, None, "edited"], [1.896, 2.16, None, "edited"],
    ]  # fmt: skip
    after = read(client)
    assert after["segments"][0] == changed
    assert after["version"] == answer.json["version"] != before["version"]
    for form in ("txt", "srt", "vtt", "tsv", "json"):
        assert "наши специалисты" in " ".join(client.result(NAME, form).text.split()), form
        original = client.get(f"/result/{quote(NAME)}?format={form}&original=true").text
        assert "наши специалисты" not in " ".join(original.split()), form
    assert (daemon.shared / f"{NAME}.result").read_bytes() == whole
    kept = json.loads((daemon.shared / f"{NAME}.edit.json").read_bytes())
    assert [op["id"] for op in kept["ops"]] == ["a1"]
    assert client.get(f"/edits/{quote(NAME)}").json["ops"] == kept["ops"]


def test_speakers_undo_and_what_was_left_out(daemon: ScriptedDaemon, client: Client) -> None:
    made.talk(daemon.shared, NAME)
    correct(client, {"id": "r", "op": "rename_speaker", "was": "SPEAKER_00", "now": "Мария"})
    assert [each["speaker"] for each in read(client)["segments"]] == [
        "Мария", "SPEAKER_01", "Мария",
    ]  # fmt: skip
    assert "Мария: В данный момент" in client.result(NAME, "txt").text
    (left,) = read(client)["dropped"]
    back = {"id": "d", "op": "restore_dropped", "dropped": left["id"], "was": left["text"]}
    assert correct(client, back)["reload"]
    found = read(client)
    assert found["dropped"] == []
    assert text_of(found)[2] == left["text"]
    for undone in ("d", "r"):
        correct(client, {"id": f"u{undone}", "op": "undo", "of": undone})
    assert read(client)["segments"] == made_segments(client)


def made_segments(client: Client) -> list[dict[str, Any]]:
    """As they were before any correction."""
    original = client.get(f"/result/{quote(NAME)}?format=json&original=true").json
    now = read(client)["segments"]
    assert [each["text"] for each in original["segments"]] == text_of({"segments": now})
    assert [each.get("speaker") for each in original["segments"]] == [e["speaker"] for e in now]
    return now


def test_the_texts_beside_the_recording_follow(daemon: ScriptedDaemon, client: Client) -> None:
    daemon.drop("call 1.mp3")
    daemon.wait_for_result("call 1.mp3")
    first, *_ = read(client, "call 1.mp3")["segments"]
    word = first["words"][0][0]
    srt, txt = daemon.shared / "call 1.srt", daemon.shared / "call 1.txt"
    by_hand = txt.read_text() + "by hand\n"
    txt.write_text(by_hand)
    correct(client, words("a", "0", 0, word, "Исправлено"), name="call 1.mp3")
    until(lambda: "Исправлено" in srt.read_text(), "the subtitles follow", SOON_S)
    daemon.wait_for_log(r"call 1\.txt was changed by hand", SOON_S)
    assert txt.read_text() == by_hand
    correct(client, {"id": "u", "op": "undo", "of": "a"}, name="call 1.mp3")
    until(lambda: "Исправлено" not in srt.read_text(), "so they do back", SOON_S)
    until(lambda: not list((daemon.shared / ".transcriber/edited").iterdir()), "noted", SOON_S)


def test_a_daemon_that_is_killed_writes_them_later(daemon: ScriptedDaemon, client: Client) -> None:
    daemon.drop("call 1.mp3")
    daemon.wait_for_result("call 1.mp3")
    word = read(client, "call 1.mp3")["segments"][0]["words"][0][0]
    correct(client, words("a", "0", 0, word, "Исправлено"), name="call 1.mp3")
    daemon.kill()
    srt = daemon.shared / "call 1.srt"
    assert "Исправлено" not in srt.read_text()
    daemon.start()
    until(lambda: "Исправлено" in srt.read_text(), "the subtitles follow", SOON_S)


def test_a_new_run_keeps_what_still_fits(daemon: ScriptedDaemon, client: Client) -> None:
    daemon.drop("call 1.mp3")
    daemon.wait_for_result("call 1.mp3")
    before = read(client, "call 1.mp3")["segments"]
    correct(
        client,
        words("a", "0", 0, before[0]["words"][0][0], "Исправлено"),
        words("b", "1", 0, before[1]["words"][0][0], "Неповторимо"),
        name="call 1.mp3",
    )
    result = daemon.shared / "call 1.mp3.result"
    old = json.loads(result.read_bytes())
    assert client.order("call 1.mp3", force=True, initial_prompt="Другое", wait=True).status == 200
    new = json.loads(result.read_bytes())
    assert new["job_id"] != old["job_id"]
    assert "Исправлено" not in new["transcription"]["text"]
    found = read(client, "call 1.mp3")
    assert found["segments"][1]["text"].startswith("Неповторимо")
    assert found["corrections"] + len(found["not_applied"]) == 2
    assert "Неповторимо" in (daemon.shared / "call 1.srt").read_text()


def test_they_go_where_the_recording_goes(daemon: ScriptedDaemon, client: Client) -> None:
    name = "crash talk 1.wav"
    made.talk(daemon.shared, name)
    correct(client, OPERATORS, name=name)
    assert client.order(name, force=True, wait=False).status == 202
    daemon.wait_until_in_manual(name)
    kept = (daemon.manual / f"{name}.edit.json").read_bytes()
    assert b'"a1"' in kept
    assert not (daemon.shared / f"{name}.edit.json").exists()
    assert client.post("/pause").status == 200
    assert client.post(f"/manual/{quote(name)}/retry").status == 202
    assert (daemon.shared / f"{name}.edit.json").read_bytes() == kept
    assert not (daemon.manual / f"{name}.edit.json").exists()
    assert client.delete(name).status == 200
    assert not daemon.files(f"{name}*")


def test_another_recording_of_the_same_name_gets_none_of_them(
    daemon: ScriptedDaemon, client: Client
) -> None:
    made.talk(daemon.shared, NAME)
    correct(client, OPERATORS)
    other = made.SAMPLES / "please-hold-en.flac"
    (daemon.shared / NAME).unlink()
    made.finish(daemon.shared, NAME, made.TALK, source=other)
    assert "операторы" in text_of(read(client))[0]
    correct(client, words("b1", "0", 5, "заняты.", "свободны."))
    assert text_of(read(client))[0] == "В данный момент все операторы свободны."
    (aside,) = daemon.files(f"{NAME}.edit.json.*.aside")
    assert b'"a1"' in (daemon.shared / aside).read_bytes()


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"format": 2}', b'{"format": 1, "transcript_sha256": 3}']
)
def test_what_cannot_be_read_is_not_written_over(
    daemon: ScriptedDaemon, client: Client, content: bytes
) -> None:
    made.talk(daemon.shared, NAME)
    file = daemon.shared / f"{NAME}.edit.json"
    file.write_bytes(content)
    found = read(client)
    assert found["unreadable"]
    assert len(found["segments"]) == 3
    answer = patch(client, found["version"], OPERATORS)
    assert (answer.status, answer.json["error_code"]) == (409, "edits_unreadable")
    assert file.read_bytes() == content


def test_a_conflict_says_so_and_changes_nothing(daemon: ScriptedDaemon, client: Client) -> None:
    made.talk(daemon.shared, NAME)
    start = read(client)["version"]
    assert patch(client, start, OPERATORS).status == 200
    elsewhere = patch(client, start, words("b1", "1", 0, "Пожалуйста,", "Прошу,"))
    assert sorted(elsewhere.json["segments"]) == ["0", "1"]
    same = patch(client, start, words("c1", "0", 5, "заняты.", "свободны."))
    assert (same.status, same.json["error_code"]) == (409, "edit_conflict")
    again = patch(client, start, OPERATORS)
    assert again.json["version"] == elsewhere.json["version"]
    assert text_of(read(client))[:2] == [
        "В данный момент все Операторы заняты.", "Прошу, оставайтесь на линии.",
    ]  # fmt: skip


def test_what_is_wrong_is_named(daemon: ScriptedDaemon, client: Client) -> None:
    made.talk(daemon.shared, NAME)
    version = read(client)["version"]
    for wrong, named in (
        ({**OPERATORS, "now": ["два слова ", "x"]}, "now"),
        ({**OPERATORS, "id": "1"}, "id"),
        ({**OPERATORS, "op": "rewrite"}, "op"),
        ({"id": "r", "op": "rename_speaker", "was": "SPEAKER_00", "now": "\n"}, "now"),
    ):
        answer = patch(client, version, wrong)
        assert answer.status == 422, answer.text
        assert named in answer.json["message"], answer.text
    assert patch(client, version, OPERATORS, name="nothing.wav").status == 404
    assert not (daemon.shared / f"{NAME}.edit.json").exists()


def test_what_a_null_means_survives(daemon: ScriptedDaemon, client: Client) -> None:
    made.finish(daemon.shared, NAME, [made.segment("Ваш вызов будет принят.", 0.2)])
    correct(client, {"id": "s", "op": "speaker", "segment": "0", "was": None, "now": "Мария"})
    found = read(client)
    assert not found["unreadable"]
    assert found["segments"][0]["speaker"] == "Мария"


def test_more_than_a_file_may_hold_is_refused(daemon: ScriptedDaemon, client: Client) -> None:
    made.finish(daemon.shared, NAME, [made.segment("Ваш вызов.", 0.2)])
    sent, was = 0, ["Ваш", "вызов."]
    while sent < 40:
        now = [f"{'слово' * 15}{sent}-{n}" for n in range(1500)]
        op = {"id": f"w{sent}", "op": "words", "segment": "0", "from": 0, "to": len(was),
              "was": was, "now": now}  # fmt: skip
        answer = patch(client, read(client)["version"], op)
        if answer.status != 200:
            break
        was, sent = now, sent + 1
    assert (answer.status, answer.json["error_code"]) == (409, "too_many_corrections")
    found = read(client)
    assert not found["unreadable"]
    assert found["corrections"] == sent > 2


def test_a_result_of_somebody_else_does_no_harm(daemon: ScriptedDaemon, client: Client) -> None:
    made.talk(daemon.shared, NAME)
    (daemon.shared / "gone.mp3.result").write_text('{"source": "abc", "transcription": {}}')
    (daemon.shared / "gone.mp3.edit.json").write_text('{"facts": 3}')
    assert client.get("/api/tasks").status == 200
    assert read(client)["task"]["filename"] == NAME


class Editor:
    """Corrects as the page does: by the version it knows, again after a lost connection."""

    def __init__(self, who: str, client: Client) -> None:
        self.who, self.client = who, client
        self.accepted: list[str] = []
        self.shown: dict[str, Any] = {}
        self.load()

    def load(self) -> None:
        self.shown = patiently(lambda: read(self.client))

    def operate(self, rng: Random, number: int) -> None:
        key = f"{self.who}{number}"
        each = rng.choice(self.shown["segments"])
        first = rng.randrange(len(each["words"]))
        after = min(len(each["words"]), first + rng.choice((1, 1, 2)))
        was = [word[0] for word in each["words"][first:after]]
        now = [rng.choice(("да", "нет", "может", "быть")) for _ in range(rng.choice((1, 1, 2)))]
        op = {"op": "words", "segment": each["id"], "from": first, "to": after, "was": was,
              "now": now}  # fmt: skip
        if self.accepted and rng.random() < 0.2:
            op = {"op": "undo", "of": rng.choice(self.accepted)}
        elif rng.random() < 0.1:
            op = {"op": "confirm", "segment": each["id"], "from": first, "to": after, "was": was}
        answer = self.send({"id": key, **op})
        if answer.status == 409:
            self.load()
            return
        assert answer.status == 200, answer.text
        self.accepted.append(key)
        self.shown["version"] = answer.json["version"]
        if answer.json["reload"]:
            self.load()
        for segment in self.shown["segments"]:
            segment |= answer.json["segments"].get(segment["id"]) or {}

    def send(self, op: dict[str, Any]) -> Reply:
        return patiently(lambda: patch(self.client, self.shown["version"], op))


def patiently(ask: Callable[[], T]) -> T:
    """Ask again while the daemon is away."""
    deadline = time.monotonic() + SOON_S
    while True:
        try:
            return ask()
        except (OSError, http.client.HTTPException, DaemonError):
            assert time.monotonic() < deadline, "the daemon does not come back"
            time.sleep(0.05)


def test_two_editors_and_a_daemon_that_is_killed(daemon: ScriptedDaemon, client: Client) -> None:
    """What was answered is never lost, nothing counts twice, and both see one text."""
    made.talk(daemon.shared, NAME)
    rng = Random(21)
    editors = [Editor("a", client), Editor("b", client)]
    deadly = set(rng.sample(range(OPERATIONS), KILLS))
    for number in range(OPERATIONS):
        if number in deadly:
            restart = threading.Timer(rng.uniform(0, 0.01), restarted, [daemon])
            restart.start()
        rng.choice(editors).operate(rng, number)
        if number in deadly:
            restart.join(SOON_S)
            assert not restart.is_alive(), "the daemon was not started again"
    for editor in editors:
        editor.load()
    assert editors[0].shown == editors[1].shown
    kept = [op["id"] for op in client.get(f"/edits/{quote(NAME)}").json["ops"]]
    acknowledged = [key for editor in editors for key in editor.accepted]
    assert len(kept) == len(set(kept))
    assert sorted(kept) == sorted(acknowledged)
    assert len(kept) > OPERATIONS / 3


def restarted(daemon: ScriptedDaemon) -> None:
    daemon.kill()
    daemon.start()
    Client(daemon).port  # noqa: B018 # waits until it listens
