"""The voices of a live session, by embeddings that are made up; no model, no sound."""

from __future__ import annotations

import numpy as np
import pytest

from modules.diarization.clustering import Floats
from modules.diarization.heard import MOST_VOICES, HeardVoices
from tests.unit.diarization.test_diarizer import SIZE, spoken, unit


def utterances(order: list[int], windows: int = 4) -> list[Floats]:
    """One for each speaker in ``order``; all windows of a speaker are alike by 0.6."""
    rows = spoken([speaker for speaker in order for _ in range(windows)])
    return np.split(rows, len(order))


def test_names_follow_the_order_of_appearance_and_stay() -> None:
    heard = HeardVoices()

    names = [heard.name_of(one) for one in utterances([2, 0, 2, 1, 0, 1, 2])]

    assert [name and int(name[-2:]) for name in names] == [0, 1, 0, 2, 1, 2, 0]


def test_of_two_voices_in_an_utterance_the_longer_one_is_named() -> None:
    heard = HeardVoices()
    one, other, *rest = utterances([0, 1, 0, 1], windows=5)
    heard.name_of(one)
    heard.name_of(other)

    assert heard.name_of(np.concatenate([rest[0][:2], rest[1]])) == "SPEAKER_01"


def test_a_short_utterance_is_no_new_voice_but_may_be_a_known_one() -> None:
    heard = HeardVoices()
    one, other, again = utterances([0, 1, 0])

    assert heard.name_of(one[:1]) is None
    assert heard.name_of(one) == "SPEAKER_00"
    assert heard.name_of(other[:1]) is None
    assert heard.name_of(again[:1]) == "SPEAKER_00"
    assert heard.name_of(np.zeros((0, SIZE), dtype=np.float32)) is None


@pytest.mark.parametrize(("asked", "most"), [(2, 2), (None, MOST_VOICES)])
def test_there_are_no_more_voices_than_there_may_be(asked: int | None, most: int) -> None:
    heard = HeardVoices(asked)

    names = {heard.name_of(one) for one in utterances(list(range(MOST_VOICES + 5)))}

    assert names == {f"SPEAKER_{number:02d}" for number in range(most)}


def test_a_voice_that_was_taken_for_two_is_the_earlier_one_from_then_on() -> None:
    heard = HeardVoices()
    rows = unit(np.eye(3, SIZE, dtype=np.float32))
    one, other = rows[[0, 0]], rows[[1, 1]]
    nearer = [unit(part * rows[[0] * 20] + rows[[1] * 20]) for part in (0.75, *[1.33] * 5)]
    assert [heard.name_of(each) for each in (one, other)] == ["SPEAKER_00", "SPEAKER_01"]

    names = [heard.name_of(each) for each in nearer]

    assert names[:2] == ["SPEAKER_01"] * 2
    assert names[-1] == "SPEAKER_00"

    assert heard.name_of(one) == heard.name_of(nearer[-1]) == "SPEAKER_00"


def test_voices_that_were_named_before_keep_their_names() -> None:
    heard = HeardVoices()
    one, other, third, again = utterances([0, 1, 2, 0])
    heard.learn("SPEAKER_03", one)
    heard.learn("SPEAKER_01", other)

    assert heard.name_of(again) == "SPEAKER_03"
    assert heard.name_of(third) == "SPEAKER_04"
