"""``manual/``: nothing is lost, nothing is overwritten, whatever interrupts the move."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from modules.errors import StorageError, TranscriberError
from modules.jobs.job import ErrorInfo, Job, Status
from modules.jobs.source import FileIdentity
from modules.recordings import manual, manual_return
from modules.recordings.store import RecordingStore
from modules.storage import transfer
from modules.storage.atomic import write_own
from tests.builders import NOON, a_job


@pytest.fixture
def files(tmp_path: Path) -> RecordingStore:
    made = RecordingStore(tmp_path / "shared", tmp_path / "manual")
    made.prepare()
    return made


def given_up(
    name: str = "talk.mp3", job_id: str = "one", source: FileIdentity | None = None
) -> Job:
    error = ErrorInfo(code="x", message="It broke.", timestamp="t", attempt=1)
    job = a_job(name, status=Status.RUNNING, job_id=job_id, source=source)
    job = job.open_attempt(NOON)
    return job.close_attempt("failed", NOON, 1.0, error).to(Status.FAILED)


def lay_out(files: RecordingStore, name: str = "talk.mp3", content: bytes = b"sound") -> None:
    path = files.folder.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    stem = os.path.splitext(name)[0]
    (files.folder.path / f"{stem}.txt").write_bytes(b"text of " + content)
    (files.folder.path / f"{name}.result").write_text(json.dumps({"outputs": [f"{stem}.txt"]}))
    files.states.checkpoint_path(name).write_bytes(b"chunks")
    files.states.save(given_up(name))


def listing(folder: Path) -> list[str]:
    return sorted(
        str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()
    )  # fmt: skip


MOVED = [
    ".talk.mp3.checkpoint", "talk.mp3", "talk.mp3.error.txt", "talk.mp3.in_progress",
    "talk.mp3.result", "talk.txt",
]  # fmt: skip


def state(files: RecordingStore, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((files.manual.path / f"{name}.in_progress").read_bytes())
    return content


def test_a_recording_moves_with_all_that_belongs_to_it(files: RecordingStore) -> None:
    lay_out(files)
    (files.folder.path / "bystander.txt").write_bytes(b"")
    where = files.manual.take(given_up(), "It did not work.\n")
    assert where == files.manual.path / "talk.mp3"
    assert listing(files.manual.path) == MOVED
    assert listing(files.folder.path) == ["bystander.txt"]
    assert (files.manual.path / "talk.mp3.error.txt").read_text() == "It did not work.\n"
    found = state(files, "talk.mp3")
    assert (found["moved_to_manual"], found["status"], found["filename"]) == (
        True, "error", "talk.mp3",
    )  # fmt: skip


def test_a_taken_name_gets_a_number(files: RecordingStore) -> None:
    for number in range(3):
        lay_out(files, content=b"sound %d" % number)
        files.manual.take(given_up(job_id=f"job{number}"), f"reason {number}")
    for number, name in enumerate(("talk.mp3", "talk (2).mp3", "talk (3).mp3")):
        assert (files.manual.path / name).read_bytes() == b"sound %d" % number
        assert (files.manual.path / f"{name}.error.txt").read_text() == f"reason {number}"
        assert (files.manual.path / f".{name}.checkpoint").exists()
        assert (files.manual.path / f"{name}.result").exists()
        assert state(files, name)["filename"] == name
        assert state(files, name)["job_id"] == f"job{number}"
    assert sorted(p.name for p in files.manual.path.glob("talk*.txt") if "error" not in p.name) == [
        "talk (2).txt", "talk (3).txt", "talk.txt",
    ]  # fmt: skip


def test_somebody_elses_file_of_that_name_is_left_alone(files: RecordingStore) -> None:
    (files.manual.path / "talk.mp3").write_bytes(b"theirs")
    lay_out(files)
    files.manual.take(given_up(), "")
    assert (files.manual.path / "talk.mp3").read_bytes() == b"theirs"
    assert (files.manual.path / "talk (2).mp3").read_bytes() == b"sound"


def test_subfolders_are_mirrored(files: RecordingStore) -> None:
    lay_out(files, "2024/May/talk.mp3")
    files.manual.take(given_up("2024/May/talk.mp3"), "")
    assert listing(files.manual.path) == [f"2024/May/{name}" for name in MOVED]
    assert listing(files.folder.path) == []


@pytest.mark.parametrize("name", ["ы" * 125 + ".mp3", "x" * 251 + ".mp3", "\udcff" * 200 + ".mp3"])
def test_names_at_the_limit_move_and_collide(files: RecordingStore, name: str) -> None:
    for number in range(3):
        (files.folder.path / name).write_bytes(b"%d" % number)
        files.states.checkpoint_path(name).write_bytes(b"")
        job = given_up(name, job_id=f"job{number}")
        files.states.save(job)
        files.manual.take(job, "")
    assert listing(files.folder.path) == []
    recordings = {p.read_bytes() for p in files.manual.path.iterdir() if p.name.endswith(".mp3")}
    assert recordings == {b"0", b"1", b"2"}


def across_volumes(monkeypatch: pytest.MonkeyPatch, shared: Path) -> None:
    real = os.rename

    def rename(source: Path, target: Path) -> None:
        if Path(source).is_relative_to(shared) is not Path(target).is_relative_to(shared):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)


def test_across_volumes_it_is_copied_and_then_unlinked(
    files: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    across_volumes(monkeypatch, files.folder.path)
    lay_out(files, content=b"sound" * 1_000_000)
    os.utime(files.folder.path / "talk.mp3", ns=(5, 5))
    files.manual.take(given_up(), "")
    assert listing(files.manual.path) == MOVED
    assert listing(files.folder.path) == []
    assert (files.manual.path / "talk.mp3").read_bytes() == b"sound" * 1_000_000
    assert (files.manual.path / "talk.mp3").stat().st_mtime_ns == 5


def test_a_copy_that_is_not_the_same_leaves_the_original(
    files: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    across_volumes(monkeypatch, files.folder.path)
    lay_out(files)
    real = transfer._copy

    def spoil(source: Path, target: Path) -> None:
        real(source, target)
        if Path(source).name == "talk.mp3":
            target.write_bytes(b"s0und")

    monkeypatch.setattr(transfer, "_copy", spoil)
    with pytest.raises(StorageError, match="not the same"):
        files.manual.take(given_up(), "")
    assert (files.folder.path / "talk.mp3").read_bytes() == b"sound"
    assert "talk.mp3" not in os.listdir(files.manual.path)
    assert not list(files.manual.path.glob(".~*")), "half a copy was left"


@pytest.mark.parametrize("with_links", [True, False])
def test_what_somebody_puts_there_while_a_return_is_copied_is_not_replaced(
    files: RecordingStore, monkeypatch: pytest.MonkeyPatch, with_links: bool
) -> None:
    across_volumes(monkeypatch, files.folder.path)
    (files.manual.path / "talk.mp3").write_bytes(b"given up")
    real_copy, real_link = transfer._copy, os.link

    def slowly(source: Path, target: Path) -> None:
        real_copy(source, target)
        if Path(source).name == "talk.mp3":
            (files.folder.path / "talk.mp3").write_bytes(b"theirs")

    def link(source: Path, target: Path) -> None:
        if not with_links or Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV if with_links else errno.EPERM, "no link")
        real_link(source, target)

    monkeypatch.setattr(transfer, "_copy", slowly)
    monkeypatch.setattr(os, "link", link)
    with pytest.raises(TranscriberError, match="already"):
        files.manual.bring_back("talk.mp3")
    assert (files.folder.path / "talk.mp3").read_bytes() == b"theirs"
    assert (files.manual.path / "talk.mp3").read_bytes() == b"given up"
    assert not list(files.folder.path.glob(".~*")), "half a copy was left"


class PowerCutError(BaseException):
    """The machine goes down."""


@pytest.mark.parametrize("volumes", [1, 2])
@pytest.mark.parametrize("cut", range(18))
def test_wherever_the_move_is_cut_off_a_repeated_one_ends_the_same(
    files: RecordingStore, monkeypatch: pytest.MonkeyPatch, volumes: int, cut: int
) -> None:
    lay_out(files)
    if volumes == 2:
        across_volumes(monkeypatch, files.folder.path)
    left = cut

    def counted(real: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise PowerCutError
            return real(*arguments, **named)

        return call

    with monkeypatch.context() as short:
        for name in ("rename", "replace", "unlink"):
            short.setattr(os, name, counted(getattr(os, name)))
        with contextlib.suppress(PowerCutError):
            files.manual.take(given_up(), "why")
        left = 1000
    found = [f for f in (files.folder.path, files.manual.path) if (f / "talk.mp3").exists()]
    assert found, "the recording was lost"
    if (files.folder.path / "talk.mp3").exists():
        files.manual.take(given_up(), "why")
    elif (files.folder.path / "talk.mp3.in_progress").exists():
        assert files.manual.was_moved(given_up()), "recovery would not know that it came through"
        files.states.drop("talk.mp3")
    visible = [n for n in listing(files.manual.path) if not n.startswith(".~")]
    assert visible == MOVED
    assert listing(files.folder.path) == []
    assert (files.manual.path / "talk.mp3").read_bytes() == b"sound"


def test_a_new_recording_of_a_moved_one_is_not_taken_for_it(files: RecordingStore) -> None:
    lay_out(files)
    files.manual.take(given_up(), "")
    lay_out(files, content=b"other sound")
    files.manual.take(given_up(), "")
    assert (files.manual.path / "talk.mp3").read_bytes() == b"sound"
    assert (files.manual.path / "talk (2).mp3").read_bytes() == b"other sound"


def test_a_recording_that_took_the_name_during_the_move_stays(
    files: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(files)
    blamed = files.folder.identity("talk.mp3")

    def replaced(path: Path, content: bytes) -> None:
        write_own(path, content)
        (files.folder.path / "talk.mp3").write_bytes(b"another recording")

    monkeypatch.setattr(manual, "write_own", replaced)
    with pytest.raises(StorageError, match="was replaced while it was moved"):
        files.manual.take(given_up(source=blamed), "It did not work.\n")
    assert (files.folder.path / "talk.mp3").read_bytes() == b"another recording"
    assert not {"talk.mp3", "talk.mp3.error.txt", "talk.mp3.in_progress"} & set(
        listing(files.manual.path)
    )


def test_a_result_cannot_carry_other_files_away(files: RecordingStore, tmp_path: Path) -> None:
    lay_out(files)
    (tmp_path / "secret.txt").write_bytes(b"")
    (files.folder.path / "other.txt").write_bytes(b"")
    (files.folder.path / "talk.mp3.result").write_text(
        json.dumps({"outputs": ["../secret.txt", "other.txt", "talk.txt"]})
    )
    files.manual.take(given_up(), "")
    assert (tmp_path / "secret.txt").exists()
    assert (files.folder.path / "other.txt").exists()
    assert not (files.folder.path / "talk.txt").exists()


def test_a_folder_that_cannot_be_written_is_told(files: RecordingStore) -> None:
    lay_out(files)
    files.manual.path.rmdir()
    files.manual.path.write_bytes(b"")
    with pytest.raises(StorageError):
        files.manual.take(given_up(), "")
    assert (files.folder.path / "talk.mp3").exists()


# --- settings ---

OWN = "talk.mp3.settings.yaml"


def test_settings_go_along_and_those_of_the_folder_stay(files: RecordingStore) -> None:
    lay_out(files)
    (files.folder.path / OWN).write_text("beam_size: 3")
    (files.folder.path / "settings.yaml").write_text("beam_size: 4")
    files.manual.take(given_up(), "It did not work.\n")
    assert listing(files.manual.path) == sorted([*MOVED, OWN])
    assert listing(files.folder.path) == ["settings.yaml"]
    lay_out(files, content=b"another")
    (files.folder.path / OWN).write_text("beam_size: 5")
    files.manual.take(given_up(job_id="two"), "It did not work.\n")
    assert (files.manual.path / "talk (2).mp3.settings.yaml").read_text() == "beam_size: 5"


@pytest.mark.parametrize("links", [True, False])
def test_settings_come_back_first(
    files: RecordingStore, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    (files.manual.path / "talk.mp3").write_bytes(b"sound")
    (files.manual.path / OWN).write_text("beam_size: 3")

    def no_recording_without_them(source: Path, target: Path) -> None:
        assert (files.folder.path / OWN).exists()
        if not links:
            raise PermissionError(errno.EPERM, "no links here")
        os.rename(source, target)
        Path(source).touch()

    monkeypatch.setattr(os, "link", no_recording_without_them)
    files.manual.bring_back("talk.mp3")
    assert listing(files.folder.path) == ["talk.mp3", OWN]
    assert listing(files.manual.path) == []


def test_settings_stay_where_the_recording_stays(files: RecordingStore) -> None:
    (files.manual.path / "talk.mp3").write_bytes(b"sound")
    (files.manual.path / OWN).write_text("beam_size: 3")
    (files.folder.path / "talk.mp3").write_bytes(b"another")
    shared = files.folder.path
    assert not manual_return.bring_back(files.manual.path, shared, shared, "talk.mp3")
    assert listing(files.folder.path) == ["talk.mp3"]
    assert listing(files.manual.path) == ["talk.mp3", OWN]


def test_settings_that_are_there_already_hold(files: RecordingStore) -> None:
    (files.manual.path / "talk.mp3").write_bytes(b"sound")
    (files.manual.path / OWN).write_text("beam_size: 3")
    (files.folder.path / OWN).write_text("beam_size: 4")
    files.manual.bring_back("talk.mp3")
    assert (files.folder.path / OWN).read_text() == "beam_size: 4"
    assert listing(files.manual.path) == []


def test_a_link_in_their_place_is_not_taken_along(files: RecordingStore, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("password: hunter2")
    lay_out(files)
    (files.folder.path / OWN).symlink_to(secret)
    files.manual.take(given_up(), "It did not work.\n")
    assert OWN not in listing(files.manual.path)
    (files.manual.path / OWN).symlink_to(secret)
    (files.folder.path / OWN).unlink()
    files.manual.bring_back("talk.mp3")
    assert not (files.folder.path / OWN).exists()
    assert secret.exists()


def test_a_return_that_came_as_far_as_the_link_is_ended(
    files: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the recording would be transcribed here and still lie there as one that failed."""
    (files.manual.path / "talk.mp3").write_bytes(b"sound")

    def denied(path: Path) -> None:
        raise PermissionError(errno.EACCES, "not now")

    with monkeypatch.context() as trouble:
        trouble.setattr(os, "unlink", denied)
        with pytest.raises(StorageError):
            files.manual.bring_back("talk.mp3")
    assert (files.manual.path / "talk.mp3").samefile(files.folder.path / "talk.mp3")
    files.drop_leftovers("talk.mp3")
    assert listing(files.manual.path) == []
    assert (files.folder.path / "talk.mp3").read_bytes() == b"sound"


def test_a_copy_of_a_recording_in_manual_is_not_taken_for_a_return(files: RecordingStore) -> None:
    for folder in (files.manual.path, files.folder.path):
        (folder / "talk.mp3").write_bytes(b"sound")
    files.drop_leftovers("talk.mp3")
    assert listing(files.manual.path) == ["talk.mp3"]
