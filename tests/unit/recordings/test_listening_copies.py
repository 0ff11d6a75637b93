"""The cache of listening copies: what is kept, what goes first, and whose files are left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modules.errors import StorageError
from modules.recordings import listening_copies
from modules.recordings.listening_copies import UNUSED_S, ListeningCopies
from modules.recordings.shared_folder import SharedFolder

KEYS = [f"{number:x}" * 48 for number in range(1, 9)]
NOW = 1_700_000_000.0


@pytest.fixture
def copies(tmp_path: Path) -> ListeningCopies:
    (tmp_path / ".transcriber").mkdir()
    return ListeningCopies(SharedFolder(tmp_path), now=lambda: NOW)


def keep(copies: ListeningCopies, key: str, size: int = 100, used_s_ago: float = 0.0) -> Path:
    part = copies.begin(key)
    part.write(bytes(size))
    part.finish(b"head")
    path = copies.folder / f"{key}.mp3"
    os.utime(path, (NOW - used_s_ago, NOW - used_s_ago))
    return path


def names(copies: ListeningCopies) -> set[str]:
    return set(os.listdir(copies.folder))


def test_a_copy_has_its_name_once_it_is_whole(copies: ListeningCopies) -> None:
    part = copies.begin(KEYS[0])
    part.write(b"....")
    part.write(b"sound")
    assert copies.open_sound(KEYS[0]) is None
    part.finish(b"head")
    part.discard()
    descriptor = copies.open_sound(KEYS[0])
    assert descriptor is not None
    with os.fdopen(descriptor, "rb") as file:
        assert file.read() == b"headsound"
    assert names(copies) == {f"{KEYS[0]}.mp3"}


def test_what_is_given_up_leaves_nothing(copies: ListeningCopies) -> None:
    part = copies.begin(KEYS[0])
    part.write(b"sound")
    part.discard()
    assert names(copies) == set()


def test_peaks_are_kept(copies: ListeningCopies) -> None:
    assert copies.peaks(KEYS[0]) is None
    copies.keep_peaks(KEYS[0], b"\0\xff")
    assert copies.peaks(KEYS[0]) == b"\0\xff"


def test_beyond_the_limit_goes_what_was_used_longest_ago(
    copies: ListeningCopies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening_copies, "BYTES_MAX", 250)
    paths = [
        keep(copies, key, used_s_ago=ago) for key, ago in zip(KEYS, (30, 10, 20), strict=False)
    ]
    copies.tidy()
    assert names(copies) == {paths[1].name, paths[2].name}


def test_they_give_way_where_the_disk_lacks_room(copies: ListeningCopies) -> None:
    paths = [
        keep(copies, key, used_s_ago=ago) for key, ago in zip(KEYS, (30, 10, 20), strict=False)
    ]
    copies.tidy(missing_bytes=150)
    assert names(copies) == {paths[1].name}
    copies.tidy(missing_bytes=10**12)
    assert names(copies) == set()


def test_there_are_not_too_many_files(
    copies: ListeningCopies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening_copies, "FILES_MAX", 3)
    for number, key in enumerate(KEYS):
        keep(copies, key, used_s_ago=number)
    copies.tidy()
    assert names(copies) == {f"{key}.mp3" for key in KEYS[:3]}


def test_a_use_is_noted_and_what_nobody_uses_goes(copies: ListeningCopies) -> None:
    used, unused = (keep(copies, key, used_s_ago=UNUSED_S + 1) for key in KEYS[:2])
    descriptor = copies.open_sound(KEYS[0])
    assert descriptor is not None
    os.close(descriptor)
    copies.tidy()
    assert names(copies) == {used.name}
    assert not unused.exists()


def test_what_a_crash_left_goes_and_what_is_not_ours_stays(copies: ListeningCopies) -> None:
    copies.begin(KEYS[0]).discard()
    (copies.folder / f"{KEYS[0]}.part").write_bytes(b"half")
    for name in ("notes.txt", f"{KEYS[1]}.wav", "short.mp3"):
        (copies.folder / name).write_bytes(b"somebody's")
    copies.tidy()
    assert names(copies) == {"notes.txt", f"{KEYS[1]}.wav", "short.mp3"}


def test_all_that_was_made_of_a_recording_can_be_forgotten(copies: ListeningCopies) -> None:
    fingerprint = "a" * 64
    for rest in ("1" * 16, "2" * 16):
        keep(copies, fingerprint[:32] + rest)
    copies.keep_peaks(fingerprint[:32] + "1" * 16, b"peaks")
    other = keep(copies, KEYS[0])
    copies.forget(fingerprint)
    assert names(copies) == {other.name}


def test_a_link_in_its_place_is_not_followed(copies: ListeningCopies, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"private")
    keep(copies, KEYS[0]).unlink()
    (copies.folder / f"{KEYS[0]}.mp3").symlink_to(secret)
    (copies.folder / f"{KEYS[1]}.part").symlink_to(secret)
    assert copies.open_sound(KEYS[0]) is None
    keep(copies, KEYS[1])
    assert secret.read_bytes() == b"private"


def test_while_the_share_is_away_nothing_is_said_to_be_missing(
    copies: ListeningCopies, tmp_path: Path
) -> None:
    (tmp_path / ".transcriber").rmdir()
    for ask in (copies.open_sound, copies.peaks, copies.begin):
        with pytest.raises(StorageError):
            ask(KEYS[0])
    with pytest.raises(StorageError):
        copies.tidy()
