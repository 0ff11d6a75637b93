"""Files that are no recordings: remembered across restarts, until they change."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from modules.errors import StorageError
from modules.recordings.store import RecordingStore
from modules.storage import file_kind

SOURCE = b"export const translations = { save: 'Speichern', open: 'Open', close: 'Close' };\n"


@pytest.fixture
def files(tmp_path: Path) -> RecordingStore:
    made = RecordingStore(tmp_path / "shared", tmp_path / "manual")
    made.prepare()
    (made.folder.path / "index.ts").write_bytes(SOURCE)
    return made


def again(files: RecordingStore) -> RecordingStore:
    """What the next start knows."""
    return RecordingStore(files.folder.path, files.manual.path)


def test_a_text_is_noted_once_and_known_after_a_restart(
    files: RecordingStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert files.ignored.kind_of("index.ts") is None, "nobody has looked at it"
    for store in (files, files, again(files)):
        assert store.ignored.look("index.ts") == "a text document"
    assert caplog.text.count("is no recording and stays where it is") == 1
    assert again(files).ignored.kind_of("index.ts") == "a text document"
    assert sorted(os.listdir(files.folder.path)) == [".transcriber", "index.ts"]


def test_a_file_that_changed_is_looked_at_again(files: RecordingStore) -> None:
    files.ignored.look("index.ts")
    (files.folder.path / "index.ts").write_bytes(b"G\x40\0\x10" * 200)
    assert files.ignored.kind_of("index.ts") is None
    assert files.ignored.look("index.ts") is None


def test_what_is_gone_is_forgotten_at_the_next_start(files: RecordingStore) -> None:
    other = files.folder.path / "app_ru.ts"
    other.write_bytes(SOURCE)
    files.ignored.look("index.ts")
    files.ignored.look("app_ru.ts")
    other.unlink()
    fresh = again(files)
    fresh.ignored.tidy()
    kept = (files.folder.state / "ignored.jsonl").read_text()
    assert "index.ts" in kept
    assert "app_ru.ts" not in kept


def test_a_torn_or_forged_note_does_no_harm(files: RecordingStore) -> None:
    files.ignored.look("index.ts")
    note = files.folder.state / "ignored.jsonl"
    with note.open("ab") as file:
        file.write(b'\n[1]\n{"filename": 7}\n{"filename": "a.ts", "size": "x"}\n{"filename": "b.t')
    fresh = again(files)
    assert fresh.ignored.kind_of("index.ts") == "a text document"
    (files.folder.path / "other.ts").write_bytes(SOURCE)
    fresh.ignored.look("other.ts")
    assert again(files).ignored.kind_of("other.ts") == "a text document"


def test_a_name_that_is_not_utf_8_is_remembered(files: RecordingStore) -> None:
    name = os.fsdecode(b"\xff\xfe.ts")
    (files.folder.path / name).write_bytes(SOURCE)
    files.ignored.look(name)
    assert again(files).ignored.kind_of(name) == "a text document"


def test_of_a_file_that_may_not_be_read_nothing_is_known(
    files: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def barred(path: Path) -> bytes:
        raise StorageError("permission_denied", "Access is denied.")

    monkeypatch.setattr(file_kind, "head_of", barred)
    assert files.ignored.look("index.ts") is None
