"""take → process → publish → finish: who is to blame, what is counted, and what is left behind."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from modules.errors import (
    MediaError,
    ModelError,
    StorageError,
    TranscriberError,
    WorkerError,
)
from modules.executors import tasks
from modules.executors.local.pool import LocalPool
from modules.jobs.job import WENT_DOWN, Attempt, Cause, ErrorInfo, Job, Priority, Status
from modules.jobs.scheduler import Scheduler
from modules.recordings.state_writer import StateWriter
from modules.recordings.store import RecordingStore
from modules.runner import publishing
from modules.runner import runner as runner_module
from modules.runner.common import Common
from modules.runner.outage import HOLD_S
from modules.runner.publishing import Publisher
from modules.runner.runners import Runners
from modules.weights.locate import ModelSource
from tests.builders import a_config, a_job, a_model, until
from tests.fakes import FakeClock, FakeExecutor, Plan

BROKEN = WorkerError("worker_hung", "It hung.")
NOT_MEDIA = MediaError("not_media", "This is not a recording.")


class Bench:
    """A runner over real files, driven tick by tick, with a worker that follows plans."""

    def __init__(self, root: Path, **sections: Any) -> None:
        self.config = a_config(root, **sections)
        a_model(self.config.models_directory)
        self.clock = FakeClock()
        self.files = RecordingStore.of(self.config)
        self.files.prepare()
        self.told: list[tuple[str, Status]] = []
        self.scheduler = Scheduler(self.clock, self._on_change)
        self.journal = StateWriter(self.files.states, self.scheduler.get)
        self.processor = FakeExecutor(self.clock)
        self.looked_again: list[str] = []
        self.publisher = Publisher(self.files)
        common = Common(
            self.config, self.scheduler, self.files, self.publisher, self.journal, self.clock,
            look_again=self.looked_again.append, compute_types=lambda: self.processor.compute_types,
        )  # fmt: skip
        self.runners = Runners(common, LocalPool(self.processor))
        ((_, self.runner),) = self.runners._runners

    def _on_change(self, job: Job) -> None:
        self.told.append((job.name, job.status))
        self.journal.record_if_possible(job)

    @property
    def shared(self) -> Path:
        return self.files.folder.path

    @property
    def manual(self) -> Path:
        return self.files.manual.path

    def put(self, name: str = "talk.mp3", content: bytes = b"\0sound") -> Path:
        path = self.shared / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def submit(self, name: str = "talk.mp3", **changes: Any) -> None:
        self.put(name)
        facts = {"source": None, "settings": self.config.default_settings()} | changes
        self.scheduler.submit(a_job(name, **facts))

    def plan(self, *plans: Plan) -> None:
        self.processor.plans += plans

    def tick(self) -> None:
        self.runner.tick()

    def state(self, name: str = "talk.mp3") -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.shared / f"{name}.in_progress").read_bytes())
        return content

    def result(self, name: str = "talk.mp3") -> dict[str, Any]:
        found = self.files.results.read(name)
        assert found is not None, f"{name} has no result"
        return found

    def job(self, name: str = "talk.mp3") -> Job:
        found = self.scheduler.get(name)
        assert found is not None, f"{name} is lost"
        return found

    def names(self) -> list[str]:
        return sorted(n for n in os.listdir(self.shared) if n != ".transcriber")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    # The fake clock does not move while the runner waits for a job.
    monkeypatch.setattr(runner_module, "_IDLE_TICK_S", 0)
    return Bench(tmp_path)


DONE = ["talk.mp3", "talk.mp3.result", "talk.srt", "talk.txt"]


def test_task_and_prompt_reach_the_worker(bench: Bench) -> None:
    asked = {"task": "translate", "initial_prompt": "Names: Ада, Грейс."}
    wanted = bench.config.default_settings().model_copy(update=asked)
    bench.submit(settings=wanted, priority=Priority.API)
    bench.tick()
    (request,) = bench.processor.orders
    assert request.command.settings.model_dump(include=asked.keys()) == asked


# --- the good way ---


def test_a_file_becomes_text(bench: Bench) -> None:
    bench.submit()
    bench.tick()
    assert bench.names() == DONE
    result = bench.result()
    assert result["transcription"]["text"] == "0 of talk.mp3. 1 of talk.mp3. 2 of talk.mp3."
    assert result["outputs"] == ["talk.txt", "talk.srt"]
    assert (result["duration_seconds"], result["processing_time_seconds"]) == (30.0, 3.0)
    assert result["processing_stats"] == {
        "total_attempts": 1, "memory_peak_mb": 500, "cpu_time_seconds": 1.5,
    }  # fmt: skip
    assert bench.files.results.is_done("talk.mp3")
    assert bench.scheduler.get("talk.mp3") is None
    assert bench.runner.finished == {Status.COMPLETED: 1, Status.FAILED: 0}
    assert [status for _, status in bench.told] == ["queued", "running", "completed"]


def test_what_is_seen_while_it_runs(bench: Bench) -> None:
    seen: list[tuple[Any, ...]] = []

    def look(index: int) -> None:
        state = bench.state()
        seen.append(
            (
                state["progress_info"]["stage"],
                state["progress_info"]["percentage"],
                state["intermediate"]["position_seconds"],
                [attempt["status"] for attempt in state["attempts"]],
                len(bench.files.states.checkpoint_path("talk.mp3").read_bytes().splitlines()),
                bench.runner.outage.reason,
            )
        )

    bench.plan(Plan(chunks=2, before=look))
    bench.submit()
    bench.tick()
    assert seen == [
        ("processing_audio", 0, 0.0, ["processing"], 1, None),
        ("processing_audio", 50, 10.0, ["processing"], 2, None),
        ("processing_audio", 99, 20.0, ["processing"], 3, None),
    ]


def test_the_attempt_is_on_the_disk_before_it_begins(bench: Bench) -> None:
    """Or a file that kills the machine would never be found guilty."""

    def look(index: int) -> None:
        assert bench.state()["attempts"][0]["status"] == "processing"
        assert bench.state()["source"]["size"] == 6

    bench.plan(Plan(before=look))
    bench.submit()
    bench.tick()
    assert bench.files.results.is_done("talk.mp3")


def test_the_checkpoint_may_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "_IDLE_TICK_S", 0)
    bench = Bench(tmp_path, processing={"cleanup_temp_files": False})
    bench.submit()
    bench.tick()
    assert bench.names() == [".talk.mp3.checkpoint", *DONE]


def test_an_older_result_stays_until_the_new_one_is_there(bench: Bench) -> None:
    bench.put("talk.mp3.result", b'{"old": true}')

    def look(index: int) -> None:
        assert bench.result() == {"old": True}

    bench.plan(Plan(before=look))
    bench.submit()
    bench.tick()
    assert "old" not in bench.result()


# --- attempts that count ---


def test_worker_errors_are_counted_and_backed_off_twice_as_long(bench: Bench) -> None:
    bench.plan(*[Plan(error=BROKEN)] * 3)
    bench.submit()
    bench.tick()
    first = bench.job()
    assert (first.status, first.attempt_number) == (Status.WAITING, 2)
    assert bench.state()["error"] == {
        "code": "worker_hung", "message": "It hung.", "details": None,
        "timestamp": bench.state()["error"]["timestamp"], "attempt": 1, "retry_after": 30.0,
    }  # fmt: skip
    bench.clock.advance(29)
    bench.tick()
    assert len(bench.processor.orders) == 1, "it was tried too early"
    bench.clock.advance(1)
    bench.tick()
    assert bench.state()["error"]["retry_after"] == 60.0
    bench.clock.advance(60)
    bench.tick()
    assert bench.names() == []
    assert sorted(os.listdir(bench.manual)) == [
        ".talk.mp3.checkpoint", "talk.mp3", "talk.mp3.error.txt", "talk.mp3.in_progress",
    ]  # fmt: skip
    moved = json.loads((bench.manual / "talk.mp3.in_progress").read_bytes())
    assert [a["status"] for a in moved["attempts"]] == ["failed"] * 3
    assert (moved["status"], moved["moved_to_manual"]) == ("error", True)
    assert moved["error"]["retry_after"] is None
    assert "It hung." in (bench.manual / "talk.mp3.error.txt").read_text()
    assert bench.scheduler.get("talk.mp3") is None
    assert bench.runner.finished[Status.FAILED] == 1


def test_what_comes_next_is_told_while_a_file_runs(bench: Bench) -> None:
    bench.submit("one.mp3")
    bench.submit("two.mp3")
    bench.put("two.mp3.settings.yaml", b"language: en\n")
    bench.tick()
    bench.tick()
    told, nothing = bench.processor.prepared
    assert told is not None
    assert told.settings.language == "en"
    second = bench.processor.orders[1].command
    assert told == second, "it would be made ready for another order"
    assert nothing is None


def test_what_holds_still_is_prefetched_while_nothing_is_done(bench: Bench) -> None:
    path = bench.put()
    bench.runners.expect("talk.mp3")
    bench.tick()
    bench.tick()
    (command,) = bench.processor.expected
    assert command.path == bytes(path)
    bench.submit()
    bench.tick()
    (task,) = bench.processor.orders
    assert task.command == command, "what was prefetched would not be used"


def test_a_file_with_a_job_or_beside_a_pause_is_not_prefetched(bench: Bench) -> None:
    bench.submit()
    bench.scheduler.pause()
    bench.runners.expect("talk.mp3")
    bench.tick()
    bench.put("other.mp3")
    bench.runners.expect("other.mp3")
    bench.tick()
    assert bench.processor.expected == []


@pytest.mark.parametrize("why", ["wrong settings", "a retry"])
def test_what_comes_next_is_not_told_where_it_is_not_certain(bench: Bench, why: str) -> None:
    bench.submit("one.mp3")
    bench.submit("two.mp3")
    if why == "wrong settings":
        bench.put("two.mp3.settings.yaml", b"langage: en\n")
    else:
        bench.files.states.checkpoint_path("two.mp3").write_bytes(b"")
    bench.tick()
    assert bench.processor.prepared == [None]


def test_a_worker_that_dies_with_two_files_in_hand_is_held_against_neither(bench: Bench) -> None:
    bench.submit("one.mp3")
    bench.submit("two.mp3")
    bench.plan(Plan(error=BROKEN, fails_ahead=True), Plan(error=BROKEN, fails_ahead=True))
    bench.tick()
    assert [a.status for a in bench.job("one.mp3").attempts] == ["interrupted"]
    bench.tick()
    assert bench.processor.prepared[1] is None, "the second time it has the worker for itself"
    assert [a.status for a in bench.job("one.mp3").attempts][-1] == "failed"


def test_each_attempt_goes_on_from_the_checkpoint(bench: Bench) -> None:
    bench.plan(Plan(error=BROKEN, error_after=2), Plan(error=BROKEN, error_after=0), Plan())
    bench.submit()
    for _ in range(3):
        bench.tick()
        bench.clock.advance(100)
    assert bench.processor.numbers("talk.mp3") == [0, 1, 2], "work was done again"
    assert bench.result()["transcription"]["text"] == (
        "0 of talk.mp3. 1 of talk.mp3. 2 of talk.mp3."
    )
    assert bench.result()["processing_stats"]["total_attempts"] == 3


@pytest.mark.parametrize("error", [NOT_MEDIA, WorkerError("x", "Never.", permanent=True)])
def test_what_a_retry_cannot_mend_goes_to_manual_at_once(
    bench: Bench, error: TranscriberError
) -> None:
    bench.plan(Plan(error=error))
    bench.submit()
    bench.tick()
    assert (bench.manual / "talk.mp3").exists()
    assert bench.names() == []


def test_the_next_file_is_done_while_one_backs_off(bench: Bench) -> None:
    bench.plan(Plan(error=BROKEN))
    bench.submit("bad.mp3")
    bench.submit("good.mp3")
    bench.tick()
    bench.tick()
    assert bench.files.results.is_done("good.mp3")
    bench.clock.advance(30)
    bench.tick()
    assert bench.files.results.is_done("bad.mp3")


@pytest.mark.parametrize("after", [0, 1])
def test_a_surprise_counts_so_that_it_does_not_come_for_ever(bench: Bench, after: int) -> None:
    bench.plan(*[Plan(error=RuntimeError("a bug"), error_after=after)] * 9)
    bench.submit()
    bench.submit("other.mp3")
    bench.tick()
    error = bench.job().error
    assert (bench.job().status, bench.job().attempt_number) == (Status.WAITING, 2)
    assert error is not None
    assert error.code == "unexpected_error"
    for _ in range(6):
        bench.clock.advance(100_000)
        bench.tick()
    assert bench.scheduler.get("talk.mp3") is None
    assert (bench.manual / "talk.mp3").exists()


# --- what never counts ---


@pytest.mark.parametrize("after", [0, 2])
def test_trouble_with_the_folder_never_counts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    bench.plan(*[Plan(error=StorageError("disk_full", "Full."), error_after=after)] * 5)

    def full() -> None:
        raise StorageError("disk_full", "The disk is full.")

    bench.submit()
    with monkeypatch.context() as trouble:
        trouble.setattr(bench.runner.outage, "_check_writable", full)
        bench.tick()
        assert bench.runner.outage.reason is not None
        for _ in range(5):
            bench.clock.advance(HOLD_S)
            bench.tick()
        assert len(bench.processor.orders) == 1, "nothing is started while the disk is full"
    job = bench.job()
    assert (job.status, job.attempt_number) == (Status.WAITING, 1)
    assert job.error is not None, "who asks is told why it waits"
    assert job.error.retry_after == HOLD_S
    for _ in range(6):
        bench.clock.advance(HOLD_S)
        bench.tick()
    assert bench.files.results.is_done("talk.mp3"), "it goes on by itself"
    assert bench.runner.outage.reason is None
    assert bench.result()["processing_stats"]["total_attempts"] == 1


def test_one_unreadable_file_does_not_hold_up_the_others(bench: Bench) -> None:
    bench.plan(Plan(error=StorageError("storage_error", "Input/output error.")))
    bench.submit("bad.mp3")
    bench.submit("good.mp3")
    bench.tick()
    bench.tick()
    assert bench.files.results.is_done("good.mp3")
    assert bench.job("bad.mp3").attempt_number == 1
    assert bench.state("bad.mp3")["error"]["code"] == "storage_error", "why it waits"
    assert bench.state("bad.mp3")["status"] == "processing"
    bench.clock.advance(HOLD_S)
    bench.tick()
    assert bench.files.results.is_done("bad.mp3")


def test_a_full_disk_while_publishing_loses_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise StorageError("disk_full", "The disk is full.")

    bench.submit()
    with monkeypatch.context() as trouble:
        trouble.setattr(bench.publisher, "publish", full)
        bench.tick()
    assert (bench.job().status, bench.job().attempt_number) == (Status.WAITING, 1)
    bench.clock.advance(HOLD_S)
    bench.tick()
    assert bench.names() == DONE
    assert bench.processor.numbers("talk.mp3") == [0, 1, 2], "only the publication is repeated"


def interruptions() -> Iterator[Any]:
    def preempt(bench: Bench) -> None:
        bench.submit("urgent.mp3", priority=Priority.API)

    def pause(bench: Bench) -> None:
        bench.scheduler.pause()

    def shut_down(bench: Bench) -> None:
        bench.scheduler.shut_down()

    for action in (preempt, pause, shut_down):
        yield pytest.param(action, id=action.__name__)


@pytest.mark.parametrize("interrupt", list(interruptions()))
def test_an_interruption_keeps_place_and_attempt_number(
    bench: Bench, interrupt: Callable[[Bench], None]
) -> None:
    bench.plan(Plan(before=lambda index: interrupt(bench) if index == 1 else None))
    bench.submit()
    bench.submit("later.mp3")
    place = bench.job().sequence
    bench.tick()
    job = bench.job()
    assert (job.status, job.attempt_number, job.sequence) == (Status.QUEUED, 1, place)
    assert [a.status for a in job.attempts] == ["interrupted"]
    assert bench.state()["attempts"][0]["status"] == "interrupted"
    assert bench.state()["progress_info"]["stage"] == "queued"
    assert bench.state()["progress_info"]["percentage"] == 33
    bench.scheduler.resume()
    bench.scheduler._stopping = False
    for _ in range(3):
        bench.tick()
    done = [name for name, status in bench.told if status is Status.COMPLETED]
    assert done[-2:] == ["talk.mp3", "later.mp3"]
    assert bench.processor.numbers("talk.mp3") == [0, 1, 2]
    assert bench.result()["processing_stats"]["total_attempts"] == 1


def test_a_standstill_is_no_time_that_an_attempt_ran(bench: Bench) -> None:
    bench.plan(Plan(chunks=4, chunk_s=10, standstill_s=3600, error=BROKEN, error_after=3))
    bench.submit()
    bench.tick()
    [attempt] = bench.job().attempts
    assert attempt.running_seconds == 30


def test_the_time_that_an_attempt_ran_is_kept_over_interruptions(bench: Bench) -> None:
    bench.plan(
        Plan(chunk_s=7, before=lambda i: bench.scheduler.pause() if i == 2 else None), Plan()
    )
    bench.submit()
    bench.tick()
    bench.scheduler.resume()
    bench.tick()
    assert [order.spent_s for order in bench.processor.orders] == [0.0, 14.0]
    assert bench.result()["processing_time_seconds"] == 15.0


# --- the file is not what it was ---


def replace(bench: Bench) -> None:
    bench.put(content=b"other sound")


def test_a_file_replaced_while_it_runs_is_new_work(bench: Bench) -> None:
    bench.plan(Plan(before=lambda index: replace(bench) if index == 2 else None))
    bench.submit()
    bench.tick()
    assert bench.names() == ["talk.mp3"], "a wrong transcript was published"
    job = bench.job()
    assert (job.status, job.source, job.attempts, job.position_s) == (
        Status.ARRIVING, None, (), 0.0,
    )  # fmt: skip
    assert bench.looked_again == ["talk.mp3"]
    bench.scheduler.arrived("talk.mp3")
    bench.tick()
    assert bench.processor.numbers("talk.mp3") == [0, 1, 2, 0, 1, 2]
    assert bench.files.results.is_done("talk.mp3")
    assert bench.result()["source"]["size"] == len(b"other sound")


def test_an_order_whose_file_is_replaced_stays_an_order(bench: Bench) -> None:
    bench.plan(Plan(before=lambda index: replace(bench) if index == 1 else None))
    bench.submit(priority=Priority.API, clients=("me",))
    bench.tick()
    assert bench.state()["priority"] == "api_request"
    assert bench.job().clients == ("me",)


@pytest.mark.parametrize("error", [BROKEN, NOT_MEDIA], ids=["worker", "media"])
def test_a_replaced_file_is_not_blamed_for_the_old_one(
    bench: Bench, error: TranscriberError
) -> None:
    """Half a copy decodes badly; that says nothing of the file that is there now."""
    plan = Plan(error=error, error_after=1)
    plan.before = lambda index: replace(bench)
    bench.plan(plan)
    bench.submit()
    bench.tick()
    assert (bench.job().status, bench.job().attempts) == (Status.ARRIVING, ())
    assert os.listdir(bench.manual) == []
    assert bench.looked_again == ["talk.mp3"]


def test_a_new_file_time_alone_changes_nothing(bench: Bench) -> None:
    bench.plan(Plan(before=lambda index: os.utime(bench.shared / "talk.mp3", (index, index))))
    bench.submit()
    bench.tick()
    assert bench.files.results.is_done("talk.mp3")


@pytest.mark.parametrize("error", [None, BROKEN, NOT_MEDIA], ids=["done", "worker", "media"])
def test_a_preallocated_file_whose_middle_is_filled_late_is_done_anew(
    bench: Bench, error: TranscriberError | None
) -> None:
    """The middle of a large file is no part of its fingerprint."""
    bench.submit()
    path = bench.put(content=b"ends".ljust(3 * 2**20, b"\0"))

    def fill(index: int) -> None:
        with path.open("r+b") as file:
            file.seek(3 * 2**19)
            file.write(b"\0sound")

    bench.plan(Plan(error=error, error_after=2, before=fill))
    bench.tick()
    assert (bench.job().status, bench.job().attempts) == (Status.ARRIVING, ())
    assert bench.names() == ["talk.mp3"], "a wrong transcript was published"
    bench.scheduler.arrived("talk.mp3")
    bench.tick()
    assert bench.files.results.is_done("talk.mp3")


@pytest.mark.parametrize("error", [None, BROKEN, NOT_MEDIA, StorageError("gone", "Gone.")])
def test_a_file_deleted_while_it_runs_is_cancelled_without_retry(
    bench: Bench, error: Exception | None
) -> None:
    plan = Plan(error=error, error_after=1)
    plan.before = lambda index: (bench.shared / "talk.mp3").unlink(missing_ok=True)
    bench.plan(plan)
    bench.submit()
    bench.tick()
    assert bench.scheduler.get("talk.mp3") is None
    assert bench.names() == []
    assert os.listdir(bench.manual) == []
    assert bench.told[-1] == ("talk.mp3", Status.CANCELLED)
    assert bench.runner.outage.reason is None


def test_a_file_gone_before_its_turn_is_cancelled(bench: Bench) -> None:
    bench.submit()
    (bench.shared / "talk.mp3").unlink()
    bench.tick()
    assert bench.scheduler.get("talk.mp3") is None
    assert bench.processor.orders == []
    assert bench.looked_again == ["talk.mp3"], "it may be back before anybody noticed"


def test_nothing_is_concluded_while_the_share_is_away(bench: Bench, tmp_path: Path) -> None:
    away = tmp_path / "away"

    def unmount(index: int) -> None:
        if index == 1:
            bench.shared.rename(away)
            bench.shared.mkdir()

    bench.plan(Plan(before=unmount))
    bench.submit()
    bench.tick()
    assert (bench.job().status, bench.job().attempt_number) == (Status.WAITING, 1)
    assert bench.names() == []
    bench.shared.rmdir()
    away.rename(bench.shared)
    bench.clock.advance(HOLD_S)
    bench.tick()
    bench.clock.advance(HOLD_S)
    bench.tick()
    assert bench.files.results.is_done("talk.mp3")


def test_a_cancelled_run_leaves_nothing(bench: Bench) -> None:
    def cancel(index: int) -> None:
        if index == 2:
            with bench.journal.quiet():
                bench.scheduler.cancel("talk.mp3", Cause.DELETED)
                bench.files.states.drop("talk.mp3")

    bench.plan(Plan(before=cancel))
    bench.submit()
    bench.tick()
    assert bench.names() == ["talk.mp3"]
    assert bench.scheduler.order_of("talk.mp3") is None


@pytest.mark.parametrize("moment", ["plan_outputs", "result_json"])
def test_a_cancellation_at_the_last_moment_publishes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    place: Any = bench.files.results if moment == "plan_outputs" else runner_module
    real = getattr(place, moment)

    def cancel(*arguments: Any) -> Any:
        bench.scheduler.cancel("talk.mp3", Cause.DELETED)
        return real(*arguments)

    monkeypatch.setattr(place, moment, cancel)
    bench.submit()
    bench.tick()
    assert not any(name.endswith((".result", ".txt", ".srt")) for name in bench.names())


def test_state_that_could_not_be_removed_after_the_result_goes_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(name: str) -> None:
        raise StorageError("storage_error", "Input/output error.")

    bench.submit()
    with monkeypatch.context() as trouble:
        trouble.setattr(bench.files.states, "drop", busy)
        bench.tick()
        assert bench.files.results.is_done("talk.mp3")
        bench.journal.catch_up()
    assert "talk.mp3.in_progress" in bench.names()
    bench.journal.catch_up()
    assert bench.names() == DONE


# --- giving up ---


def test_a_result_that_is_too_large_to_be_read_again_goes_to_manual_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "RESULT_BYTES_MAX", 1000)
    bench.submit()
    bench.tick()
    assert bench.names() == []
    assert sorted(os.listdir(bench.manual)) == [
        ".talk.mp3.checkpoint", "talk.mp3", "talk.mp3.error.txt", "talk.mp3.in_progress",
    ]  # fmt: skip
    assert "Разделите запись" in (bench.manual / "talk.mp3.error.txt").read_text("utf-8")


@contextmanager
def read_only_manual(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A recording that failed cannot be moved meanwhile."""

    def refuse(*arguments: Any) -> Path:
        raise StorageError("read_only", "manual/ is read-only.")

    with monkeypatch.context() as trouble:
        trouble.setattr(bench.files.manual, "take", refuse)
        yield


def test_a_move_that_failed_is_made_later_without_another_attempt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.plan(Plan(error=NOT_MEDIA))
    bench.submit()
    with read_only_manual(bench, monkeypatch):
        bench.tick()
        assert bench.job().given_up
        assert bench.state()["error"]["code"] == "not_media"
        bench.clock.advance(HOLD_S)
        bench.tick()
    assert bench.job().status is Status.WAITING
    bench.clock.advance(HOLD_S)
    bench.tick()
    assert (bench.manual / "talk.mp3").exists()
    assert len(bench.processor.orders) == 1, "it was tried again"


def test_a_move_that_waited_for_something_else_too_is_explained_by_what_failed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by the simulation, seed 700263 with three workers."""
    bench.plan(Plan(error=NOT_MEDIA))
    bench.submit()
    with read_only_manual(bench, monkeypatch):
        bench.tick()
    # As for one that could not be read meanwhile, or whose settings were corrected.
    bench.scheduler.wake("talk.mp3", "the file may be read now", error=None)
    bench.clock.advance(HOLD_S)
    bench.tick()
    state = json.loads((bench.manual / "talk.mp3.in_progress").read_text(encoding="utf-8"))
    assert state["error"]["code"] == "not_media"
    assert len(bench.processor.orders) == 1, "it was tried again"


def test_a_new_file_under_the_name_of_a_given_up_one_is_not_moved(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.plan(Plan(error=NOT_MEDIA))
    bench.submit()
    with read_only_manual(bench, monkeypatch):
        bench.tick()
    replace(bench)
    bench.clock.advance(HOLD_S)
    bench.tick()
    assert os.listdir(bench.manual) == []
    assert (bench.job().status, bench.job().attempts) == (Status.ARRIVING, ())


# --- models ---


def no_model(*arguments: Any) -> ModelSource:
    raise ModelError("model_missing", "The Whisper model is not on this machine.")


def test_a_model_that_is_missing_for_every_file_blames_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit()
    with monkeypatch.context() as trouble:
        trouble.setattr(tasks, "locate_for", no_model)
        for _ in range(5):
            bench.tick()
            bench.clock.advance(HOLD_S)
    assert bench.runner.outage.reason == "The Whisper model is not on this machine."
    assert (bench.job().status, bench.job().attempt_number) == (Status.WAITING, 1)
    bench.tick()
    assert bench.files.results.is_done("talk.mp3")
    assert bench.runner.outage.reason is None


def test_a_model_that_only_one_order_asks_for_is_its_own_fault(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tasks.locate_for
    monkeypatch.setattr(
        tasks,
        "locate_for",
        lambda asked, *rest: no_model() if asked.model_size == "small" else real(asked, *rest),
    )
    wanted = bench.config.default_settings().model_copy(update={"model_size": "small"})
    bench.submit("special.mp3", settings=wanted, priority=Priority.API)
    bench.submit("plain.mp3")
    bench.tick()
    assert bench.job("special.mp3").attempt_number == 2
    bench.tick()
    assert bench.files.results.is_done("plain.mp3")


def test_a_model_error_of_the_worker_is_held_too(bench: Bench) -> None:
    bench.plan(Plan(error=ModelError("compute_type_unsupported", "int8 does not work.")))
    bench.submit()
    bench.tick()
    assert bench.job().attempt_number == 1


# --- settings beside the recording ---

OWN, NOTICE = "talk.mp3.settings.yaml", "talk.mp3.settings.yaml.error.txt"


def test_settings_are_read_when_its_turn_comes(bench: Bench) -> None:
    bench.submit()
    bench.put("settings.yaml", b"language: en\nbeam_size: 2")
    bench.put(OWN, b"beam_size: 3")
    bench.tick()
    (request,) = bench.processor.orders
    assert (request.command.settings.language, request.command.settings.beam_size) == ("en", 3)
    assert bench.result()["settings"]["beam_size"] == 3
    assert bench.names() == ["settings.yaml", "talk.mp3", "talk.mp3.result", OWN, *DONE[2:]]


def test_an_order_has_its_settings_already(bench: Bench) -> None:
    bench.submit(priority=Priority.API)
    bench.put(OWN, b"beam_size: 99")
    bench.tick()
    assert bench.result()["settings"]["beam_size"] == 5


def test_what_has_begun_keeps_its_settings(bench: Bench) -> None:
    bench.put(OWN, b"beam_size: 3")
    bench.plan(Plan(before=lambda index: bench.scheduler.pause() if index == 1 else None))
    bench.submit()
    bench.tick()
    bench.put(OWN, b"beam_size: 99")
    bench.scheduler.resume()
    bench.tick()
    assert bench.processor.numbers("talk.mp3") == [0, 1, 2], "work was done again"
    assert bench.result()["settings"]["beam_size"] == 3


def test_a_wrong_file_makes_its_recording_wait_and_no_other(bench: Bench) -> None:
    bench.put(OWN, b"beam_size: 99\nlangage: en")
    bench.submit()
    bench.submit("other.mp3")
    bench.tick()
    bench.tick()
    assert bench.files.results.is_done("other.mp3")
    job = bench.job()
    assert (job.status, job.attempts) == (Status.WAITING, ())
    assert job.error is not None
    assert (job.error.code, job.error.retry_after) == ("invalid_settings", HOLD_S)
    assert bench.state()["error"]["message"] == (
        f"{OWN}: langage: is not a known key; did you mean language?\n"
        f"{OWN}: beam_size: must be between 1 and 20, got 99"
    )
    assert "beam_size: нужно число от 1 до 20, получено 99" in (bench.shared / NOTICE).read_text()
    told = len(bench.told)
    for _ in range(5):
        bench.clock.advance(HOLD_S)
        bench.tick()
    assert len(bench.told) == told, "it came and went while nothing was mended"
    bench.put(OWN, b"beam_size: 3")
    bench.tick()
    assert not bench.files.results.is_done("talk.mp3"), "it looked too early"
    bench.clock.advance(HOLD_S)
    bench.tick()
    assert bench.result()["settings"]["beam_size"] == 3
    assert bench.result()["job_id"] == job.job_id
    assert bench.result()["processing_stats"]["total_attempts"] == 1
    assert NOTICE not in bench.names()


def test_a_wrong_file_that_is_removed_holds_nobody(bench: Bench) -> None:
    bench.put(OWN, b"- x")
    bench.submit()
    bench.tick()
    (bench.shared / OWN).unlink()
    bench.clock.advance(HOLD_S)
    bench.tick()
    assert bench.names() == DONE


def test_a_mistake_that_changes_is_told_anew(bench: Bench) -> None:
    bench.put(OWN, b"beam_size: 99\nlangage: en")
    bench.submit()
    bench.tick()
    bench.put(OWN, b"beam_size: 99")
    bench.clock.advance(HOLD_S)
    bench.tick()
    error = bench.job().error
    assert error is not None
    assert error.message == f"{OWN}: beam_size: must be between 1 and 20, got 99"
    assert "langage" not in (bench.shared / NOTICE).read_text()


def test_a_folders_wrong_file_holds_all_below_it_until_the_last_has_gone(bench: Bench) -> None:
    bench.put("calls/settings.yaml", b"beam_size: 99")
    for name in ("calls/a.mp3", "calls/may/b.mp3", "c.mp3"):
        bench.submit(name)
    for _ in range(3):
        bench.tick()
    assert bench.files.results.is_done("c.mp3")
    assert [j.status for j in bench.scheduler.jobs()] == [Status.WAITING] * 2
    notice = bench.shared / "calls/settings.yaml.error.txt"
    assert "Что не так в settings.yaml" in notice.read_text()
    bench.scheduler.cancel("calls/a.mp3", Cause.GONE)
    bench.clock.advance(HOLD_S)
    bench.tick()
    assert notice.exists()
    bench.scheduler.cancel("calls/may/b.mp3", Cause.GONE)
    bench.clock.advance(HOLD_S)
    bench.tick()
    assert not notice.exists()
    assert (bench.shared / "calls/settings.yaml").read_bytes() == b"beam_size: 99"


def test_a_text_of_an_earlier_life_goes(bench: Bench) -> None:
    bench.put(OWN, b"beam_size: 99")
    bench.submit()
    bench.tick()
    bench.scheduler.cancel("talk.mp3", Cause.GONE)
    again = Bench(bench.shared.parent, models_directory=str(bench.shared.parent / "none"))
    again.put(OWN, b"")
    again.submit()
    again.tick()
    assert NOTICE not in again.names()


def test_somebody_is_heard_while_another_file_runs(bench: Bench) -> None:
    bench.put(OWN, b"beam_size: 99")
    bench.submit()
    bench.tick()

    def mend(index: int) -> None:
        bench.put(OWN, b"beam_size: 3")
        bench.clock.advance(HOLD_S)

    seen: list[bool] = []
    bench.plan(Plan(before=lambda i: mend(i) if i == 0 else seen.append(NOTICE in bench.names())))
    bench.submit("long.mp3")
    bench.tick()
    assert seen[-1] is False
    assert bench.job().status is Status.QUEUED
    bench.tick()
    assert bench.files.results.is_done("talk.mp3")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"model_size: tiny", "model_size: The Whisper model tiny is not on this machine."),
        (b"compute_type: int16", "compute_type: does not work on cpu here; use one of float32"),
        (b"device: cuda", "device: this machine has no cuda; use cpu"),
    ],
)
def test_what_this_machine_cannot_do_waits_too(bench: Bench, content: bytes, line: str) -> None:
    bench.put(OWN, content)
    bench.submit()
    bench.tick()
    error = bench.job().error
    assert error is not None
    assert error.message.startswith(f"{OWN}: {line}")
    assert bench.runner.outage.reason is None, "the others can be done"


def test_trouble_of_the_worker_with_settings_from_a_file_holds_only_its_own(bench: Bench) -> None:
    bench.put(OWN, b"beam_size: 3")
    bench.plan(Plan(error=ModelError("x", "No."), error_after=0))
    bench.submit()
    bench.tick()
    assert bench.job().attempt_number == 2
    assert bench.runner.outage.reason is None


def test_a_share_that_is_away_is_no_share_without_settings(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put(OWN, b"beam_size: 3")
    bench.submit()

    def away() -> None:
        raise StorageError("share_unavailable", "The shared folder is unavailable.")

    with monkeypatch.context() as trouble:
        trouble.setattr(bench.files.folder, "require", away)
        bench.tick()
    assert (bench.job().status, bench.job().attempts) == (Status.WAITING, ())
    bench.clock.advance(HOLD_S)
    bench.tick()
    assert bench.result()["settings"]["beam_size"] == 3


def test_a_text_that_cannot_be_written_holds_up_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwritable(*arguments: Any) -> None:
        raise StorageError("read_only", "Read-only.")

    monkeypatch.setattr(bench.files.settings, "report", unwritable)
    bench.put(OWN, b"beam_size: 99")
    bench.submit()
    bench.tick()
    assert bench.job().status is Status.WAITING


def test_an_order_that_came_as_the_files_were_read_has_its_own_settings(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put(OWN, b"beam_size: 3")
    bench.submit()
    real = bench.files.settings.stated

    def promoted_meanwhile(*arguments: Any) -> Any:
        bench.scheduler.submit(a_job(priority=Priority.API, settings=bench.job().settings))
        return real(*arguments)

    monkeypatch.setattr(bench.files.settings, "stated", promoted_meanwhile)
    bench.tick()
    assert bench.result()["settings"]["beam_size"] == 5


# --- the thread ---


def test_it_warms_works_and_comes_home(bench: Bench) -> None:
    bench.submit()
    bench.runners.start()
    until(lambda: bench.files.results.is_done("talk.mp3"), "the file was not done")
    bench.runners.stop()
    assert [spec.name for spec in bench.processor.warmed] == ["faster-whisper-base"]
    assert bench.processor.closed


@pytest.mark.parametrize("error", [ModelError("x", "No model."), OSError("no process")])
def test_a_worker_that_cannot_be_started_ends_no_thread(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "HOLD_S", 0.01)
    bench = Bench(tmp_path)
    bench.processor.warm_error = error
    bench.runners.start()
    until(lambda: bench.processor.maintained, "the runner died of a bad start")
    bench.runners.stop()
    assert bench.processor.closed


def test_stopping_what_never_ran_is_no_trouble(bench: Bench) -> None:
    bench.runners.stop()


def test_what_could_not_be_saved_is_saved_once_it_can_be(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that ended while the disk was full must not look open after a crash."""

    def full(job: Job) -> None:
        raise StorageError("disk_full", "The disk is full.")

    def fill(index: int) -> None:
        if index == 0:
            trouble.setattr(bench.files.states, "save", full)

    bench.plan(Plan(before=fill))
    bench.submit()
    with monkeypatch.context() as trouble:
        bench.tick()
        assert bench.state()["attempts"][0]["status"] == "processing"
        bench.journal.catch_up()
        assert bench.state()["attempts"][0]["status"] == "processing"
    bench.journal.catch_up()
    assert bench.state()["attempts"][0]["status"] == "interrupted"


def test_what_is_over_is_not_saved_any_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(job: Job) -> None:
        raise StorageError("disk_full", "The disk is full.")

    with monkeypatch.context() as trouble:
        trouble.setattr(bench.files.states, "save", full)
        bench.submit(priority=Priority.API)
        bench.scheduler.cancel("talk.mp3", Cause.GONE)
    bench.journal.catch_up()
    assert bench.names() == ["talk.mp3"]


# --- what is no recording ---


@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0 a picture", b"PK\x03\x04", b"export {}\n"])
@pytest.mark.parametrize("priority", Priority)
def test_what_is_no_recording_stays_where_it_is(
    bench: Bench, content: bytes, priority: Priority
) -> None:
    bench.submit("index.ts", priority=priority)
    path = bench.put("index.ts", content)
    before = path.stat()
    bench.plan(Plan(error=NOT_MEDIA))
    bench.tick()
    assert bench.scheduler.jobs() == []
    assert bench.names() == ["index.ts"]
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert list(bench.manual.iterdir()) == []
    assert bench.files.ignored.kind_of("index.ts") is not None
    assert bench.told[-1] == ("index.ts", Status.CANCELLED)
    assert bench.runner.finished == {Status.COMPLETED: 0, Status.FAILED: 0}


def test_what_begins_like_a_recording_and_is_damaged_goes_to_manual(bench: Bench) -> None:
    bench.submit()
    bench.put(content=b"RIFF\x24\0\0\0WAVEfmt ")
    bench.plan(Plan(error=NOT_MEDIA))
    bench.tick()
    assert (bench.manual / "talk.mp3").exists()


def test_an_upload_that_is_no_recording_goes_to_manual(bench: Bench) -> None:
    bench.submit(uploaded=True)
    bench.put(content=b"\xff\xd8\xff\xe0 a picture")
    bench.plan(Plan(error=NOT_MEDIA))
    bench.tick()
    assert (bench.manual / "talk.mp3").exists()


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_recording_under_which_the_program_died_twice_runs_alone(
    bench: Bench, deaths: int
) -> None:
    died = ErrorInfo(code=WENT_DOWN, message="", timestamp="", attempt=1, retry_after=0.0)
    attempts = tuple(
        Attempt(attempt_number=n, start_time="", status="failed", error=died)
        for n in range(1, deaths + 1)
    )
    bench.submit(attempts=attempts)
    bench.submit("next.mp3")
    bench.tick()
    assert (bench.processor.prepared[0] is None) is (deaths == 2)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "talk.ru.srt"),
        ({"task": "translate"}, "talk.en.srt"),
        ({"language": "auto"}, "talk.ru.srt"),
    ],
)
def test_subtitles_name_the_language_of_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], expected: str
) -> None:
    monkeypatch.setattr(runner_module, "_IDLE_TICK_S", 0)
    output = {"subtitle_language": True, "formats": ["srt", "txt"]}
    bench = Bench(tmp_path, output=output, whisperx=settings)
    bench.submit()
    bench.tick()
    assert bench.result()["outputs"] == [expected, "talk.txt"]
    assert bench.names() == sorted(["talk.mp3", "talk.mp3.result", expected, "talk.txt"])


def test_a_recording_that_failed_is_left_where_it_is_if_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "_IDLE_TICK_S", 0)
    bench = Bench(tmp_path, processing={"failed": "leave"})
    bench.plan(Plan(error=NOT_MEDIA))
    bench.submit()
    bench.tick()
    assert bench.names() == ["talk.mp3", "talk.mp3.error.txt", "talk.mp3.in_progress"]
    assert os.listdir(bench.manual) == []
    assert (bench.state()["status"], bench.state()["should_continue"]) == ("error", False)
    text = (bench.shared / "talk.mp3.error.txt").read_text()
    assert "Запись осталась на месте." in text
    assert "move the recording back" not in text
    assert bench.scheduler.get("talk.mp3") is None
    assert bench.runner.finished[Status.FAILED] == 1


@pytest.mark.parametrize(
    ("priority", "skipped"), [(Priority.SCAN, True), (Priority.API, False)], ids=["found", "asked"]
)
def test_one_that_got_subtitles_while_it_waited_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, priority: Priority, skipped: bool
) -> None:
    monkeypatch.setattr(runner_module, "_IDLE_TICK_S", 0)
    output = {"formats": ["srt"], "subtitle_language": True}
    bench = Bench(tmp_path, output=output, processing={"skip_if_subtitles": True})
    bench.submit(priority=priority)
    (bench.shared / "talk.rus.srt").write_text("theirs")
    bench.tick()
    made = ["talk.mp3.result", "talk.ru.srt"]
    assert bench.names() == sorted(["talk.mp3", "talk.rus.srt", *([] if skipped else made)])
    assert bench.scheduler.get("talk.mp3") is None
    assert len(bench.processor.orders) == (0 if skipped else 1)
    assert (bench.shared / "talk.rus.srt").read_text() == "theirs"
