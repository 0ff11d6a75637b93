"""Which listening copy is made next, and how long a failure is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.errors import MediaError, StorageError, TranscriberError, WorkerError
from modules.executors.listen_protocol import Wish
from modules.service.listening_queue import ASKED_S, ListeningQueue, Order
from tests.fakes import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(clock: FakeClock) -> ListeningQueue:
    return ListeningQueue(clock)


def order(key: str, sound: bool = True) -> Order:
    return Order(key, Path(key), Wish(sound=sound))


def test_sound_goes_first_and_else_who_came_first(queue: ListeningQueue) -> None:
    for wanted in (order("a", sound=False), order("b"), order("c"), order("d", sound=False)):
        assert queue.ask(wanted) == 0
    taken = []
    while found := queue.take():
        taken.append(found.key)
        queue.finish()
    assert taken == ["b", "c", "a", "d"]


def test_how_far_it_is(queue: ListeningQueue) -> None:
    queue.ask(order("a"))
    queue.take()
    queue.advance(40)
    assert queue.ask(order("a")) == 40
    assert queue.ask(order("a", sound=False)) == 40, "the peaks come with the sound"
    assert queue.take() is None


def test_peaks_come_with_the_sound(queue: ListeningQueue) -> None:
    queue.ask(order("a", sound=False))
    queue.ask(order("a"))
    assert queue.take() == order("a")
    assert queue.take() is None


def test_sound_does_not_come_with_the_peaks(queue: ListeningQueue) -> None:
    queue.ask(order("a", sound=False))
    queue.take()
    assert not queue.must_yield
    queue.ask(order("a"))
    assert queue.must_yield
    queue.put_back()
    assert queue.take() == order("a")
    assert not queue.must_yield


def test_what_nobody_asks_for_any_more_is_dropped(queue: ListeningQueue, clock: FakeClock) -> None:
    queue.ask(order("a"))
    queue.ask(order("b"))
    clock.advance(ASKED_S - 1)
    queue.ask(order("b"))
    clock.advance(2)
    assert queue.take() == order("b")
    assert queue.take() is None


@pytest.mark.parametrize(
    ("error", "held_s"),
    [
        (MediaError("not_media", "It is none."), 3600),
        (StorageError("disk_full", "Full."), 10),
        (WorkerError("listening_failed", "It died."), 300),
    ],
)
def test_a_failure_is_remembered_for_a_while(
    queue: ListeningQueue, clock: FakeClock, error: TranscriberError, held_s: float
) -> None:
    queue.ask(order("a"))
    queue.take()
    queue.finish(error)
    clock.advance(held_s - 1)
    with pytest.raises(type(error), match=error.message) as raised:
        queue.ask(order("a"))
    assert raised.value is not error
    assert queue.take() is None
    clock.advance(2)
    assert queue.ask(order("a")) == 0
    assert queue.take() == order("a")


def test_only_a_file_that_cannot_be_heard_has_no_peaks_either(queue: ListeningQueue) -> None:
    for key, error in (("a", MediaError("x", "none")), ("b", WorkerError("x", "died"))):
        queue.ask(order(key))
        queue.take()
        queue.finish(error)
    with pytest.raises(MediaError):
        queue.ask(order("a", sound=False))
    assert queue.ask(order("b", sound=False)) == 0


def test_it_does_not_grow_without_end(queue: ListeningQueue) -> None:
    for number in range(500):
        queue.ask(order(str(number)))
    taken = 0
    while queue.take():
        taken += 1
    assert taken == 200
