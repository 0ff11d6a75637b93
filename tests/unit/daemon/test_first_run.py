"""The first minute: a sample goes in once, and its text is printed once."""

from __future__ import annotations

import gettext
import json
from pathlib import Path

import pytest

from modules.cli import translation
from modules.daemon.first_run import FirstRun
from modules.recordings.names import STATE_FOLDER
from modules.recordings.store import RecordingStore


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "sample.wav"
    path.write_bytes(b"sound")
    return path


@pytest.fixture
def files(tmp_path: Path) -> RecordingStore:
    (tmp_path / "shared").mkdir()
    return RecordingStore(tmp_path / "shared", tmp_path / "manual")


def test_the_text_is_printed_once_when_it_is_there(
    sample: Path, files: RecordingStore, capsys: pytest.CaptureFixture[str]
) -> None:
    first_run = FirstRun(sample, files.folder.path)
    first_run.drop_sample(files.folder.path)
    assert (files.folder.path / "sample.wav").read_bytes() == b"sound"
    first_run.tick(files)
    assert capsys.readouterr().out == ""
    assert first_run.is_waiting
    result = {"outputs": ["sample.txt"], "transcription": {"text": "Hello.", "segments": []}}
    (files.folder.path / "sample.wav.result").write_text(json.dumps(result))
    first_run.tick(files)
    first_run.tick(files)
    told = capsys.readouterr().out
    assert told.count("sample.wav says:\n\n    Hello.") == 1
    assert f"The files are in {files.folder.path}: sample.wav.result, sample.txt" in told
    assert not first_run.is_waiting


def test_what_is_said_around_the_text_is_in_the_language_that_is_set(
    sample: Path,
    files: RecordingStore,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LANGUAGE", "en")  # given back in the end
    before = gettext.textdomain()
    first_run = FirstRun(sample, files.folder.path)
    first_run.drop_sample(files.folder.path)
    result = {"outputs": ["sample.txt"], "transcription": {"text": "Hello.", "segments": []}}
    (files.folder.path / "sample.wav.result").write_text(json.dumps(result))
    try:
        translation.choose({"LANG": "C"})
        translation.choose_wished("ru")
        first_run.tick(files)
    finally:
        gettext.textdomain(before)
    told = capsys.readouterr().out
    assert "Текст записи sample.wav:\n\n    Hello.\n" in told
    assert f"Файлы лежат в {files.folder.path}: sample.wav.result, sample.txt\n" in told
    assert "Скопируйте туда же свои записи. Программу завершает Ctrl-C.\n" in told


def test_a_share_that_was_used_gets_no_sample(sample: Path, files: RecordingStore) -> None:
    (files.folder.path / STATE_FOLDER).mkdir()
    first_run = FirstRun(sample, files.folder.path)
    first_run.drop_sample(files.folder.path)
    assert not first_run.is_waiting
    assert not (files.folder.path / "sample.wav").exists()


def test_a_recording_of_that_name_is_never_replaced(sample: Path, files: RecordingStore) -> None:
    mine = files.folder.path / "sample.wav"
    mine.write_bytes(b"mine")
    first_run = FirstRun(sample, files.folder.path)
    first_run.drop_sample(files.folder.path)
    assert mine.read_bytes() == b"mine"
    assert not first_run.is_waiting
