"""A service, a process that waits and a replica behind one nginx, of which one is killed."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import until
from tests.deployment.front import SOON_S, Front, port_of
from tests.integration.test_replica import ReplicaProcess
from tests.integration.test_standby import StandbyDaemon, standby
from tests.ports import free_port
from tests.scripted_daemon import ScriptedDaemon
from tests.scripted_worker import full_text, recording

#: Connections go round all of them several times.
ROUNDS = 12


class Cluster:
    """An owner, a replica, one that waits once it is started, and what is before them."""

    def __init__(self, root: Path) -> None:
        self.owner = standby(root / "share", 1)
        self.second = standby(root / "share", 2)
        self.second_port = free_port()
        self.second._variables = {"API_PORT": str(self.second_port)}
        self.replica = ReplicaProcess(self.owner)
        self._root = root

    def front(self) -> Front:
        others = (port_of(self.replica), self.second_port)
        return Front(self._root / "nginx", port_of(self.owner), "balanced.conf", others=others)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    (tmp_path / "share").mkdir()
    made = Cluster(tmp_path)
    with made.owner:
        made.owner.wait_until_owner()
        with made.replica:
            yield made


def look(front: Front, name: str, text: str) -> None:
    """The page, the list, a state and a text, from whoever answers."""
    for _ in range(ROUNDS):
        for path in ("/", "/api/tasks", f"/status/{name}", "/queue"):
            reply = front.ask("GET", path)
            assert reply.status == 200, f"{path}: {reply.text}"
        reply = front.ask("GET", f"/result/{name}")
        assert (reply.status, reply.json["transcription"]["text"]) == (200, text)


def done(daemon: ScriptedDaemon) -> str:
    content = daemon.drop("talk.mp3")
    daemon.wait_for_result("talk.mp3")
    return full_text(content)


def test_reads_are_answered_while_the_owner_is_killed(cluster: Cluster) -> None:
    text = done(cluster.owner)
    with cluster.front() as front:
        look(front, "talk.mp3", text)
        cluster.owner.kill()
        look(front, "talk.mp3", text)
        health = front.ask("GET", "/health")
        assert (health.status, health.json["status"]) == (200, "degraded")
        refused = front.ask("POST", "/transcribe", json.dumps({"filename": "talk.mp3"}))
        assert (refused.status, refused.error_code) == (503, "owner_away")


def test_all_goes_on_while_the_replica_is_killed(cluster: Cluster) -> None:
    text = done(cluster.owner)
    with cluster.front() as front:
        look(front, "talk.mp3", text)
        cluster.replica.kill()
        look(front, "talk.mp3", text)
        for number in range(ROUNDS):
            cluster.owner.drop(f"o{number}.mp3", chunks=1)
            ordered = front.ask("POST", "/transcribe", json.dumps({"filename": f"o{number}.mp3"}))
            assert ordered.status in (200, 202), ordered.text


def test_what_a_replica_cannot_do_comes_from_the_owner(cluster: Cluster) -> None:
    content = cluster.owner.drop("talk.mp3")
    cluster.owner.wait_for_result("talk.mp3")
    with cluster.front() as front:
        for _ in range(ROUNDS):
            models = front.ask("GET", "/v1/models")
            assert models.status == 200, models.text
            stats = front.ask("GET", "/stats")
            assert stats.status == 200, stats.text
        fields = b'\r\n--bb\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1'
        start = b'--bb\r\nContent-Disposition: form-data; name="file"; filename="o.mp3"\r\n\r\n'
        headers = {"Content-Type": "multipart/form-data; boundary=bb"}
        for number in range(3):
            spoken = recording(2, f"spoken {number}")
            body = start + spoken + fields + b"\r\n--bb--\r\n"
            reply = front.ask("POST", "/v1/audio/transcriptions", body, headers)
            assert (reply.status, reply.json["text"]) == (200, full_text(spoken))
        name = urllib.parse.quote("talk.mp3")
        assert front.ask("GET", f"/audio/{name}?copy=false").status == 200
    assert content


def test_the_one_that_waits_is_found_once_it_owns_the_folder(cluster: Cluster) -> None:
    text = done(cluster.owner)
    second: StandbyDaemon = cluster.second
    with second:
        second.wait_for_log("Waiting to take", SOON_S)
        with cluster.front() as front:
            look(front, "talk.mp3", text)
            cluster.owner.kill()
            second.wait_until_owner()
            look(front, "talk.mp3", text)
            second.drop("more.mp3", seed="more")

            def ordered() -> bool:
                reply = front.ask("POST", "/transcribe", json.dumps({"filename": "more.mp3"}))
                return reply.status in (200, 202)

            until(ordered, "an order reached the new owner", SOON_S)
            second.wait_for_result("more.mp3")
            assert front.ask("GET", "/v1/models").status == 200
