"""What settings do to a transcript, by the files that lie beside the recordings."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from modules.transcript.transcript import segments_from
from tests.acceptance.recordings import SAMPLES
from tests.daemon_process import DaemonProcess, text_of
from tests.speech import word_error_rate
from tests.subtitle_checks import check_subtitles

pytestmark = pytest.mark.acceptance

RATE_HZ = 16_000
RUSSIAN, ENGLISH = SAMPLES / "please-hold-ru.wav", SAMPLES / "please-hold-en.flac"


def said(*samples: Path) -> str:
    return " ".join(sample.with_suffix(".txt").read_text(encoding="utf-8") for sample in samples)


def sound(path: Path) -> bytes:
    """16 kHz mono, 16-bit."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    with av.open(str(path)) as container:
        frames = [*container.decode(audio=0), None]
        return b"".join(
            part.to_ndarray().astype("<i2").tobytes()
            for frame in frames
            for part in resampler.resample(frame)
        )


def join(target: Path, samples: Sequence[Path], pause_s: float) -> None:
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        for sample in samples:
            file.writeframes(sound(sample))
            file.writeframes(np.zeros(round(pause_s * RATE_HZ), dtype="<i2").tobytes())


def transcribed(
    daemon: DaemonProcess, recording: Path, settings: str, timeout_s: float = 180
) -> dict[str, Any]:
    (daemon.shared / f"{recording.name}.settings.yaml").write_text(settings, encoding="utf-8")
    return daemon.wait_for_result(daemon.put(recording), timeout_s)


@pytest.mark.parametrize("pause_s", [0.3, 1.5])
def test_a_mixed_recording_keeps_both_languages(
    russian: DaemonProcess, tmp_path: Path, pause_s: float
) -> None:
    recording = tmp_path / "mixed.wav"
    join(recording, (RUSSIAN, ENGLISH, RUSSIAN), pause_s)
    result = transcribed(russian, recording, "language: mixed")
    assert word_error_rate(said(RUSSIAN, ENGLISH, RUSSIAN), text_of(result)) <= 0.2
    assert result["metadata"]["languages"] == ["en", "ru"]
    languages = [segment["language"] for segment in result["transcription"]["segments"]]
    assert [code for i, code in enumerate(languages) if languages[i - 1 : i] != [code]] == [
        "ru", "en", "ru",
    ]  # fmt: skip


def test_the_language_is_that_of_the_speech_and_not_of_the_silence_before_it(
    russian: DaemonProcess, tmp_path: Path
) -> None:
    recording = tmp_path / "late.wav"
    with wave.open(str(recording), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.zeros(45 * RATE_HZ, dtype="<i2").tobytes())
        file.writeframes(sound(ENGLISH))
    result = transcribed(russian, recording, "language: auto")
    assert word_error_rate(said(ENGLISH), text_of(result)) <= 0.1
    assert result["metadata"]["language"] == "en"
    assert result["metadata"]["language_probability"] > 0.9


def test_two_speakers_are_told_apart_in_text_and_subtitles(
    russian: DaemonProcess, tmp_path: Path
) -> None:
    recording = tmp_path / "two.wav"
    join(recording, (RUSSIAN, ENGLISH, RUSSIAN, ENGLISH), 0.7)
    result = transcribed(russian, recording, "{language: mixed, diarize: true}")
    assert result["metadata"]["speakers"] == ["SPEAKER_00", "SPEAKER_01"]
    speakers = {
        segment["language"]: segment["speaker"] for segment in result["transcription"]["segments"]
    }
    assert speakers == {"ru": "SPEAKER_00", "en": "SPEAKER_01"}
    text = (russian.shared / "two.txt").read_text(encoding="utf-8")
    assert text.startswith("Speaker 1: ")
    assert text.count("Speaker 2: ") == 2
    check(russian, "two", result)


@pytest.mark.parametrize("sample", ["please-hold-ru.wav", "please-hold-en.flac", "queue-ru.mp4"])
def test_subtitles_of_the_samples_are_as_the_trade_wants_them(
    russian: DaemonProcess, sample: str
) -> None:
    language = "en" if "-en" in sample else "ru"
    result = transcribed(russian, SAMPLES / sample, f"language: {language}")
    check(russian, sample.partition(".")[0], result)


def check(daemon: DaemonProcess, stem: str, result: dict[str, Any]) -> None:
    srt = (daemon.shared / f"{stem}.srt").read_text(encoding="utf-8")
    problems = check_subtitles(srt, "srt", segments_from(result), result["duration_seconds"])
    assert problems == []
