"""Uploads in pieces on the disk: the offset is what is there, and one writes at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modules.errors import StorageError, TranscriberError
from modules.recordings.partial_uploads import KEPT_S, STALE_S, PartialUploads, UploadNote
from modules.storage import beneath
from tests.fakes import FakeClock

NOTE = UploadNote(length=10, metadata="filename dGFsay5tcDM=", client="me", name="talk.mp3")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> PartialUploads:
    beneath.guard(tmp_path)
    return PartialUploads(tmp_path / ".transcriber" / "uploads", tmp_path, clock)


def part(store: PartialUploads, upload_id: str) -> Path:
    return store._folder / f"{upload_id}.part"


def last_moved(store: PartialUploads, upload_id: str, clock: FakeClock, ago_s: float) -> None:
    at = clock.utc_now().timestamp() - ago_s
    os.utime(part(store, upload_id), (at, at))


def test_the_offset_is_what_lies_there(store: PartialUploads) -> None:
    upload_id = store.create(NOTE)
    assert (store.note(upload_id), store.offset(upload_id)) == (NOTE, 0)
    part(store, upload_id).write_bytes(b"abc")
    assert store.offset(upload_id) == 3
    assert store.head(upload_id, 2) == b"ab"
    store.remove(upload_id)
    assert (store.note(upload_id), store.offset(upload_id), store.ids()) == (None, None, set())


def test_bytes_are_there_before_the_body_has_ended(store: PartialUploads) -> None:
    upload_id = store.create(NOTE)
    writer = store.open_for(upload_id, 0, 10)
    writer.append(b"abc")
    assert store.offset(upload_id) == 3
    writer.close()
    writer.close()
    more = store.open_for(upload_id, 3, 10)
    more.append(b"defghij and what is too much")
    assert (store.offset(upload_id), len(more), more.limit) == (10, 28, 7)
    more.close()
    with pytest.raises(TranscriberError):
        more.append(b"x")


def test_a_file_that_changed_since_is_not_written(store: PartialUploads) -> None:
    upload_id = store.create(NOTE)
    part(store, upload_id).write_bytes(b"abc")
    with pytest.raises(StorageError):
        store.open_for(upload_id, 0, 10)
    # The failure held nothing.
    store.open_for(upload_id, 3, 10).close()


def test_a_second_body_waits_until_the_first_is_silent(
    store: PartialUploads, clock: FakeClock
) -> None:
    upload_id = store.create(NOTE)
    first = store.open_for(upload_id, 0, 10)
    with pytest.raises(TranscriberError) as caught:
        store.open_for(upload_id, 0, 10)
    assert caught.value.code == "upload_locked"
    clock.advance(STALE_S + 1)
    first.append(b"a")
    with pytest.raises(TranscriberError):
        store.open_for(upload_id, 1, 10)
    clock.advance(STALE_S + 1)
    second = store.open_for(upload_id, 1, 10)
    with pytest.raises(TranscriberError):
        first.append(b"b")
    first.close()
    second.append(b"c")
    assert part(store, upload_id).read_bytes() == b"ac"
    second.close()


def test_what_is_being_finished_is_left_alone(store: PartialUploads, clock: FakeClock) -> None:
    upload_id = store.create(NOTE)
    writer = store.open_for(upload_id, 0, 10)
    with store.exclusive(upload_id, writer):
        clock.advance(STALE_S + 1)
        with pytest.raises(TranscriberError):
            store.open_for(upload_id, 0, 10)
        with pytest.raises(TranscriberError), store.exclusive(upload_id, revoking=True):
            pass
    with store.exclusive(upload_id):
        pass


def test_a_body_that_lost_its_place_finishes_nothing(store: PartialUploads) -> None:
    upload_id = store.create(NOTE)
    writer = store.open_for(upload_id, 0, 10)
    with store.exclusive(upload_id, revoking=True):
        store.remove(upload_id)
    with pytest.raises(TranscriberError), store.exclusive(upload_id, writer):
        pass
    writer.close()


def test_time_counts_from_the_last_byte(store: PartialUploads, clock: FakeClock) -> None:
    upload_id = store.create(NOTE)
    last_moved(store, upload_id, clock, KEPT_S - 10)
    assert not store.has_expired(upload_id)
    assert store.expires(upload_id) == pytest.approx(clock.utc_now().timestamp() + 10)
    clock.advance(20)
    assert store.has_expired(upload_id)


def test_a_time_that_lies_ahead_neither_lasts_for_ever_nor_takes_room(
    store: PartialUploads, clock: FakeClock
) -> None:
    upload_id = store.create(NOTE)
    last_moved(store, upload_id, clock, -3 * KEPT_S)
    assert store.is_left(upload_id)
    assert store.unfinished() == (1, 0)
    last_moved(store, upload_id, clock, -60)
    assert not store.is_left(upload_id)


def test_an_upload_of_which_nothing_came_gives_way(store: PartialUploads, clock: FakeClock) -> None:
    begun, idle, filled = (store.create(NOTE) for _ in range(3))
    part(store, filled).write_bytes(b"abc")
    for upload_id, ago_s in ((begun, 10), (idle, 3600), (filled, 7200)):
        last_moved(store, upload_id, clock, ago_s)
    assert store.remove_idle()
    assert store.ids() == {begun, filled}
    assert not store.remove_idle()


def test_what_moves_has_its_room(store: PartialUploads, clock: FakeClock) -> None:
    moving, still = store.create(NOTE), store.create(NOTE)
    part(store, moving).write_bytes(b"abc")
    last_moved(store, moving, clock, 60)
    last_moved(store, still, clock, 3600)
    assert store.unfinished() == (2, 7)


def test_a_landing_that_was_carried_out_is_known(store: PartialUploads, tmp_path: Path) -> None:
    upload_id = store.create(NOTE)
    path = part(store, upload_id)
    path.write_bytes(b"sound")
    assert not store.has_name(upload_id, "talk.mp3")
    (tmp_path / "talk.mp3").write_bytes(b"sound")
    assert not store.has_name(upload_id, "talk.mp3"), "the same bytes are another's"
    (tmp_path / "talk.mp3").unlink()
    os.link(path, tmp_path / "talk.mp3")
    assert store.has_name(upload_id, "talk.mp3")
    assert not path.exists()
    assert store.has_name(upload_id, "talk.mp3")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"format": 2, "length": 1, "metadata": "", "client": ""}',
        b'{"length": "1", "metadata": "", "client": ""}',
        b'{"length": -1, "metadata": "", "client": ""}',
        b'{"length": 1, "metadata": "", "client": "", "landing": "../talk.mp3"}',
        b'{"length": 1, "metadata": "", "client": "", "name": "calls/talk.mp3"}',
        b'{"length": 1, "metadata": "", "client": "", "landing": "notes.txt"}',
    ],
)
def test_what_is_no_note_of_ours_is_none(store: PartialUploads, content: bytes) -> None:
    upload_id = store.create(NOTE)
    (store._folder / f"{upload_id}.json").write_bytes(content)
    assert store.note(upload_id) is None


@pytest.mark.parametrize(
    "upload_id", ["", "..", "../paused", "talk.mp3", "0" * 31, "0" * 33, "g" * 32]
)
def test_an_id_is_no_path(store: PartialUploads, upload_id: str) -> None:
    assert store.note(upload_id) is None
