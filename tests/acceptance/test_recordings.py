"""What comes out for one recording: the samples, other formats, silence, and the subtitles."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.acceptance.recordings import FORMS, SAMPLES, Form, encode, silence
from tests.daemon_process import DaemonProcess, text_of
from tests.speech import word_error_rate

pytestmark = pytest.mark.acceptance

RUSSIAN = SAMPLES / "please-hold-ru.wav"
#: A word or two of seventeen.
NEARLY_RIGHT = 0.12
#: A narrow or lossy form may cost a few words, but never the sense.
STILL_RIGHT = 0.25
CUE = re.compile(
    r"(\d+)\n(\d\d):(\d\d):(\d\d),(\d{3}) --> (\d\d):(\d\d):(\d\d),(\d{3})\n(.+?)(?:\n\n|\n?\Z)",
    re.DOTALL,
)


def _said(sample: Path) -> str:
    return sample.with_suffix(".txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("sample", ["please-hold-ru.wav", "queue-ru.mp4"])
def test_a_sample_becomes_the_text_beside_it(russian: DaemonProcess, sample: str) -> None:
    result = russian.wait_for_result(russian.put(SAMPLES / sample))
    stem = sample.partition(".")[0]
    assert result["outputs"] == [f"{stem}.txt", f"{stem}.srt"]
    assert word_error_rate(_said(SAMPLES / sample), text_of(result)) <= NEARLY_RIGHT
    written = (russian.shared / f"{stem}.txt").read_text(encoding="utf-8")
    assert written.split() == text_of(result).split()
    assert result["metadata"]["word_count"] == len(text_of(result).split())
    assert 0.5 <= result["metadata"]["confidence"] <= 1


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.extension}-{form.codec}")
def test_other_formats_give_the_same_text(
    russian: DaemonProcess, tmp_path: Path, form: Form
) -> None:
    recording = tmp_path / f"other-{form.codec}.{form.extension}"
    encode(RUSSIAN, recording, form)
    result = russian.wait_for_result(russian.put(recording))
    assert word_error_rate(_said(RUSSIAN), text_of(result)) <= STILL_RIGHT
    assert result["duration_seconds"] == pytest.approx(6.9, abs=0.4)


def test_subtitles_have_times_that_a_player_can_use(russian: DaemonProcess) -> None:
    result = russian.wait_for_result(russian.put(SAMPLES / "queue-ru.mp4", "times.mp4"))
    _check_subtitles((russian.shared / "times.srt").read_text(encoding="utf-8"), result)
    _check_words(result)


def _check_subtitles(srt: str, result: dict[str, object]) -> None:
    cues = CUE.findall(srt)
    assert cues, f"these are no subtitles: {srt!r}"
    assert CUE.sub("", srt).strip() == "", "something in the .srt is no subtitle"
    assert [int(cue[0]) for cue in cues] == list(range(1, len(cues) + 1))
    times = [_seconds(cue[i : i + 4]) for cue in cues for i in (1, 5)]
    assert times == sorted(times), f"subtitles overlap: {times}"
    assert all(end > start for start, end in zip(times[::2], times[1::2], strict=True))
    assert times[0] >= 0
    assert times[-1] <= float(str(result["duration_seconds"])) + 0.001


def _seconds(parts: tuple[str, ...]) -> float:
    hours, minutes, seconds, milliseconds = map(int, parts)
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def _check_words(result: dict[str, object]) -> None:
    segments = result["transcription"]["segments"]  # type: ignore[index]
    words = [word for segment in segments for word in segment["words"]]
    assert len(words) >= 15
    for word in words:
        assert 0 <= word["start"] <= word["end"] <= float(str(result["duration_seconds"])) + 0.001
        assert 0 <= word["confidence"] <= 1
    starts = [word["start"] for word in words]
    assert starts == sorted(starts)


def test_silence_is_a_success_with_a_note(russian: DaemonProcess, tmp_path: Path) -> None:
    silence(tmp_path / "silence.wav", seconds=20)
    result = russian.wait_for_result(russian.put(tmp_path / "silence.wav"))
    assert text_of(result) == ""
    assert result["transcription"]["segments"] == []
    assert any("no speech" in note for note in result["metadata"]["notes"])
