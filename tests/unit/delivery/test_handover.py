"""The hand-over with a queue in place of Redis."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from modules.config.schema import HandoverConfig
from modules.delivery import rq_queue
from modules.delivery.handover import HandOver
from modules.delivery.rq_queue import RqQueue, shown_url
from modules.errors import StorageError, TranscriberError
from tests.fakes import FakeClock

URL = "redis://me:s3cret@hand.example:6379/0"
AWAY = TranscriberError("handover_unavailable", "Redis cannot be used: it is away")


class FakeQueue:
    """Refuses while it has a ``problem``; knows an id for good, as Redis does for a day."""

    def __init__(self) -> None:
        self.problem: Exception | None = None
        self.got: list[str] = []
        self.refused = 0

    def add(self, job_id: str, message: dict[str, Any]) -> bool:
        if self.problem:
            self.refused += 1
            raise self.problem
        is_new = job_id not in self.got
        if is_new:
            self.got.append(job_id)
        return is_new

    def close(self) -> None:
        return


class Office:
    """A hand-over that can be begun again, as after a crash."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.queue = FakeQueue()
        self.ends: list[str] = []
        self.texts: dict[str, dict[str, Any] | Exception | None] = {}
        self.restart()

    def restart(self) -> HandOver:
        config = HandoverConfig(url=URL)
        self.handover = HandOver(
            self.folder, config, self.clock, self._compose, self.ends.append, self.queue
        )
        return self.handover

    def _compose(self, name: str, job_id: str) -> dict[str, Any] | None:
        found = self.texts.get(job_id, {"job_id": job_id})
        if isinstance(found, Exception):
            raise found
        return found

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*.json"))


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path / "handover")


def test_a_transcript_is_noted_on_disk_before_it_goes_and_forgotten_after(office: Office) -> None:
    office.handover.note("talk.mp3", "job-1")
    (file,) = office.files()
    content = json.loads((office.folder / file).read_bytes())
    assert (content["kind"], content["payload"]["filename"]) == ("handover", "talk.mp3")
    assert office.handover.tick() > 60
    assert office.queue.got == ["transcript-job-1"]
    assert office.files() == []
    assert office.ends == ["delivered"]


def test_what_an_earlier_run_left_goes_too_and_only_once(office: Office) -> None:
    office.handover.note("talk.mp3", "job-1")
    office.restart().tick()
    office.restart().tick()
    assert office.queue.got == ["transcript-job-1"]


def test_a_crash_before_the_file_is_removed_makes_a_repeat_that_the_queue_refuses(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    office.handover.note("talk.mp3", "job-1")
    kept = (office.folder / office.files()[0]).read_bytes()
    name = office.files()[0]
    office.handover.tick()
    (office.folder / name).write_bytes(kept)
    office.restart().tick()
    assert office.queue.got == ["transcript-job-1"]
    assert "talk.mp3: the queue transcripts has it already" in caplog.text
    assert office.files() == []


def test_while_redis_is_away_everything_waits_and_one_try_is_made_for_all(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.queue.problem = AWAY
    for number in range(20):
        office.handover.note(f"{number}.mp3", f"job-{number}")
    pauses = []
    for _ in range(9):
        pauses.append(office.handover.tick())
        office.clock.advance(pauses[-1])
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert office.queue.refused == 9, "one try a round, not one for each that waits"
    assert office.handover.waiting == 20
    assert office.handover.problem == str(AWAY)
    assert caplog.text.count("it is away") == 1, "said once, not with each try"
    assert "s3cret" not in caplog.text
    assert len(office.files()) == 20
    office.queue.problem = None
    for _ in range(3):
        office.clock.advance(60)
        office.handover.tick()
    assert sorted(office.queue.got) == sorted(f"transcript-job-{n}" for n in range(20))
    assert office.handover.problem is None
    assert office.handover.waiting == 0


def test_the_trouble_is_said_again_after_ten_minutes(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.queue.problem = AWAY
    office.handover.note("talk.mp3", "job-1")
    for _ in range(40):
        office.clock.advance(office.handover.tick())
    assert caplog.text.count("it is away") == 2


def test_a_text_that_is_gone_is_not_handed_over(office: Office) -> None:
    office.texts["job-1"] = None
    office.handover.note("talk.mp3", "job-1")
    office.handover.tick()
    assert (office.queue.got, office.files(), office.ends) == ([], [], ["dropped"])


def test_a_folder_that_is_away_is_waited_for(office: Office) -> None:
    office.texts["job-1"] = StorageError("share_unavailable", "The shared folder is unavailable.")
    office.handover.note("talk.mp3", "job-1")
    assert office.handover.tick() == 10
    assert len(office.files()) == 1
    del office.texts["job-1"]
    office.clock.advance(10)
    office.handover.tick()
    assert office.queue.got == ["transcript-job-1"]


def test_what_cannot_be_written_down_is_kept_in_memory_until_it_can(office: Office) -> None:
    full = OSError(28, "No space left on device")
    with patch("os.replace", side_effect=full):
        office.handover.note("talk.mp3", "job-1")
        assert office.handover.tick() == 10
    assert office.queue.got == []
    assert office.handover.waiting == 1
    office.clock.advance(10)
    office.handover.tick()
    assert office.queue.got == ["transcript-job-1"]


def test_one_that_cannot_be_handled_does_not_stand_before_the_others(office: Office) -> None:
    office.texts["job-1"] = RuntimeError("a bug")
    office.handover.note("bad.mp3", "job-1")
    office.clock.advance(0.01)
    office.handover.note("good.mp3", "job-2")
    with pytest.raises(RuntimeError):
        office.handover.tick()
    office.handover.tick()
    assert office.queue.got == ["transcript-job-2"]
    assert len(office.files()) == 1
    assert office.handover.tick() < math.inf


def test_without_its_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rq_queue, "find_spec", lambda name: None)
    with pytest.raises(TranscriberError, match="rq, redis") as caught:
        RqQueue(HandoverConfig(url=URL)).add("transcript-1", {})
    assert caught.value.code == "handover_packages_missing"
    assert "requirements-handover.lock" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (URL, "redis://hand.example:6379/0"),
        ("redis://:p/w@hand.example/0", "redis://hand.example/0"),
        ("rediss://hand.example?password=s3cret", "rediss://hand.example"),
        ("rediss://hand.example/0?password=s3@cret", "rediss://hand.example/0"),
        ("unix://me@/run/redis.sock?password=s3cret", "unix:///run/redis.sock"),
    ],
)
def test_no_password_is_shown(url: str, shown: str) -> None:
    assert shown_url(url) == shown
