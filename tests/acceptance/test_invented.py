"""Nobody speaks, so nothing is written: half an hour of silence, noise, music, telephone tones."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.daemon_process import DaemonProcess, text_of

pytestmark = pytest.mark.acceptance

RATE_HZ = 16_000
MINUTES = 30
Sound = npt.NDArray[np.float32]
#: Half an hour is heard in about ten seconds on two quiet cores.
RESULT_S = 240.0


def silence(minute: int) -> Sound:
    return np.zeros(60 * RATE_HZ, dtype=np.float32)


def white_noise(minute: int) -> Sound:
    noise = np.random.default_rng(minute).normal(0, 0.1, 60 * RATE_HZ)
    return noise.astype(np.float32)


def ring_back(minute: int) -> Sound:
    """425 Hz, a second on and four off, as in most of Europe."""
    time = np.arange(60 * RATE_HZ) / RATE_HZ
    return (0.2 * np.sin(2 * np.pi * 425 * time) * (time % 5 < 1)).astype(np.float32)


def music(minute: int) -> Sound:
    """Chords of plucked strings with vibrato, half a second each, out of a scale."""
    random = np.random.default_rng(minute)
    time = np.arange(RATE_HZ // 2) / RATE_HZ
    return np.concatenate([_chord(random, time) for _ in range(120)])


def _chord(random: np.random.Generator, time: npt.NDArray[np.float64]) -> Sound:
    root = 220 * 2 ** (random.integers(0, 24) / 12)
    sound = np.zeros(len(time))
    for semitones in random.choice([0, 3, 4, 7, 12], 3, replace=False):
        for harmonic in range(1, 6):
            tone = 2 * np.pi * root * 2 ** (semitones / 12) * harmonic * time
            sound += np.sin(tone + 0.3 * np.sin(2 * np.pi * 5 * time)) / harmonic**1.3
    return (0.08 * sound * np.exp(-2 * time)).astype(np.float32)


def write(target: Path, sound: Callable[[int], Sound]) -> None:
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        for minute in range(MINUTES):
            samples = np.clip(sound(minute), -1, 1) * 32767
            file.writeframes(samples.astype("<i2").tobytes())


@pytest.mark.parametrize("sound", [silence, white_noise, music, ring_back])
def test_where_nobody_speaks_nothing_is_written(
    russian: DaemonProcess, tmp_path: Path, sound: Callable[[int], Sound]
) -> None:
    recording = tmp_path / f"{sound.__name__}.wav"
    write(recording, sound)
    result = russian.wait_for_result(russian.put(recording), RESULT_S)
    assert text_of(result) == ""
    assert result["transcription"]["segments"] == []
    metadata = result["metadata"]
    assert metadata["notes"][0].startswith("no speech was found")
    assert metadata["duration_seconds"] == 60 * MINUTES
    assert metadata["speech_seconds"] <= 0.01 * 60 * MINUTES
    assert (russian.shared / f"{sound.__name__}.srt").read_text(encoding="utf-8").strip() == ""
