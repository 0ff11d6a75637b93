"""Whether the folder at the share's path is the one that the daemon started with."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.recordings.names import STATE_FOLDER
from modules.recordings.shared_folder import SharedFolder


@pytest.fixture
def share(tmp_path: Path) -> Path:
    (tmp_path / "shared" / STATE_FOLDER).mkdir(parents=True)
    return tmp_path / "shared"


def test_a_folder_that_was_never_noted_is_the_same(share: Path) -> None:
    assert SharedFolder(share).is_same()


def test_another_folder_at_the_path_is_noticed(share: Path, tmp_path: Path) -> None:
    folder = SharedFolder(share)
    folder.remember()
    assert folder.is_same()
    share.rename(tmp_path / "away")
    (share / STATE_FOLDER).mkdir(parents=True)
    assert not folder.is_same()
    folder.remember()
    assert not folder.is_same(), "only the first one is noted"


def test_an_unavailable_share_is_no_other_folder(share: Path, tmp_path: Path) -> None:
    folder = SharedFolder(share)
    folder.remember()
    share.rename(tmp_path / "away")
    assert folder.is_same()
    share.mkdir()
    assert folder.is_same(), "an empty mount point is not one of ours"
    share.rmdir()
    (tmp_path / "away").rename(share)
    assert folder.is_same()


def test_a_share_that_is_unavailable_at_first_is_noted_later(share: Path, tmp_path: Path) -> None:
    share.rename(tmp_path / "away")
    folder = SharedFolder(share)
    folder.remember()
    (tmp_path / "away").rename(share)
    folder.remember()
    share.rename(tmp_path / "away")
    (share / STATE_FOLDER).mkdir(parents=True)
    assert not folder.is_same()
