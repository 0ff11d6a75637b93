"""A telephone call in stereo, two people who also speak at the same time, with real WhisperX."""

from __future__ import annotations

import itertools
import os
import signal
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.daemon_process import DaemonProcess
from tests.speech import (
    Clip,
    asterisk_prompts,
    festvox_russian,
    joined,
    require_speech,
    word_error_rate,
)

pytestmark = pytest.mark.acceptance

SECONDS = 75
#: The right leg begins so much later.
LATER_S = 2.7
#: A leg may have so much higher a word error rate than alone: whole numbers of 1 in 150 words.
WORSE = 0.01
GOING_ON = "{}: going on from the checkpoint at"


@dataclass(frozen=True)
class Call:
    """A stereo recording, and what is said in its left and in its right channel."""

    path: Path
    legs: tuple[Clip, Clip]


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Call:
    require_speech()
    folder = tmp_path_factory.mktemp("call")
    man = joined(festvox_russian()[:14], SECONDS, 0.7)
    woman = joined(asterisk_prompts("ru", 16, wideband=True), SECONDS, 1.1)
    lines = [_samples(man.path), _samples(woman.path)]
    lines[1] = np.concatenate([np.zeros(int(LATER_S * 16_000), "<i2"), lines[1]])
    length = max(map(len, lines))
    both = np.stack([np.pad(line, (0, length - len(line))) for line in lines], axis=1)
    path = folder / "call.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 16_000, 0, "NONE", ""))
        file.writeframes(both.astype("<i2").tobytes())
    return Call(path, (man, woman))


def _samples(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert file.getframerate() == 16_000
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


@pytest.fixture(scope="module")
def daemon(weights: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    config = {"whisperx": {"channels": "split"}, "processing": {"retry_backoff_seconds": 0.2}}
    with DaemonProcess(tmp_path_factory.mktemp("calls"), config) as made:
        yield made


@pytest.fixture(scope="module")
def result(daemon: DaemonProcess, call: Call) -> dict[str, Any]:
    return daemon.wait_for_result(daemon.put(call.path, "call.wav"))


def said_by(result: dict[str, Any], speaker: str) -> str:
    words = [
        (word["start"], word["word"])
        for segment in result["transcription"]["segments"]
        for word in segment["words"]
        if word["speaker"] == speaker
    ]
    return " ".join(text for _, text in sorted(words))


def test_each_word_is_at_its_speaker_as_if_each_had_been_alone(
    daemon: DaemonProcess, call: Call, result: dict[str, Any]
) -> None:
    assert result["metadata"]["diarization"] == "channels"
    assert result["metadata"]["speakers"] == ["SPEAKER_00", "SPEAKER_01"]
    for number, leg in enumerate(call.legs):
        alone = daemon.wait_for_result(daemon.put(leg.path, f"alone {number}.wav"))
        alone_rate = word_error_rate(leg.text, alone["transcription"]["text"])
        rate = word_error_rate(leg.text, said_by(result, f"SPEAKER_0{number}"))
        print(f"leg {number}: {rate:.4f} in the call, {alone_rate:.4f} alone")
        assert rate <= alone_rate + WORSE
        assert any("not told apart" in note for note in alone["metadata"]["notes"])


def test_they_did_speak_at_the_same_time_and_sentences_are_in_order(
    result: dict[str, Any],
) -> None:
    segments = result["transcription"]["segments"]
    starts = [segment["start"] for segment in segments]
    assert starts == sorted(starts)
    overlaps = [
        (one, other)
        for one, other in itertools.pairwise(segments)
        if one["speaker"] != other["speaker"] and other["start"] < one["end"]
    ]
    assert len(overlaps) >= 5


def test_a_killed_worker_goes_on_with_both_legs(
    daemon: DaemonProcess, call: Call, result: dict[str, Any]
) -> None:
    name = daemon.put(call.path, "killed.wav")
    daemon.wait_until_half_done(name)
    worker = daemon.worker_pid()
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    again = daemon.wait_for_result(name)
    assert GOING_ON.format(name) in daemon.log
    assert again["transcription"]["segments"] == result["transcription"]["segments"]
    assert again["metadata"]["diarization"] == "channels"
    assert again["processing_stats"]["total_attempts"] == 2
