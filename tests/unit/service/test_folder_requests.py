"""Requests to the daemon through the folder, and how they are answered."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from modules.clock import iso
from modules.errors import TranscriberError
from modules.intake.requests import Removed
from modules.service import folder_requests, mailbox
from modules.service.folder_responder import FolderResponder
from tests.builders import a_job
from tests.fakes import FakeClock


class FakeService:
    """Stands in for the daemon's service and queue; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.refusal: BaseException | None = None

    def delete(self, name: str) -> Removed:
        self._note("delete", name)
        return Removed((name, f"{name}.result"), True, False)

    def retry(self, name: str, client: str | None) -> None:
        self._note("retry", name)

    def jobs(self) -> list[Any]:
        return [a_job("b.mp3"), a_job("a.mp3")]

    def _note(self, action: str, name: str) -> None:
        self.asked.append((action, name))
        if self.refusal:
            raise self.refusal


class Office:
    """A share with a responder, which runs whenever a waiting client sleeps."""

    def __init__(self, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shared, self.place = shared, folder_requests.folder(shared)
        self.clock = FakeClock()
        self.service = FakeService()
        self.responder = FolderResponder(
            shared,
            self.service,
            self.service,
            self.service,
            self.service,
            self.clock,  # type: ignore[arg-type]
        )
        self.on_sleep: Callable[[], None] = self.responder.tick
        (shared / ".transcriber").mkdir(parents=True)
        monkeypatch.setattr(mailbox.time, "sleep", self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.on_sleep()

    def ask(self, is_alive: bool = True, **request: str) -> dict[str, Any]:
        return folder_requests.ask(self.shared, request, self.clock, lambda: is_alive)

    def leave(self, name: str, content: bytes | None = None, **request: str) -> Path:
        self.place.mkdir(exist_ok=True)
        path = self.place / name
        asked = {"creation_time": iso(self.clock.utc_now()), **request}
        path.write_bytes(json.dumps(asked).encode() if content is None else content)
        return path

    @property
    def left(self) -> list[str]:
        return sorted(os.listdir(self.place))


ID = "0" * 32


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    return Office(tmp_path / "shared", monkeypatch)


@pytest.mark.parametrize(
    "name", ["talk.mp3", "мой разговор (2).mp3", "odd \udcff\n.mp3", "a/b.mp3"]
)
def test_a_request_is_carried_out_and_answered(office: Office, name: str) -> None:
    answer = office.ask(action="delete", filename=name)
    assert answer == {
        "deleted_files": [name, f"{name}.result"],
        "processing_interrupted": True,
        "removed_from_queue": False,
    }
    assert office.ask(action="retry", filename=name) == {}
    assert office.service.asked == [("delete", name), ("retry", name)]
    assert office.left == []


def test_the_daemon_tells_its_order(office: Office) -> None:
    assert office.ask(action="queue") == {"queue": ["b.mp3", "a.mp3"]}


def test_a_refusal_is_that_of_the_daemon(office: Office) -> None:
    office.service.refusal = TranscriberError("name_taken", "It is taken.", remedy="Rename it.")
    with pytest.raises(TranscriberError, match=r"It is taken\. Rename it\.") as refused:
        office.ask(action="retry", filename="talk.mp3")
    assert refused.value.code == "name_taken"
    assert office.left == []


def test_an_unknown_request_is_refused(office: Office) -> None:
    with pytest.raises(TranscriberError, match="knows no 'dance'"):
        office.ask(action="dance")


@pytest.mark.parametrize("is_alive", [True, False])
def test_what_nobody_takes_is_taken_back(office: Office, is_alive: bool) -> None:
    office.on_sleep = lambda: None
    began = office.clock.monotonic()
    with pytest.raises(TranscriberError, match="nothing was changed"):
        office.ask(is_alive, action="delete", filename="talk.mp3")
    waited_s = office.clock.monotonic() - began
    # Nobody is there to answer, which is found out soon.
    assert waited_s <= (folder_requests.ANSWER_TIMEOUT_S + 1 if is_alive else 2)
    assert office.left == []


def test_ctrl_c_takes_the_request_back(office: Office) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    office.on_sleep = interrupt
    with pytest.raises(KeyboardInterrupt):
        office.ask(action="delete", filename="talk.mp3")
    assert office.left == []


def test_what_was_taken_and_not_answered_may_have_been_done(office: Office) -> None:
    def take() -> None:
        for path in office.place.glob("*.json"):
            path.unlink()

    office.on_sleep = take
    with pytest.raises(TranscriberError, match="did not say what came of it"):
        office.ask(action="delete", filename="talk.mp3")


def test_an_answer_at_the_last_moment_counts(office: Office) -> None:
    def late() -> None:
        office.clock.advance(folder_requests.ANSWER_TIMEOUT_S)
        office.responder.tick()

    office.on_sleep = late
    assert office.ask(action="queue")["queue"] == ["b.mp3", "a.mp3"]
    assert office.left == []


def test_a_crash_in_the_middle_never_does_it_twice(office: Office) -> None:
    office.leave(f"{ID}.json", action="delete", filename="talk.mp3")
    office.service.refusal = MemoryError()
    with pytest.raises(MemoryError):
        office.responder.tick()
    office.responder.tick()
    assert office.service.asked == [("delete", "talk.mp3")]
    assert office.left == []


@pytest.mark.parametrize("age", [timedelta(seconds=61), timedelta(days=3), timedelta(seconds=-61)])
def test_what_was_left_behind_long_ago_is_not_done(office: Office, age: timedelta) -> None:
    when = iso(office.clock.utc_now() - age)
    office.leave(f"{ID}.json", action="delete", filename="talk.mp3", creation_time=when)
    office.responder.tick()
    assert office.service.asked == []
    assert office.left == [f"{ID}.answer"]
    assert json.loads((office.place / f"{ID}.answer").read_text())["error"]["code"] == "expired"


@pytest.mark.parametrize("when", ["", "soon", "2024-01-01T00:00:00"])
def test_a_request_without_a_time_is_not_done(office: Office, when: str) -> None:
    office.leave(f"{ID}.json", action="delete", filename="talk.mp3", creation_time=when)
    office.responder.tick()
    assert office.service.asked == []


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"{" * 100_000])
def test_what_is_no_request_is_dropped(office: Office, content: bytes) -> None:
    office.leave(f"{ID}.json", content)
    office.responder.tick()
    assert office.service.asked == []
    assert office.left == []


def test_what_else_lies_there_is_left_alone(office: Office) -> None:
    office.leave("../owner.json", action="delete", filename="talk.mp3")
    for name in ("note.json", f"{ID}.json.bak", f"{ID[1:]}.json", ".~transcriber-1"):
        office.leave(name, action="delete", filename="talk.mp3")
    (office.place / f"{'1' * 32}.json").mkdir()
    (office.place / f"{'2' * 32}.json").symlink_to("note.json")
    os.mkfifo(office.place / f"{'3' * 32}.json")
    before = office.left
    office.responder.tick()
    assert office.service.asked == []
    assert office.left == before


def test_answers_that_nobody_fetched_are_thrown_away(office: Office) -> None:
    old, fresh = office.leave("a.answer", b"{}"), office.leave("b.answer", b"{}")
    os.utime(old, (0, 0))
    office.responder.tick()
    assert office.left == [fresh.name]


def test_without_the_folder_there_is_nothing_to_do(office: Office) -> None:
    office.responder.tick()
    assert not office.place.exists()
