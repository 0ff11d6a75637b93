"""What a worker is asked between tasks: nobody waits long, and a silent one is lost in time."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from modules.executors.ray import between, frames
from modules.executors.ray.between import BetweenTasks
from modules.executors.ray.channel import Channel
from tests.fakes import FakeClock

SILENT_S = 25.0


class Asked:
    """The executor's end, and that of the link."""

    def __init__(self) -> None:
        ours, self.link = socket.socketpair()
        self.channel = Channel(ours)
        self.clock = FakeClock()
        self.answers: list[tuple[str, str]] = []
        self.losses: list[str] = []
        self.between = BetweenTasks(
            self.channel, self.clock, SILENT_S,
            lambda method, text: self.answers.append((method, text)),
            lambda error, answer: self.losses.append(error),
        )  # fmt: skip

    def answer(self, **content: object) -> None:
        """Answer the last question."""
        received = frames.receive(self.link)
        assert received is not None
        frames.send(self.link, {"number": received[0]["number"]} | content)

    def look(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.clock.advance(1.0)
            self.between.look()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    monkeypatch.setattr(between, "MOMENT_S", 0.0)
    made = Asked()
    yield made
    made.channel.close()
    made.link.close()


def test_an_answer_that_takes_longer_than_a_moment_comes_with_a_later_look(asked: Asked) -> None:
    asked.between.ask("poll", "{}")
    assert asked.between.is_waiting
    asked.look(SILENT_S - 1)
    asked.between.ask("prefetch", "{}")  # it would have to wait for the other
    asked.answer(answer="it")
    asked.between.look()
    assert asked.answers == [("poll", "it")]
    assert not asked.between.is_waiting
    assert asked.losses == []


def test_one_that_answers_within_a_moment_never_seems_to_be_silent(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other threads look meanwhile, and would take a worker for missing."""
    seen: list[bool] = []

    def answer_after_a_look(timeout_s: float) -> frames.Content | None:
        seen.append(asked.between.is_waiting)
        asked.answer(answer="it")
        return answer(timeout_s)

    answer = asked.channel.answer
    monkeypatch.setattr(asked.channel, "answer", answer_after_a_look)
    asked.between.ask("poll", "{}")
    assert asked.answers == [("poll", "it")]
    assert (seen, asked.between.is_waiting) == ([False], False)


def test_one_that_never_answers_is_lost_and_who_stood_still_himself_waits_longer(
    asked: Asked,
) -> None:
    asked.between.ask("poll", "{}")
    asked.clock.advance(3600.0)
    asked.between.look()
    assert asked.losses == []
    asked.look(SILENT_S)
    assert asked.losses == ["silent"]
    assert not asked.between.is_waiting


def test_one_that_cannot_be_reached_is_asked_once_more(asked: Asked) -> None:
    asked.between.ask("poll", "{}")
    for _ in range(2):
        assert asked.losses == []
        asked.answer(error="unavailable")
        asked.between.look()
    assert asked.losses == ["unavailable"]


def test_without_the_link_it_is_lost_at_once(asked: Asked) -> None:
    asked.link.close()
    asked.between.ask("poll", "{}")
    assert asked.losses == ["away"]
    asked.between.look()
    assert asked.losses == ["away"]


def test_an_answer_that_is_no_longer_wanted_is_nobodys(asked: Asked) -> None:
    asked.between.ask("poll", "{}")
    asked.between.forget()
    asked.answer(answer="late")
    asked.between.ask("poll", "{}")
    asked.answer(answer="it")
    asked.between.look()
    assert asked.answers == [("poll", "it")]
