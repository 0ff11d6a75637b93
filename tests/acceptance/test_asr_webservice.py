"""whisper-asr-webservice's clients against the real engine: raw sound gives its text."""

from __future__ import annotations

import json
import wave

import pysubs2
import pytest
import requests

from tests.acceptance.recordings import SAMPLES
from tests.daemon_process import DaemonProcess
from tests.speech import word_error_rate

pytestmark = pytest.mark.acceptance

RUSSIAN = SAMPLES / "please-hold-ru.wav"
#: A word or two of seventeen.
NEARLY_RIGHT = 0.12
ANSWER_S = 180.0


def test_raw_sound_gives_subtitles_and_its_language(russian: DaemonProcess) -> None:
    with wave.open(str(RUSSIAN)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        samples = file.readframes(file.getnframes())
    before = russian.files()
    port = russian.wait_for_log(r"Listening on http://[^:]+:(\d+)").group(1)

    def ask(path: str, **params: str) -> str:
        answer = requests.post(
            f"http://127.0.0.1:{port}{path}",
            params={"encode": "false", **params},
            files={"audio_file": samples},
            timeout=ANSWER_S,
        )
        assert answer.status_code == 200, answer.text
        return answer.text

    found = json.loads(ask("/detect-language"))
    assert (found["detected_language"], found["language_code"]) == ("russian", "ru")
    assert 0.5 < found["confidence"] <= 1
    subtitles = pysubs2.SSAFile.from_string(ask("/asr", output="srt", language="ru"))
    said = RUSSIAN.with_suffix(".txt").read_text(encoding="utf-8")
    heard = " ".join(line.plaintext for line in subtitles)
    assert word_error_rate(said, heard) <= NEARLY_RIGHT, heard
    words = json.loads(ask("/asr", output="json", word_timestamps="true"))["segments"]
    assert all(0 <= w["start"] <= w["end"] for segment in words for w in segment["words"])
    assert russian.files() <= before
