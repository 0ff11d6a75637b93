"""What a client does not read, what a child may say, how fast sessions may go."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from modules.config.schema import Config
from modules.errors import WorkerError
from modules.executors.live_protocol import Commit, Final, LiveEvent, OpenSession, Sound, Speech
from modules.live.events import Committed, Lag, Outbox, PartialWords, Utterance
from modules.live.link import LiveLink
from modules.live.load import Load
from modules.live.utterances import Utterances
from modules.transcript.model import Word
from tests.builders import until


def word(number: int) -> Word:
    return Word(word=f" w{number}", start=number, end=number + 0.5)


# --- the outbox -------------------------------------------------------------------------------


def test_of_partials_only_the_newest_is_kept_and_a_commit_replaces_it() -> None:
    outbox = Outbox()
    outbox.put(PartialWords((word(1),)))
    outbox.put(PartialWords((word(2),)))
    assert outbox.take() == [PartialWords((word(2),))]
    outbox.put(PartialWords((word(2),)))
    outbox.put(Committed(1, (word(2),)))
    outbox.put(Lag(1.0, 1.0))
    outbox.put(Lag(2.0, 1.0))
    assert outbox.take() == [Committed(1, (word(2),)), Lag(2.0, 1.0)]
    assert outbox.take() == []


def test_what_is_not_read_is_bounded_and_kept_in_order() -> None:
    outbox = Outbox()
    for seq in range(5000):
        outbox.put(Committed(seq, (word(seq),)))
    assert outbox.overflowed
    kept = outbox.take()
    assert [event.seq for event in kept if isinstance(event, Committed)] == list(range(len(kept)))
    assert 500 < len(kept) < 1000


# --- what was said -----------------------------------------------------------------------------


def commit(*numbers: int) -> Commit:
    return Commit(session=1, words=tuple(map(word, numbers)), language="ru")


def final(*numbers: int) -> Final:
    words = tuple(map(word, numbers))
    return Final(session=1, start_s=numbers[0], end_s=numbers[-1] + 0.5, text="t", words=words)


def test_a_final_commits_only_what_was_not_committed() -> None:
    said = Utterances()
    assert list(said.commit(commit(0, 1), 10)) == [Committed(1, (word(0), word(1)))]
    changed = final(0, 1, 2).model_copy(update={"words": (word(7), word(8), word(2))})
    assert list(said.final(changed, 10)) == [
        Committed(2, (word(2),)),
        Utterance(3, 0, 2.5, "t", language="ru"),
    ]
    assert list(said.final(final(3), 10)) == [
        Committed(4, (word(3),)),
        Utterance(5, 3, 3.5, "t", language="ru"),
    ]
    assert said.settled_s == 3.5


def test_after_a_child_was_replaced_its_finals_have_only_its_own_words() -> None:
    said = Utterances()
    list(said.commit(commit(0, 1), 10))
    said.reopen()
    assert next(said.final(final(2), 10)) == Committed(2, (word(2),))


@pytest.mark.parametrize(
    "event",
    [commit(100), commit(-10), commit(*[1] * 500),
     Commit(session=1, words=(Word(word="x" * 201, start=0, end=1),)),
     final(1).model_copy(update={"text": "x" * 20_001}),
     final(1).model_copy(update={"end_s": 1e9})],
)  # fmt: skip
def test_what_cannot_be_true_is_refused(event: Commit | Final) -> None:
    said = Utterances()
    with pytest.raises(WorkerError) as caught:
        list(said.commit(event, 10) if isinstance(event, Commit) else said.final(event, 10))
    assert caught.value.code == "implausible_output"


# --- the link ----------------------------------------------------------------------------------


class Child:
    """The other end of a link, which does nothing by itself."""

    def __init__(self) -> None:
        ours, self.socket = socket.socketpair()
        self.events: list[LiveEvent] = []
        self.ended = False
        self.link = LiveLink(ours, lambda _, event: self.events.append(event), self._end)

    def _end(self, link: LiveLink) -> None:
        self.ended = True

    def say(self, *lines: bytes) -> None:
        with contextlib.suppress(OSError):  # it was ended
            self.socket.sendall(b"".join(line + b"\n" for line in lines))


@pytest.fixture
def child() -> Iterator[Child]:
    made = Child()
    yield made
    made.link.end()
    made.link.join(10)
    made.socket.close()


SPEECH = Speech(session=1, speaking=True, at_s=0.0).model_dump_json().encode()


def test_a_little_nonsense_is_thrown_away(child: Child) -> None:
    child.say(b"nonsense", b'{"kind": "riddle"}', b"\xff\xfe", SPEECH)
    until(lambda: child.events, "the event came")
    assert child.link.is_open


@pytest.mark.parametrize("lines", [[b"nonsense"] * 100, [SPEECH] * 10_000, [b"x" * 2**20]])
def test_too_much_ends_the_link(child: Child, lines: list[bytes]) -> None:
    child.say(*lines)
    until(lambda: child.ended, "it was ended")
    assert child.link.complaint
    assert len(child.events) < 5000


def test_a_child_that_does_not_read_holds_nobody_up_and_leaks_nothing(child: Child) -> None:
    settings = Config().default_settings()
    before = len(os.listdir("/proc/self/fd"))
    for number in range(1, 3000):
        descriptor = os.open("/dev/null", os.O_RDONLY)
        child.link.send(OpenSession(session=number, rate=16_000, settings=settings), descriptor)
        child.link.send(Sound(session=number, samples=1))
    until(lambda: child.ended, "it was ended")
    assert child.link.complaint == "it does not read its commands"
    assert len(os.listdir("/proc/self/fd")) <= before + 1


# --- the pace ----------------------------------------------------------------------------------


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run(
    load: Load, time: Time, busy: float, seconds: int, lag_s: float = 0.0
) -> list[float | None]:
    """The steps, second by second, of sessions that take ``busy`` at a step of 1 s."""
    steps: list[float | None] = []
    for _ in range(seconds):
        time.now += 1
        load.note(busy / (load.step_s or 10.0))
        load.adapt(lag_s)
        steps.append(load.step_s)
    return steps


def test_the_pace_gets_slower_until_it_fits_and_stays_there() -> None:
    time = Time()
    load = Load(time)
    steps = run(load, time, busy=1.5, seconds=120)
    assert steps[0] == 1.0
    assert set(steps[-60:]) == {2.0}
    assert set(run(load, time, busy=0.2, seconds=60)[-30:]) == {1.0}


def test_lag_alone_makes_it_slower_down_to_finals_only() -> None:
    time = Time()
    load = Load(time)
    assert run(load, time, busy=0.1, seconds=60, lag_s=20.0)[-1] is None


def test_one_more_is_admitted_while_it_fits_at_the_slowest_step() -> None:
    time = Time()
    load = Load(time)
    assert load.has_room(0)
    run(load, time, busy=0.8, seconds=20)
    assert load.has_room(1)  # 1.6 in all, a third of it at 3 s
    run(load, time, busy=2.4, seconds=60)
    assert load.step_s == 3.0
    assert not load.has_room(6)
    assert load.has_room(0)  # all of them have ended
