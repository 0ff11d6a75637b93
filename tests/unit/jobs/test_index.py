"""The index of jobs: a dictionary that survives, and that never gets in the way."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from modules.jobs.index import Entry, JobIndex
from tests.fakes import FakeClock
from tests.hostile.journals import hot_journal, with_super_journal

NOON = "2024-01-01T12:00:00.000Z"
IDS = st.sampled_from(["a", "b", "c", "d"])
NAMES = st.sampled_from(["talk.mp3", "2024/talk.mp3", "not utf-8 \udcff.ogg", "запись\n.wav", ""])
FATES = st.sampled_from([None, "completed", "failed", "cancelled", "superseded"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".transcriber" / "jobs.sqlite"


@pytest.fixture
def register(path: Path) -> Iterator[JobIndex]:
    with closing(JobIndex(path)) as opened:
        yield opened


class RegisterIsADict(RuleBasedStateMachine):
    """The register beside a dictionary in order of notes, through any number of restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.register = JobIndex(self.folder / "jobs.sqlite")
        self.expected: dict[str, Entry] = {}

    @rule(job_id=IDS, name=NAMES, fate=FATES)
    def note(self, job_id: str, name: str, fate: str | None) -> None:
        self.register.note(job_id, name, fate, NOON)
        self.expected.pop(job_id, None)
        self.expected[job_id] = Entry(job_id, name, fate, NOON)

    @rule()
    def restart(self) -> None:
        self.register.close()
        self.register = JobIndex(self.folder / "jobs.sqlite")

    @rule(job_id=st.text(max_size=5))
    def ask_anything(self, job_id: str) -> None:
        assert self.register.find(job_id) == self.expected.get(job_id)

    @rule(name=st.text(max_size=5) | NAMES)
    def ask_for_a_file(self, name: str) -> None:
        noted = [entry for entry in self.expected.values() if entry.name == name]
        assert self.register.latest(name) == (noted[-1] if noted else None)

    @invariant()
    def all_is_found(self) -> None:
        for job_id, entry in self.expected.items():
            assert self.register.find(job_id) == entry

    def teardown(self) -> None:
        self.register.close()
        shutil.rmtree(self.folder)


RegisterIsADict.TestCase.settings = settings(max_examples=20, stateful_step_count=20)
TestRegisterIsADict = RegisterIsADict.TestCase


def test_an_odd_folder_name_can_hold_it(tmp_path: Path) -> None:
    folder = tmp_path / "100% ?#& \udcff"
    folder.mkdir()
    with closing(JobIndex(folder / "jobs.sqlite")) as register:
        register.note("a", "talk.mp3", None, NOON)
        assert register.find("a")
    assert (folder / "jobs.sqlite").exists()


@pytest.mark.parametrize("at", [0, 4096], ids=["from the beginning", "after the first page"])
def test_a_corrupt_file_is_begun_anew(
    path: Path, at: int, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(JobIndex(path)) as register:
        for number in range(200):
            register.note(f"id-{number}", "talk.mp3", "completed", NOON)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xa5" * (size - at))
    with closing(JobIndex(path)) as register:
        assert register.find("id-7") is None
        register.note("id-7", "talk.mp3", "completed", NOON)
        assert register.find("id-7") == Entry("id-7", "talk.mp3", "completed", NOON)
        assert register.find("id-8") is None
    assert caplog.text.count("begun anew") == 1


def test_it_may_go_bad_while_it_is_open(register: JobIndex, path: Path) -> None:
    register.note("a", "talk.mp3", None, NOON)
    path.write_bytes(b"not a database at all" * 1000)
    register.note("b", "talk.mp3", None, NOON)
    register.note("c", "talk.mp3", None, NOON)
    assert register.find("c")


def test_a_foreign_schema_is_begun_anew(path: Path, register: JobIndex) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE jobs (something INTEGER)")
    register.note("a", "talk.mp3", None, NOON)
    assert register.find("a")


def test_a_left_over_journal_is_thrown_away_too(path: Path, register: JobIndex) -> None:
    path.parent.mkdir()
    path.write_bytes(b"rubbish" * 1000)
    path.with_name("jobs.sqlite-journal").write_bytes(b"rubbish" * 1000)
    register.note("a", "talk.mp3", None, NOON)
    assert register.find("a")


def test_a_file_that_was_deleted_is_made_again(register: JobIndex, path: Path) -> None:
    register.note("a", "talk.mp3", None, NOON)
    shutil.rmtree(path.parent)
    assert register.find("a") is None
    register.note("b", "talk.mp3", None, NOON)
    register.close()
    with closing(JobIndex(path)) as again:
        assert again.find("b")


def test_what_cannot_be_written_is_said_once_a_minute(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    away = tmp_path / "away"
    with closing(JobIndex(away / ".transcriber" / "jobs.sqlite", clock.monotonic)) as register:
        for _ in range(3):
            register.note("a", "talk.mp3", None, NOON)
            assert register.find("a") is None
            assert register.latest("talk.mp3") is None
        assert len(caplog.records) == 1
        clock.advance(60)
        register.note("a", "talk.mp3", None, NOON)
        assert len(caplog.records) == 2
        assert not away.exists()
        away.mkdir()
        register.note("a", "talk.mp3", None, NOON)
        assert register.find("a")


@pytest.fixture
def secret(tmp_path: Path) -> Iterator[Path]:
    """A file elsewhere that must stay as it is."""
    made = tmp_path / "secret"
    made.write_bytes(b"precious")
    yield made
    assert made.read_bytes() == b"precious"


def beside(path: Path, end: str) -> Path:
    return path.with_name(f"{path.name}-{end}")


def filled(path: Path) -> bytes:
    """An index with entries; returns the journal that a crash in its next change leaves."""
    with closing(JobIndex(path)) as register:
        for number in range(50):
            register.note(f"id-{number}", "talk.mp3", "completed", NOON)
    return hot_journal(path)


def test_what_a_crash_interrupted_is_undone(path: Path) -> None:
    beside(path, "journal").write_bytes(filled(path))
    with closing(JobIndex(path)) as again:
        assert again.find("id-7") == Entry("id-7", "talk.mp3", "completed", NOON)
        again.note("a", "talk.mp3", None, NOON)
        assert again.find("a")


def test_a_journal_that_names_a_file_elsewhere_does_not_have_it_deleted(
    path: Path, secret: Path
) -> None:
    beside(path, "journal").write_bytes(with_super_journal(filled(path), secret))
    with closing(JobIndex(path)) as again:
        again.note("a", "talk.mp3", None, NOON)
        assert again.find("a")
        assert secret.exists()


def test_a_journal_does_not_make_the_index_as_large_as_it_likes(path: Path) -> None:
    journal = filled(path)
    beside(path, "journal").write_bytes(journal[:16] + b"\x0f\xff\xff\xff" + journal[20:])
    with closing(JobIndex(path)) as again:
        again.note("a", "talk.mp3", None, NOON)
        assert again.find("a")
        assert path.stat().st_size < 2**20


def a_sparse_file(path: Path, secret: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)


PLANTED: dict[str, Callable[[Path, Path], object]] = {
    "FIFO": lambda path, secret: os.mkfifo(path),
    "folder": lambda path, secret: path.mkdir(),
    "link": lambda path, secret: path.symlink_to(secret),
    "link to a new file": lambda path, secret: path.symlink_to(secret.with_name("new")),
    "sparse": a_sparse_file,
    "noise": lambda path, secret: path.write_bytes(os.urandom(5000)),
    "its journal": lambda path, secret: path.write_bytes(
        with_super_journal(filled(secret.with_name("other.sqlite")), secret)
    ),
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("is_open", [False, True], ids=["before it is opened", "while it is open"])
@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("end", ["journal", "wal", "shm"])
def test_what_is_planted_beside_it_neither_hangs_nor_harms(
    path: Path, secret: Path, end: str, kind: str, is_open: bool
) -> None:
    filled(path)
    with closing(JobIndex(path)) as register:
        if is_open:
            register.find("id-7")
            with suppress(FileNotFoundError):
                beside(path, end).unlink()
        PLANTED[kind](beside(path, end), secret)
        register.note("a", "talk.mp3", None, NOON)
        assert register.find("a")
        register.note("b", "talk.mp3", None, NOON)
    with closing(JobIndex(path)) as again:
        again.note("c", "talk.mp3", None, NOON)
        assert again.find("c")
    assert not secret.with_name("new").exists()


def test_an_index_that_is_written_in_another_way_is_begun_anew(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE anything (text)")
    with closing(JobIndex(path)) as register:
        register.note("a", "talk.mp3", None, NOON)
        assert register.find("a")


def test_a_folder_in_its_place_is_moved_aside(path: Path, register: JobIndex) -> None:
    path.mkdir(parents=True)
    register.note("a", "talk.mp3", None, NOON)
    assert register.find("a")
    assert [each.is_dir() for each in path.parent.glob("*.aside")] == [True]


def test_a_link_in_its_place_is_not_followed(path: Path, register: JobIndex) -> None:
    path.parent.mkdir(parents=True)
    path.symlink_to(path.parent.parent / "elsewhere.sqlite")
    register.note("a", "talk.mp3", None, NOON)
    assert register.find("a")
    assert not (path.parent.parent / "elsewhere.sqlite").exists()


def test_a_trigger_in_it_never_runs(path: Path, register: JobIndex) -> None:
    register.note("a", "talk.mp3", None, NOON)
    register.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "CREATE TRIGGER t AFTER INSERT ON jobs BEGIN INSERT INTO jobs (job_id, name, noted) "
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
            "SELECT i, '', '' FROM n; "
            "END"
        )
        database.commit()
    with closing(JobIndex(path)) as again:
        again.note("b", "talk.mp3", None, NOON)
        assert again.find("b")
        assert again.find("1") is None


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_an_unreadable_file_is_begun_anew(path: Path, register: JobIndex) -> None:
    path.parent.mkdir()
    path.touch(mode=0o000)
    register.note("a", "talk.mp3", None, NOON)
    assert register.find("a")


def test_the_oldest_ended_make_room_and_open_ones_stay(path: Path) -> None:
    with closing(JobIndex(path, kept=5)) as register:
        register.note("open", "open.mp3", None, NOON)
        for number in range(10):
            register.note(f"id-{number}", "talk.mp3", "completed", NOON)
        found = [number for number in range(10) if register.find(f"id-{number}")]
        assert found == [6, 7, 8, 9]
        assert register.find("open")
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM jobs").fetchone() == (5,)


def test_open_jobs_alone_may_be_too_many(path: Path) -> None:
    with closing(JobIndex(path, kept=5)) as register:
        for number in range(10):
            register.note(f"id-{number}", "talk.mp3", None, NOON)
        assert all(register.find(f"id-{number}") for number in range(10))


def test_after_closing_nothing_is_known_and_nothing_is_wrong(
    register: JobIndex, caplog: pytest.LogCaptureFixture
) -> None:
    register.note("a", "talk.mp3", None, NOON)
    register.close()
    register.close()
    register.note("b", "talk.mp3", None, NOON)
    assert register.find("a") is None
    assert not caplog.records


def test_many_threads_may_note_and_ask(register: JobIndex) -> None:
    def work(thread: int) -> None:
        for number in range(20):
            register.note(f"{thread}-{number}", f"{thread}.mp3", None, NOON)
            register.latest(f"{thread}.mp3")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(register.find(f"{t}-{n}") for t in range(4) for n in range(20))
