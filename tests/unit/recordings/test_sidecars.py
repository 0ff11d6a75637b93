"""The files beside a recording: their names, and a job's way through JSON and back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.clock import iso
from modules.errors import TranscriberError
from modules.jobs.job import ErrorInfo, Job, Priority, Progress, Status
from modules.recordings.sidecars import (
    CHECKPOINT,
    ERROR_TEXT,
    IN_PROGRESS,
    RESULT,
    output_names,
    own_outputs,
    recording_of,
    sidecar_name,
    stem_of,
)
from modules.recordings.state import job_from_json, job_to_json
from modules.storage.atomic import parse_json, to_json
from tests.builders import NOON, a_job

SUFFIXES = (IN_PROGRESS, RESULT, CHECKPOINT, ERROR_TEXT)
ODD_NAMES = [
    "talk.mp3",
    "2024/May/talk.mp3",
    "запись \U0001f399.mp3",
    "caf\u00e9.mp3",
    "cafe\u0301.mp3",
    "new\nline.mp3",
    "-dash: \"quoted\" 'too'.mp3",
    "not utf-8 \udcff\udcfe.mp3",
    "a" * 251 + ".mp3",
    "ы" * 125 + ".mp3",
    "sub/" + "\udcff" * 251 + ".mp3",
    "b" * 244 + ".mp3",  # .in_progress is one byte too long here
]


def test_the_names_that_people_rely_on() -> None:
    assert sidecar_name("audio.mp3", IN_PROGRESS) == "audio.mp3.in_progress"
    assert sidecar_name("audio.mp3", RESULT) == "audio.mp3.result"
    assert sidecar_name("sub/audio.mp3", CHECKPOINT) == "sub/.audio.mp3.checkpoint"
    assert sidecar_name("audio.mp3", ERROR_TEXT) == "audio.mp3.error.txt"
    assert stem_of("sub.d/talk.show.mp4") == "sub.d/talk.show"


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_sidecar_can_be_written(name: str, suffix: str, tmp_path: Path) -> None:
    sidecar = sidecar_name(name, suffix)
    assert len(os.fsencode(sidecar.rpartition("/")[2])) <= 255
    assert sidecar.endswith(suffix)
    assert sidecar.rpartition("/")[0] == name.rpartition("/")[0]
    path = tmp_path / sidecar
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    assert os.listdir(path.parent) == [path.name]


def test_a_name_at_the_limit_is_cut_only_where_it_must() -> None:
    fits = "c" * (255 - len(IN_PROGRESS))
    assert sidecar_name(fits, IN_PROGRESS) == fits + IN_PROGRESS
    assert sidecar_name(fits + "c", IN_PROGRESS) != fits + "c" + IN_PROGRESS


def test_long_names_that_differ_at_the_end_do_not_collide() -> None:
    assert sidecar_name("d" * 250 + "1.mp3", RESULT) != sidecar_name("d" * 250 + "2.mp3", RESULT)
    assert sidecar_name("caf\u00e9.mp3", RESULT) != sidecar_name("cafe\u0301.mp3", RESULT)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_job_comes_back_from_its_sidecar(name: str, tmp_path: Path) -> None:
    sidecar = sidecar_name(name, IN_PROGRESS)
    path = tmp_path / sidecar
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(to_json(job_to_json(full_job(name))))
    content = parse_json(path.read_bytes(), sidecar)
    assert recording_of(sidecar, content) == name
    back = job_from_json(name, content)
    expected = full_job(name)
    assert back == expected.evolve(sequence=0, last_segments=(), duration_s=None)


def full_job(name: str = "talk.mp3") -> Job:
    error = ErrorInfo(
        code="worker_hung", message="It hung.", timestamp=iso(NOON), attempt=1, retry_after=30.0
    )
    job = a_job(
        name,
        priority=Priority.API,
        clients=("one", "two"),
        position_s=512.25,
        progress=Progress(stage="processing_audio", percentage=45),
        outputs=tuple(next(output_names(name, form)) for form in ("txt", "srt")),
    )
    return job.open_attempt(NOON).close_attempt("failed", NOON, 3.5, error).open_attempt(NOON)


def test_what_the_file_says_is_what_was_promised() -> None:
    content = job_to_json(full_job().evolve(last_segments=({"text": "да"},)))
    assert content["filename"] == "talk.mp3"
    assert content["status"] == "processing"
    assert (content["attempt"], content["current_attempt"]) == (2, 2)
    assert content["should_continue"] is True
    assert content["priority"] == "api_request"
    assert content["api_clients"] == ["one", "two"]
    assert content["creation_time"] == "2024-01-01T12:00:00.000Z"
    assert set(content["settings"]) == {
        "engine", "model_size", "language", "temperature", "compute_type", "device", "debug",
        "task", "initial_prompt", "hotwords", "beam_size", "suppress_numerals", "fast_mode",
        "audio_tracks", "channels", "vad_method", "vad_onset", "vad_offset", "diarize",
        "min_speakers", "max_speakers",
    }  # fmt: skip
    assert content["intermediate"] == {
        "position_seconds": 512.25,
        "segments": [{"text": "да"}],
        "checkpoint": ".talk.mp3.checkpoint",
    }
    first = content["attempts"][0]
    assert (first["attempt_number"], first["status"], first["error"]["code"]) == (
        1, "failed", "worker_hung",
    )  # fmt: skip
    assert set(content["error"]) == {
        "code", "message", "details", "timestamp", "attempt", "retry_after",
    }  # fmt: skip
    text = to_json(content).decode()
    assert '\n  "filename"' in text, "two spaces of indent"
    assert "да" in text, "not as escapes"


def test_a_given_up_job_says_so() -> None:
    content = job_to_json(full_job().at_start(Status.FAILED))
    assert (content["status"], content["should_continue"]) == ("error", False)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"job_id": None, "settings": None},
        {"creation_time": "yesterday"},
        {"creation_time": 5},
        {"settings": {"model_size": "base"}},
        {"attempts": [{"attempt_number": "x"}]},
        {"attempts": 5},
        {"source": {"size": "big"}},
        {"intermediate": [1]},
        {"intermediate": {"position_seconds": float("nan")}},
        {"intermediate": {"position_seconds": 1e999}},
        {"progress_info": {"stage": "dreaming"}},
        {"outputs": 7},
    ],
)
def test_a_sidecar_that_makes_no_sense_is_refused(spoilt: dict[str, object]) -> None:
    content = json.loads(to_json(job_to_json(full_job()))) | spoilt
    with pytest.raises(TranscriberError) as caught:
        job_from_json("talk.mp3", content)
    assert caught.value.code == "corrupt_sidecar"


@pytest.mark.parametrize("key", ["job_id", "priority", "settings", "creation_time"])
def test_a_sidecar_without_what_it_needs_is_refused(key: str) -> None:
    content = job_to_json(full_job())
    del content[key]
    with pytest.raises(TranscriberError):
        job_from_json("talk.mp3", content)


def test_a_time_without_a_zone_is_taken_as_utc() -> None:
    content = job_to_json(full_job()) | {"creation_time": "2024-01-01T12:00:00"}
    assert job_from_json("talk.mp3", content).created == NOON


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a": 1} x', b"[" * 100_000]
)
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    with pytest.raises(TranscriberError):
        parse_json(content, "talk.mp3.in_progress")


def test_a_sidecar_from_elsewhere_is_not_taken_for_ours() -> None:
    conflict = "talk.mp3.sync-conflict-20240101-120000-ABCDEFG.in_progress"
    assert recording_of(conflict, {"filename": "talk.mp3"}) == conflict.removesuffix(IN_PROGRESS)
    assert recording_of("b.mp3.in_progress", {"filename": "a.mp3"}) == "b.mp3"
    assert recording_of("b.mp3.in_progress", {"filename": "\ud800.mp3"}) == "b.mp3"
    assert recording_of("b.mp3.in_progress", {}) == "b.mp3"
    with pytest.raises(ValueError, match="no sidecar"):
        recording_of("b.mp3", {})


def test_only_texts_of_a_recording_count_as_its_own() -> None:
    listed = [
        "talk.txt", "talk.mp3.srt", "talk.mp3 (3).vtt",
        "../talk.txt", "/etc/talk.txt", "other.txt", "talkshow.txt", "talk.mp3", "talk.wav",
        "sub/talk.txt", "talk.exe", 5, None, "\ud800.txt",
    ]  # fmt: skip
    assert own_outputs("talk.mp3", listed) == ("talk.txt", "talk.mp3.srt", "talk.mp3 (3).vtt")


@given(st.text(st.characters(blacklist_characters="/\0", codec="utf-8"), min_size=1, max_size=300))
def test_any_name_has_sidecars_that_fit(base: str) -> None:
    for suffix in SUFFIXES:
        sidecar = sidecar_name(base, suffix)
        assert len(os.fsencode(sidecar)) <= 255
        if suffix in (IN_PROGRESS, RESULT):
            assert recording_of(sidecar, {"filename": base}) == base


def test_subtitles_may_name_their_language_and_nothing_else_may() -> None:
    assert next(output_names("Film.mkv", "srt", "ru")) == "Film.ru.srt"
    assert next(output_names("Film.mkv", "txt", "ru")) == "Film.txt"
    listed = ["Film.ru.srt", "Film.mkv.en.vtt", "Film.jv.srt", "Film.mkv (2).yue.srt"]
    foreign = ["Film.xx.srt", "Film.rus.srt", "Film.ru.txt", "Film.ru.forced.srt", "Other.ru.srt"]
    assert own_outputs("Film.mkv", [*listed, *foreign]) == tuple(listed)


def test_a_language_in_the_name_of_the_recording_is_a_part_of_it() -> None:
    assert own_outputs("Film.ru.mkv", ["Film.ru.srt", "Film.ru.en.srt", "Film.en.srt"]) == (
        "Film.ru.srt",
        "Film.ru.en.srt",
    )
