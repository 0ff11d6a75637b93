"""What the daemon keeps of the voices of a session: for clients and new children."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from modules.executors.live_protocol import Final
from modules.live.events import Utterance
from modules.live.said import event_of, line_of
from modules.live.utterances import Utterances
from modules.transcript.model import Turn, Word


def final(number: int, speaker: str | None) -> Final:
    start_s = 2.0 * number
    word = Word(word=" yes", start=start_s, end=start_s + 1)
    return Final(
        session=1, start_s=start_s, end_s=start_s + 1, text="yes", words=(word,), speaker=speaker
    )


def test_finals_keep_their_speaker_on_the_way_to_a_client_that_comes_back() -> None:
    said = Utterances()
    *_, told = said.final(final(0, "SPEAKER_01"), received_s=60)

    assert isinstance(told, Utterance)
    assert told.speaker == "SPEAKER_01"
    assert event_of(line_of(told)) == told


def test_another_child_gets_some_of_what_each_voice_said() -> None:
    said = Utterances()
    for number, speaker in enumerate(["SPEAKER_00", None, *["SPEAKER_01"] * 50]):
        list(said.final(final(number, speaker), received_s=600))

    said.reopen()

    assert said.speakers == (
        Turn(start=0.0, end=1.0, speaker="SPEAKER_00"),
        Turn(start=4.0, end=5.0, speaker="SPEAKER_01"),
        Turn(start=6.0, end=7.0, speaker="SPEAKER_01"),
    )


@pytest.mark.parametrize("name", ["Anna", "SPEAKER_1", "SPEAKER_100", "SPEAKER_00\n", ""])
def test_a_child_cannot_make_up_names(name: str) -> None:
    with pytest.raises(ValidationError):
        final(0, name)
