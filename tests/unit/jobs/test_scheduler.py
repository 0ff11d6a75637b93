"""The queue: nothing lost, nothing run twice, order kept, whatever happens in whatever order."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from modules.jobs.job import Cause, Job, Priority, Progress, Status
from modules.jobs.scheduler import Scheduler, StopReason
from tests.builders import NOON, a_job, until
from tests.fakes import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def scheduler(clock: FakeClock) -> Scheduler:
    return Scheduler(clock)


def taken(scheduler: Scheduler) -> str | None:
    job = scheduler.take(0)
    return job.name if job else None


def run_all(scheduler: Scheduler) -> list[str]:
    order = []
    while name := _next_and_taken(scheduler):
        order.append(name)
        scheduler.release(name, Status.COMPLETED, "done")
    return order


def _next_and_taken(scheduler: Scheduler) -> str | None:
    told = scheduler.next_up()
    name = taken(scheduler)
    assert name == (told.name if told else None)
    return name


def test_nothing_is_next_while_the_queue_is_paused(scheduler: Scheduler) -> None:
    scheduler.submit(a_job("a"))
    scheduler.pause()
    assert scheduler.next_up() is None


def test_orders_go_first_and_each_kind_in_its_order(scheduler: Scheduler) -> None:
    for name in ("s1", "s2"):
        scheduler.submit(a_job(name))
    for name in ("a1", "a2"):
        scheduler.submit(a_job(name, priority=Priority.API))
    scheduler.submit(a_job("s3"))
    assert run_all(scheduler) == ["a1", "a2", "s1", "s2", "s3"]


def test_one_job_per_file(scheduler: Scheduler) -> None:
    first = scheduler.submit(a_job("a", priority=Priority.API, clients=("x",)))
    joined = scheduler.submit(a_job("a", priority=Priority.API, clients=("x", "y"), job_id="other"))
    assert (joined.job_id, joined.clients) == (first.job_id, ("x", "y"))
    assert run_all(scheduler) == ["a"]


def test_an_order_promotes_a_scanned_file_to_the_end_of_the_orders(scheduler: Scheduler) -> None:
    for name in ("s1", "s2"):
        scheduler.submit(a_job(name))
    scheduler.submit(a_job("a1", priority=Priority.API))
    promoted = scheduler.submit(a_job("s2", priority=Priority.API, clients=("x",)))
    assert (promoted.priority, promoted.clients) == (Priority.API, ("x",))
    assert run_all(scheduler) == ["a1", "s2", "s1"]


def test_an_order_wakes_a_file_that_waits_for_a_hand_and_no_other(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    for name, not_before in (("mended", math.inf), ("backing off", 60.0)):
        scheduler.submit(a_job(name))
        assert taken(scheduler) == name
        scheduler.release(name, Status.WAITING, "wrong settings", not_before=not_before)
    for name in ("mended", "backing off"):
        scheduler.submit(a_job(name, priority=Priority.API))
    assert run_all(scheduler) == ["mended"]
    clock.advance(61)
    assert run_all(scheduler) == ["backing off"]


def test_who_is_woken_has_its_old_place(scheduler: Scheduler) -> None:
    for name in ("first.mp3", "second.mp3"):
        scheduler.submit(a_job(name))
    assert taken(scheduler) == "first.mp3"
    scheduler.release("first.mp3", Status.WAITING, "its settings", not_before=math.inf)
    scheduler.submit(a_job("third.mp3"))
    scheduler.wake("first.mp3", "mended")
    scheduler.wake("third.mp3", "it does not wait")
    assert run_all(scheduler) == ["first.mp3", "second.mp3", "third.mp3"]


def test_a_scan_does_not_demote_an_order(scheduler: Scheduler) -> None:
    scheduler.submit(a_job("a", priority=Priority.API))
    assert scheduler.submit(a_job("a")).priority is Priority.API


def test_only_one_runs_at_a_time(scheduler: Scheduler) -> None:
    scheduler.submit(a_job("a"))
    scheduler.submit(a_job("b"))
    assert taken(scheduler) == "a"
    assert taken(scheduler) is None


def test_an_order_preempts_a_scanned_file_which_keeps_its_place(scheduler: Scheduler) -> None:
    for name in ("s1", "s2"):
        scheduler.submit(a_job(name))
    assert taken(scheduler) == "s1"
    assert scheduler.stop_reason() is None
    scheduler.update("s1", lambda j: j.open_attempt(NOON))
    scheduler.submit(a_job("a", priority=Priority.API))
    assert scheduler.stop_reason() is StopReason.PREEMPTED
    closed = scheduler.update("s1", lambda j: j.close_attempt("interrupted", NOON))
    assert closed is not None
    back = scheduler.release("s1", Status.QUEUED, "preempted")
    assert back is not None
    assert back.attempt_number == 1
    assert run_all(scheduler) == ["a", "s1", "s2"]


def test_an_order_preempts_no_other_order(scheduler: Scheduler) -> None:
    scheduler.submit(a_job("a1", priority=Priority.API))
    assert taken(scheduler) == "a1"
    scheduler.submit(a_job("a2", priority=Priority.API))
    assert scheduler.stop_reason() is None


def test_an_order_that_cannot_run_yet_preempts_nothing(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    scheduler.submit(a_job("a", priority=Priority.API))
    assert taken(scheduler) == "a"
    scheduler.release("a", Status.WAITING, "failed", not_before=clock.monotonic() + 30)
    scheduler.submit(a_job("s"))
    assert taken(scheduler) == "s"
    scheduler.submit(a_job("b", priority=Priority.API, status=Status.ARRIVING))
    assert scheduler.stop_reason() is None
    clock.advance(30)
    assert scheduler.stop_reason() is StopReason.PREEMPTED


def test_a_failed_file_waits_and_lets_others_go_first(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    scheduler.submit(a_job("s1"))
    scheduler.submit(a_job("s2"))
    assert taken(scheduler) == "s1"
    scheduler.release("s1", Status.WAITING, "failed", not_before=30.0)
    assert taken(scheduler) == "s2"
    scheduler.release("s2", Status.QUEUED, "interrupted")
    clock.advance(30)
    assert run_all(scheduler) == ["s1", "s2"], "it kept its place"


def test_a_file_on_its_way_waits_until_it_is_whole(scheduler: Scheduler) -> None:
    scheduler.submit(a_job("a", status=Status.ARRIVING))
    assert taken(scheduler) is None
    scheduler.arrived("a")
    scheduler.arrived("a")
    scheduler.arrived("unknown")
    assert run_all(scheduler) == ["a"]


def test_pause_starts_nothing_and_stops_what_runs(scheduler: Scheduler) -> None:
    scheduler.submit(a_job("a"))
    assert taken(scheduler) == "a"
    scheduler.pause()
    assert scheduler.stop_reason() is StopReason.PAUSED
    scheduler.release("a", Status.QUEUED, "paused")
    assert scheduler.paused
    assert taken(scheduler) is None
    scheduler.resume()
    assert taken(scheduler) == "a"
    assert scheduler.stop_reason() is None


def test_cancel_takes_a_waiting_job_out(scheduler: Scheduler) -> None:
    scheduler.submit(a_job("a"))
    assert scheduler.cancel("a", Cause.DELETED) is False
    assert scheduler.cancel("a", Cause.DELETED) is False
    assert scheduler.get("a") is None
    assert run_all(scheduler) == []


def test_a_cancelled_run_changes_nothing_any_more(scheduler: Scheduler) -> None:
    scheduler.submit(a_job("a"))
    scheduler.submit(a_job("b"))
    assert taken(scheduler) == "a"
    assert scheduler.cancel("a", Cause.DELETED) is True
    assert scheduler.stop_reason() is StopReason.CANCELLED
    assert scheduler.update("a", lambda j: j.evolve(position_s=1.0)) is None
    assert scheduler.running is None
    assert taken(scheduler) is None, "the worker is not free yet"
    assert scheduler.release("a", Status.COMPLETED, "done") is None
    assert run_all(scheduler) == ["b"]


def test_the_successor_of_a_cancelled_run_is_not_touched_by_it(scheduler: Scheduler) -> None:
    scheduler.submit(a_job("a", job_id="old"))
    assert taken(scheduler) == "a"
    scheduler.cancel("a", Cause.REPLACED)
    scheduler.submit(a_job("a", job_id="new"))
    assert scheduler.running is None
    assert scheduler.cancel("unknown", Cause.GONE) is False
    assert scheduler.update("a", lambda j: j.evolve(position_s=1.0)) is None
    assert scheduler.release("a", Status.FAILED, "broke") is None
    job = scheduler.take(0)
    assert job is not None
    assert (job.job_id, job.position_s) == ("new", 0.0)


def test_an_illegal_release_leaves_the_job_running(scheduler: Scheduler) -> None:
    scheduler.submit(a_job("a"))
    assert taken(scheduler) == "a"
    scheduler.release("a", Status.ARRIVING, "replaced")
    with pytest.raises(ValueError, match="not the running job"):
        scheduler.release("a", Status.WAITING, "again")
    scheduler.arrived("a")
    assert taken(scheduler) == "a"
    with pytest.raises(ValueError, match="only transitions"):
        scheduler.update("a", lambda j: j.to(Status.COMPLETED))
    assert scheduler.running is not None


def test_shutdown_ends_the_waiting(scheduler: Scheduler) -> None:
    scheduler.submit(a_job("a"))
    scheduler.shut_down()
    assert scheduler.stop_reason() is StopReason.SHUTDOWN
    assert scheduler.take(60) is None


def test_transitions_are_told_once_each_and_without_the_lock(clock: FakeClock) -> None:
    told: list[tuple[str, Status]] = []

    def on_change(job: Job) -> None:
        told.append((job.name, job.status))
        other = threading.Thread(target=scheduler.jobs)  # would wait for ever under the lock
        other.start()
        other.join(30)
        assert not other.is_alive(), "the lock was held while others were told"

    scheduler = Scheduler(clock, on_change)
    scheduler.submit(a_job("a"))
    scheduler.take(0)
    scheduler.release("a", Status.COMPLETED, "done")
    assert told == [("a", Status.QUEUED), ("a", Status.RUNNING), ("a", Status.COMPLETED)]


def test_the_list_shows_the_running_one_first(scheduler: Scheduler) -> None:
    for name in ("s1", "s2"):
        scheduler.submit(a_job(name))
    taken(scheduler)
    scheduler.submit(a_job("a", priority=Priority.API))
    assert [job.name for job in scheduler.jobs()] == ["s1", "a", "s2"]


def test_a_submission_wakes_the_one_who_waits() -> None:
    from modules.clock import SystemClock

    scheduler = Scheduler(SystemClock())
    got: list[Job | None] = []
    waiting = threading.Thread(target=lambda: got.append(scheduler.take(600)))
    waiting.start()
    scheduler.submit(a_job("a"))
    until(lambda: got, "take did not notice the new job")
    waiting.join(30)
    assert got[0] is not None


NAMES = st.sampled_from(["a", "b", "c", "d"])


class QueueMachine(RuleBasedStateMachine):
    """A model of the queue that is as simple as can be, driven beside the real one."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.scheduler = Scheduler(self.clock)
        #: name -> [priority, place, state, not_before, serial]; the order is by the first two.
        self.model: dict[str, dict[str, Any]] = {}
        self.places = 0
        self.serial = 0
        self.running: tuple[str, int] | None = None
        self.cancelled = False
        self.paused = False

    def _place(self) -> int:
        self.places += 1
        return self.places

    @rule(name=NAMES, priority=st.sampled_from(Priority), whole=st.booleans())
    def submit(self, name: str, priority: Priority, whole: bool) -> None:
        status = Status.QUEUED if whole else Status.ARRIVING
        self.serial += 1
        kept = self.scheduler.submit(
            a_job(name, priority=priority, status=status, job_id=f"j{self.serial}")
        )
        known = self.model.get(name)
        if known is None:
            self.model[name] = {
                "priority": priority, "place": self._place(), "state": status,
                "not_before": 0.0, "id": f"j{self.serial}",
            }  # fmt: skip
        elif priority < known["priority"]:
            known["priority"], known["place"] = priority, self._place()
            known["id"] = f"j{self.serial}"
        assert kept.job_id == self.model[name]["id"]

    @rule(name=NAMES)
    def arrived(self, name: str) -> None:
        self.scheduler.arrived(name)
        if name in self.model and self.model[name]["state"] is Status.ARRIVING:
            self.model[name]["state"] = Status.QUEUED

    @rule(name=NAMES)
    def cancel(self, name: str) -> None:
        gone = self.model.pop(name, None)
        was_running = bool(gone) and gone["state"] is Status.RUNNING
        assert self.scheduler.cancel(name, Cause.DELETED) is was_running
        self.cancelled = self.cancelled or was_running

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.paused = paused
        (self.scheduler.pause if paused else self.scheduler.resume)()

    @rule(seconds=st.sampled_from([1, 5, 20]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    def _next(self) -> str | None:
        if self.paused or self.running:
            return None
        now = self.clock.monotonic()
        ready = [
            (facts["priority"], facts["place"], name)
            for name, facts in self.model.items()
            if facts["state"] is Status.QUEUED
            or (facts["state"] is Status.WAITING and facts["not_before"] <= now)
        ]
        return min(ready)[2] if ready else None

    @rule()
    def take(self) -> None:
        expected = self._next()
        job = self.scheduler.take(0)
        assert (job.name if job else None) == expected
        if job:
            assert job.status is Status.RUNNING
            assert job.job_id == self.model[job.name]["id"]
            self.model[job.name]["state"] = Status.RUNNING
            self.running, self.cancelled = (job.name, 0), False

    @precondition(lambda self: self.running)
    @rule(
        status=st.sampled_from(
            [Status.QUEUED, Status.WAITING, Status.ARRIVING, Status.COMPLETED, Status.FAILED]
        ),
        wait=st.sampled_from([0, 3, 10]),
    )
    def release(self, status: Status, wait: int) -> None:
        assert self.running is not None
        name = self.running[0]
        not_before = self.clock.monotonic() + wait
        changes = {"not_before": not_before} if status is Status.WAITING else {}
        released = self.scheduler.release(name, status, "test", **changes)
        assert (released is None) is self.cancelled
        if not self.cancelled:
            self.model[name].update({"state": status, **changes})
            if status in (Status.COMPLETED, Status.FAILED):
                del self.model[name]
        self.running, self.cancelled = None, False

    @invariant()
    def nothing_is_lost_and_nothing_invented(self) -> None:
        jobs = {job.name: job for job in self.scheduler.jobs()}
        assert {n: (j.priority, j.status, j.job_id) for n, j in jobs.items()} == {
            n: (f["priority"], f["state"], f["id"]) for n, f in self.model.items()
        }

    @invariant()
    def the_reason_to_stop_is_right(self) -> None:
        now = self.clock.monotonic()
        urgent = any(
            f["priority"] is Priority.API
            and f["state"] in (Status.QUEUED, Status.WAITING)
            and f["not_before"] <= now
            for f in self.model.values()
        )
        runs = self.model.get(self.running[0]) if self.running and not self.cancelled else None
        expected = None
        if self.cancelled:
            expected = StopReason.CANCELLED
        elif self.paused:
            expected = StopReason.PAUSED
        elif runs and runs["priority"] is Priority.SCAN and urgent:
            expected = StopReason.PREEMPTED
        assert self.scheduler.stop_reason() is expected


QueueMachine.TestCase.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None, derandomize=True
)
TestQueue = QueueMachine.TestCase


def _at(percentage: int) -> Progress:
    return Progress(stage="processing_audio", percentage=percentage)


def test_progress_is_told_once_for_each_step(clock: FakeClock) -> None:
    told: list[int] = []
    scheduler = Scheduler(clock, on_progress=lambda job: told.append(job.progress.percentage))
    scheduler.submit(a_job("a"))
    taken(scheduler)
    for percentage in (0, 10, 10, 20):  # the first changes the stage
        scheduler.update("a", lambda j, p=percentage: j.advance(_at(p)))  # type: ignore[misc]
    assert told == [0, 10, 20]


def test_a_job_is_found_by_its_id_and_by_its_place(scheduler: Scheduler) -> None:
    for name in ("s1", "s2"):
        scheduler.submit(a_job(name))
    taken(scheduler)
    order = scheduler.submit(a_job("a1", priority=Priority.API, job_id="mine"))
    assert scheduler.by_id("mine") == order
    assert scheduler.by_id("other") is None
    assert [scheduler.ahead_of(name) for name in ("s1", "a1", "s2", "x")] == [0, 1, 2, None]


def test_a_promoted_file_takes_the_id_and_the_callbacks_of_the_order(scheduler: Scheduler) -> None:
    scheduler.submit(a_job("a"))
    kept = scheduler.submit(
        a_job("a", priority=Priority.API, job_id="mine", callback_urls=("http://x/1",))
    )
    assert (kept.job_id, kept.callback_urls) == ("mine", ("http://x/1",))
    again = a_job("a", priority=Priority.API, job_id="y", callback_urls=("http://x/2",))
    assert scheduler.submit(again).callback_urls == ("http://x/1", "http://x/2")
    assert scheduler.by_id("y") is None


def test_a_cancelled_job_says_why(clock: FakeClock) -> None:
    told: list[Job] = []
    scheduler = Scheduler(clock, told.append)
    scheduler.submit(a_job("a"))
    scheduler.cancel("a", Cause.SUPERSEDED)
    assert (told[-1].status, told[-1].cause) == (Status.CANCELLED, Cause.SUPERSEDED)
