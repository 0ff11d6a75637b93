"""The real daemon with the engines t-one and gigaam, whose weights are tiny models made here.

What they write is nonsense. It is the way of a recording that is tried: the sandboxed process with
no network, a kill, other engines beside it, and what users are told.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import tiny_models
from tests.daemon_process import DaemonProcess, text_of
from tests.recordings.sound import spoken
from tests.recordings.writing import Track, written
from tests.speech import Clip
from tests.tiny_models import require_tiny_models

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without any Whisper."""
    require_tiny_models()
    folder = tmp_path_factory.mktemp("models")
    tiny_models.t_one(folder / "t-one", slow=True)
    tiny_models.gigaam(folder / "gigaam")
    return folder


def configured(root: Path, models: Path, engine: str) -> DaemonProcess:
    daemon = DaemonProcess(
        root,
        {"whisperx": {"engine": engine}, "processing": {"retry_backoff_seconds": 0.2}},
    )
    tree = yaml.safe_load(daemon.config_file.read_text("utf-8"))
    tree["models_directory"] = str(models)
    daemon.config_file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return daemon


@pytest.fixture(scope="module")
def daemon(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    with configured(tmp_path_factory.mktemp("calls"), models, "t-one") as made:
        yield made


def engine_of(result: dict[str, Any]) -> str:
    used: str = result["metadata"]["settings_used"]["engine"]
    return used


def test_a_killed_worker_goes_on_and_the_text_is_the_same(
    daemon: DaemonProcess, long_clip: Clip
) -> None:
    calm = daemon.wait_for_result(daemon.put(long_clip.path, "calm.wav"))
    assert engine_of(calm) == "t-one"
    assert calm["metadata"]["alignment"] == "ctc"
    assert calm["metadata"]["language"] == "ru"
    assert calm["metadata"]["engine_version"]
    assert calm["metadata"]["model_info"]["name"] == "t-one"
    assert calm["metadata"]["word_count"] > 10
    name = daemon.put(long_clip.path, "killed.wav")
    daemon.wait_until_half_done(name)
    worker = daemon.worker_pid()
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    again = daemon.wait_for_result(name)
    assert f"{name}: going on from the checkpoint at" in daemon.log
    assert again["processing_stats"]["total_attempts"] == 2
    assert text_of(again) == text_of(calm)


def test_another_engine_can_be_named_beside_a_recording(daemon: DaemonProcess) -> None:
    beside = daemon.shared / "talk.wav.settings.yaml"
    beside.write_text("engine: gigaam\n", encoding="utf-8")
    source = daemon.root / "talk.wav"
    source.write_bytes(written("wav", [Track(spoken("ru"), "pcm_s16le", 8_000, "mono")]))
    result = daemon.wait_for_result(daemon.put(source))
    assert engine_of(result) == "gigaam"
    assert result["settings"]["engine"] == "gigaam"
    assert result["metadata"]["model_info"]["name"] == "gigaam"


def test_two_legs_are_told_apart_by_this_engine_too(daemon: DaemonProcess) -> None:
    from tests.recordings.sound import together

    beside = daemon.shared / "call.wav.settings.yaml"
    beside.write_text("channels: split\n", encoding="utf-8")
    source = daemon.root / "call.wav"
    sound = together(spoken("ru"), spoken("queue"))
    source.write_bytes(written("wav", [Track(sound, "pcm_s16le", 8_000, "stereo")]))
    result = daemon.wait_for_result(daemon.put(source))
    assert engine_of(result) == "t-one"
    assert result["metadata"]["diarization"] == "channels"
    speakers = {segment["speaker"] for segment in result["transcription"]["segments"]}
    assert speakers == {"SPEAKER_00", "SPEAKER_01"}


def test_another_language_waits_with_an_explanation(daemon: DaemonProcess) -> None:
    beside = daemon.shared / "english.wav.settings.yaml"
    beside.write_text("language: en\n", encoding="utf-8")
    source = daemon.root / "english.wav"
    source.write_bytes(written("wav", [Track(spoken("en"), "pcm_s16le", 16_000, "mono")]))
    name = daemon.put(source)
    error = daemon.shared / "english.wav.settings.yaml.error.txt"
    daemon.wait_for(error.exists, "the explanation")
    assert "the engine t-one knows Russian only" in error.read_text("utf-8")
    beside.unlink()
    assert engine_of(daemon.wait_for_result(name)) == "t-one"


def test_a_request_in_another_language_is_refused(daemon: DaemonProcess) -> None:
    port = daemon.wait_for_log(r"http://127\.0\.0\.1:(\d+)")[1]
    body = json.dumps({"filename": "calm.wav", "language": "en", "force": True}).encode()
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/transcribe", body, {"Content-Type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(asked, timeout=30)
    assert caught.value.code == 422
    assert "the engine t-one knows Russian only" in caught.value.read().decode()


def doctor(daemon: DaemonProcess) -> str:
    ended = subprocess.run(
        daemon.command("doctor"), capture_output=True, text=True, timeout=180,
        env=daemon.environment() | {"LANG": "C", "LC_ALL": "C", "LANGUAGE": "en"},
    )  # fmt: skip
    return next(line for line in ended.stdout.splitlines() if " model  " in line)


@pytest.mark.parametrize(
    ("engine", "gone", "address"),
    [
        ("t-one", "config.json", "https://huggingface.co/t-tech/T-one"),
        ("gigaam", "v3_e2e_ctc_vocab.txt", "https://huggingface.co/istupakov/gigaam-v3-onnx"),
        ("gigaam", "v3_e2e_ctc.int8.onnx", "https://huggingface.co/istupakov/gigaam-v3-onnx"),
    ],
)
def test_doctor_names_the_file_that_is_missing_and_who_has_it(
    tmp_path: Path, engine: str, gone: str, address: str
) -> None:
    require_tiny_models()
    folder = {"t-one": tiny_models.t_one, "gigaam": tiny_models.gigaam}[engine](tmp_path / engine)
    daemon = configured(tmp_path / "daemon", tmp_path, engine)
    assert "ok" in doctor(daemon)
    (folder / gone).unlink()
    line = doctor(daemon)
    assert line.startswith("problem")
    assert gone in line
    assert address in line
