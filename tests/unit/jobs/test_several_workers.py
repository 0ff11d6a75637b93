"""Several jobs at once: who may change which, and who yields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from modules.jobs.job import Cause, Job, Priority, Status
from modules.jobs.scheduler import Scheduler, StopReason
from tests.builders import a_job
from tests.fakes import FakeClock


class Hand:
    """A runner's thread, in which one thing is done at a time."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._thread = ThreadPoolExecutor(max_workers=1)

    def do(self, what: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        return self._thread.submit(what, *arguments, **more).result(timeout=60)

    def take(self) -> str | None:
        job: Job | None = self.do(self._scheduler.take, 0)
        return job.name if job else None

    def release(self, name: str, status: Status = Status.COMPLETED) -> Job | None:
        released: Job | None = self.do(self._scheduler.release, name, status, "test")
        return released

    def chunk(self, name: str, position_s: float) -> Job | None:
        changed: Job | None = self.do(
            self._scheduler.update, name, lambda job: job.evolve(position_s=position_s)
        )
        return changed

    def close(self) -> None:
        self._thread.shutdown()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def scheduler(clock: FakeClock) -> Scheduler:
    made = Scheduler(clock)
    made.set_workers(2)
    return made


@pytest.fixture
def hands(scheduler: Scheduler) -> Iterator[list[Hand]]:
    made = [Hand(scheduler) for _ in range(3)]
    yield made
    for hand in made:
        hand.close()


def scanned(scheduler: Scheduler, *names: str) -> None:
    for name in names:
        scheduler.submit(a_job(name, priority=Priority.SCAN))


def urgent(scheduler: Scheduler, *names: str) -> None:
    for name in names:
        scheduler.submit(a_job(name, priority=Priority.API, job_id=f"id-{name}"))


def test_as_many_run_as_there_are_workers(scheduler: Scheduler, hands: list[Hand]) -> None:
    scanned(scheduler, "a", "b", "c")
    assert [hand.take() for hand in hands] == ["a", "b", None]
    assert [job.name for job in scheduler.all_running()] == ["a", "b"]
    assert [job.name for job in scheduler.jobs()] == ["a", "b", "c"]
    assert [scheduler.ahead_of(name) for name in "abc"] == [0, 0, 2]
    hands[1].release("b")
    assert hands[2].take() == "c"


def test_fewer_workers_than_jobs_that_run_take_none(
    scheduler: Scheduler, hands: list[Hand]
) -> None:
    scanned(scheduler, "a", "b", "c")
    assert [hands[0].take(), hands[1].take()] == ["a", "b"]
    scheduler.set_workers(1)
    hands[0].release("a")
    assert hands[0].take() is None
    hands[1].release("b")
    assert hands[0].take() == "c"


def test_a_run_is_its_own_threads(scheduler: Scheduler, hands: list[Hand]) -> None:
    scanned(scheduler, "a", "b")
    assert [hands[0].take(), hands[1].take()] == ["a", "b"]
    assert hands[1].chunk("a", 10.0) is None
    assert not hands[1].do(scheduler.still_runs, "a")
    assert hands[1].do(scheduler.order_of, "a") is None
    with pytest.raises(ValueError, match="of this thread"):
        hands[1].release("a")
    assert hands[0].do(scheduler.still_runs, "a")
    assert hands[0].chunk("a", 10.0)


def test_each_hand_out_has_a_higher_number(scheduler: Scheduler, hands: list[Hand]) -> None:
    scanned(scheduler, "a", "b")
    hands[0].take()
    hands[1].take()
    first = hands[0].do(scheduler.order_of, "a")
    second = hands[1].do(scheduler.order_of, "b")
    hands[0].release("a", Status.QUEUED)
    assert hands[0].do(scheduler.order_of, "a") is None
    assert hands[0].take() == "a"
    assert first < second < hands[0].do(scheduler.order_of, "a")


def test_a_file_is_with_one_worker_until_its_cancelled_run_has_ended(
    scheduler: Scheduler, hands: list[Hand]
) -> None:
    scanned(scheduler, "a", "b")
    assert hands[0].take() == "a"
    assert scheduler.cancel("a", Cause.REPLACED)
    scanned(scheduler, "a")
    assert hands[1].take() == "b", "another is done meanwhile"
    hands[1].release("b")
    assert hands[1].take() is None
    assert scheduler.stop_reason("a") is StopReason.CANCELLED
    assert hands[0].release("a") is None
    assert hands[1].take() == "a"


def test_an_urgent_job_takes_an_idle_worker(scheduler: Scheduler, hands: list[Hand]) -> None:
    scanned(scheduler, "a")
    assert hands[0].take() == "a"
    urgent(scheduler, "u")
    assert scheduler.stop_reason("a") is None
    assert hands[1].take() == "u"
    urgent(scheduler, "v")
    assert scheduler.stop_reason("u") is None
    assert scheduler.stop_reason("a") is StopReason.PREEMPTED


def test_the_one_nearest_to_the_end_of_its_chunk_yields(
    scheduler: Scheduler, hands: list[Hand], clock: FakeClock
) -> None:
    scanned(scheduler, "slow", "quick")
    assert [hands[0].take(), hands[1].take()] == ["slow", "quick"]
    for position in (10.0, 20.0):  # a chunk of the one takes 20 s, of the other 5
        clock.advance(15)
        hands[1].chunk("quick", position)
        clock.advance(5)
        hands[0].chunk("slow", position)
        hands[1].chunk("quick", position + 1)
    urgent(scheduler, "u")
    assert scheduler.stop_reason("slow") is None
    assert scheduler.stop_reason("quick") is StopReason.PREEMPTED
    # It was told; that another would be nearer by now changes nothing.
    clock.advance(19)
    hands[1].chunk("quick", 40.0)
    assert scheduler.stop_reason("slow") is None
    assert scheduler.stop_reason("quick") is StopReason.PREEMPTED
    hands[1].release("quick", Status.QUEUED)
    assert hands[1].take() == "u"
    assert scheduler.stop_reason("slow") is None


def test_as_many_yield_as_urgent_jobs_wait(scheduler: Scheduler, hands: list[Hand]) -> None:
    scheduler.set_workers(3)
    scanned(scheduler, "a", "b", "c")
    assert [hand.take() for hand in hands] == ["a", "b", "c"]
    urgent(scheduler, "u", "v")
    reasons = [scheduler.stop_reason(name) for name in "abc"]
    # Nothing is known of their chunks: the last of the queue yield.
    assert reasons == [None, StopReason.PREEMPTED, StopReason.PREEMPTED]
    scheduler.cancel("a", Cause.DELETED)
    assert scheduler.stop_reason("b") in (None, StopReason.PREEMPTED)
    stopping = sum(scheduler.stop_reason(name) is not None for name in "abc")
    assert stopping == 2, "the worker of a cancelled one is free soon"
