"""Is the shared folder there, and is it ours?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modules.recordings.names import STATE_FOLDER
from modules.recordings.share_presence import SharePresence


def test_a_share_that_goes_before_the_first_rescan_is_missed(tmp_path: Path) -> None:
    """Or the state folder would be made anew in an empty mount point, which passed for ours."""
    share = tmp_path / "shared"
    (share / STATE_FOLDER).mkdir(parents=True)
    presence = SharePresence(share)
    share.rename(tmp_path / "away")
    share.mkdir()
    assert not presence.is_there()
    with pytest.raises(FileNotFoundError):
        presence.check_marker(())
    os.rename(tmp_path / "away" / STATE_FOLDER, share / STATE_FOLDER)
    presence.check_marker(())
    assert presence.is_there()


def test_a_folder_that_was_never_ours_is_taken_as_it_is(tmp_path: Path) -> None:
    presence = SharePresence(tmp_path)
    presence.check_marker(())
    assert presence.is_there()


def test_a_state_folder_that_was_deleted_by_hand_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / STATE_FOLDER).mkdir()
    presence = SharePresence(tmp_path)
    (tmp_path / STATE_FOLDER).rmdir()
    presence.check_marker(iter(["talk.mp3"]))
    assert (tmp_path / STATE_FOLDER).is_dir(), "a recording that was there still is"
    assert presence.is_there()
