"""A process beside the owner: reads from the folder, orders passed on, and what it cannot do."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.builders import until
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text, recording


class Said(NamedTuple):
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ReplicaProcess(ScriptedDaemon):
    """``serve --replica`` on the folder of a daemon, with a log of its own."""

    def __init__(self, owner: ScriptedDaemon, port: int = 0, number: int = 1) -> None:
        self.root = owner.root
        self._owner = owner
        self._port = port
        self._variables = {"API_PORT": str(port)}
        self._project, self._prefix, self._process = owner._project, (), None
        self.shared, self.manual = owner.shared, owner.manual
        self.config_file = owner.config_file
        self.log_file = owner.root / f"replica{number}.log"
        self._log_start = 0

    def start(self) -> None:
        self._launch("serve", "--replica")
        self.wait_for_log(r"\[Replica\] Answering beside", 60)

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Said:
        port = self.wait_for_log(r"Listening on http://[^:]+:(\d+)", SOON_S).group(1)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{urllib.parse.quote(path, safe='/?=&%')}",
            data, headers or {}, method=method,
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Said(answer.status, answer.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return Said(refusal.code, refusal.read())


@pytest.fixture
def owner(tmp_path: Any) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path) as daemon:
        yield daemon


@pytest.fixture
def replica(owner: ScriptedDaemon) -> Iterator[ReplicaProcess]:
    with ReplicaProcess(owner) as process:
        yield process


def test_what_is_there_is_read_with_and_without_the_owner(
    owner: ScriptedDaemon, replica: ReplicaProcess
) -> None:
    content = owner.drop("talk.mp3")
    owner.wait_for_result("talk.mp3")

    def look() -> None:
        assert replica.ask("GET", "/").body.startswith(b"<!doctype html>")
        assert replica.ask("GET", "/status/talk.mp3").json["status"] == "completed"
        text = replica.ask("GET", "/result/talk.mp3").json["transcription"]["text"]
        assert text == full_text(content)
        listed = replica.ask("GET", "/api/tasks").json["tasks"]
        assert [each["filename"] for each in listed] == ["talk.mp3"]
        opened = replica.ask("GET", "/api/tasks/talk.mp3")
        assert (opened.status, len(opened.json["segments"])) == (200, 3), opened.body
        assert replica.ask("GET", "/queue").json["jobs"] == []
        assert replica.ask("GET", "/audio/talk.mp3?copy=false").body == content
        assert replica.ask("GET", "/manual").json == {"files": []}

    look()
    assert replica.ask("GET", "/health").json["status"] == "healthy"
    owner.stop()
    look()
    health = replica.ask("GET", "/health").json
    assert (health["status"], health["whisperx_available"]) == ("degraded", False)


def test_orders_are_passed_on(owner: ScriptedDaemon, replica: ReplicaProcess) -> None:
    def task() -> Any:
        return replica.ask("GET", "/api/tasks/talk.mp3").json

    assert replica.ask("POST", "/pause").json["status"] == "paused"
    content = owner.drop("talk.mp3")
    ordered = replica.ask("POST", "/transcribe", {"filename": "talk.mp3", "wait": True})
    assert (ordered.status, ordered.json["priority"]) == (202, "high"), ordered.body
    by_id = replica.ask("GET", f"/status/{ordered.json['job_id']}")
    assert by_id.json["filename"] == "talk.mp3"
    waiting = replica.ask("GET", "/queue").json
    assert (waiting["paused"], len(waiting["jobs"])) == (True, 1)
    assert replica.ask("POST", "/resume").status == 200
    owner.wait_for_result("talk.mp3")
    until(lambda: "segments" in task(), "the replica has seen the text", SOON_S)
    opened = task()
    first = opened["segments"][0]
    heard = first["words"][0][0]
    operation = {
        "id": "a1", "op": "words", "segment": first["id"], "from": 0, "to": 1,
        "was": [heard], "now": ["Да."],
    }  # fmt: skip
    change = {"version": opened["version"], "ops": [operation]}
    edited = replica.ask("PATCH", "/edits/talk.mp3", change, {"Content-Type": "application/json"})
    assert edited.status == 200, edited.body
    corrected = replica.ask("GET", "/api/tasks/talk.mp3").json["segments"][0]
    assert corrected["words"][0][0] == "Да."
    found = replica.ask("GET", f"/search?q={full_text(content).split()[0][:-1]}")
    assert found.status == 200, found.body
    assert replica.ask("DELETE", "/transcribe?filename=talk.mp3").status == 200
    assert not (owner.shared / "talk.mp3").exists()
    assert replica.ask("DELETE", "/transcribe?filename=talk.mp3").status == 404


def test_an_upload_lands_and_is_ordered(owner: ScriptedDaemon, replica: ReplicaProcess) -> None:
    content = recording(2, "uploaded")
    start = b'--bb\r\nContent-Disposition: form-data; name="file"; filename="Call 1.mp3"\r\n\r\n'
    field = b'\r\n--bb\r\nContent-Disposition: form-data; name="language"\r\n\r\nen'
    form = {"Content-Type": "multipart/form-data; boundary=bb"}
    # Or this daemon, which is quick to see files, is done with it before it is ordered.
    assert replica.ask("POST", "/pause").status == 200
    sent = replica.ask("POST", "/transcribe", start + content + field + b"\r\n--bb--\r\n", form)
    assert (sent.status, sent.json["filename"]) == (202, "Call 1.mp3"), sent.body
    assert replica.ask("POST", "/resume").status == 200
    result = owner.wait_for_result("Call 1.mp3")
    assert result["transcription"]["text"] == full_text(content)
    assert result["settings"]["language"] == "en"


def test_without_an_owner_orders_are_refused_for_now(
    owner: ScriptedDaemon, replica: ReplicaProcess
) -> None:
    owner.drop("talk.mp3")
    owner.stop()
    refused = replica.ask("POST", "/transcribe", {"filename": "talk.mp3"})
    assert (refused.status, refused.json["error_code"]) == (503, "owner_away")
    assert list((owner.shared / ".transcriber").glob("replicas/*.json")) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/audio/transcriptions"), ("GET", "/metrics"), ("POST", "/files"),
     ("POST", "/asr"), ("GET", "/audio/talk.mp3?copy=true"), ("GET", "/peaks/talk.mp3")],
)  # fmt: skip
def test_what_only_the_owner_can_do_is_left_to_it(
    owner: ScriptedDaemon, replica: ReplicaProcess, method: str, path: str
) -> None:
    owner.drop("talk.mp3")
    owner.wait_for_result("talk.mp3")
    said = replica.ask(method, path, b"" if method == "POST" else None)
    assert (said.status, b"not_on_replica" in said.body) == (503, True), said.body


def test_events_follow_the_folder(owner: ScriptedDaemon, replica: ReplicaProcess) -> None:
    port = replica.wait_for_log(r"Listening on http://[^:]+:(\d+)", SOON_S).group(1)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/events", timeout=SOON_S) as stream:
        owner.drop("slow.mp3", 20)
        told = b""

        def heard() -> bool:
            nonlocal told
            told += stream.readline()
            return b'"status": "completed"' in told

        until(heard, "the end was told", 5 * SOON_S)
    assert b'"status": "processing"' in told
