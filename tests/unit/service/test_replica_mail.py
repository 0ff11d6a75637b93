"""Requests of replicas in the folder: answered once, taken back, refused when they are old."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from modules.clock import SystemClock, iso
from modules.service import replica_mail
from modules.service.replica_mail import Forwarded, OwnerAwayError, ReplicaRequests, Reply, ask
from tests.builders import until

REQUEST = Forwarded(method="GET", path="/queue")


class Owner:
    """Answers with the path that it was asked for."""

    def __init__(self, shared: Path) -> None:
        self.asked: list[str] = []
        self.requests = ReplicaRequests(shared, self.answer, SystemClock())

    def answer(self, request: Forwarded) -> Reply:
        self.asked.append(request.path)
        return Reply(200, (("Vary", "Accept"),), request.path.encode())


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    (tmp_path / ".transcriber").mkdir()
    return tmp_path


def left(shared: Path) -> list[str]:
    return sorted(path.name for path in replica_mail.folder(shared).glob("*"))


def test_a_request_is_answered_once(shared: Path) -> None:
    owner = Owner(shared)
    owner.requests.start()
    try:
        reply = ask(shared, REQUEST, SystemClock(), lambda: True)
    finally:
        owner.requests.stop()
    assert reply == Reply(200, (("Vary", "Accept"),), b"/queue")
    assert (owner.asked, left(shared)) == (["/queue"], [])


def test_without_an_owner_nothing_is_left(shared: Path) -> None:
    with pytest.raises(OwnerAwayError):
        ask(shared, REQUEST, SystemClock(), lambda: False)
    assert left(shared) == []


def test_an_owner_that_ends_meanwhile_is_noticed(shared: Path) -> None:
    alive = [True, False]
    with pytest.raises(OwnerAwayError, match="No service"):
        ask(shared, REQUEST, SystemClock(), lambda: alive.pop(0))
    assert left(shared) == []


def test_one_that_takes_it_and_dies_is_told_apart(shared: Path) -> None:
    alive = [True, False]

    def take() -> None:
        found = replica_mail.folder(shared).glob
        until(lambda: list(found("*.json")), "it lay there")
        for path in found("*.json"):
            path.unlink()

    thread = threading.Thread(target=take)
    thread.start()
    with pytest.raises(OwnerAwayError, match="took the request"):
        ask(shared, REQUEST, SystemClock(), lambda: alive.pop(0))
    thread.join(10)


@pytest.mark.parametrize("age_s", [3600, -3600])
def test_an_old_request_is_not_carried_out(shared: Path, age_s: float) -> None:
    owner, when = Owner(shared), SystemClock().utc_now() - timedelta(seconds=age_s)
    folder = replica_mail.folder(shared)
    folder.mkdir()
    content = REQUEST.model_copy(update={"creation_time": iso(when)}).model_dump_json()
    (folder / f"{'a' * 32}.json").write_text(content)
    owner.requests.tick()
    assert (owner.asked, left(shared)) == ([], [])


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"method": 1, "path": []}'])
def test_rubbish_is_dropped(shared: Path, content: bytes) -> None:
    owner, folder = Owner(shared), replica_mail.folder(shared)
    folder.mkdir()
    (folder / f"{'a' * 32}.json").write_bytes(content)
    (folder / "somebody's.json").write_bytes(content)
    owner.requests.tick()
    assert (owner.asked, left(shared)) == ([], ["somebody's.json"])
