"""The ``.result``: what was promised is in it, and nothing that is not known."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from modules.jobs.job import Job
from modules.outputs.notes import text_note
from modules.outputs.result import result_json
from modules.outputs.segments_json import with_segments
from modules.transcript.model import Chunk, Dropped, LeftOut, RunFacts, Turn
from modules.transcript.transcript import Transcript, segments_of
from tests.builders import NOON, SETTINGS, SOURCE, a_chunk, a_job, a_segment, a_word

FACTS = RunFacts(
    duration_s=135.5,
    notes=("partial: the end is missing",),
    whisperx_version="3.8.6",
    model_name="faster-whisper-base",
    model_size_mb=139,
    model_load_s=2.3,
    memory_peak_mb=1300,
    cpu_s=20.1,
)


def finished() -> Job:
    job = a_job().open_attempt(NOON).close_attempt("interrupted", NOON, 2.5)
    return job.open_attempt(NOON).close_attempt("completed", NOON, 9.8)


def made(*chunks: Chunk, job: Job | None = None) -> dict[str, object]:
    transcript = Transcript(chunks)
    content = result_json(job or finished(), transcript, FACTS, ("talk.txt",), NOON)
    made: dict[str, object] = json.loads(b"".join(with_segments(content, transcript)))
    return made


def spoken(language: str = "ru", heard: str = "ru", probability: float = 0.99) -> Chunk:
    words = (a_word("Привет,", 0.0, 0.5), a_word("мир.", 0.6, 1.0))
    return a_chunk(
        0,
        segments=(a_segment(0.0, 1.0, "Привет, мир.", words),),
        language=language,
        detected_language=heard,
        language_probability=probability,
        alignment="attention",
    )


def test_what_the_result_says() -> None:
    content = made(spoken(), a_chunk(1, "ещё"))
    assert content["filename"] == "talk.mp3"
    assert content["job_id"] == finished().job_id
    assert content["processing_start"] == content["processing_end"] == "2024-01-01T12:00:00.000Z"
    assert (content["duration_seconds"], content["processing_time_seconds"]) == (135.5, 12.3)
    assert content["settings"] == SETTINGS.model_dump()
    assert content["source"] == SOURCE.model_dump()
    assert content["outputs"] == ["talk.txt"]
    assert content["transcription"] == {
        "text": "Привет, мир. ещё 1",
        "segments": [
            {
                "id": 0, "start": 0.0, "end": 1.0, "text": "Привет, мир.",
                "words": [
                    {"word": "Привет,", "start": 0.0, "end": 0.5, "confidence": 0.5},
                    {"word": "мир.", "start": 0.6, "end": 1.0, "confidence": 0.5},
                ],
            },
            {"id": 1, "start": 10.0, "end": 14.0, "text": "ещё 1", "words": []},
        ],
    }  # fmt: skip
    assert content["processing_stats"] == {
        "total_attempts": 1, "memory_peak_mb": 1300, "cpu_time_seconds": 20.1,
    }  # fmt: skip
    metadata = content["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["confidence"] == 0.5
    assert metadata["language_detected"] == "ru"
    assert (metadata["word_count"], metadata["segment_count"]) == (4, 2)
    assert metadata["model_info"] == {
        "name": "faster-whisper-base", "size_mb": 139, "load_time_seconds": 2.3,
    }  # fmt: skip
    assert metadata["notes"] == ["partial: the end is missing"]


def test_silence_is_a_success_with_a_note() -> None:
    content = made(a_chunk(0, segments=(), language=None, speech_s=0.0))
    transcription, metadata = content["transcription"], content["metadata"]
    assert transcription == {"text": "", "segments": []}
    assert isinstance(metadata, dict)
    assert metadata["notes"][1:] == ["no speech was found"]
    for key in ("confidence", "language", "language_detected", "languages", "alignment"):
        assert key not in metadata, f"{key} is not known and must be absent"


@pytest.mark.parametrize(
    ("asked", "heard", "probability", "noted"),
    [
        ("ru", "en", 0.95, True),
        ("ru", "en", 0.3, False),
        ("ru", "ru", 0.95, False),
        ("auto", "en", 0.95, False),
        ("mixed", "en", 0.95, False),
    ],
)
def test_a_forced_language_that_the_speech_contradicts_is_said(
    asked: str, heard: str, probability: float, noted: bool
) -> None:
    job = finished().evolve(settings=SETTINGS.model_copy(update={"language": asked}))
    metadata = made(spoken("ru", heard, probability), job=job)["metadata"]
    assert isinstance(metadata, dict)
    assert any("ru was set" in note for note in metadata["notes"]) is noted


def test_what_a_reader_must_know_is_a_warning() -> None:
    metadata = made(spoken("ru", "en", 0.98))["metadata"]
    assert isinstance(metadata, dict)
    assert [each["code"] for each in metadata["warnings"]] == ["other_language", "incomplete"]
    assert metadata["warnings"][0]["asked"] == "ru"
    assert metadata["warnings"][0]["heard"] == "en"
    assert "another language (en)" in metadata["warnings"][0]["message"]


def test_without_anything_to_warn_of_the_key_is_absent() -> None:
    content = result_json(finished(), Transcript((spoken(),)), replace(FACTS, notes=()), (), NOON)
    assert "warnings" not in content["metadata"]


def test_where_all_text_was_dropped_the_other_language_is_still_said() -> None:
    invented = Dropped(start=1, end=3, text="Субтитры сделал кто-то", flags=("filler",))
    chunk = spoken("ru", "en", 0.98).model_copy(update={"segments": (), "dropped": (invented,)})
    metadata = made(chunk)["metadata"]
    assert isinstance(metadata, dict)
    assert "language: ru was set, but the speech sounds like en (98%)" in metadata["notes"]
    assert metadata["warnings"][0]["code"] == "other_language"


def test_what_is_doubtful_and_what_was_left_out_is_accounted_for() -> None:
    sure = a_segment(0.0, 4.0, "Да.").model_copy(update={"temperature": 0.0})
    unsure = a_segment(5.0, 7.5, "Нет, нет.").model_copy(
        update={"flags": ("repetition", "low_probability"), "temperature": 0.4}
    )
    credit = Dropped(start=11, end=13, text="Субтитры сделал кто-то", flags=("filler",))
    chunks = (
        a_chunk(0, segments=(sure, unsure), speech_s=6.5),
        a_chunk(1, segments=(), speech_s=2.0, dropped=(credit,)),
    )
    content = made(*chunks)
    metadata = content["metadata"]
    assert isinstance(metadata, dict)
    seconds = [metadata[f"{kind}_seconds"] for kind in ("speech", "transcribed", "flagged")]
    assert seconds == [8.5, 6.5, 2.5]
    assert metadata["dropped"] == [
        {"start": 11, "end": 13, "text": "Субтитры сделал кто-то", "flags": ["filler"]}
    ]
    assert metadata["notes"][1:] == [
        "doubtful: 1 of 2 segments, 2.5 s (low_probability, repetition)",
        "dropped: 1 pieces of text that nobody said, see metadata.dropped",
    ]
    assert metadata["settings_used"]["temperatures"] == [0.0, 0.4]
    transcription = content["transcription"]
    assert isinstance(transcription, dict)
    assert transcription["segments"][1]["flags"] == ["repetition", "low_probability"]
    assert "flags" not in transcription["segments"][0]


def test_speech_without_words_is_told_from_silence() -> None:
    metadata = made(a_chunk(0, segments=(), speech_s=1.25))["metadata"]
    assert isinstance(metadata, dict)
    assert "no speech was found; 1.2 s sounded like it" in metadata["notes"]


def test_the_settings_that_were_really_used_are_told() -> None:
    facts = replace(FACTS, device="cpu", compute_type="int8_float32")
    job = finished().evolve(settings=SETTINGS.model_copy(update={"compute_type": "auto"}))
    content = result_json(job, Transcript((spoken(),)), facts, (), NOON)
    assert content["settings"]["compute_type"] == "auto"
    assert content["metadata"]["settings_used"] == {
        "engine": "whisper", "task": "transcribe", "vad_method": "silero",
        "model_size": "faster-whisper-base", "device": "cpu", "compute_type": "int8_float32",
        "languages": ["ru"],
    }  # fmt: skip


def test_an_engine_that_looks_for_speech_once_more_is_told() -> None:
    facts = replace(FACTS, own_vad="pyannote")
    used = result_json(finished(), Transcript((spoken(),)), facts, (), NOON)["metadata"]
    assert used["settings_used"]["vad_method"] == "silero"
    assert used["settings_used"]["vad_method_in_pieces"] == "pyannote"


def test_speakers_are_told_where_they_are_known() -> None:
    turns = (Turn(start=0, end=0.55, speaker="SPEAKER_00"), Turn(start=0.55, end=2, speaker="B"))
    facts = replace(FACTS, turns=turns, diarization="embedded")
    transcript = Transcript((spoken(),), turns)
    assert [(s.text, s.speaker) for s in transcript] == [("Привет,", "SPEAKER_00"), ("мир.", "B")]
    metadata = result_json(finished(), transcript, facts, (), NOON)["metadata"]
    assert (metadata["speakers"], metadata["diarization"]) == (["B", "SPEAKER_00"], "embedded")


def test_mixed_languages_are_counted_by_their_segments() -> None:
    ru = a_segment(0, 2, "Да.").model_copy(update={"language": "ru"})
    en = a_segment(2, 8, "Yes, of course.").model_copy(update={"language": "en"})
    metadata = made(a_chunk(0, segments=(ru, en), language="ru"))["metadata"]
    assert isinstance(metadata, dict)
    assert (metadata["language"], metadata["languages"]) == ("en", ["en", "ru"])


def test_several_languages_are_listed() -> None:
    metadata = made(spoken("ru"), spoken("en"), spoken("ru"))["metadata"]
    assert isinstance(metadata, dict)
    assert (metadata["language"], metadata["languages"]) == ("ru", ["en", "ru"])


def test_a_recording_without_chunks_has_a_result() -> None:
    assert list(segments_of([])) == []
    assert made()["transcription"] == {"text": "", "segments": []}


# What became of the sound


def accounted(
    *chunks: Chunk, left_out: tuple[LeftOut, ...] = (), notes: tuple[str, ...] = ()
) -> dict[str, Any]:
    facts = replace(FACTS, left_out=left_out, notes=notes)
    content = result_json(finished(), Transcript(chunks), facts, (), NOON)
    metadata: dict[str, Any] = content["metadata"]
    return metadata


def silent_for(*spans: tuple[float, float], speech_s: float = 100.0) -> Chunk:
    missing_s = sum(end - start for start, end in spans)
    changes = {"speech_s": speech_s, "wordless": spans, "wordless_s": missing_s}
    return spoken().model_copy(update=changes)


TRACK = LeftOut(what="track", label="2 (en)", count=2, why="language")
CHANNEL = LeftOut(what="channel", label="left", count=2, why="no_speech", seconds=61.4)


def test_all_sound_is_accounted_for() -> None:
    metadata = accounted(silent_for((10.0, 14.5)), spoken(), left_out=(TRACK, CHANNEL))
    assert metadata["account"] == {
        "sound_seconds": 135.5,
        "speech_seconds": 104.0,
        "speech_with_words_seconds": 99.5,
        "speech_without_words": [{"start": 10.0, "end": 14.5}],
        "left_out": [
            {"what": "track", "label": "2 (en)", "count": 2, "why": "language"},
            {"what": "channel", "label": "left", "count": 2, "why": "no_speech", "seconds": 61.4},
        ],
    }


def test_an_account_without_anything_missing_is_there_too() -> None:
    assert accounted(spoken())["account"] == {
        "sound_seconds": 135.5,
        "speech_seconds": 4.0,
        "speech_with_words_seconds": 4.0,
        "speech_without_words": [],
        "left_out": [],
    }


@pytest.mark.parametrize(
    ("why", "seconds", "note", "warned"),
    [
        ("language", None, "left out: track 2 of 3, it is in another language", True),
        ("commentary", None, "left out: track 2 of 3, it is a commentary or description", False),
        ("asked", None, "left out: track 2 of 3, another was asked for", False),
        ("no_speech", 59.6, "left out: track 2 of 3 for 60 s, it has noise and no speech", False),
        (
            "simultaneous", 120.0,
            "left out: track 2 of 3 for 120 s, it speaks at the same time as the first; "
            "set audio_tracks to its number",
            True,
        ),
    ],
)  # fmt: skip
def test_a_track_that_was_left_out_is_said(
    why: Any, seconds: float | None, note: str, warned: bool
) -> None:
    part = LeftOut(what="track", label="2", count=3, why=why, seconds=seconds)
    metadata = accounted(spoken(), left_out=(part,))
    assert metadata["notes"] == [note]
    codes = [each["code"] for each in metadata.get("warnings", [])]
    assert codes == (["track_left_out"] if warned else [])
    if warned:
        assert metadata["warnings"][0]["message"] == "Sound track 2 of 3 was not transcribed."


@pytest.mark.parametrize(
    ("spans", "speech_s", "warned"),
    [
        ((), 100.0, None),
        (((10.0, 12.9),), 100.0, None),
        (((10.0, 13.0),), 100.0, "3 s of speech from 00:00:10 on gave no text."),
        (((10.0, 12.0), (20.0, 23.5)), 1000.0, "6 s of speech from 00:00:10 on gave no text."),
        (((10.0, 12.0),), 30.0, "2 s of speech from 00:00:10 on gave no text."),
        (((10.0, 12.0),), 40.0, None),
    ],
)
def test_speech_without_text_is_said_if_it_is_long_or_much(
    spans: tuple[tuple[float, float], ...], speech_s: float, warned: str | None
) -> None:
    metadata = accounted(silent_for(*spans, speech_s=speech_s))
    messages = [each["message"] for each in metadata.get("warnings", [])]
    assert messages == ([warned] if warned else [])


def test_every_warning_has_its_sentence_in_russian() -> None:
    metadata = accounted(silent_for((190.0, 200.0)), left_out=(TRACK,), notes=("partial: cut",))
    assert [each["code"] for each in metadata["warnings"]] == [
        "track_left_out", "speech_without_text", "incomplete",
    ]  # fmt: skip
    said = text_note({"metadata": metadata, "settings": {"language": "ru"}})
    assert "Не расшифрована звуковая дорожка 2 (en) из 2." in said
    assert "Не удалось расшифровать 10 с речи, начиная с 00:03:10." in said
