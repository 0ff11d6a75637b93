"""Where files and orders become jobs, and what a restart finds."""

from __future__ import annotations

import json
import logging
import os
import threading
import unicodedata
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from modules.clock import iso
from modules.errors import StorageError, TranscriberError
from modules.intake.intake import Intake
from modules.intake.request import CheckedRequest, TranscriptionRequest
from modules.intake.requests import Submitted
from modules.jobs.backoff import between_attempts
from modules.jobs.job import ADDRESSES_MAX, MAY_BE_GROWING, Cause, ErrorInfo, Job, Priority, Status
from modules.jobs.scheduler import Scheduler
from modules.recordings.state import job_to_json
from modules.recordings.state_writer import StateWriter
from modules.recordings.store import RecordingStore
from modules.storage.atomic import to_json
from modules.watching.scan import look
from modules.watching.stability import FileSample
from tests.builders import NOON, a_chunk, a_config, a_job
from tests.fakes import FakeClock
from tests.submitter import Submitter


class Bench:
    """An intake over real files and a real queue."""

    def __init__(self, root: Path, recursive: bool = True, **sections: Any) -> None:
        self.config = a_config(
            root, watch={"recursive": recursive}, whisperx={"allow_download": True}, **sections
        )
        self.clock = FakeClock()
        self.files = RecordingStore(self.config.shared_directory, self.config.manual_directory)
        self.files.prepare()
        self.restart()

    def restart(self) -> None:
        self.scheduler = Scheduler(self.clock, lambda job: self.journal.record_if_possible(job))
        self.journal = StateWriter(self.files.states, self.scheduler.get)
        self.looked_again: list[str] = []
        self.complete_names: set[str] = set()
        self.is_same_share = True
        self.ended: list[Job] = []
        self.intake = Intake(
            self.config, self.scheduler, self.files, self.journal, self.clock,
            is_complete=self.complete_names.__contains__,
            look_again=self.looked_again.append,
            is_same_share=lambda: self.is_same_share,
            on_ended=self.ended.append,
        )  # fmt: skip
        self.submitter = Submitter(self.config, self.intake, self.files)

    def check(self, name: str, wishes: dict[str, Any] | None = None, **rest: Any) -> CheckedRequest:
        return self.submitter.check(TranscriptionRequest(name, wishes or {}, **rest))

    def submit(
        self, name: str = "talk.mp3", wishes: dict[str, Any] | None = None, **rest: Any
    ) -> Submitted | None:
        return self.intake.requests.submit(self.check(name, wishes, **rest))

    def bring_back(self, name: str, client: str | None) -> Job:
        return self.submitter.bring_back(name, client)

    def put(self, name: str = "talk.mp3", content: bytes = b"sound") -> Path:
        path = self.files.folder.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def whole(self, name: str = "talk.mp3") -> None:
        self.intake.on_complete(name, self.sample(name))

    def sample(self, name: str) -> FileSample:
        sample = look(self.files.folder.path, name)
        assert sample is not None
        return sample

    def job(self, name: str = "talk.mp3") -> Job:
        found = self.scheduler.get(name)
        assert found is not None, f"{name} has no job"
        return found

    def save(self, name: str = "talk.mp3", **changes: Any) -> Job:
        """Leave what an earlier life would have left of a job."""
        facts: dict[str, Any] = {"settings": self.config.default_settings()}
        if "source" not in changes and (self.files.folder.path / name).exists():
            facts["source"] = self.files.folder.identity(name)
        job = a_job(name, **(facts | changes))
        self.files.states.save(job)
        return job

    def checkpoint(self, job: Job, count: int) -> None:
        writer = self.files.states.open_checkpoint(job, self.files.states.read_checkpoint(job))
        for index in range(count):
            writer.append(a_chunk(index))
        writer.close()

    def names(self) -> list[str]:
        return sorted(n for n in os.listdir(self.files.folder.path) if n != ".transcriber")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


# --- files ---


def test_a_whole_file_becomes_a_scanned_job(bench: Bench) -> None:
    bench.put()
    bench.whole()
    job = bench.job()
    assert (job.status, job.priority) == (Status.QUEUED, Priority.SCAN)
    assert job.settings == bench.config.default_settings()
    assert bench.names() == ["talk.mp3"], "a scanned file that only waits has no sidecar"
    bench.whole()
    assert len(bench.scheduler.jobs()) == 1


def test_a_file_whose_result_is_there_is_left_alone(bench: Bench) -> None:
    bench.put()
    source = bench.files.folder.identity("talk.mp3").model_dump()
    bench.put("talk.mp3.result", to_json({"source": source}))
    bench.whole()
    assert bench.scheduler.jobs() == []
    os.utime(bench.files.folder.path / "talk.mp3", (1, 1))
    bench.whole()
    assert bench.scheduler.jobs() == [], "a copy from a backup is not transcribed again"
    bench.put(content=b"other")
    bench.whole()
    assert bench.job().status is Status.QUEUED


@pytest.mark.parametrize("with_all_its_files", [True, False])
def test_a_recording_dragged_back_starts_afresh(bench: Bench, with_all_its_files: bool) -> None:
    for name in ("talk.mp3.error.txt", "talk.mp3.in_progress"):
        folder = bench.files.folder.path if with_all_its_files else bench.files.manual.path
        (folder / name).write_bytes(to_json(job_to_json(a_job())))
    bench.put()
    bench.whole()
    assert bench.job().attempts == ()
    assert bench.names() == ["talk.mp3"]
    assert os.listdir(bench.files.manual.path) == []


def test_a_running_file_that_is_replaced_starts_over(bench: Bench) -> None:
    bench.put()
    bench.whole()
    before = bench.scheduler.take(0)
    assert before is not None
    source = bench.files.folder.identity("talk.mp3")
    bench.scheduler.update("talk.mp3", lambda j: j.evolve(source=source).open_attempt(NOON))
    bench.put(content=b"other")
    bench.whole()
    job = bench.job()
    assert (job.status, job.attempts, job.source) == (Status.QUEUED, (), None)
    assert job.job_id == before.job_id, "who asks for the job still finds it"
    assert bench.scheduler.stop_reason() == "cancelled"
    assert bench.names() == ["talk.mp3"]


def test_a_running_file_with_a_new_time_goes_on(bench: Bench) -> None:
    bench.put()
    bench.whole()
    bench.scheduler.take(0)
    source = bench.files.folder.identity("talk.mp3")
    bench.scheduler.update("talk.mp3", lambda j: j.evolve(source=source))
    os.utime(bench.files.folder.path / "talk.mp3", (1, 1))
    bench.whole()
    assert bench.job().status is Status.RUNNING
    assert bench.scheduler.stop_reason() is None


def test_a_large_running_file_that_is_written_to_in_its_middle_starts_over(bench: Bench) -> None:
    path = bench.put(content=bytes(3 * 2**20))
    bench.whole()
    bench.scheduler.take(0)
    source = bench.files.folder.identity("talk.mp3")
    bench.scheduler.update("talk.mp3", lambda j: j.evolve(source=source))
    with path.open("r+b") as file:
        file.seek(3 * 2**19)
        file.write(b"sound")
    os.utime(path, (1, 1))
    bench.whole()
    assert bench.job().status is Status.QUEUED
    assert bench.scheduler.stop_reason() == "cancelled"


def test_a_file_that_is_gone_is_cancelled(bench: Bench) -> None:
    bench.put()
    bench.submit("talk.mp3")
    (bench.files.folder.path / "talk.mp3").unlink()
    bench.intake.on_deleted("talk.mp3")
    assert bench.scheduler.jobs() == []
    assert bench.names() == []
    bench.intake.on_deleted("talk.mp3")


def test_the_text_of_an_archived_recording_stays(bench: Bench) -> None:
    bench.put("talk.mp3.result", b"{}")
    bench.intake.on_deleted("talk.mp3")
    assert bench.names() == ["talk.mp3.result"]


@pytest.mark.parametrize("what", ["gone", "start over"])
def test_a_failing_disk_loses_no_job(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    bench.put()
    bench.submit("talk.mp3", client="me")
    bench.scheduler.arrived("talk.mp3")
    bench.scheduler.take(0)
    source = bench.files.folder.identity("talk.mp3")
    bench.scheduler.update("talk.mp3", lambda j: j.evolve(source=source))
    bench.put(content=b"other")

    def fail(name: str) -> None:
        raise StorageError("storage_error", "It does not work just now.")

    with monkeypatch.context() as trouble:
        trouble.setattr(bench.files.states, "drop", fail)
        with pytest.raises(StorageError):
            bench.intake.on_deleted("talk.mp3") if what == "gone" else bench.whole()
    assert bench.job().clients == ("me",), "the watcher tells it again, and finds it as it was"


def test_a_failing_disk_delays_a_new_file(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(name: str) -> bool:
        raise StorageError("storage_error", "It does not work just now.")

    bench.put()
    with monkeypatch.context() as trouble:
        trouble.setattr(bench.files.results, "is_done", fail)
        bench.whole()
    assert bench.looked_again == ["talk.mp3"]
    assert "looking again" in caplog.text


def test_what_lies_about_in_another_folder_is_no_leftover(bench: Bench) -> None:
    bench.put()
    bench.files.states.save(bench.save())
    bench.is_same_share = False
    bench.whole()
    with pytest.raises(StorageError):
        bench.submit("talk.mp3")
    assert bench.scheduler.get("talk.mp3") is None
    assert bench.looked_again == ["talk.mp3"]
    assert "talk.mp3.in_progress" in bench.names(), "its order is forgotten"


def test_a_telegram_id_is_only_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for name in ("123456789_voice.oga", "12.mp3", "1234567890123456.mp3"):
            bench.put(name)
            bench.whole(name)
    assert [r.getMessage() for r in caplog.records if "Telegram" in r.getMessage()] == [
        "123456789_voice.oga: Telegram id 123456789"
    ]


# --- orders ---


def test_an_order_of_a_whole_file_is_queued_and_written_down(bench: Bench) -> None:
    bench.put()
    bench.complete_names.add("talk.mp3")
    kept = bench.submit("talk.mp3", client="me")
    assert kept is not None
    job = bench.job()
    assert (job.status, job.priority, job.clients) == (Status.QUEUED, Priority.API, ("me",))
    state = json.loads((bench.files.folder.path / "talk.mp3.in_progress").read_bytes())
    assert (state["priority"], state["api_clients"]) == ("api_request", ["me"])
    assert state["progress_info"]["stage"] == "queued"


def test_an_order_of_a_file_on_its_way_starts_when_it_is_whole(bench: Bench) -> None:
    bench.put()
    bench.submit("talk.mp3")
    assert bench.job().status is Status.ARRIVING
    assert bench.looked_again == ["talk.mp3"]
    bench.whole()
    assert bench.job().status is Status.QUEUED


def test_an_order_promotes_a_scanned_file(bench: Bench) -> None:
    bench.put()
    bench.whole()
    scanned = bench.job()
    bench.submit("talk.mp3", client="me")
    assert (bench.job().job_id, bench.job().priority) == (scanned.job_id, Priority.API)
    assert "talk.mp3.in_progress" in bench.names()


def test_an_order_whose_result_is_there_needs_no_job(bench: Bench) -> None:
    bench.put()
    bench.put(
        "talk.mp3.result", to_json({"source": bench.files.folder.identity("talk.mp3").model_dump()})
    )
    assert bench.submit("talk.mp3") is None
    assert bench.names() == ["talk.mp3", "talk.mp3.result"]


@pytest.mark.parametrize(
    "name",
    [
        "none.mp3", "notes.txt", "", "../secret.mp3", "/etc/secret.mp3", "/secret.mp3", "..",
        "a\0.mp3", "\ud800.mp3", ".hidden.mp3", "sub/../../secret.mp3", "n" * 400 + ".mp3",
        ".transcriber/x.mp3", "way/secret.mp3",
    ],
)  # fmt: skip
def test_what_is_no_recording_in_the_folder_is_refused(
    bench: Bench, tmp_path: Path, name: str
) -> None:
    (tmp_path / "secret.mp3").write_bytes(b"")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.mp3").write_bytes(b"")
    (bench.files.folder.path / "way").symlink_to(tmp_path / "outside")
    with pytest.raises(TranscriberError) as caught:
        bench.submit(name)
    assert caught.value.code in ("file_not_found", "not_a_recording")
    assert bench.scheduler.jobs() == []
    assert os.listdir(tmp_path / "outside") == ["secret.mp3"]


def test_a_subfolder_is_refused_while_none_is_looked_at(tmp_path: Path) -> None:
    bench = Bench(tmp_path, recursive=False)
    bench.put("sub/talk.mp3")
    with pytest.raises(TranscriberError, match="subfolder"):
        bench.submit("sub/talk.mp3")
    assert Bench(tmp_path).submit("sub/talk.mp3") is not None


def test_an_order_begins_afresh_after_a_failure(bench: Bench) -> None:
    bench.put()
    job = bench.save().open_attempt(NOON)
    bench.checkpoint(job, 2)
    bench.submit("talk.mp3")
    assert ".talk.mp3.checkpoint" not in bench.names()
    assert bench.job().attempts == ()


# --- at start ---


def test_jobs_come_back_in_their_order(bench: Bench) -> None:
    for number, name in enumerate(["late.mp3", "early.mp3"]):
        bench.put(name)
        created = NOON - timedelta(hours=number)
        bench.save(name, priority=Priority.API, created=created, clients=("me",))
    for number, name in enumerate(["young.mp3", "old.mp3"]):
        os.utime(bench.put(name), (1000 - number, 1000 - number))
        bench.save(name)
    bench.intake.recovery.recover()
    assert [job.name for job in bench.scheduler.jobs()] == [
        "early.mp3", "late.mp3", "old.mp3", "young.mp3",
    ]  # fmt: skip
    assert bench.job("late.mp3").clients == ("me",)
    assert {job.status for job in bench.scheduler.jobs()} == {Status.QUEUED}


def test_a_job_that_cannot_be_taken_up_holds_up_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("bad.mp3", "good.mp3", "odd.mp3"):
        bench.put(name)
        bench.save(name)
    read, is_still = bench.files.results.read, bench.files.folder.is_still

    def reading(name: str) -> Any:
        if name == "bad.mp3":
            raise UnicodeEncodeError("latin-1", "Запись", 0, 1, "no")
        return read(name)

    def still(name: str, source: Any) -> bool:
        return bool({}[name]) if name == "odd.mp3" else is_still(name, source)

    monkeypatch.setattr(bench.files.results, "read", reading)
    monkeypatch.setattr(bench.files.folder, "is_still", still)
    bench.intake.recovery.recover()
    assert [job.name for job in bench.scheduler.jobs()] == ["good.mp3"]
    assert caplog.text.count("its job cannot be taken up and is left out") == 2


def test_a_share_that_does_not_answer_is_no_matter_of_one_job(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put()
    bench.save()
    gone = StorageError("share_unavailable", "gone")
    monkeypatch.setattr(bench.files.results, "read", lambda name: (_ for _ in ()).throw(gone))
    with pytest.raises(StorageError):
        bench.intake.recovery.recover()


def test_a_result_of_the_same_job_beats_it(bench: Bench) -> None:
    bench.put()
    job = bench.save()
    bench.checkpoint(job, 1)
    bench.put("talk.mp3.result", to_json({"job_id": job.job_id}))
    bench.intake.recovery.recover()
    assert bench.scheduler.jobs() == []
    assert bench.names() == ["talk.mp3", "talk.mp3.result"]


def test_a_result_of_another_job_does_not(bench: Bench) -> None:
    bench.put()
    bench.save(job_id="new", priority=Priority.API)
    source = bench.files.folder.identity("talk.mp3").model_dump()
    bench.put("talk.mp3.result", to_json({"job_id": "old", "source": source}))
    bench.intake.recovery.recover()
    assert bench.job().job_id == "new"


@pytest.mark.parametrize("content", [b"", b"{", b'{"job_id": 5}'])
def test_a_corrupt_result_beats_nothing(bench: Bench, content: bytes) -> None:
    bench.put()
    bench.save()
    bench.put("talk.mp3.result", content)
    bench.intake.recovery.recover()
    assert bench.job().status is Status.QUEUED


def test_what_was_moved_to_manual_and_dragged_back_is_new(bench: Bench) -> None:
    bench.put()
    state = job_to_json(a_job()) | {"moved_to_manual": True}
    bench.put("talk.mp3.in_progress", to_json(state))
    bench.intake.recovery.recover()
    assert bench.scheduler.jobs() == []
    assert bench.names() == ["talk.mp3"], "the watcher finds it, like any new file"


def test_a_sidecar_without_its_recording_is_an_orphan(bench: Bench) -> None:
    bench.save()
    bench.intake.recovery.recover()
    assert bench.scheduler.jobs() == []
    assert list(bench.intake.recovery.orphans) == ["talk.mp3"]
    assert bench.names() == ["talk.mp3.in_progress"]


def test_a_move_to_manual_that_came_through_leaves_no_orphan(bench: Bench) -> None:
    job = bench.save()
    (bench.files.manual.path / "talk.mp3").write_bytes(b"sound")
    state = job_to_json(job) | {"moved_to_manual": True}
    (bench.files.manual.path / "talk.mp3.in_progress").write_bytes(to_json(state))
    bench.intake.recovery.recover()
    assert not bench.intake.recovery.orphans
    assert bench.names() == []


@pytest.mark.parametrize("content", [b"", b'{"filename": "talk.mp3"}', b"\x00" * 50])
def test_a_corrupt_sidecar_makes_the_file_new(bench: Bench, content: bytes) -> None:
    bench.put()
    bench.put("talk.mp3.in_progress", content)
    bench.intake.recovery.recover()
    assert bench.scheduler.jobs() == []
    assert bench.names() == ["talk.mp3"]
    bench.whole()
    assert bench.job().status is Status.QUEUED


@pytest.mark.parametrize(
    ("away_s", "left_s"), [(0, 60), (40, 20), (60, 0), (1000, 0), (-500, 60)], ids=str
)
def test_the_wait_after_a_failure_goes_on_after_a_restart(
    bench: Bench, away_s: float, left_s: float
) -> None:
    bench.put()
    failed = a_job(source=bench.files.folder.identity("talk.mp3"))
    for number in (1, 2):
        info = ErrorInfo(
            code="x", message="It hung.", timestamp="", attempt=number, retry_after=30.0 * number
        )
        failed = failed.open_attempt(bench.clock.utc_now()).close_attempt(
            "failed", bench.clock.utc_now() - timedelta(seconds=away_s), 1.0, info
        )
    bench.files.states.save(failed.to(Status.RUNNING).to(Status.WAITING))
    bench.restart()
    bench.intake.recovery.recover()
    if left_s:
        bench.clock.advance(left_s - 1)
        assert bench.scheduler.take(0) is None, "its wait is not over"
    bench.clock.advance(1)
    taken = bench.scheduler.take(0)
    assert taken is not None, "its wait is over"
    assert taken.attempt_number == 3


@pytest.mark.parametrize("end_time", ["2024-01-01T00:00:00", "2200-01-01T00:00:00Z"])
def test_an_end_that_makes_no_sense_keeps_nobody_waiting_for_ever(
    bench: Bench, end_time: str
) -> None:
    bench.put()
    now = bench.clock.utc_now()
    info = ErrorInfo(code="x", message="", timestamp="", attempt=1, retry_after=1e8)
    failed = a_job(source=bench.files.folder.identity("talk.mp3")).open_attempt(now)
    failed = failed.close_attempt("failed", now, 1.0, info)
    forged = failed.attempts[0].model_copy(update={"end_time": end_time, "attempt_number": 1000})
    bench.files.states.save(failed.evolve(attempts=(forged,)))
    bench.restart()
    bench.intake.recovery.recover()
    bench.clock.advance(between_attempts(bench.config.processing).pause_s(1000))
    assert bench.scheduler.take(0) is not None


@pytest.mark.parametrize("chunks", [0, 1, 5, 6])
def test_an_open_attempt_counts_unless_a_minute_was_done(bench: Bench, chunks: int) -> None:
    """A recording that hands over a little before it takes the program down is guilty, too."""
    bench.put()
    job = bench.save()
    opened = job.open_attempt(NOON)
    bench.files.states.save(opened)
    bench.checkpoint(opened, chunks)
    bench.intake.recovery.recover()
    found = bench.job()
    assert found.attempt_number == (1 if chunks == 6 else 2)
    assert found.attempts[0].status == ("interrupted" if chunks == 6 else "failed")
    assert found.status is Status.QUEUED


def test_only_progress_of_this_attempt_counts(bench: Bench) -> None:
    """A file that dies again and again at the same place is guilty in the end."""
    bench.put()
    job = bench.save()
    bench.checkpoint(job, 2)
    bench.files.states.save(job.evolve(position_s=20.0).open_attempt(NOON))
    bench.intake.recovery.recover()
    assert bench.job().attempt_number == 2


def test_the_third_crash_is_the_last(bench: Bench) -> None:
    bench.put()
    job = bench.save()
    for number in range(1, 4):
        bench.files.states.save(job.open_attempt(NOON))
        bench.restart()
        bench.intake.recovery.recover()
        job = bench.job()
        assert job.given_up is (number == 3)


def test_as_many_deaths_are_enough_as_attempts_are_allowed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, processing={"max_retry_attempts": 4})
    bench.put()
    job = bench.save()
    for number in range(1, 5):
        bench.files.states.save(job.open_attempt(NOON))
        bench.restart()
        bench.intake.recovery.recover()
        job = bench.job()
        assert (job.deaths, job.given_up) == (number, number == 4)
    assert job.error is not None
    assert "went down before 60 s" in job.error.message


def test_a_file_replaced_while_nobody_looked_must_first_be_whole(bench: Bench) -> None:
    bench.put()
    begun = bench.save(priority=Priority.API).open_attempt(NOON)
    bench.files.states.save(begun)
    bench.checkpoint(begun, 1)
    bench.put(content=b"other")
    bench.intake.recovery.recover()
    assert not bench.files.states.checkpoint_path("talk.mp3").exists(), "it is about other bytes"
    job = bench.job()
    assert (job.status, job.source, job.attempts, job.error) == (Status.ARRIVING, None, (), None)
    assert bench.looked_again == ["talk.mp3"], "somebody must tell if it goes away"
    bench.whole()
    assert bench.job().status is Status.QUEUED


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_survive_a_restart_as_they_are(bench: Bench, form: Any) -> None:
    for name in (unicodedata.normalize(form, "café.mp3"), "odd \udcff\n.mp3", "ы" * 125 + ".mp3"):
        bench.put(name)
        bench.complete_names.add(name)
        bench.submit(name)
    before = [job.name for job in bench.scheduler.jobs()]
    bench.restart()
    bench.intake.recovery.recover()
    assert sorted(job.name for job in bench.scheduler.jobs()) == sorted(before)


# --- orders with settings, removal, return ---


def test_equal_wishes_join_and_other_ones_supersede(bench: Bench) -> None:
    bench.put()
    bench.complete_names.add("talk.mp3")
    first = bench.submit("talk.mp3", {"language": "en"}, client="one")
    joined = bench.submit("talk.mp3", {"language": "en", "debug": True}, client="two")
    assert first
    assert joined
    assert (joined.outcome, joined.job.job_id) == ("joined", first.job.job_id)
    assert joined.job.clients == ("one", "two")
    other = bench.submit("talk.mp3", {"temperature": 0.5}, client="three")
    assert other
    assert other.outcome == "superseded"
    assert other.job.job_id != first.job.job_id
    assert (other.job.settings.language, other.job.settings.temperature) == ("ru", 0.5)
    assert (other.job.clients, other.job.attempts) == (("three",), ())


@pytest.mark.parametrize("wishes", [{}, {"language": "en"}], ids=["new", "superseding"])
def test_an_order_that_could_not_be_written_down_is_done_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, wishes: dict[str, Any]
) -> None:
    def full(job: Job) -> None:
        raise StorageError("disk_full", "The disk is full.")

    bench.put()
    bench.complete_names.add("talk.mp3")
    if wishes:
        bench.submit("talk.mp3")
    with monkeypatch.context() as trouble:
        trouble.setattr(bench.files.states, "save", full)
        with pytest.raises(StorageError):
            bench.submit("talk.mp3", wishes)
    assert bench.job().status is Status.QUEUED, "it stands there for ever as one on its way"


def test_an_id_is_kept_and_cannot_be_taken_twice(bench: Bench) -> None:
    for name in ("a.mp3", "b.mp3"):
        bench.put(name)
    taken = bench.submit("a.mp3", job_id="call-1")
    assert taken
    assert taken.job.job_id == "call-1"
    with pytest.raises(TranscriberError, match="in use for") as caught:
        bench.submit("b.mp3", job_id="call-1")
    assert caught.value.code == "job_id_taken"


def test_force_makes_a_new_text_and_keeps_the_old_one_meanwhile(bench: Bench) -> None:
    bench.put()
    bench.put(
        "talk.mp3.result", to_json({"source": bench.files.folder.identity("talk.mp3").model_dump()})
    )
    taken = bench.submit("talk.mp3", force=True)
    assert taken
    assert taken.outcome == "queued"
    assert {"talk.mp3.result", "talk.mp3.in_progress"} <= set(bench.names())


def test_a_text_whose_recording_is_archived_is_enough(bench: Bench) -> None:
    bench.put("talk.mp3.result", to_json({"filename": "talk.mp3"}))
    assert bench.submit("talk.mp3") is None


def test_a_removal_leaves_nothing_that_was_made_and_nobody_elses(bench: Bench) -> None:
    bench.put()
    bench.put("talk.mp3.result", to_json({"outputs": ["talk.txt", "other.txt"]}))
    bench.submit("talk.mp3", force=True)
    for name in ("talk.txt", "other.txt", ".talk.mp3.checkpoint", "talk.mp3.txt"):
        bench.put(name)
    removed = bench.intake.requests.remove("talk.mp3")
    assert (removed.interrupted, removed.dequeued) == (False, True)
    assert set(removed.deleted) == {
        "talk.mp3", "talk.txt", "talk.mp3.result", ".talk.mp3.checkpoint", "talk.mp3.in_progress",
    }  # fmt: skip
    assert bench.names() == ["other.txt", "talk.mp3.txt"]
    assert bench.intake.requests.remove("talk.mp3").deleted == ()


def test_what_comes_back_from_manual_starts_afresh(bench: Bench) -> None:
    folder = bench.files.manual.path
    for name in ("talk.mp3", "talk.mp3.error.txt", "talk.mp3.in_progress", ".talk.mp3.checkpoint"):
        (folder / name).write_bytes(b"{}")
    job = bench.bring_back("talk.mp3", "me")
    assert (job.priority, job.clients, job.attempt_number) == (Priority.API, ("me",), 1)
    assert list(folder.iterdir()) == []
    with pytest.raises(TranscriberError, match="no file"):
        bench.bring_back("talk.mp3", None)
    (folder / "talk.mp3").write_bytes(b"another")
    with pytest.raises(TranscriberError, match="already") as caught:
        bench.bring_back("talk.mp3", None)
    assert caught.value.code == "name_taken"
    assert (folder / "talk.mp3").read_bytes() == b"another"


def test_an_end_that_a_crash_kept_silent_is_told_at_the_start(bench: Bench) -> None:
    bench.put()
    taken = bench.submit("talk.mp3", callback_urls=("http://example.org/x",))
    assert taken
    bench.put("talk.mp3.result", to_json({"job_id": taken.job.job_id}))
    bench.scheduler.cancel("talk.mp3", Cause.GONE)
    bench.files.states.save(taken.job)
    bench.intake.recovery.recover()
    assert [(j.status, j.callback_urls) for j in bench.ended] == [
        (Status.COMPLETED, ("http://example.org/x",))
    ]


def test_a_job_calls_twenty_addresses_and_no_more(bench: Bench) -> None:
    bench.put()
    for number in range(20):
        bench.submit("talk.mp3", callback_urls=(f"http://example.org/{number}",))
    with pytest.raises(TranscriberError, match="at most 20") as caught:
        bench.submit("talk.mp3", callback_urls=("http://example.org/20",))
    assert caught.value.code == "too_many_callbacks"
    again = bench.submit("talk.mp3", callback_urls=("http://example.org/7",))
    assert again
    assert len(again.job.callback_urls) == 20
    assert bench.submit("talk.mp3"), "who wants no call is not concerned"


def test_what_was_ordered_comes_back_with_its_settings(bench: Bench) -> None:
    bench.put()
    wishes = {"language": "en"}
    taken = bench.submit("talk.mp3", wishes, callback_urls=("http://example.org/x",))
    assert taken
    state = json.dumps(job_to_json(taken.job))
    bench.intake.requests.remove("talk.mp3")
    (bench.files.manual.path / "talk.mp3").write_bytes(b"sound")
    (bench.files.manual.path / "talk.mp3.in_progress").write_text(state, encoding="utf-8")
    job = bench.bring_back("talk.mp3", "me")
    assert (job.settings.language, job.clients) == ("en", ("me",))
    assert job.callback_urls == ("http://example.org/x",)


def test_an_order_that_comes_as_the_file_is_found_keeps_its_state(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put()
    is_done = bench.files.results.is_done
    order = threading.Thread(
        target=lambda: bench.submit("talk.mp3", {"language": "en"}, client="me")
    )

    def found_just_now(name: str) -> bool:
        monkeypatch.undo()
        order.start()
        order.join(0.3)  # unhindered it is done by then
        return is_done(name)

    monkeypatch.setattr(bench.files.results, "is_done", found_just_now)
    bench.whole()
    order.join(30)
    state = json.loads((bench.files.folder.path / "talk.mp3.in_progress").read_bytes())
    assert (state["settings"]["language"], state["api_clients"]) == ("en", ["me"])


# --- settings beside the recording ---

OWN = "talk.mp3.settings.yaml"


def test_an_order_takes_the_settings_beside_the_file_and_its_own_go_before(bench: Bench) -> None:
    bench.put()
    bench.put("settings.yaml", b"language: en\nbeam_size: 2\nvad_onset: 0.4")
    bench.put(OWN, b"beam_size: 3")
    taken = bench.submit("talk.mp3", {"vad_onset": 0.6})
    assert taken
    settings = taken.job.settings
    assert (settings.language, settings.beam_size, settings.vad_onset) == ("en", 3, 0.6)
    state = json.loads((bench.files.folder.path / "talk.mp3.in_progress").read_bytes())
    assert state["settings"] == settings.model_dump()
    checked = bench.check("talk.mp3", {"vad_onset": 0.6})
    bench.put(OWN, b"beam_size: 99")
    joined = bench.intake.requests.submit(checked)
    assert joined, "it was ordered when the file was right"
    assert (joined.outcome, joined.job.settings) == ("joined", settings)


@pytest.mark.parametrize("wishes", [{}, {"language": "en"}])
@pytest.mark.parametrize("scanned", [False, True])
def test_wrong_settings_refuse_an_order_and_change_nothing(
    bench: Bench, wishes: dict[str, Any], scanned: bool
) -> None:
    bench.put()
    if scanned:
        bench.whole()
    bench.put(OWN, b"beam_size: 99")
    before = bench.scheduler.jobs()
    with pytest.raises(TranscriberError) as caught:
        bench.submit("talk.mp3", wishes)
    assert caught.value.code == "invalid_settings"
    assert str(caught.value) == f"{OWN}: beam_size: must be between 1 and 20, got 99"
    assert bench.scheduler.jobs() == before
    assert bench.names() == ["talk.mp3", OWN]


def test_an_order_at_odds_with_a_file_is_refused(bench: Bench) -> None:
    bench.put()
    bench.put("settings.yaml", b"model_size: turbo")
    with pytest.raises(TranscriberError, match=r"settings\.yaml: task: the model turbo cannot"):
        bench.submit("talk.mp3", {"task": "translate"})


def test_a_scanned_file_is_promoted_with_the_settings_beside_it(bench: Bench) -> None:
    bench.put()
    bench.put(OWN, b"beam_size: 3")
    bench.whole()
    bench.complete_names.add("talk.mp3")
    scanned = bench.job()
    assert scanned.settings == bench.config.default_settings(), "read when its turn comes"
    taken = bench.submit("talk.mp3", client="me")
    assert taken
    assert (taken.outcome, taken.job.job_id) == ("joined", scanned.job_id)
    job = bench.job()
    assert (job.settings.beam_size, job.priority, job.status) == (3, Priority.API, Status.QUEUED)
    assert [j.name for j in bench.scheduler.jobs()] == ["talk.mp3"]


def test_a_promoted_file_that_has_begun_keeps_its_settings(bench: Bench) -> None:
    bench.put()
    bench.whole()
    bench.scheduler.take(0)
    bench.scheduler.update("talk.mp3", lambda j: j.open_attempt(NOON))
    bench.put(OWN, b"beam_size: 3")
    taken = bench.submit("talk.mp3", client="me")
    assert taken
    assert (taken.outcome, taken.job.settings.beam_size) == ("joined", 5)
    assert bench.scheduler.stop_reason() is None


def test_what_comes_back_from_manual_is_read_anew(bench: Bench) -> None:
    (bench.files.manual.path / "talk.mp3").write_bytes(b"sound")
    own = bench.files.manual.path / OWN
    own.write_bytes(b"beam_size: 99")
    with pytest.raises(TranscriberError, match="beam_size"):
        bench.bring_back("talk.mp3", None)
    assert (bench.files.manual.path / "talk.mp3").exists(), "it stays where it can be mended"
    own.write_bytes(b"beam_size: 3")
    assert bench.bring_back("talk.mp3", None).settings.beam_size == 3
    assert {"talk.mp3", OWN} <= set(bench.names())
    assert list(bench.files.manual.path.iterdir()) == []


def test_a_recording_dragged_back_with_its_settings_keeps_them(bench: Bench) -> None:
    bench.put()
    bench.put(OWN, b"beam_size: 3")
    bench.put("talk.mp3.in_progress", to_json(job_to_json(a_job())))
    bench.whole()
    assert bench.names() == ["talk.mp3", OWN]


def test_settings_are_removed_with_the_recording_but_never_those_of_a_folder(bench: Bench) -> None:
    bench.put()
    for name in (OWN, "settings.yaml", "other.mp3.settings.yaml"):
        bench.put(name, b"beam_size: 99")
    bench.files.settings.report(OWN, ["wrong"])
    bench.files.settings.report("settings.yaml", ["wrong"])
    (bench.files.manual.path / OWN).write_bytes(b"")
    removed = bench.intake.requests.remove("talk.mp3")
    assert set(removed.deleted) == {"talk.mp3", OWN, f"{OWN}.error.txt", f"manual/{OWN}"}
    assert bench.names() == ["other.mp3.settings.yaml", "settings.yaml", "settings.yaml.error.txt"]


def test_a_folder_in_the_place_of_settings_keeps_nothing_from_being_deleted(bench: Bench) -> None:
    bench.put()
    bench.put(f"{OWN}/precious.txt", b"mine")
    assert bench.intake.requests.remove("talk.mp3").deleted == ("talk.mp3",)
    assert bench.names() == [OWN]


def test_settings_alone_are_no_state(bench: Bench) -> None:
    bench.put(OWN, b"beam_size: 99")
    bench.put("settings.yaml", b"beam_size: 99")
    bench.intake.recovery.recover()
    assert (bench.scheduler.jobs(), bench.intake.recovery.orphans) == ([], {})
    assert bench.names() == ["settings.yaml", OWN]


def test_a_removal_that_failed_leaves_a_recording_that_is_not_forgotten(bench: Bench) -> None:
    bench.put()
    bench.whole()
    bench.files.folder.state.rename(bench.files.folder.state.with_name("away"))
    with pytest.raises(StorageError):
        bench.intake.requests.remove("talk.mp3")
    assert bench.scheduler.get("talk.mp3") is None
    assert bench.looked_again == ["talk.mp3"], "it is there, has no job, and gets none any more"


def test_the_state_that_a_failed_removal_left_goes_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put()
    bench.submit("talk.mp3")

    def away(name: str, planned: Any) -> list[str]:
        raise StorageError("share_unavailable", "It is away.")

    with monkeypatch.context() as trouble:
        trouble.setattr(bench.files, "delete", away)
        trouble.setattr(bench.files.states, "drop", lambda name: away(name, ()))
        with pytest.raises(StorageError):
            bench.intake.requests.remove("talk.mp3")
    assert "talk.mp3.in_progress" in bench.names()
    bench.journal.catch_up()
    assert bench.names() == ["talk.mp3"]


# --- a file that failed, and grows ---


def a_resting_job(bench: Bench) -> Job:
    error = ErrorInfo(code=MAY_BE_GROWING, message="Waiting.", timestamp=iso(NOON), attempt=1)
    identity = bench.files.folder.identity("talk.mp3")
    job = a_job(status=Status.WAITING, source=identity, error=error, not_before=1e9)
    bench.scheduler.submit(job)
    return job


def test_a_file_that_grows_while_it_is_left_alone_is_begun_anew(bench: Bench) -> None:
    bench.put()
    before = a_resting_job(bench)
    bench.put(content=b"sound, and more of it")
    bench.whole()
    job = bench.job()
    assert (job.status, job.job_id) == (Status.QUEUED, before.job_id)
    assert (job.source, job.error, job.attempts) == (None, None, ())


def test_a_file_that_is_only_reported_again_is_still_left_alone(bench: Bench) -> None:
    bench.put()
    a_resting_job(bench)
    bench.whole()
    assert bench.job().status is Status.WAITING


def test_a_job_left_alone_is_tried_after_a_restart_and_keeps_its_reason(bench: Bench) -> None:
    bench.put()
    bench.files.states.save(a_resting_job(bench))
    bench.restart()
    bench.intake.recovery.recover()
    job = bench.job()
    assert job.status is Status.QUEUED
    assert job.error is not None
    assert job.error.code == MAY_BE_GROWING


# --- what is no recording ---

SOURCE = b"import { app } from './app';\nexport const start = () => app.listen(8080);\n" * 3


def test_a_text_with_the_ending_of_a_recording_becomes_no_job(bench: Bench) -> None:
    bench.put("src/index.ts", SOURCE)
    for _ in range(2):
        bench.whole("src/index.ts")
        bench.restart()
    assert bench.scheduler.jobs() == []
    assert bench.looked_again == []


def test_a_request_for_it_is_refused_and_says_what_it_is(bench: Bench) -> None:
    bench.put("index.ts", SOURCE)
    for before in ("unseen", "seen"):
        with pytest.raises(TranscriberError, match=r"'index\.ts' is no recording: it is a text"):
            bench.submit("index.ts")
        bench.whole("index.ts")
        assert bench.scheduler.jobs() == [], before


def test_a_recording_that_takes_the_place_of_a_text_is_taken_in(bench: Bench) -> None:
    bench.put("talk.ts", SOURCE)
    bench.whole("talk.ts")
    bench.put("talk.ts", b"G\x40\0\x10" * 200)
    bench.whole("talk.ts")
    assert bench.job("talk.ts").status is Status.QUEUED


def test_a_job_calls_no_more_addresses_than_its_state_may_hold(bench: Bench) -> None:
    bench.put()
    for number in range(ADDRESSES_MAX):
        bench.submit(callback_urls=(f"http://192.0.2.1/{number}",))
    with pytest.raises(TranscriberError) as caught:
        bench.submit(callback_urls=("http://192.0.2.1/more",))
    assert caught.value.code == "too_many_callbacks"
    bench.submit(callback_urls=("http://192.0.2.1/0",))
    assert len(bench.job().callback_urls) == ADDRESSES_MAX
    bench.restart()
    bench.intake.recovery.recover()
    assert len(bench.job().callback_urls) == ADDRESSES_MAX


# --- failures that are left where they are ---


def left_bench(tmp_path: Path, failed: str = "leave") -> Bench:
    bench = Bench(tmp_path, processing={"failed": failed})
    bench.put()
    error = ErrorInfo(code="no_audio", message="No sound.", timestamp=iso(NOON), attempt=1)
    source = bench.files.folder.identity("talk.mp3")
    job = a_job(source=source, settings=bench.config.default_settings()).to(Status.RUNNING)
    ended = job.open_attempt(NOON).close_attempt("failed", NOON, 1.0, error)
    bench.files.left.note(ended.to(Status.FAILED), "why")
    return bench


def test_what_failed_is_not_tried_again(tmp_path: Path) -> None:
    bench = left_bench(tmp_path)
    for _ in range(2):
        bench.intake.recovery.recover()
        bench.whole()
        assert bench.scheduler.jobs() == []
        assert bench.names() == ["talk.mp3", "talk.mp3.error.txt", "talk.mp3.in_progress"]
        bench.restart()
    assert bench.ended == []
    assert bench.intake.recovery.orphans == {}


@pytest.mark.parametrize("daemon_runs", [False, True])
def test_what_failed_and_was_replaced_is_new(tmp_path: Path, daemon_runs: bool) -> None:
    bench = left_bench(tmp_path)
    bench.put(content=b"a better copy")
    if not daemon_runs:
        bench.intake.recovery.recover()
        assert bench.names() == ["talk.mp3"]
    bench.whole()
    assert bench.job().attempts == ()
    assert bench.names() == ["talk.mp3"]


@pytest.mark.parametrize("daemon_runs", [False, True])
def test_what_failed_and_was_deleted_leaves_nothing(tmp_path: Path, daemon_runs: bool) -> None:
    bench = left_bench(tmp_path)
    (bench.files.folder.path / "talk.mp3").unlink()
    if daemon_runs:
        bench.intake.on_deleted("talk.mp3")
    else:
        bench.intake.recovery.recover()
    assert bench.names() == []
    assert bench.intake.recovery.orphans == {}


def test_a_request_tries_what_failed_again(tmp_path: Path) -> None:
    bench = left_bench(tmp_path)
    bench.intake.recovery.recover()
    submitted = bench.submit()
    assert submitted is not None
    assert submitted.outcome == "queued"
    assert submitted.job.attempts == ()
    assert bench.names() == ["talk.mp3", "talk.mp3.in_progress"]
    assert bench.files.left.state_of("talk.mp3") == {}


def test_what_was_left_is_moved_once_that_is_configured(tmp_path: Path) -> None:
    bench = left_bench(tmp_path, failed="manual")
    bench.intake.recovery.recover()
    assert bench.job().given_up, "the runner moves it when its turn comes"
