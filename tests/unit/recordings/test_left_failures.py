"""Recordings that failed and stay where they are: remembered until they change."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modules.errors import StorageError
from modules.jobs.job import ErrorInfo, Job, Priority, Status
from modules.recordings import left_failures
from modules.recordings.store import RecordingStore
from tests.builders import NOON, a_job

NAME = "Films/Alien.mkv"


@pytest.fixture(params=[False, True], ids=["beside", "hidden"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> RecordingStore:
    made = RecordingStore(tmp_path / "shared", tmp_path / "manual", hidden=request.param)
    made.prepare()
    (tmp_path / "shared" / "Films").mkdir()
    (tmp_path / "shared" / NAME).write_bytes(b"sound")
    return made


def failed(files: RecordingStore, name: str = NAME) -> Job:
    error = ErrorInfo(code="no_audio", message="No sound.", timestamp="2024-01-01T12:00:00Z",
                      attempt=1)  # fmt: skip
    job = a_job(name, source=files.folder.identity(name), priority=Priority.API)
    begun = job.to(Status.RUNNING).open_attempt(NOON)
    return begun.close_attempt("failed", NOON, 1.0, error).to(Status.FAILED)


def test_a_failure_is_remembered_with_its_reason(files: RecordingStore) -> None:
    assert files.left.of(NAME) is None
    files.left.note(failed(files), "No sound in it.")
    found = files.left.of(NAME)
    assert found is not None
    assert (found.name, found.size, found.explanation) == (NAME, 5, "No sound in it.")
    assert found.state["error"]["code"] == "no_audio"
    assert files.folder.is_there(NAME)


@pytest.mark.parametrize("change", ["content", "gone", "moved", "running", "not ours"])
def test_it_holds_for_that_very_file_alone(files: RecordingStore, change: str) -> None:
    files.left.note(failed(files), "why")
    state = files.folder.sidecar_at(f"{NAME}.in_progress")
    content = json.loads(state.read_bytes())
    if change == "content":
        files.folder.at(NAME).write_bytes(b"other")
        os.utime(files.folder.at(NAME), (5, 5))
    elif change == "gone":
        files.folder.at(NAME).unlink()
    elif change == "moved":
        state.write_text(json.dumps(content | {"moved_to_manual": True}))
    elif change == "running":
        state.write_text(json.dumps(content | {"status": "processing"}))
    else:
        state.write_text("[]")
    assert files.left.of(NAME) is None
    assert files.left.state_of(NAME) == {}


def test_a_copy_from_a_backup_is_the_same_file(files: RecordingStore) -> None:
    files.left.note(failed(files), "why")
    os.utime(files.folder.at(NAME), (5, 5))
    assert files.left.of(NAME) is not None


def test_what_a_crash_leaves_has_not_failed_yet(
    files: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text is there first; the job comes back, and ends the same."""

    def crash(job: Job) -> None:
        raise StorageError("disk_full", "Full.")

    with monkeypatch.context() as during:
        during.setattr(files.states, "save", crash)
        with pytest.raises(StorageError):
            files.left.note(failed(files), "why")
    assert files.folder.sidecar_at(f"{NAME}.error.txt").read_text() == "why"
    assert not files.left.is_kept(NAME)


def test_nothing_is_left_of_one_that_is_forgotten_or_deleted(files: RecordingStore) -> None:
    def kept() -> list[str]:
        found = (p for p in files.folder.path.rglob("*") if p.is_file())
        return [p.name for p in found if p.name.startswith("Alien")]

    for end in (files.left.forget, lambda name: files.delete(name, ()), files.drop_leftovers):
        files.folder.at(NAME).write_bytes(b"sound")
        files.left.note(failed(files), "why")
        assert files.left.is_kept(NAME)
        end(NAME)
        assert set(kept()) <= {"Alien.mkv"}


def test_a_link_in_the_place_of_the_text_is_not_followed(
    files: RecordingStore, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    files.left.note(failed(files), "why")
    text = files.folder.sidecar_at(f"{NAME}.error.txt")
    text.unlink()
    text.symlink_to(tmp_path / "secret")
    found = files.left.of(NAME)
    assert found is not None
    assert found.explanation is None
    files.left.note(failed(files), "new")
    assert (tmp_path / "secret").read_text() == "secret"
    assert text.read_text() == "new"
    assert not text.is_symlink()


def test_a_state_that_cannot_be_read_is_not_judged(
    files: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.left.note(failed(files), "why")

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(left_failures, "read_json", broken)
    with pytest.raises(StorageError):
        files.left.state_of(NAME)
