"""The summary belongs to its recording, wherever that goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.recordings.sidecars import RecordingPaths
from modules.recordings.skipped import is_skipped
from modules.recordings.store import RecordingStore
from modules.recordings.summary_files import MadeFrom, Summary
from tests.builders import a_job

MADE_FROM = MadeFrom(text_sha256="0" * 64, template="minutes 1", model="m", language="ru")
SUMMARY = Summary(
    job_id="job-1", status="done", made_from=MADE_FROM, creation_time="now", summary="Коротко."
)
NAMES = ["talk.mp3", "ы" * 120 + ".mp3"]


@pytest.fixture
def files(tmp_path: Path) -> RecordingStore:
    made = RecordingStore(tmp_path / "shared", tmp_path / "manual")
    made.prepare()
    return made


def put(files: RecordingStore, name: str) -> RecordingPaths:
    (files.folder.path / name).write_bytes(b"sound")
    files.summaries.write(name, SUMMARY, b"# talk\n")
    return RecordingPaths(name)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_read_as_it_was_written(files: RecordingStore, name: str) -> None:
    paths = put(files, name)
    found = files.summaries.read(name)
    assert found is not None
    assert (found.summary, found.filename) == ("Коротко.", name)
    assert (files.folder.path / paths.summary_text).read_bytes() == b"# talk\n"
    assert not is_skipped(paths.summary)
    assert not is_skipped(paths.summary_text)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_deleted_with_its_recording(files: RecordingStore, name: str) -> None:
    paths = put(files, name)
    assert {paths.summary, paths.summary_text} <= set(files.delete(name, ()))
    assert files.summaries.read(name) is None


@pytest.mark.parametrize("name", NAMES)
def test_it_goes_to_manual_and_does_not_come_back(files: RecordingStore, name: str) -> None:
    """A recording that comes back is transcribed anew, and summarised anew."""
    paths = put(files, name)
    job = a_job(name, source=None)
    files.manual.take(job, "It failed.")
    assert not (files.folder.path / paths.summary).exists()
    assert (files.manual.path / paths.summary).exists()
    assert (files.manual.path / paths.summary_text).exists()
    files.manual.bring_back(name)
    for folder in (files.folder.path, files.manual.path):
        assert not (folder / paths.summary).exists()
        assert not (folder / paths.summary_text).exists()
    assert (files.folder.path / name).read_bytes() == b"sound"


def test_a_failure_removes_our_own_text_and_no_other(files: RecordingStore) -> None:
    put(files, "talk.mp3")
    text = files.folder.path / "talk.mp3.summary.md"
    files.summaries.write("talk.mp3", SUMMARY.model_copy(update={"status": "failed"}), None)
    assert not text.exists()
    text.write_bytes(b"mine")
    files.summaries.write("talk.mp3", SUMMARY, b"# talk\n")
    assert text.read_bytes() == b"# talk\n"
    (aside,) = files.folder.path.glob("*.aside")
    assert aside.read_bytes() == b"mine"
