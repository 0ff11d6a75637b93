"""What the comparison of live texts makes of the messages of both services."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.rivals_live import OURS, Heard, SpokenWord, figures

SAID = [SpokenWord(word, end) for word, end in (("раз", 1), ("два", 2), ("три", 3), ("пять", 4))]


def word(text: str, end: float) -> dict[str, Any]:
    return {"word": f" {text}", "end": end}


def lines(text: str, behind: str = "") -> dict[str, Any]:
    return {"lines": [{"text": text}] if text else [], "buffer_transcription": behind}


OUR_MESSAGES = [
    (1.5, {"type": "partial", "words": [word("раз", 1)]}),
    (2.5, {"type": "commit", "words": [word("раз", 1)]}),
    (2.6, {"type": "partial", "words": [word("дива", 2)]}),
    (2.7, {"type": "received", "received_samples": 1}),
    (3.5, {"type": "partial", "words": [word("два", 2), word("три", 3)]}),
    (4.5, {"type": "final", "text": "Раз, два, три, шесть."}),
]
THEIR_MESSAGES = [
    (1.5, lines("", "раз")),
    (2.5, lines("Раз")),
    (2.6, lines("Раз", "дива")),
    (3.5, lines("Раз", " два три")),
    (4.5, lines("Раз, два, три, шесть.")),
    (4.6, {"type": "ready_to_stop"}),
]


def heard(messages: list[tuple[float, dict[str, Any]]]) -> Heard:
    return Heard([(at, json.dumps(message)) for at, message in messages], 0.001)


def test_each_word_counts_from_its_end_and_a_wrong_one_as_what_is_said_instead() -> None:
    found = figures(OURS, heard(OUR_MESSAGES), SAID, cpu=0.2, peak_mb=500)
    assert found.shown == found.for_good == pytest.approx([0.5, 1.5, 0.5, 0.5])
    assert found.committed == pytest.approx([1.5, 2.5, 1.5, 0.5])
    assert (found.shown_words, found.changed_words) == (5, 1)
    assert found.wrong == 25


def test_the_same_screen_gives_the_same_figures_for_both() -> None:
    ours = figures(OURS, heard(OUR_MESSAGES), SAID, cpu=0.2, peak_mb=500)
    theirs = figures("localagreement", heard(THEIR_MESSAGES), SAID, cpu=0.2, peak_mb=500)
    assert replace(theirs, service=OURS) == ours


def test_a_word_that_is_taken_back_was_shown_but_not_for_good() -> None:
    messages = [(1.5, lines("", "раз")), (2.0, lines("", "")), (3.0, lines("Раз два три пять"))]
    found = figures("localagreement", heard(messages), SAID, cpu=0.2, peak_mb=500)
    assert (found.shown[0], found.for_good[0]) == (0.5, 2.0)
    assert (found.shown_words, found.changed_words) == (5, 1)


def test_a_word_in_whose_place_nothing_is_said_never_comes() -> None:
    found = figures("localagreement", heard([(5.0, lines("Раз два три"))]), SAID, 0.2, 500)
    assert [math.isnan(delay) for delay in found.committed] == [False, False, False, True]
