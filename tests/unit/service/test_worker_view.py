"""Workers as people are shown them: this machine's, those elsewhere, those that were lost."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from modules.clock import iso
from modules.errors import ClusterAwayError, ModelError, noted
from modules.executors.base import ExecutorStatus, Worker, WorkerStatus
from modules.executors.local.pool import LocalPool
from modules.messages import translated
from modules.runner.seat import InHand, Seat
from modules.service.worker_view import Workers, WorkerView
from tests.fake_pool import FakePool, FarExecutor
from tests.fakes import FakeClock


class NearExecutor(FarExecutor):
    """Says itself what its worker does."""

    near: tuple[WorkerStatus, ...] = ()

    @property
    def status(self) -> ExecutorStatus:
        return ExecutorStatus(workers=self.near)


class Bench:
    """Three workers on other machines, of which some have something in hand."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.pool = FakePool([FarExecutor(self.clock) for _ in range(3)])
        self.hands: dict[str, InHand] = {}
        self.problems: dict[str, str] = {}
        self.workers = Workers(self.pool, self._seats, lambda: 0, self.clock)

    def _seats(self) -> list[Seat]:
        return [self._seat(worker) for worker in self.pool.workers()]

    def _seat(self, worker: Worker) -> Seat:
        return Seat(worker, self.hands.get(worker.name), self.problems.get(worker.name))

    def give(self, node: str, name: str) -> None:
        self.hands[node] = InHand(name, self.clock.utc_now(), f"id of {name}")

    def states(self) -> dict[str, str]:
        return {view.name: view.state for view in self.workers.views()}

    def of(self, name: str) -> WorkerView:
        return next(view for view in self.workers.views() if view.name == name)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_each_does_and_since_when(bench: Bench) -> None:
    bench.give("node1", "talk.mp3")
    began = bench.clock.utc_now()
    assert bench.states() == {"node0": "waiting", "node1": "transcribing", "node2": "waiting"}
    bench.clock.advance(60)
    busy = bench.of("node1")
    assert (busy.filename, busy.job_id, busy.since) == ("talk.mp3", "id of talk.mp3", began)
    assert bench.of("node0").since == began, "seen waiting since then"
    bench.hands.clear()
    assert bench.of("node1").since == bench.clock.utc_now()
    bench.problems["node2"] = "The disk is full."
    assert bench.states() == {"node0": "waiting", "node1": "waiting", "node2": "held"}
    assert bench.of("node2").problem == "The disk is full."


def test_a_lost_one_is_shown_with_its_reason_until_another_takes_its_place(bench: Bench) -> None:
    bench.give("node1", "talk.mp3")
    bench.workers.views()
    bench.clock.advance(60)
    bench.pool.lose(1)
    lost_at = bench.clock.utc_now()
    assert bench.states() == {"node0": "waiting", "node2": "waiting", "node1": "lost"}
    bench.clock.advance(60)
    lost = bench.of("node1")
    assert (lost.node, lost.since, lost.filename) == ("node1", lost_at, None)
    assert translated(lost.problem or "", "ru") == "Потеряна машина или связь с ней."
    bench.hands.clear()
    bench.pool.gone.clear()
    assert bench.states() == {"node0": "waiting", "node1": "waiting", "node2": "waiting"}


def test_each_is_shown_with_its_own_reason(bench: Bench) -> None:
    """Not with what is told of the whole cluster at that moment, which is about another place."""
    for number, why in enumerate(["It did not stop.", None]):
        executor = bench.pool.executors[number]
        assert isinstance(executor, FarExecutor)
        executor.why_lost = why
    bench.workers.views()
    bench.pool.problem = ModelError("node_weights_differ", noted("A machine has other weights."))
    bench.pool.lose(0), bench.pool.lose(1)
    bench.workers.views()
    bench.pool.problem = ClusterAwayError("cluster_away", noted("The cluster is away."))
    [third] = bench.pool.executors[2:]
    assert isinstance(third, FarExecutor)
    third.why_lost = str(bench.pool.problem)
    bench.pool.lose(2)
    found = {view.name: view.problem for view in bench.workers.views() if view.state == "lost"}
    assert found == {
        "node0": "It did not stop.",
        "node1": "Its machine, or the network to it, was lost.",
        "node2": "The cluster is away.",
    }


def test_no_more_are_lost_than_there_are_places(bench: Bench) -> None:
    """Others took them, under other names."""
    bench.workers.views()
    bench.pool.gone = {"node0", "node1"}
    assert sum(state == "lost" for state in bench.states().values()) == 2
    bench.pool.limit = 2
    assert sum(state == "lost" for state in bench.states().values()) == 1
    bench.clock.advance(timedelta(days=2).total_seconds())
    assert bench.states() == {"node2": "waiting"}, "after a day it is no news any more"


def test_the_worker_of_this_machine_says_itself_what_it_does() -> None:
    clock = FakeClock()
    executor, sessions = NearExecutor(clock), [0]
    pool = LocalPool(executor, "cpu")
    [worker] = pool.workers()
    near = WorkerStatus(
        "here", "waiting", clock.monotonic(), 7, "base", "cpu", "int8", "short", 300,
        serves_live=True,
    )  # fmt: skip
    executor.near = (near,)
    hands: list[InHand] = []
    workers = Workers(
        pool, lambda: [Seat(worker, hands[0] if hands else None)], lambda: sessions[0], clock
    )
    began = clock.utc_now()
    clock.advance(30)
    assert not workers.are_several
    [view] = workers.views()
    assert view.as_json() == {
        "name": worker.name, "node": "here", "device": "cpu", "state": "waiting",
        "since": iso(began), "model": "base", "compute_type": "int8", "encoder": "short", "pid": 7,
        "memory_mb": 300, "filename": None, "job_id": None, "live_sessions": 0, "problem": None,
    }  # fmt: skip
    sessions[0] = 2
    assert [(v.state, v.live_sessions) for v in workers.views()] == [("live", 2)]
    hands.append(InHand("talk.mp3", clock.utc_now()))
    assert [(v.state, v.filename) for v in workers.views()] == [("transcribing", "talk.mp3")]


def test_another_process_reads_what_this_one_writes(bench: Bench) -> None:
    """And says the problem in its own language; of what else may lie there it takes nothing."""
    bench.give("node1", "talk.mp3")
    bench.pool.lose(2)
    bench.workers.views()
    bench.pool.lose(0)
    views = bench.workers.views()
    written = [json.loads(json.dumps(view.to_message())) for view in views]
    read = [WorkerView.from_message(message) for message in written]
    assert read == list(views)
    assert [translated(view.problem, "ru") for view in read if view and view.problem] == [
        "Потеряна машина или связь с ней."
    ]
    for wrong in ({"state": "asleep"}, {"since": "2026-11-30T09:00:00"}, {"pid": "seven"}):
        assert WorkerView.from_message(written[0] | wrong) is None
    assert WorkerView.from_message(views[0]) is None
    assert WorkerView.from_message({}) is None
