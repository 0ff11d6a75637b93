"""A session to which no sound comes holds no place, however often its client comes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.live.events import Outbox, Problem
from modules.live.landing import GoOn, Landing, Stored
from modules.live.note import SessionNote
from modules.live.presence import QUIET_S
from modules.live.session import Session
from modules.live.sessions import LiveSessions
from modules.live.store import SessionStore
from tests.builders import SETTINGS, a_config
from tests.fakes import FakeClock

NOTE = SessionNote(rate=8000, name="talk", created="2026-11-28 14-03")
RESUME_S = 60.0


class Nowhere(Landing):
    """Has nothing to land."""

    def __init__(self) -> None: ...

    def finish(self, session_id: str, go_on: GoOn = lambda: None) -> Stored:
        return Stored()


class Place:
    """One session, and a client that comes and goes by a clock."""

    def __init__(self, root: Path) -> None:
        (root / "shared").mkdir()
        self.clock = FakeClock()
        self._began = self.clock.monotonic()
        store = SessionStore(root / "shared" / ".transcriber" / "live")
        config = a_config(root, live={"resume_seconds": RESUME_S})
        self.sessions = LiveSessions(config, store, Nowhere(), self.clock)
        self.outbox = Outbox()
        self.session: Session = self.sessions.begin(NOTE, SETTINGS, self.outbox)

    def wait(self, seconds: float) -> None:
        for _ in range(int(4 * seconds)):
            self.clock.advance(0.25)
            self.sessions._tick()

    @property
    def age_s(self) -> float:
        return self.clock.monotonic() - self._began

    @property
    def is_open(self) -> bool:
        return self.session.state == "open"

    def speak(self, samples: int = 800) -> None:
        self.session.sound(bytes(2 * samples), self.outbox)

    def come_back(self, after_s: float) -> None:
        self.session.leave(self.outbox)
        self.wait(after_s)
        self.outbox = Outbox()
        assert self.session.subscribe(self.outbox)

    def told(self) -> list[str]:
        return [event.code for event in self.outbox.take() if isinstance(event, Problem)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.sessions.stop()


def test_a_session_without_sound_ends_as_by_a_stop(place: Place) -> None:
    place.wait(QUIET_S - 1)
    assert place.is_open
    place.speak(0)  # says that it is there, and nothing else
    place.wait(1.5)
    assert place.session.state == "closing"
    assert place.told() == ["no_sound_came"]


def test_who_decodes_its_container_is_asked_once_to_end_it_and_is_awaited(place: Place) -> None:
    asked: list[float] = []
    place.session.draining.decoding(lambda: asked.append(place.age_s))
    place.wait(QUIET_S - 1)
    assert asked == []
    place.wait(20)
    assert (len(asked), place.is_open) == (1, True)
    assert place.told() == ["no_sound_came"]
    place.session.draining.over()  # without having ended it
    place.wait(1)
    assert place.session.state == "closing"


def test_who_stays_away_has_ended_it_though_its_container_is_being_decoded(place: Place) -> None:
    place.session.draining.decoding(lambda: None)
    place.wait(QUIET_S + 1)
    place.session.leave(place.outbox)
    place.wait(RESUME_S - 1)
    assert place.is_open
    place.wait(2)
    assert not place.is_open


def test_who_comes_back_for_ever_without_any_sound_does_not_keep_its_place(place: Place) -> None:
    while place.is_open:
        assert place.age_s < QUIET_S + 2 * RESUME_S
        place.come_back(RESUME_S - 10)
        place.wait(0.5)
    assert place.age_s > QUIET_S


def test_who_is_gone_before_anybody_looks_does_not_keep_it_either(place: Place) -> None:
    while place.is_open:
        assert place.age_s < QUIET_S + 2 * RESUME_S
        place.come_back(RESUME_S - 10)


def test_each_sound_counts_and_a_broken_connection_takes_none_of_the_five_minutes(
    place: Place,
) -> None:
    for _ in range(3):
        place.wait(QUIET_S - 1)
        place.speak()
        place.come_back(RESUME_S - 1)
        place.wait(QUIET_S - 1)
        assert place.is_open
        place.session.container_bytes += 1  # sound, too, if nobody knows which yet
        place.wait(1)
    assert place.told() == []
    place.wait(QUIET_S + 1)
    assert place.told() == ["no_sound_came"]


def test_who_stays_away_has_ended_it(place: Place) -> None:
    place.speak()
    place.session.leave(Outbox())
    place.wait(RESUME_S + 1)
    assert place.is_open, "that was not its client"
    place.session.leave(place.outbox)
    place.wait(RESUME_S)
    assert place.is_open
    place.wait(1)
    assert not place.is_open
