"""Files that are still being downloaded, as their programs show beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.recordings.downloads import is_downloading


@pytest.mark.parametrize("note", ["talk.mp4.aria2", "talk.mp4.lftp-pget-status", "talk.mp4.st"])
def test_a_file_has_holes_until_the_note_is_removed(tmp_path: Path, note: str) -> None:
    (tmp_path / note).touch()
    assert is_downloading(tmp_path / "talk.mp4", 1000)
    (tmp_path / note).unlink()
    assert not is_downloading(tmp_path / "talk.mp4", 1000)


@pytest.mark.parametrize(
    "part", ["talk.AbC1d2eF.mp4.part", "talk.mp4.part", "talk.mp4.crdownload", "talk.mp4.download"]
)
def test_an_empty_file_is_the_place_of_the_download_beside_it(tmp_path: Path, part: str) -> None:
    (tmp_path / part).write_bytes(b"sound")
    assert is_downloading(tmp_path / "talk.mp4", 0)
    assert not is_downloading(tmp_path / "talk.mp4", 1000), "a part that was left behind"


@pytest.mark.parametrize("other", ["talk.txt", "talks.mp4.part", "talk.mp3", ".talk.mp4.part"])
def test_other_files_beside_it_say_nothing(tmp_path: Path, other: str) -> None:
    (tmp_path / other).touch()
    assert not is_downloading(tmp_path / "talk.mp4", 0)


def test_a_name_without_room_for_a_note_has_none(tmp_path: Path) -> None:
    assert not is_downloading(tmp_path / f"{'t' * 251}.mp4", 1000)
    assert not is_downloading(tmp_path / "not there" / "talk.mp4", 0)
