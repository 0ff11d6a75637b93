"""Answers in the forms of whisper-asr-webservice, and raw sound as a WAV file."""

from __future__ import annotations

import io
import json
import wave
from typing import Any

import pytest

from modules.api.asr.format import OUTPUTS, body, detected_in, language_json
from modules.api.asr.query import AsrQuery
from modules.api.asr.raw_sound import finish, header
from modules.errors import TranscriberError

WORD = {"word": "Привет,", "start": 0.5, "end": 1.0, "confidence": 0.9}
RESULT: dict[str, Any] = {
    "duration_seconds": 9.0,
    "settings": {"language": "auto"},
    "transcription": {
        "text": "Привет, мир. Да.",
        "segments": [
            {"start": 0.5, "end": 2.0, "text": "Привет, мир.", "words": [WORD],
             "speaker": "SPEAKER_00", "avg_logprob": -0.2},
            {"start": 3.0, "end": 3.5, "text": "Да."},
            {"start": "never", "text": "no segment"},
        ],
    },
    "metadata": {"language": "ru", "language_detected": "ru", "language_probability": 0.987654},
}  # fmt: skip


def text(output: str, with_words: bool = False) -> str:
    return body(RESULT, output, with_words).decode()


def test_txt_has_a_line_for_each_segment() -> None:
    assert text("txt") == "Привет, мир.\nДа.\n"
    first, second, _ = RESULT["transcription"]["segments"]
    segments = [first, second | {"speaker": "SPEAKER_01"}]
    several = RESULT | {"transcription": {"text": "", "segments": segments}}
    said = body(several, "txt", False).decode()
    assert said == "[SPEAKER_00]: Привет, мир.\n[SPEAKER_01]: Да.\n"


def test_tsv_has_three_columns_also_with_speakers() -> None:
    assert text("tsv").splitlines() == [
        "start\tend\ttext", "500\t2000\tПривет, мир.", "3000\t3500\tДа."
    ]  # fmt: skip


def test_subtitles_are_subtitles() -> None:
    assert text("srt").startswith("1\n00:00:00,500 --> ")
    assert text("vtt").startswith("WEBVTT\n")


def test_json_has_words_only_if_they_are_asked_for() -> None:
    plain, with_words = json.loads(text("json")), json.loads(text("json", with_words=True))
    assert (plain["text"], plain["language"]) == ("Привет, мир. Да.", "ru")
    assert plain["segments"] == [
        {"id": 0, "start": 0.5, "end": 2.0, "text": "Привет, мир.", "speaker": "SPEAKER_00",
         "avg_logprob": -0.2},
        {"id": 1, "start": 3.0, "end": 3.5, "text": "Да."},
    ]  # fmt: skip
    assert with_words["segments"][0]["words"] == [
        {"word": "Привет,", "start": 0.5, "end": 1.0, "probability": 0.9, "score": 0.9}
    ]
    assert with_words["segments"][1]["words"] == []


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_result_of_nothing_has_every_form(output: str) -> None:
    assert isinstance(body({}, output, with_words=True), bytes)
    wrong = {"transcription": [], "metadata": 1, "settings": None, "duration_seconds": 10**400}
    assert isinstance(body(wrong, output, with_words=True), bytes)


def test_the_language_is_told_with_its_name() -> None:
    assert detected_in(RESULT) == ("ru", 0.987654)
    assert language_json(*detected_in(RESULT), "auto") == {
        "detected_language": "russian", "language_code": "ru", "confidence": 0.9877
    }  # fmt: skip


@pytest.mark.parametrize(("configured", "code"), [("ru", "ru"), ("auto", "en"), ("mixed", "en")])
def test_without_speech_nothing_is_certain(configured: str, code: str) -> None:
    found = language_json(*detected_in({"metadata": {}}), configured)
    assert (found["language_code"], found["confidence"]) == (code, 0.0)


@pytest.mark.parametrize(
    ("spelled", "meant"),
    [("true", True), ("True", True), ("1", True), ("on", True), ("FALSE", False), ("0", False),
     ("no", False), ("", None)],
)  # fmt: skip
def test_flags_are_understood_as_python_and_forms_write_them(spelled: str, meant: Any) -> None:
    query = AsrQuery.model_validate({"encode": spelled, "diarize": spelled, "model": "large-v3"})
    assert (query.diarize, query.is_raw) == (meant, meant is False)


def test_the_query_means_settings() -> None:
    query = AsrQuery.model_validate({
        "task": "translate", "language": "rus", "diarize": "true", "min_speakers": "2",
        "hotwords": " ТОС ", "initial_prompt": " ",
    })  # fmt: skip
    assert query.wishes("base") == {
        "task": "translate", "language": "ru", "initial_prompt": None, "hotwords": "ТОС",
        "diarize": True, "min_speakers": 2,
    }  # fmt: skip
    nothing = AsrQuery.model_validate({"min_speakers": "2"})  # of speakers nobody asks for
    assert nothing.wishes("base") == {
        "task": "transcribe", "language": "auto", "initial_prompt": None
    }  # fmt: skip
    assert nothing.wishes("base.en")["language"] == "en"


@pytest.mark.parametrize(("sent", "kept"), [(2, 2), (3, 2), (64_000, 64_000)])
def test_raw_sound_becomes_a_wav_file(sent: int, kept: int) -> None:
    samples = bytes(range(256)) * 250
    file = io.BytesIO(header() + samples[:sent])
    finish(file)
    expected = io.BytesIO()
    with wave.open(expected, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(samples[:kept])
    assert file.read() == expected.getvalue()


@pytest.mark.parametrize("samples", [b"", b"\1"])
def test_no_samples_are_no_recording(samples: bytes) -> None:
    with pytest.raises(TranscriberError, match="has no sound"):
        finish(io.BytesIO(header() + samples))


def test_a_size_that_does_not_fit_goes_on_to_the_end() -> None:
    assert header(2**32)[40:] == header()[40:] == b"\xff\xff\xff\xff"
