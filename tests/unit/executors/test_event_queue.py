"""Events wait in a bounded queue; the reader of the pipe waits when it is full."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from modules.executors.local.event_queue import ClosedError, EventQueue
from modules.executors.protocol import Alive, Event, Stopped
from tests.builders import until

SOON_S = 30.0


def started(target: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=target)
    thread.start()
    return thread


def drained(events: EventQueue) -> list[Event]:
    found = []
    while event := events.get(0):
        found.append(event)
    return found


def test_order_is_kept_and_an_empty_queue_has_nothing() -> None:
    events = EventQueue()
    sent = [Stopped(task_id=n) for n in range(10)]
    assert all(events.put(event, 10) for event in sent)
    assert drained(events) == sent
    assert events.get(0.01) is None


def test_signs_of_life_in_a_row_are_one() -> None:
    events = EventQueue()
    for _ in range(100_000):
        assert events.put(Alive(), 17)
    events.put(Stopped(task_id=1), 10)
    events.put(Alive(), 17)
    assert drained(events) == [Alive(), Stopped(task_id=1), Alive()]


@pytest.mark.parametrize(("size", "room"), [(10, 64), (2**19, 2), (2**22, 1)])
def test_who_puts_waits_while_it_is_full(size: int, room: int) -> None:
    events = EventQueue()
    put: list[int] = []

    def flood() -> None:
        for number in range(room + 3):
            events.put(Stopped(task_id=number), size)
            put.append(number)

    thread = started(flood)
    until(lambda: len(put) >= room, "it filled the queue")
    thread.join(0.2)  # time to put one too many
    assert len(put) == room
    taken = [events.get(SOON_S) for _ in range(room + 3)]
    assert taken == [Stopped(task_id=number) for number in range(room + 3)]
    thread.join(SOON_S)
    assert not thread.is_alive()


def test_after_the_last_event_comes_the_end() -> None:
    events = EventQueue()
    events.put(Alive(), 17)
    events.put_end(ClosedError())
    assert not events.put(Stopped(task_id=1), 10)
    assert events.get(0) == Alive()
    for _ in range(2):
        with pytest.raises(ClosedError):
            events.get(SOON_S)


def test_closing_frees_who_waits() -> None:
    events = EventQueue()
    answers: list[bool] = []

    def flood() -> None:
        for number in range(65):
            answers.append(events.put(Stopped(task_id=number), 10))

    thread = started(flood)
    until(lambda: len(answers) == 64, "it filled the queue")
    thread.join(0.1)  # time to begin to wait
    events.close()
    thread.join(SOON_S)
    assert answers == [True] * 64 + [False]
