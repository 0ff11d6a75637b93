"""Texts and sidecars that do not lie beside the recordings: every way that a file can go."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from modules.errors import StorageError
from modules.jobs.job import ErrorInfo, Job, Priority, Status
from modules.recordings.checkpoint import Checkpoint
from modules.recordings.store import RecordingStore
from modules.runner.publishing import Publisher
from tests.builders import NOON, a_job, a_segment

NAME = "Films/Alien (1979)/Alien (1979).mkv"
STEM = NAME.removesuffix(".mkv")
#: By name: whether texts have a folder, whether sidecars are hidden, and where they are then.
PLACES = {
    "hidden": (False, True, "shared", "shared/.transcriber/sidecars"),
    "elsewhere": (True, False, "texts", "texts"),
    "both": (True, True, "texts", "shared/.transcriber/sidecars"),
}


class World:
    def __init__(self, root: Path, place: str) -> None:
        has_folder, self.hidden, texts, sidecars = PLACES[place]
        self.root, self.texts, self.sidecars = root, root / texts, root / sidecars
        self.files = self.store(root / "texts" if has_folder else None, hidden=self.hidden)
        self.film = root / "shared" / NAME
        self.film.parent.mkdir(parents=True, exist_ok=True)
        self.film.write_bytes(b"sound")

    def store(self, texts: Path | None = None, *, hidden: bool = False) -> RecordingStore:
        made = RecordingStore(self.root / "shared", self.root / "manual", texts, hidden=hidden)
        made.prepare()
        return made

    def job(self, **changes: object) -> Job:
        source = self.files.folder.identity(NAME)
        return a_job(NAME, source=source, outputs=(f"{STEM}.ru.srt",), **changes)

    def publish(self, files: RecordingStore | None = None) -> None:
        files, job = files or self.files, self.job()
        result = {
            "filename": job.name,
            "job_id": job.job_id,
            "outputs": list(job.outputs),
            "source": job.source.model_dump() if job.source else None,
            "duration_seconds": 1.0,
            "transcription": {"text": "Привет.", "segments": []},
            "metadata": {},
        }
        Publisher(files).publish(job, [a_segment(0, 1, "Привет.")], result, timestamps=False)

    def everything(self) -> list[str]:
        ours = (".transcriber-texts", "texts.json")
        found = (p for p in self.root.rglob("*") if p.is_file() and p.name not in ours)
        return sorted(str(path.relative_to(self.root)) for path in found)


@pytest.fixture(params=PLACES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path, request.param)


def failed(job: Job) -> Job:
    error = ErrorInfo(code="x", message="It broke.", timestamp="2024-01-01T12:00:00Z", attempt=1)
    begun = job.to(Status.RUNNING).open_attempt(NOON)
    return begun.close_attempt("failed", NOON, 1.0, error).to(Status.FAILED)


def test_what_is_made_lies_where_the_configuration_says(world: World) -> None:
    before = world.film.stat()
    world.publish()
    texts, sidecars = (p.relative_to(world.root) for p in (world.texts, world.sidecars))
    assert world.everything() == sorted(
        [f"shared/{NAME}", f"{texts}/{STEM}.ru.srt", f"{sidecars}/{NAME}.result"]
    )
    assert world.files.results.is_done(NAME)
    assert world.files.meant(NAME.replace("/", "%2F")) == NAME
    after = world.film.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


def test_everything_is_deleted_and_no_empty_folder_stays(world: World) -> None:
    world.publish()
    world.files.states.save(world.job())
    deleted = world.files.delete(NAME, ())
    assert len(deleted) == 4, deleted
    assert world.everything() == []
    for root in {world.texts, world.sidecars} - {world.root / "shared"}:
        assert set(os.listdir(root)) <= {".transcriber-texts"}


def test_somebody_elses_subtitles_are_left_alone(world: World) -> None:
    """Those beside the film too, where ours have a folder of their own."""
    beside = world.film.parent / f"{Path(STEM).name}.ru.srt"
    beside.write_bytes(b"theirs")
    planned = world.files.results.plan_outputs(NAME, ("srt",), "ru")
    alone = world.texts == world.root / "texts"
    assert planned == ((f"{STEM}.ru.srt",) if alone else (f"{NAME}.ru.srt",))
    world.publish()
    world.files.delete(NAME, ())
    assert beside.read_bytes() == b"theirs"


def test_a_job_that_was_interrupted_is_found_at_start(world: World) -> None:
    job = world.job(priority=Priority.API)
    world.files.states.save(job)
    world.files.states.open_checkpoint(job, Checkpoint()).close()
    assert [p.name for p in world.sidecars.rglob("*.in_progress")] == [
        f"{world.film.name}.in_progress"
    ]
    found = world.store(world.files.folder.texts, hidden=world.hidden).recovery.find_jobs(True)
    assert [(each.job.name, each.has_recording) for each in found] == [(NAME, True)]
    assert world.files.states.has_begun(job)
    world.files.states.drop(NAME)
    assert world.everything() == [f"shared/{NAME}"]


def test_it_goes_to_manual_and_back(world: World) -> None:
    world.publish()
    (world.sidecars / f"{NAME}.edit.json").write_text("{}")
    job = failed(world.job())
    world.files.states.save(job)
    world.files.manual.take(job, "It did not work.")
    assert world.everything() == sorted(
        f"manual/{STEM}{end}"
        for end in (".mkv", ".mkv.result", ".ru.srt", ".mkv.edit.json", ".mkv.error.txt",
                    ".mkv.in_progress")
    )  # fmt: skip
    world.files.manual.bring_back(NAME, a_job(NAME, source=None, priority=Priority.API))
    sidecars = world.sidecars.relative_to(world.root)
    assert set(world.everything()) == {
        f"shared/{NAME}", f"{sidecars}/{NAME}.edit.json", f"{sidecars}/{NAME}.in_progress",
    }  # fmt: skip


def test_what_was_made_beside_it_before_is_taken_over(world: World) -> None:
    """Else a whole library would be transcribed once more. The texts stay where they are."""
    before = world.store()
    world.publish(before)
    before.states.save(world.job())
    before.states.open_checkpoint(world.job(), Checkpoint()).close()
    assert not world.files.results.is_done(NAME)
    found = world.files.recovery.find_jobs(True)
    assert [each.job.name for each in found] == [NAME]
    assert world.files.results.is_done(NAME)
    left = {p.name for p in world.film.parent.iterdir()}
    assert left == {world.film.name, f"{Path(STEM).name}.ru.srt"}
    world.files.delete(NAME, ())
    assert world.everything() == [], "the text beside it is still known as ours"


def test_and_back_again(world: World) -> None:
    world.publish()
    now = world.store()
    assert not now.results.is_done(NAME)
    now.recovery.find_jobs(True)
    if world.sidecars.is_relative_to(world.root / "shared"):
        assert now.results.is_done(NAME)
        assert (world.film.parent / f"{world.film.name}.result").is_file()
    else:  # nobody knows of that folder any more
        assert not now.results.is_done(NAME)


def test_two_results_of_one_recording_are_not_written_over(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.publish()
    stray = world.film.parent / f"{world.film.name}.result"
    stray.write_text("{}")
    world.files.recovery.find_jobs(True)
    assert stray.read_text() == "{}"
    assert world.files.results.is_done(NAME)
    assert "is left where it is" in caplog.text


def test_files_of_others_that_look_alike_are_not_moved(world: World) -> None:
    folder = world.film.parent
    for name in ("notes.result", "talk.in_progress", "film.mkv.nfo", "a.edit.json"):
        (folder / name).write_text("theirs")
    before = world.everything()
    world.files.recovery.find_jobs(True)
    assert world.everything() == before


def test_texts_of_a_folder_that_is_no_longer_configured_are_not_touched(tmp_path: Path) -> None:
    world = World(tmp_path, "both")
    world.publish()
    other = world.store(tmp_path / "others", hidden=True)
    assert other.results.is_done(NAME)
    assert other.results.outputs(NAME) == ()
    mine = tmp_path / "others" / f"{STEM}.ru.srt"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"theirs")
    other.delete(NAME, ())
    assert mine.read_bytes() == b"theirs"
    assert (tmp_path / "texts" / f"{STEM}.ru.srt").is_file()


def test_a_folder_for_texts_that_is_away_is_not_made(tmp_path: Path) -> None:
    """It may be a disk that is not mounted; the recording waits for it."""
    world = World(tmp_path, "elsewhere")
    shutil.rmtree(tmp_path / "texts")
    with pytest.raises(StorageError):
        world.publish()
    with pytest.raises(StorageError):
        world.files.folder.check_writable()
    assert not (tmp_path / "texts").exists()


def test_a_link_in_the_folder_for_texts_leads_nowhere(tmp_path: Path) -> None:
    world = World(tmp_path, "elsewhere")
    (tmp_path / "outside").mkdir()
    (tmp_path / "texts" / "Films").symlink_to(tmp_path / "outside")
    with pytest.raises(StorageError):
        world.publish()
    assert os.listdir(tmp_path / "outside") == []


def test_the_result_names_the_folder_of_its_texts(world: World) -> None:
    world.publish()
    result = json.loads((world.sidecars / f"{NAME}.result").read_bytes())
    away = world.texts != world.root / "shared"
    assert result.get("outputs_directory") == (str(world.texts) if away else None)
    assert result["outputs"] == [f"{STEM}.ru.srt"]


# --- a folder of texts that is another disk -------------------------------------------------------


def unmount(world: World) -> Path:
    """An empty folder is in the place of the texts; where they are."""
    away = world.texts.rename(world.root / "disk")
    world.texts.mkdir()
    return away


def test_an_empty_mount_point_says_nothing_of_what_is_done(tmp_path: Path) -> None:
    world = World(tmp_path, "elsewhere")
    world.publish()
    files = world.store(world.texts)
    assert files.results.is_done(NAME)
    away = unmount(world)
    for act in (
        lambda: files.results.read(NAME),
        files.folder.check_writable,
        lambda: files.folder.ready(files.folder.text_at("a.txt")),
        lambda: world.store(world.texts),
    ):
        with pytest.raises(StorageError, match=r"output\.directory") as caught:
            act()
        assert caught.value.code == "texts_unavailable"
        assert ".transcriber-texts" in str(caught.value)
    assert list(world.texts.iterdir()) == []
    world.texts.rmdir()
    away.rename(world.texts)
    assert files.results.is_done(NAME)
    assert world.store(world.texts).results.is_done(NAME)


def test_another_folder_of_texts_is_taken(tmp_path: Path) -> None:
    world = World(tmp_path, "elsewhere")
    other = world.store(tmp_path / "other")
    assert other.results.read(NAME) is None
    unmount(world)
    assert other.results.read(NAME) is None
    world.store(world.texts)


def test_a_folder_that_is_meant_to_be_new_is_marked_by_hand(tmp_path: Path) -> None:
    world = World(tmp_path, "both")
    unmount(world)
    assert world.files.results.read(NAME) is None, "results are in the share"
    with pytest.raises(StorageError):
        world.files.folder.check_writable()
    (world.texts / ".transcriber-texts").touch()
    world.files.folder.check_writable()
