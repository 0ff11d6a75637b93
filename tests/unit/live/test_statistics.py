"""Delays, changed words and quantiles, counted by a clock that a test moves."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.live.events import Committed, PartialWords, Utterance
from modules.live.load import Load
from modules.live.statistics import Distribution, LiveFigures, LiveStatistics
from modules.live.tally import Tally
from modules.transcript.model import Word
from tests.fakes import FakeClock


def word(text: str, start: float, end: float) -> Word:
    return Word(word=f" {text}", start=start, end=end)


class Session:
    """A tally that is fed a second of sound in each second."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.statistics = LiveStatistics()
        self.tally = Tally(self.statistics, Load(self.clock.monotonic), self.clock.monotonic)
        self._received_s = 0.0

    def speak(self, seconds: int) -> None:
        for _ in range(10 * seconds):
            self.clock.advance(0.1)
            self._received_s += 0.1
            self.tally.received(self._received_s)

    @property
    def figures(self) -> LiveFigures:
        return self.statistics.figures()


def test_a_delay_counts_from_the_sound_of_the_word() -> None:
    session = Session()
    session.speak(3)
    session.tally.told(PartialWords((word("мама", 0.5, 1.0), word("мыла", 1.0, 2.0))))
    session.clock.advance(1.0)
    session.tally.told(Committed(1, (word("мама", 0.5, 1.0),)))
    session.tally.told(Utterance(2, 0.5, 2.5, "мама мыла"))
    figures = session.figures
    assert figures.delays["partial"].total == pytest.approx(2.0 + 1.0, abs=0.25)
    assert figures.delays["commit"].total == pytest.approx(3.0, abs=0.15)
    assert figures.delays["final"].total == pytest.approx(1.5, abs=0.15)
    assert figures.sound_s == pytest.approx(3.0, abs=0.1)
    assert dict(figures.events) == {"partial": 1, "commit": 1, "final": 1}


def test_words_that_stay_are_shown_once_and_those_that_go_have_changed() -> None:
    session = Session()
    session.speak(3)
    first = (word("мама", 0.0, 0.5), word("рыла", 0.5, 1.0), word("раму", 1.0, 1.5))
    session.tally.told(PartialWords(first))
    # A sign and a moment more or less make no other word.
    second = (word("Мама,", 0.02, 0.5), word("мыла", 0.5, 1.0), word("раму", 1.1, 1.5))
    session.tally.told(PartialWords(second))
    assert (session.figures.words_shown, session.figures.words_changed) == (4, 1)
    session.tally.told(Committed(1, (word("мама", 0.0, 0.5), word("мыло", 0.5, 1.0))))
    assert session.figures.words_changed == 2
    session.tally.told(Committed(2, (word("раму", 1.0, 1.5),)))
    session.tally.told(Utterance(3, 0.0, 1.5, "мама мыло раму"))
    assert session.figures.words_changed == 2
    assert session.figures.words_committed == 3


def test_what_is_shown_at_the_end_and_never_committed_has_changed() -> None:
    session = Session()
    session.tally.told(PartialWords((word("шум", 0.0, 0.5),)))
    session.tally.told(PartialWords(()))
    assert session.figures.words_changed == 1


def test_hours_of_sound_are_remembered_in_part() -> None:
    session = Session()
    session.speak(600)
    session.tally.told(Committed(1, (word("поздно", 599.0, 599.5), word("рано", 1.0, 1.5))))
    commits = session.figures.delays["commit"]
    assert commits.count == 2
    assert 50 < commits.total < 130  # of the second word only that it came two minutes ago
    assert len(session.tally._seconds) <= 1200


def test_a_file_that_is_sent_at_once_is_not_late() -> None:
    session = Session()
    session.speak(3)
    session.clock.advance(100)
    session.tally.told(Committed(1, (word("мама", 0.5, 1.0),)), is_ahead=True)
    session.tally.told(Utterance(2, 0.5, 1.0, "мама"), is_ahead=True)
    figures = session.figures
    assert (figures.words_committed, dict(figures.events)["final"]) == (1, 1)
    assert figures.delays["commit"].count == figures.delays["final"].count == 0


def test_only_known_answers_to_clients_are_counted() -> None:
    statistics = LiveStatistics()
    for outcome in ("admitted", "too_busy", "too_busy", "session_not_found"):
        statistics.note_admission(outcome)
    assert dict(statistics.figures().admissions) == {
        "admitted": 1, "too_many_sessions": 0, "too_busy": 2, "no_room": 0
    }  # fmt: skip


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_what_is_no_duration_is_ignored(value: float) -> None:
    statistics = LiveStatistics()
    statistics.note_pass(value)
    assert statistics.figures().passes.count == 0


@given(st.lists(st.floats(0, 30), min_size=1, max_size=50), st.sampled_from((0.05, 0.5, 0.95, 1.0)))
def test_a_quantile_lies_within_the_bounds_of_the_true_one(
    values: list[float], share: float
) -> None:
    bounds = (0.5, 1.0, 2.0, 5.0, 10.0)
    found = Distribution(bounds, (0,) * 6)
    for value in values:
        found = found.with_value(value)
    true = sorted(values)[math.ceil(share * len(values)) - 1]
    low = max((bound for bound in bounds if bound < true), default=0.0)
    high = min((bound for bound in bounds if bound >= true), default=10.0)
    quantile = found.quantile(share)
    assert quantile is not None
    assert min(low, 10.0) <= quantile <= high


def test_without_values_there_is_no_quantile() -> None:
    assert Distribution((1.0,), (0, 0)).quantile(0.5) is None
