"""Real voices, told apart by the model that comes with a package; nothing is fetched by it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from modules.diarization.diarizer import Diarizer
from tests.speech import require_speech

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.filterwarnings("ignore"),  # torch and pyannote warn on import
]

SECONDS = 90


@pytest.fixture(scope="module")
def diarizer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Diarizer]:
    require_speech()
    # The threads that these libraries start and keep are there before a test is watched for leaks.
    os.environ["PYANNOTE_METRICS_ENABLED"] = "false"
    import torch
    import whisperx.diarize  # noqa: F401

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Diarizer(tmp_path_factory.mktemp("diarize"), "cpu", threads=2)
    torch.set_num_threads(threads)


@pytest.mark.parametrize("phone", [False, True], ids=["wideband", "phone"])
@pytest.mark.parametrize(
    "voices",
    [("ru-man", "ru"), ("fr", "en"), ("it", "ru-man"), ("en", "fr", "ru")],
    ids=["man and woman", "two women", "two men", "three women"],
)
def test_speakers_are_counted_and_told_apart(
    diarizer: Diarizer, voices: tuple[str, ...], phone: bool
) -> None:
    from benchmarks.diarization import dialogue, diarized, error_rate

    spoken = dialogue(voices, SECONDS, phone)
    found, _ = diarized(diarizer, spoken)

    assert found.method == "campplus"
    assert found.note is None
    assert {turn.speaker for turn in found.turns} == {
        f"SPEAKER_{number:02d}" for number in range(len(voices))
    }
    assert error_rate(spoken.reference, found.turns, 0.25) < 0.15


@pytest.mark.parametrize("voice", ["ru-man", "en"])
def test_one_voice_alone_is_one_speaker(diarizer: Diarizer, voice: str) -> None:
    from benchmarks.diarization import dialogue, diarized

    found, _ = diarized(diarizer, dialogue((voice,), 120))

    assert {turn.speaker for turn in found.turns} == {"SPEAKER_00"}


def test_the_number_of_speakers_can_be_given(diarizer: Diarizer) -> None:
    from benchmarks.diarization import dialogue, diarized

    found, _ = diarized(diarizer, dialogue(("en", "fr", "ru"), 60), count=2)

    assert {turn.speaker for turn in found.turns} == {"SPEAKER_00", "SPEAKER_01"}


@pytest.mark.usefixtures("diarizer")
def test_a_broken_pyannote_model_costs_a_note_not_the_speakers(tmp_path: Path) -> None:
    from benchmarks.diarization import dialogue, diarized

    (tmp_path / "config.yaml").write_text("pipeline: {name: no.such.Pipeline}\n")

    found, _ = diarized(Diarizer(tmp_path, "cpu"), dialogue(("en", "it"), 20))

    assert found.method == "campplus"
    assert found.note is not None
    assert str(tmp_path) in found.note
    assert found.turns


def test_who_asks_to_stop_is_heard(diarizer: Diarizer) -> None:
    blocks = lambda: iter([np.zeros(16_000, dtype=np.float32)] * 5)  # noqa: E731

    assert diarizer.turns(blocks, lambda samples: [], None, None, lambda: False) is None


def test_silence_has_no_speakers(diarizer: Diarizer) -> None:
    blocks = lambda: iter([np.zeros(16_000, dtype=np.float32)] * 5)  # noqa: E731

    found = diarizer.turns(blocks, lambda samples: [], 2, 4, lambda: True)

    assert found is not None
    assert found.turns == []
