"""Waiting clients and listeners: woken by the right end, never more than there are places."""

from __future__ import annotations

import threading

import pytest

from modules.clock import SystemClock
from modules.jobs.events import BACKLOG, KEPT, Event, Events
from modules.jobs.job import Cause, Job, Status
from modules.service.answers import code_of
from modules.service.waiting import Waiting
from tests.builders import a_job

SOON_S = 30.0


def never() -> bool:
    return False


@pytest.fixture
def waiting() -> Waiting:
    return Waiting(SystemClock(), places=2)


def told(waiting: Waiting, job: Job) -> None:
    waiting.on_event(Event(1, "transition", job))


def test_a_watch_sees_the_end_of_its_own_job_only(waiting: Waiting) -> None:
    mine, other = a_job("a", job_id="mine"), a_job("b", job_id="other")
    with waiting.watch("mine") as watch:
        told(waiting, mine)
        told(waiting, other.to(Status.CANCELLED, cause=Cause.DELETED))
        assert watch.until_ended(0.01, never) is None
        told(waiting, mine.to(Status.CANCELLED, cause=Cause.REPLACED))
        assert watch.until_ended(0.01, never) is None
        ended = mine.to(Status.CANCELLED, cause=Cause.SUPERSEDED)
        told(waiting, ended)
        assert watch.until_ended(10, never) == ended


def test_who_waits_is_woken_at_once_and_at_the_end_of_the_program(waiting: Waiting) -> None:
    job = a_job("a", job_id="mine")
    results: list[Job | None] = []

    watches = threading.Event()

    def wait() -> None:
        with waiting.place(), waiting.watch("mine") as watch:
            watches.set()
            results.append(watch.until_ended(600, never))

    for end in (lambda: told(waiting, job.to(Status.CANCELLED, cause=Cause.GONE)), waiting.close):
        watches.clear()
        thread = threading.Thread(target=wait)
        thread.start()
        assert watches.wait(SOON_S), "the client waits"
        end()
        thread.join(SOON_S)
        assert not thread.is_alive()
    assert [bool(result) for result in results] == [True, False]


def test_a_client_that_left_waits_no_longer(waiting: Waiting) -> None:
    with waiting.watch("mine") as watch:
        assert watch.until_ended(60, lambda: True) is None
    assert waiting.pause(0, lambda: True) is False


def test_there_are_only_so_many_places(waiting: Waiting) -> None:
    with waiting.place() as first, waiting.place() as second:
        with waiting.place() as third:
            assert (first, second, third) == (True, True, False)
        assert waiting.taken == 2
    assert waiting.taken == 0
    waiting.close()
    with waiting.place() as late:
        assert late is False


@pytest.mark.parametrize(
    ("status", "cause", "code"),
    [
        (Status.FAILED, None, "failed"),
        (Status.CANCELLED, Cause.DELETED, "deleted"),
        (Status.CANCELLED, Cause.SUPERSEDED, "superseded"),
        (Status.CANCELLED, Cause.GONE, "gone"),
    ],
)
def test_each_end_without_a_text_has_its_code(
    status: Status, cause: Cause | None, code: str
) -> None:
    job = a_job("a").at_start(Status.RUNNING).to(status, cause=cause)
    assert code_of(job) == code


# --- events ---


def test_a_listener_hears_everything_from_its_beginning_in_order() -> None:
    events = Events()
    events.publish("transition", a_job("before"))
    listener = events.subscribe()
    for name in ("a", "b"):
        events.publish("progress", a_job(name))
    assert [event.job.name for event in listener.take(0)] == ["a", "b"]
    assert listener.take(0) == []
    events.unsubscribe(listener)
    assert events.listeners == 0


def test_a_listener_that_comes_back_hears_what_it_missed() -> None:
    events = Events()
    for number in range(KEPT + 10):
        events.publish("progress", a_job(str(number)))
    assert [e.number for e in events.subscribe(after=KEPT + 8).take(0)] == [KEPT + 9, KEPT + 10]
    assert len(events.subscribe(after=0).take(0)) == KEPT


def test_a_listener_that_does_not_listen_is_sent_away_and_holds_up_nobody() -> None:
    events = Events()
    slow, hook = events.subscribe(), []
    events.hooks.append(hook.append)
    for number in range(BACKLOG + 1):
        events.publish("progress", a_job(str(number)))
    assert slow.lost
    assert len(hook) == BACKLOG + 1
