"""Uploads: whole or not at all, and never over another file."""

from __future__ import annotations

import errno
import itertools
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from modules.errors import TranscriberError
from modules.recordings.uploads import Uploads
from modules.storage import beneath, no_replace
from tests.disk import Call, Died, Disk, Fault


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    made = Uploads(tmp_path / ".transcriber" / "uploads", tmp_path)
    made.prepare()
    return made


def landed(uploads: Uploads, content: bytes, name: str, rename: bool = False) -> str:
    file = uploads.open()
    try:
        file.write(content)
        return uploads.land(file, name, rename=rename)
    finally:
        uploads.discard(file)


def test_an_upload_gets_its_name_and_leaves_nothing_behind(
    uploads: Uploads, tmp_path: Path
) -> None:
    assert landed(uploads, b"one", "talk.mp3") == "talk.mp3"
    assert (tmp_path / "talk.mp3").read_bytes() == b"one"
    assert list(uploads.folder.iterdir()) == []


def test_an_upload_that_a_full_disk_broke_off_leaves_nothing_behind(uploads: Uploads) -> None:
    file = uploads.open()
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, file.fileno())
    os.close(full)
    file.write(b"it is still in memory")
    uploads.discard(file)
    assert file.closed
    assert list(uploads.folder.iterdir()) == []


def test_an_upload_never_lands_on_another_file(uploads: Uploads, tmp_path: Path) -> None:
    landed(uploads, b"one", "talk.mp3")
    with pytest.raises(TranscriberError, match="has a file") as caught:
        landed(uploads, b"two", "talk.mp3")
    assert caught.value.code == "name_taken"
    assert landed(uploads, b"three", "talk.mp3", rename=True) == "talk (2).mp3"
    assert (tmp_path / "talk.mp3").read_bytes() == b"one"
    assert (tmp_path / "talk (2).mp3").read_bytes() == b"three"
    assert list(uploads.folder.iterdir()) == []


def test_a_file_system_without_links_will_do(
    uploads: Uploads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*arguments: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    assert landed(uploads, b"one", "talk.mp3") == "talk.mp3"
    assert landed(uploads, b"two", "talk.mp3", rename=True) == "talk (2).mp3"
    assert (tmp_path / "talk.mp3").read_bytes() == b"one"


def without_links(monkeypatch: pytest.MonkeyPatch, *, renames_new: bool) -> None:
    def unknown(*arguments: object) -> None:
        raise OSError(errno.EINVAL, "not known here")

    def no_links(*arguments: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    if not renames_new:
        monkeypatch.setattr(no_replace, "rename_unless_taken", unknown)


@pytest.mark.parametrize("renames_new", [True, False])
def test_a_kill_leaves_no_empty_recording_where_there_are_no_links(
    uploads: Uploads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames_new: bool
) -> None:
    """At any call; where a rename replaces nothing, there is no empty file at any instant."""
    without_links(monkeypatch, renames_new=renames_new)
    talk = tmp_path / "talk.mp3"
    ends = Counter[bytes | None]()
    for number in itertools.count(1):
        file = uploads.open()
        file.write(b"one")
        died = False
        with Disk(tmp_path) as disk:
            at = number

            def plan(call: Call, at: int = at) -> Fault | None:
                is_empty = talk.exists() and not talk.read_bytes()
                assert not (renames_new and is_empty)
                return Fault(dies="before") if call.number == at else None

            disk.plan = plan
            try:
                uploads.land(file, "talk.mp3", rename=False)
            except Died:
                died = True
        file.close()
        Uploads(uploads.folder, tmp_path).prepare()
        there = talk.read_bytes() if talk.exists() else None
        assert there in (b"one", None)
        assert list(uploads.folder.iterdir()) == []
        ends[there] += 1
        talk.unlink(missing_ok=True)
        if not died:
            break
    assert ends[None] > 2, "it died before"
    assert ends[b"one"] > 1, "it died behind"


def test_only_an_empty_file_of_ours_is_removed_at_start(
    uploads: Uploads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("theirs.mp3", "filled.mp3", "notes.txt")
    for name in names:
        (tmp_path / name).write_bytes(b"text" if name == "filled.mp3" else b"")
    os.utime(tmp_path / "theirs.mp3", (1e9, 1e9))
    later = [*names, "../outside.mp3", "calls/other.mp3"]
    for number, name in enumerate(later):
        (uploads.folder / f"holding-{number}.json").write_text(json.dumps({"name": name}))
    (uploads.folder / "holding-x.json").write_text("[")
    for name in ("filled.mp3", "notes.txt"):
        os.utime(tmp_path / name)
    uploads.prepare()
    assert all((tmp_path / name).exists() for name in names)
    assert list(uploads.folder.iterdir()) == []


def test_an_empty_file_in_a_subfolder_is_removed_at_start(uploads: Uploads, tmp_path: Path) -> None:
    """Live sessions land in subfolders; a link in the place of one leads nowhere."""
    beneath.guard(tmp_path)
    names = ("calls/talk.mp3", ".hidden/talk.mp3", "outside/talk.mp3")
    others = (str(tmp_path / names[2]), "linked/talk.mp3", "missing/talk.mp3")
    for number, name in enumerate((*names[:2], *others)):
        (uploads.folder / f"holding-{number}.json").write_text(json.dumps({"name": name}))
    (tmp_path / "linked").symlink_to("outside")
    for name in names:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"")
    uploads.prepare()
    assert [(tmp_path / name).exists() for name in names] == [False, True, True]
    assert list(uploads.folder.iterdir()) == []


def test_an_upload_that_breaks_off_leaves_nothing(uploads: Uploads) -> None:
    file = uploads.open()
    file.write(b"half")
    uploads.discard(file)
    assert list(uploads.folder.iterdir()) == []


def test_what_a_crash_left_is_swept_at_start_and_nothing_else(uploads: Uploads) -> None:
    uploads.open().close()
    (uploads.folder / "mine.txt").write_bytes(b"kept")
    uploads.prepare()
    assert [path.name for path in uploads.folder.iterdir()] == ["mine.txt"]


def test_who_watches_the_share_is_told_what_landed_and_nobody_writes_it(tmp_path: Path) -> None:
    told: list[tuple[str, tuple[int, int, int]]] = []
    uploads = Uploads(
        tmp_path / "up", tmp_path, on_landed=lambda name, state: told.append((name, state))
    )
    uploads.prepare()
    file = uploads.open()
    file.write(b"one")
    uploads.land(file, "talk.mp3", rename=False)
    facts = (tmp_path / "talk.mp3").stat()
    assert told == [("talk.mp3", (3, facts.st_mtime_ns, facts.st_ino))]
    assert file.closed
