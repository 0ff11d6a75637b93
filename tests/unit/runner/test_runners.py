"""Several runners: workers that come and go, machines that are lost, chunks that come late."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modules.clock import SystemClock
from modules.errors import ClusterAwayError, ModelError, NodeLostError, StorageError
from modules.executors.base import HandOut
from modules.jobs.job import Job, Priority, Status
from modules.jobs.scheduler import Scheduler
from modules.recordings.state_writer import StateWriter
from modules.recordings.store import RecordingStore
from modules.runner import runner, runners
from modules.runner.common import Common
from modules.runner.failure_policy import LOST_NODES
from modules.runner.publishing import Publisher
from modules.runner.runners import Runners
from modules.transcript.model import Chunk
from tests.builders import a_config, a_job, a_model, until
from tests.fake_pool import FakePool, FarExecutor
from tests.fakes import FakeClock, Plan

TURN_S = 60


class Bench:
    """Runners over real files. Tests drive them, or start their threads."""

    def __init__(self, root: Path, clock: Any, workers: int) -> None:
        self.config = a_config(root, processing={"retry_backoff_seconds": 0.0})
        a_model(self.config.models_directory)
        self.clock = clock
        self.store = RecordingStore.of(self.config)
        self.store.prepare()
        self.pool = FakePool([FarExecutor(clock) for _ in range(workers)])
        self.ended: dict[str, Job] = {}
        self.looked_again: list[str] = []
        self.begin()

    def begin(self) -> None:
        """A life of the daemon, with an empty queue."""
        self.scheduler = Scheduler(self.clock, self._on_change)
        self.writer = StateWriter(self.store.states, self.scheduler.get)
        self.start_anew()

    def start_anew(self) -> None:
        common = Common(
            self.config, self.scheduler, self.store, Publisher(self.store), self.writer,
            self.clock, look_again=self.looked_again.append,
            compute_types=lambda: self.pool.capabilities.compute_types,
        )  # fmt: skip
        self.common = common
        self.runners = Runners(common, self.pool)

    def _on_change(self, job: Job) -> None:
        self.writer.record_if_possible(job)
        if job.finished:
            self.ended[job.name] = job

    def far(self, number: int) -> FarExecutor:
        executor = self.pool.executors[number]
        assert isinstance(executor, FarExecutor)
        return executor

    def submit(self, *names: str, priority: Priority = Priority.SCAN) -> None:
        for name in names:
            (self.store.folder.path / name).write_bytes(b"\0sound of " + name.encode())
            job = a_job(name, priority=priority, settings=self.config.default_settings())
            self.scheduler.submit(job.evolve(source=None))

    def text(self, name: str) -> str:
        result = self.store.results.read(name)
        assert result is not None, f"{name} has no result"
        return str(result["transcription"]["text"])


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Driven turn by turn, by a clock that stands still."""
    monkeypatch.setattr(runner, "_IDLE_TICK_S", 0)
    return Bench(tmp_path, FakeClock(), workers=2)


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The same with one worker."""
    monkeypatch.setattr(runner, "_IDLE_TICK_S", 0)
    return Bench(tmp_path, FakeClock(), workers=1)


@pytest.fixture
def alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """With threads."""
    monkeypatch.setattr(runners, "_LOOK_EVERY_S", 0.05)
    made = Bench(tmp_path, SystemClock(), workers=2)
    made.runners.start()
    yield made
    made.runners.stop()
    assert made.pool.closed
    assert all(made.far(number).closed for number in range(2))


def test_two_workers_have_a_file_each_at_the_same_time(alive: Bench) -> None:
    together = threading.Barrier(2, timeout=TURN_S)
    for number in range(2):
        alive.far(number).between = lambda made: together.wait() and None if made == 1 else None
    alive.submit("a.mp3", "b.mp3")
    until(lambda: len(alive.ended) == 2, "both are done")
    assert {job.status for job in alive.ended.values()} == {Status.COMPLETED}
    assert alive.text("a.mp3") == "0 of a.mp3. 1 of a.mp3. 2 of a.mp3."
    assert alive.text("b.mp3") == "0 of b.mp3. 1 of b.mp3. 2 of b.mp3."
    until(lambda: alive.runners.finished[Status.COMPLETED] == 2, "both are counted")


def test_what_each_worker_does_is_told(alive: Bench) -> None:
    go_on = threading.Event()
    for number in range(2):
        alive.far(number).between = lambda made: go_on.wait(TURN_S) and None
    alive.submit("a.mp3")
    until(lambda: alive.scheduler.all_running() != [], "it runs")
    until(
        lambda: sum(seat.hand is not None for seat in alive.runners.seats()) == 1,
        "one of two is busy",
    )
    (busy,) = [seat for seat in alive.runners.seats() if seat.hand]
    assert busy.hand is not None
    assert (busy.hand.name, busy.problem) == ("a.mp3", None)
    assert busy.hand.job_id == alive.scheduler.all_running()[0].job_id
    go_on.set()
    until(lambda: len(alive.ended) == 1, "it is done")


def test_an_urgent_job_takes_the_idle_worker_at_once(alive: Bench) -> None:
    go_on, begun = threading.Event(), threading.Event()

    def hold(made: int) -> None:
        begun.set()
        go_on.wait(TURN_S)

    for number in range(2):
        alive.far(number).between = hold
    alive.submit("long.mp3")
    assert begun.wait(TURN_S)
    for number in range(2):
        alive.far(number).between = lambda made: None
    alive.submit("urgent.mp3", priority=Priority.API)
    until(lambda: "urgent.mp3" in alive.ended, "the urgent one is done")
    assert "long.mp3" not in alive.ended
    go_on.set()
    until(lambda: "long.mp3" in alive.ended, "the long one, too")
    states = [attempt.status for attempt in alive.ended["long.mp3"].attempts]
    assert states == ["completed"], "it was not interrupted"


def test_a_file_goes_on_elsewhere_when_its_machine_is_lost(alive: Bench) -> None:
    lost: list[int] = []

    def vanish(made: int) -> None:
        if made == 2 and not lost:
            names = [seat.hand and seat.hand.name for seat in alive.runners.seats()]
            lost.append(names.index("a.mp3"))
            alive.pool.lose(lost[0])

    for number in range(2):
        alive.far(number).between = vanish
    alive.submit("a.mp3")
    until(lambda: "a.mp3" in alive.ended, "it is done")
    job = alive.ended["a.mp3"]
    assert [attempt.status for attempt in job.attempts] == ["completed"]
    assert alive.text("a.mp3") == "0 of a.mp3. 1 of a.mp3. 2 of a.mp3."
    # What was in the checkpoint was not done again.
    assert alive.far(1 - lost[0]).numbers("a.mp3") == [1, 2]
    until(lambda: len(alive.runners.seats()) == 1, "the lost one is not shown any more")
    until(lambda: alive.far(lost[0]).closed, "its executor was closed")


def look(bench: Bench) -> None:
    bench.runners.look()


def lose_node_under(bench: Bench, name: str) -> None:
    """The first worker's machine goes while it has a file, and comes back as another."""
    far = bench.far(0)
    far.between = lambda made: bench.pool.lose(0)
    bench.runners.tick()
    bench.pool.gone.clear()
    bench.pool.executors[0] = FarExecutor(bench.clock)


def test_a_file_under_which_machines_are_lost_is_given_up(alone: Bench) -> None:
    alone.submit("killer.mp3")
    for number in range(1, LOST_NODES + 3):
        assert "killer.mp3" not in alone.ended, f"before loss {number}"
        lose_node_under(alone, "killer.mp3")
        counted = max(0, number - LOST_NODES + 1)
        job = alone.scheduler.get("killer.mp3") or alone.ended["killer.mp3"]
        assert [a.status for a in job.attempts].count("failed") == counted
    assert alone.ended["killer.mp3"].status is Status.FAILED
    assert alone.store.manual.has("killer.mp3")


def restart(bench: Bench, name: str) -> None:
    """Another life of the daemon: of a job it knows what was written down."""
    [found] = bench.store.recovery.find_jobs(recursive=False)
    assert found.job.name == name
    bench.begin()
    bench.scheduler.submit(found.job.at_start(Status.QUEUED))


def test_lost_machines_are_counted_across_restarts(alone: Bench) -> None:
    """Or a file that takes machines down would do so for ever where the daemon is restarted."""
    alone.submit("killer.mp3")
    for _ in range(LOST_NODES - 1):
        lose_node_under(alone, "killer.mp3")
        restart(alone, "killer.mp3")
        job = alone.scheduler.get("killer.mp3")
        assert job is not None
        assert "failed" not in [a.status for a in job.attempts]
    lose_node_under(alone, "killer.mp3")
    job = alone.scheduler.get("killer.mp3")
    assert job is not None
    assert [a.status for a in job.attempts] == ["failed"]


def test_a_file_that_was_replaced_took_no_machine_down(alone: Bench) -> None:
    alone.submit("a.mp3")
    lose_node_under(alone, "a.mp3")
    lost = alone.scheduler.get("a.mp3")
    assert lost is not None
    assert lost.nodes_lost == 1
    (alone.store.folder.path / "a.mp3").write_bytes(b"\0another sound")
    alone.runners.tick()
    anew = alone.scheduler.get("a.mp3")
    assert anew is not None
    assert (anew.status, anew.nodes_lost) == (Status.ARRIVING, 0)


def test_a_worker_whose_machine_was_lost_gets_nothing_more(bench: Bench) -> None:
    look(bench)
    (_, first), (_, second) = bench.runners._runners
    bench.far(0).between = lambda made: bench.pool.lose(0)
    bench.submit("a.mp3", "b.mp3")
    first.tick()
    assert not first.is_ready
    first.tick()
    assert bench.far(0).numbers("b.mp3") == []
    second.tick()
    second.tick()
    assert set(bench.ended) == {"a.mp3", "b.mp3"}


def test_a_worker_that_the_pool_keeps_gets_more_after_a_job_that_ended_in_a_loss(
    bench: Bench,
) -> None:
    look(bench)
    (_, first), _ = bench.runners._runners
    far = bench.far(0)
    far.between = lambda made: setattr(far, "lost", True)
    bench.submit("a.mp3")
    first.tick()
    assert not first.is_ready
    far.lost, far.between = False, lambda made: None
    look(bench)
    assert (first.is_ready, first.is_able) == (True, True)
    first.tick()
    assert "a.mp3" in bench.ended


def test_one_that_does_not_answer_gets_nothing_until_it_does(bench: Bench) -> None:
    look(bench)
    (_, first), (_, second) = bench.runners._runners
    bench.far(0).is_silent = True
    assert (first.is_able, second.is_able) == (False, True)
    bench.submit("a.mp3")
    first.tick()
    assert bench.far(0).orders == []
    bench.far(0).is_silent = False
    first.tick()
    assert "a.mp3" in bench.ended


def test_without_workers_everything_waits_and_says_why(bench: Bench) -> None:
    bench.pool.gone = {"node0", "node1"}
    bench.pool.problem = ClusterAwayError("cluster_away", "The cluster cannot be reached.")
    bench.submit("a.mp3")
    bench.runners.tick()
    assert bench.runners.outage.reason == "The cluster cannot be reached."
    assert bench.runners.outage.kind == "worker"
    assert bench.scheduler.get("a.mp3") is not None
    bench.pool.gone.clear()
    bench.pool.problem = None
    bench.runners.tick()
    assert bench.runners.outage.reason is None
    assert "a.mp3" in bench.ended


def test_a_cluster_that_is_away_counts_nothing(bench: Bench) -> None:
    bench.far(0).plans = [Plan(error=ClusterAwayError("cluster_away", "It is away."))]
    look(bench)
    bench.submit("a.mp3")
    (_, first), (_, second) = bench.runners._runners
    first.tick()
    job = bench.scheduler.get("a.mp3")
    assert job is not None
    assert job.status is Status.WAITING
    assert [attempt.status for attempt in job.attempts] == ["interrupted"]
    bench.clock.advance(11)
    second.tick()
    assert bench.ended["a.mp3"].status is Status.COMPLETED


def test_what_one_machine_lacks_does_not_hold_up_the_others(bench: Bench) -> None:
    missing = ModelError("model_missing", "The model is not there.")
    bench.far(0).plans = [Plan(error=missing, error_after=0)]
    look(bench)
    (_, first), (_, second) = bench.runners._runners
    bench.submit("a.mp3", "b.mp3")
    first.tick()
    assert bench.runners.outage.reason is None
    assert bench.runners.troubled == ["node0: The model is not there."]
    assert [bool(seat.problem) for seat in bench.runners.seats()] == [True, False]
    second.tick()
    assert "b.mp3" in bench.ended
    bench.clock.advance(11)
    look(bench)
    bench.runners.tick()
    assert "a.mp3" in bench.ended
    assert bench.runners.troubled == []


# --- a chunk counts once, and only in its own hand-out --------------------------------------------


def sent_by(bench: Bench, number: int) -> list[tuple[HandOut, Chunk]]:
    return [(handout, chunk) for _, handout, chunk in bench.far(number).sent]


def test_a_chunk_that_comes_twice_counts_once(bench: Bench) -> None:
    counted: list[bool] = []

    def again(made: int) -> None:
        if made > 1:
            callbacks, handout, chunk = bench.far(0).sent[-1]
            counted.append(callbacks.deliver(handout, chunk))

    bench.far(0).between = again
    bench.submit("a.mp3")
    bench.runners.tick()
    assert counted == [False, False]
    assert bench.text("a.mp3") == "0 of a.mp3. 1 of a.mp3. 2 of a.mp3."


def test_what_comes_after_its_run_does_not_count(bench: Bench) -> None:
    bench.submit("a.mp3")
    bench.runners.tick()
    callbacks, handout, chunk = bench.far(0).sent[-1]
    late = chunk.model_copy(update={"number": 4, "start_s": 30.0, "position_s": 40.0})
    assert not callbacks.deliver(handout, late)


def test_a_chunk_of_an_earlier_hand_out_does_not_count_in_the_next(bench: Bench) -> None:
    """Not of another order, nor of the same order in an earlier life of the daemon."""
    seen: list[bool] = []

    def stale(made: int) -> None:
        if made == 2:
            callbacks, handout, chunk = bench.far(0).sent[-1]
            following = chunk.model_copy(update={"number": 2, "start_s": 10.0, "position_s": 20.0})
            for other in (
                HandOut(handout.job_id, handout.epoch, handout.order - 1),
                HandOut(handout.job_id, "an earlier life", handout.order),
                HandOut("another job", handout.epoch, handout.order),
            ):
                seen.append(callbacks.deliver(other, following))

    bench.far(0).between = stale
    bench.submit("a.mp3")
    bench.runners.tick()
    assert seen == [False] * 3
    assert bench.text("a.mp3") == "0 of a.mp3. 1 of a.mp3. 2 of a.mp3."


@pytest.mark.parametrize(
    "change",
    [
        {"number": 3, "start_s": 20.0, "position_s": 30.0},  # one is missing
        {"number": 2, "start_s": 5.0, "position_s": 20.0},  # it begins before the last one ends
        {"number": 2, "start_s": 10.0, "position_s": 10.0},  # it covers nothing
    ],
)
def test_a_gap_or_an_overlap_interrupts_the_attempt(bench: Bench, change: dict[str, Any]) -> None:
    def gap(made: int) -> None:
        if made == 2:
            bench.far(0).between = lambda made: None
            callbacks, handout, chunk = bench.far(0).sent[-1]
            with pytest.raises(NodeLostError):
                callbacks.deliver(handout, chunk.model_copy(update=change))
            callbacks.deliver(handout, chunk.model_copy(update=change))

    bench.far(0).between = gap
    bench.submit("a.mp3")
    bench.runners.tick()  # the first is interrupted, the second goes on
    assert "a.mp3" in bench.ended
    assert [a.status for a in bench.ended["a.mp3"].attempts] == ["completed"]
    assert bench.text("a.mp3") == "0 of a.mp3. 1 of a.mp3. 2 of a.mp3."
    assert bench.far(1).numbers("a.mp3") == [1, 2]


def test_the_end_of_another_hand_out_is_not_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FarExecutor.run
    mixed_up = iter([True])

    def run(self: FarExecutor, *arguments: Any) -> Any:
        outcome = real(self, *arguments)
        if next(mixed_up, False):
            outcome.handout = HandOut("x", "y", 1)
        return outcome

    monkeypatch.setattr(FarExecutor, "run", run)
    bench.submit("a.mp3")
    bench.runners.tick()
    assert [a.status for a in bench.ended["a.mp3"].attempts] == ["completed"]
    assert len(bench.far(1).orders) == 1, "the other worker confirmed the end"


def test_what_a_deleted_file_left_is_removed_once_the_disk_allows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bench.store.folder.path / "a.mp3"

    def refuse(*_: object) -> None:
        raise StorageError("permission_denied", "It may not be written.")

    with monkeypatch.context() as denied:

        def delete(made: int) -> None:
            if made == 2:
                path.unlink()
                denied.setattr(bench.store.states, "drop", refuse)
                refuse()

        bench.far(0).between = delete
        bench.submit("a.mp3")
        bench.runners.tick()
    assert bench.scheduler.get("a.mp3") is None
    assert list(bench.store.folder.path.glob(".a.mp3*"))
    bench.writer.catch_up()
    assert list(bench.store.folder.path.glob("*a.mp3*")) == []
