"""The finished chunks on the disk: appended, torn, cut off, and void for anything else."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.errors import StorageError
from modules.recordings import checkpoint
from modules.recordings.checkpoint import Checkpoint, Chunks, Header, Writer, read
from tests.builders import SETTINGS, SOURCE, a_chunk

HEADER = Header(settings=SETTINGS, source=SOURCE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".talk.mp3.checkpoint"


def write(path: Path, *indexes: int, header: Header = HEADER) -> None:
    writer = Writer(path, header, read(path, header))
    for index in indexes:
        writer.append(a_chunk(index))
    writer.close()


def numbers(path: Path, header: Header = HEADER) -> list[int]:
    return [round(chunk.start_s / 10) for chunk in read(path, header).chunks]


def test_no_checkpoint_is_an_empty_one(path: Path) -> None:
    found = read(path, HEADER)
    chunks = found.chunks
    assert (list(chunks), chunks.position_s, chunks.language, found.size) == ([], 0.0, None, 0)


def test_chunks_come_back_as_they_were(path: Path) -> None:
    write(path, 0, 1)
    found = read(path, HEADER)
    assert list(found.chunks) == [a_chunk(0), a_chunk(1)]
    assert found.chunks.position_s == 20.0
    assert found.chunks.language == "ru"
    assert found.size == path.stat().st_size


def test_a_later_run_appends(path: Path) -> None:
    write(path, 0, 1)
    before = path.read_bytes()
    write(path, 2)
    assert path.read_bytes().startswith(before), "saving must not grow with the recording"
    assert numbers(path) == [0, 1, 2]


def test_the_first_language_is_the_settled_one(path: Path) -> None:
    silent = a_chunk(0, language=None, segments=())
    assert Chunks((silent, a_chunk(1, language="en"), a_chunk(2))).language == "en"


@pytest.mark.parametrize("cut", [1, 2, 30, 60])
def test_a_torn_tail_is_left_out_and_cut_off(path: Path, cut: int) -> None:
    write(path, 0, 1, 2)
    os.truncate(path, path.stat().st_size - cut)
    assert numbers(path) == [0, 1]
    write(path, 2, 3)
    assert numbers(path) == [0, 1, 2, 3]


def test_garbage_in_the_middle_ends_what_is_sound(path: Path) -> None:
    write(path, 0)
    with open(path, "ab") as file:
        file.write(b"\0\0\0\0\n" + a_chunk(2).model_dump_json().encode() + b"\n")
    assert numbers(path) == [0]
    write(path, 1)
    assert numbers(path) == [0, 1]


@pytest.mark.parametrize(
    "header",
    [
        Header(settings=SETTINGS.model_copy(update={"language": "en"}), source=SOURCE),
        Header(settings=SETTINGS, source=SOURCE.model_copy(update={"size": 7})),
        Header(
            settings=SETTINGS,
            source=SOURCE.model_copy(update={"mtime_ns": 1, "fingerprint": "other"}),
        ),
    ],
    ids=["other settings", "other size", "other bytes"],
)
def test_a_checkpoint_of_something_else_is_void(path: Path, header: Header) -> None:
    write(path, 0, 1)
    assert not len(read(path, header).chunks)
    write(path, 0, header=header)
    assert numbers(path, header) == [0]
    assert numbers(path) == [], "what was there before is gone"


def test_debug_and_a_new_file_time_void_nothing(path: Path) -> None:
    write(path, 0)
    assert numbers(
        path,
        Header(
            settings=SETTINGS.model_copy(update={"debug": True}),
            source=SOURCE.model_copy(update={"mtime_ns": 5}),
        ),
    ) == [0]


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n", b"not json\n", b"\xff\xff"])
def test_what_is_no_checkpoint_is_written_anew(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert not len(read(path, HEADER).chunks)
    write(path, 0)
    assert numbers(path) == [0]


def test_a_link_is_not_written_through(path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    path.symlink_to(elsewhere)
    with pytest.raises(StorageError):
        Writer(path, HEADER, Checkpoint())
    assert elsewhere.read_bytes() == b"precious"


def test_a_fifo_is_refused_without_waiting(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(StorageError):
        read(path, HEADER)
    with pytest.raises(StorageError):
        Writer(path, HEADER, Checkpoint())


def test_a_line_that_is_longer_than_any_of_ours_ends_what_is_sound(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, 0)
    monkeypatch.setattr(checkpoint, "_LINE_BYTES_MAX", path.stat().st_size)
    with path.open("ab") as file:
        file.write(b"x" * path.stat().st_size * 3)
    assert numbers(path) == [0]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told_as_one() -> None:
    with pytest.raises(StorageError) as caught:
        Writer(Path("/dev/full"), HEADER, Checkpoint())
    assert caught.value.code in ("disk_full", "storage_error")


def test_a_failing_disk_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(path, HEADER, Checkpoint())

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fdatasync", full)
    with pytest.raises(StorageError) as caught:
        writer.append(a_chunk(0))
    assert caught.value.code == "disk_full"
    writer.close()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_wherever_a_crash_tears_it_the_whole_lines_before_are_kept(data: st.DataObject) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint"
        write(path, 0, 1, 2)
        content = path.read_bytes()
        cut = data.draw(st.integers(0, len(content)))
        os.truncate(path, cut)
        whole = content[:cut].count(b"\n")
        assert numbers(path) == list(range(max(0, whole - 1)))
