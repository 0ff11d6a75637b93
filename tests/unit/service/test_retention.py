"""What goes to the trash, what stays, and that no clock empties the folder."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from modules.clock import iso
from modules.config.schema import RetentionConfig
from modules.daemon.wiring import build_core
from modules.errors import StorageError
from modules.executors.local.pool import LocalPool
from modules.jobs.job import Status
from modules.recordings.trash_readings import NotReadError, Readings
from modules.service import retention
from modules.service.retention import Retention
from modules.storage.atomic import TEMPORARY_PREFIX
from tests.builders import a_config, a_job
from tests.disk import Call, Died, Disk, Fault
from tests.fakes import FakeClock, FakeExecutor

DAY_S = 86_400.0
TALK = "talk.mp3"


class SlippingClock(FakeClock):
    """One whose wall clock can be set."""

    slipped = timedelta()

    def utc_now(self) -> datetime:
        return super().utc_now() + self.slipped


class House:
    """A folder with a daemon's parts, whose days pass one by one."""

    def __init__(self, root: Path, output: dict[str, str] | None = None, **rules: int) -> None:
        self.root = root
        self.clock = SlippingClock()
        self.config = a_config(
            root,
            watch={"events": False, "recursive": True},
            retention=rules,
            output=output or {},
        )
        self.shared = self.config.shared_directory
        self.done: Counter[str] = Counter()
        pool = LocalPool(FakeExecutor(self.clock))
        self.core = build_core(self.config, self.clock, pool, on_ended=lambda job: None)
        self.core.store.prepare()
        self.start()

    def start(self) -> None:
        """A new process."""
        self.retention = Retention(
            self.config, self.core.store, self.core.intake.requests, self.clock,
            lambda kind, files: self.done.update({kind: files}),
        )  # fmt: skip

    def configure(self, **rules: int) -> None:
        retention = RetentionConfig.model_validate(rules)
        self.config = self.config.model_copy(update={"retention": retention})
        self.start()

    def put(self, name: str, content: bytes = b"sound", place: Path | None = None) -> Path:
        path = (place or self.shared) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        now = self.clock.utc_now().timestamp()
        os.utime(path, (now, now))
        return path

    def finish(self, name: str = TALK) -> None:
        """A recording with its result and a text."""
        self.put(name)
        self.finish_text(name)

    def finish_text(self, name: str = TALK) -> None:
        """As a run does it for a recording that is there."""
        text, folder = f"{name.rpartition('.')[0]}.txt", self.core.store.folder
        self.put(text, place=folder.texts)
        result = {
            "filename": name,
            "source": self.core.store.folder.identity(name).model_dump(),
            "outputs": [text],
            "processing_end": iso(self.clock.utc_now()),
        }
        if folder.texts != folder.path:
            result["outputs_directory"] = str(folder.texts)
        self.put(f"{name}.result", json.dumps(result).encode(), folder.sidecars)

    def pass_days(self, days: int, looks_a_day: int = 3) -> None:
        for _ in range(days * looks_a_day):
            self.clock.advance(DAY_S / looks_a_day)
            self.retention.look()

    def names(self) -> set[str]:
        return self._names(self.shared, without=".transcriber")

    def trash(self) -> set[str]:
        return self._names(self.shared / ".transcriber" / "trash")

    @staticmethod
    def _names(root: Path, without: str = "?") -> set[str]:
        paths = (path for path in root.rglob("*") if path.is_file())
        names = (path.relative_to(root).as_posix() for path in paths)
        return {name for name in names if not name.startswith(without)}


WHOLE = {TALK, f"{TALK}.result", "talk.txt"}
TEXT = WHOLE - {TALK}


def test_nothing_goes_unless_it_is_set(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.finish()
    house.pass_days(400, looks_a_day=1)
    assert (house.names(), house.trash()) == (WHOLE, set())


def test_a_recording_goes_before_its_text_and_both_for_good(tmp_path: Path) -> None:
    house = House(tmp_path, recordings_days=3, results_days=10, trash_days=5)
    house.finish("calls/talk.mp3")
    calls = {f"calls/{name}" for name in WHOLE}
    house.retention.look()
    house.pass_days(2)
    assert house.names() == calls
    house.pass_days(1)
    assert house.names() == calls - {"calls/talk.mp3"}
    assert house.trash() == {"2024-01-04/calls/talk.mp3"}
    house.pass_days(5)
    assert house.trash() == set()
    house.pass_days(2)
    assert house.names() == set()
    assert house.trash() == {"2024-01-11/calls/talk.mp3.result", "2024-01-11/calls/talk.txt"}
    house.pass_days(5)
    assert house.trash() == set()
    assert house.done == {"recording": 1, "text": 1, "deleted": 3}


def test_with_its_text_goes_the_recording_or_it_would_be_transcribed_again(tmp_path: Path) -> None:
    house = House(tmp_path, results_days=3)
    house.finish()
    house.put(f"{TALK}.settings.yaml", b"language: en")
    beside = {f"{TALK}.{ending}" for ending in ("edit.json", "summary.json", "summary.md")}
    for name in beside:
        house.put(name, b"{}")
    house.put("talk.docx", b"somebody else's")
    house.retention.look()
    house.pass_days(3)
    assert house.names() == {"talk.docx"}
    beside.add(f"{TALK}.settings.yaml")
    assert house.trash() == {f"2024-01-04/{name}" for name in WHOLE | beside}


def test_results_and_texts_in_folders_of_their_own_go_too(tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    house = House(tmp_path, {"result": "hidden", "directory": str(texts)}, results_days=3)
    name = "calls/talk.mp3"
    house.finish(name)
    house.retention.look()
    house.pass_days(2)
    assert house.names() == {name}
    assert (texts / "calls" / "talk.txt").exists()
    house.pass_days(1)
    assert house.names() == set()
    assert house.trash() == {f"2024-01-04/calls/{each}" for each in WHOLE}
    assert not (texts / "calls").exists()


def test_what_is_moved_back_has_all_its_days_again(tmp_path: Path) -> None:
    house = House(tmp_path, recordings_days=3, results_days=5)
    house.finish()
    house.retention.look()
    house.pass_days(3)
    trash = house.shared / ".transcriber" / "trash"
    (trash / "2024-01-04" / TALK).rename(house.shared / TALK)
    house.pass_days(2)
    assert house.names() == WHOLE
    house.pass_days(2)
    assert house.names() == set()
    for path in list(trash.glob("*/*")):
        path.rename(house.shared / path.name)
    house.pass_days(2)
    assert house.names() == WHOLE


@pytest.mark.parametrize("state", [Status.QUEUED, Status.WAITING, Status.RUNNING])
def test_what_has_a_job_stays(tmp_path: Path, state: Status) -> None:
    house = House(tmp_path, recordings_days=1, results_days=2)
    house.finish()
    house.retention.look()
    waits = {"status": Status.WAITING, "not_before": 1e9} if state is Status.WAITING else {}
    house.core.scheduler.submit(a_job(**waits))
    if state is Status.RUNNING:
        assert house.core.scheduler.take(0)
    house.pass_days(9)
    assert house.trash() == set()


def test_what_has_no_text_or_a_text_of_another_recording_stays(tmp_path: Path) -> None:
    house = House(tmp_path, recordings_days=1, results_days=2)
    house.put("new.mp3")
    house.finish()
    house.retention.look()
    house.put(TALK, b"another, which is to be transcribed")
    house.finish("half.mp3")
    (house.shared / "half.mp3.result").write_bytes(b'{"filename": "ha')
    (house.config.manual_directory / "failed.mp3").write_bytes(b"sound")
    kept = house.names()
    house.pass_days(9)
    assert (house.names(), house.trash()) == (kept, set())
    assert (house.config.manual_directory / "failed.mp3").exists()


@pytest.mark.parametrize("used", [f"{TALK}.edit.json", "talk.txt"])
def test_a_correction_counts_as_a_use(tmp_path: Path, used: str) -> None:
    house = House(tmp_path, recordings_days=5)
    house.finish()
    house.retention.look()
    house.pass_days(4)
    house.put(used, b"{}")
    house.pass_days(4)
    assert TALK in house.names()
    house.pass_days(2)
    assert TALK not in house.names()


@pytest.mark.parametrize("restart", [False, True])
def test_a_clock_that_jumps_a_year_empties_nothing(tmp_path: Path, restart: bool) -> None:
    house = House(tmp_path, recordings_days=30, results_days=60, trash_days=30)
    house.finish()
    house.put(".transcriber/trash/2024-01-01/other.mp3")
    house.retention.look()
    for jump in (timedelta(days=365), timedelta(), timedelta(days=-365), timedelta(days=4000)):
        house.clock.slipped = jump
        if restart:
            house.start()
        house.pass_days(1, looks_a_day=24)
    assert house.names() == WHOLE
    assert house.trash() == {"2024-01-01/other.mp3"}


def test_a_clock_that_runs_a_day_an_hour_counts_two_days_a_day(tmp_path: Path) -> None:
    house = House(tmp_path, recordings_days=5)
    house.finish()
    house.retention.look()
    for hours in range(48):
        house.clock.slipped = timedelta(days=hours)
        house.clock.advance(3600)
        house.retention.look()
    assert TALK in house.names()
    for hours in range(48, 72):
        house.clock.slipped = timedelta(days=hours)
        house.clock.advance(3600)
        house.retention.look()
    assert TALK not in house.names()


def test_a_text_of_a_clock_that_was_ahead_is_judged_by_the_days_it_was_seen(tmp_path: Path) -> None:
    house = House(tmp_path, recordings_days=3)
    house.clock.slipped = timedelta(days=4000)
    house.finish()
    house.clock.slipped = timedelta()
    house.retention.look()
    house.pass_days(2)
    assert TALK in house.names()
    house.pass_days(2)
    assert TALK not in house.names()


def test_days_without_the_program_do_not_count(tmp_path: Path) -> None:
    house = House(tmp_path, recordings_days=3)
    house.finish()
    house.retention.look()
    house.clock.advance(100 * DAY_S)
    house.start()
    house.pass_days(1)
    assert TALK in house.names()
    house.pass_days(2)
    assert TALK not in house.names()


@pytest.mark.parametrize("content", [b"", b"{", b'{"count": -1}', b'{"seen": {"a": 1}}', b"[]"])
def test_a_corrupt_ledger_keeps_everything_for_longer(tmp_path: Path, content: bytes) -> None:
    house = House(tmp_path, recordings_days=3)
    house.finish()
    house.retention.look()
    house.pass_days(2)
    (house.shared / ".transcriber" / "retention.json").write_bytes(content)
    house.start()
    house.pass_days(2)
    assert TALK in house.names()
    house.pass_days(2)
    assert TALK not in house.names()


def test_what_is_deleted_is_deleted_in_the_trash_too(tmp_path: Path) -> None:
    house = House(tmp_path, recordings_days=3, trash_days=30)
    house.finish()
    house.retention.look()
    house.pass_days(3)
    assert house.trash() == {f"2024-01-04/{TALK}"}
    removed = house.core.intake.requests.remove(TALK)
    assert set(removed.deleted) == {f".transcriber/trash/2024-01-04/{TALK}", *TEXT}
    assert (house.names(), house.trash()) == (set(), set())


def test_a_recording_that_is_only_in_the_trash_can_be_deleted(tmp_path: Path) -> None:
    house = House(tmp_path, results_days=3, trash_days=30)
    house.finish("calls/talk.mp3")
    house.finish("calls/other.mp3")
    house.retention.look()
    house.pass_days(3)
    kept = {name for name in house.trash() if "other" in name}
    assert len(house.trash()) == 6
    house.core.intake.requests.remove("calls/talk.mp3")
    assert house.trash() == kept


def test_another_recording_that_had_the_name_once_stays_in_the_trash(tmp_path: Path) -> None:
    house = House(tmp_path, results_days=3, trash_days=30)
    house.finish()
    house.retention.look()
    house.pass_days(3)
    house.put(TALK, b"another one")
    assert house.core.intake.requests.remove(TALK).deleted == (TALK,)
    assert house.trash() == {f"2024-01-04/{name}" for name in WHOLE}


def twice_on_a_day(house: House) -> set[str]:
    """A recorder's name, used again, and a clock that is set back: one day has both of them."""
    house.finish()
    house.retention.look()
    house.pass_days(1)
    house.clock.slipped = timedelta(days=-1)
    house.put(TALK, b"another one")
    house.finish_text()
    house.retention.look()
    house.pass_days(1)
    assert house.names() == set()
    return {f"2024-01-02{number}/{name}" for number in ("", " (2)") for name in WHOLE}


def test_what_lies_in_the_trash_twice_keeps_its_names_and_is_deleted(tmp_path: Path) -> None:
    house = House(tmp_path, results_days=1, trash_days=30)
    twice = twice_on_a_day(house)
    assert house.trash() == twice
    removed = house.core.intake.requests.remove(TALK)
    assert set(removed.deleted) == {f".transcriber/trash/{name}" for name in twice}
    assert house.trash() == set()


def test_of_two_in_the_trash_only_the_one_that_is_meant_is_deleted(tmp_path: Path) -> None:
    house = House(tmp_path, results_days=1, trash_days=30)
    twice = twice_on_a_day(house)
    house.put(TALK, b"another one")
    house.core.intake.requests.remove(TALK)
    assert house.trash() == {name for name in twice if "(2)" not in name}


def test_a_numbered_folder_of_the_trash_is_emptied_with_its_day(tmp_path: Path) -> None:
    house = House(tmp_path, results_days=1, trash_days=3)
    twice_on_a_day(house)
    house.pass_days(4)
    assert house.trash() == set()
    assert house.done["deleted"] == 6


def test_a_deletion_looks_into_no_link_in_the_trash(tmp_path: Path) -> None:
    house = House(tmp_path, recordings_days=3, trash_days=30)
    house.put(TALK)
    elsewhere = house.put("kept/talk.mp3").parent
    (house.shared / ".transcriber" / "trash").mkdir(parents=True)
    (house.shared / ".transcriber" / "trash" / "2024-01-03").symlink_to(elsewhere)
    assert house.core.intake.requests.remove(TALK).deleted == (TALK,)
    assert (elsewhere / "talk.mp3").exists()


def test_a_crash_behind_a_copy_to_another_disk_makes_no_second_one(tmp_path: Path) -> None:
    house = House(tmp_path, recordings_days=3)
    source = house.put(TALK)
    day = house.clock.utc_now().date()
    copy = house.shared / ".transcriber" / "trash" / day.isoformat() / TALK
    copy.parent.mkdir(parents=True)
    copy.write_bytes(source.read_bytes())
    files, trash = [(source, TALK)], house.core.store.trash
    with contextlib.closing(Readings()) as readings:
        with pytest.raises(NotReadError) as missing:
            trash.put(files, day, readings)
        readings.read(missing.value)
        assert trash.put(files, day, readings) == {TALK}
    assert not source.exists()
    assert house.trash() == {f"{day.isoformat()}/{TALK}"}


@pytest.mark.parametrize("left", [b"", b"sound", b"noise"])
def test_nothing_is_copied_or_compared_while_requests_wait(tmp_path: Path, left: bytes) -> None:
    """From another disk, also where an earlier move came as far as the copy."""
    texts = tmp_path / "texts"
    house = House(tmp_path, {"result": "hidden", "directory": str(texts)}, results_days=3)
    house.finish()
    house.put(f"{TALK}.edit.json", b"{}", house.core.store.folder.sidecars)
    house.retention.look()
    house.pass_days(2)
    trash = house.shared / ".transcriber" / "trash" / "2024-01-04"
    if left:
        house.put("talk.txt", left, trash)
    lock = house.core.intake.requests._one_at_a_time
    calls: list[tuple[str, bool]] = []

    def note(call: Call) -> None:
        is_large = call.path.endswith((".txt", ".mp3")) or TEMPORARY_PREFIX in call.path
        if is_large and call.function in ("read", "write", "sendfile"):
            calls.append((call.path, lock.locked()))

    with Disk(house.shared, texts, volumes=True) as disk:
        disk.plan = note
        house.pass_days(1)
    assert any(str(texts / "talk.txt") == path for path, _ in calls), "it was read"
    assert [path for path, is_locked in calls if is_locked] == []
    moved = {"talk.mp3", "talk.mp3.result", "talk.mp3.edit.json", "talk.txt"}
    assert house.names() == set()
    assert not (texts / "talk.txt").exists()
    assert {name.partition("/")[2] for name in house.trash()} == moved
    assert len(house.trash()) == len(moved) + (left == b"noise")


@pytest.mark.parametrize("first", range(1, 8))
def test_a_kill_while_it_is_copied_from_another_disk_loses_nothing(
    tmp_path: Path, first: int
) -> None:
    """At every seventh call; the next process goes on, and each file is there once."""
    moved = {TALK, f"{TALK}.result", "talk.txt"}
    for number in itertools.count(first, 7):
        root = tmp_path / str(number)
        texts = root / "texts"
        house = House(root, {"result": "hidden", "directory": str(texts)}, results_days=1)
        house.finish()
        house.retention.look()
        house.clock.advance(DAY_S)
        with Disk(house.shared, texts, volumes=True) as disk:
            disk.plan = lambda call, at=number: Fault(dies="before") if call.number == at else None
            died = False
            try:
                house.retention.look()
            except Died:
                died = True
            disk.plan = None
            disk.revive()
            house.start()
            for _ in range(2):  # days that were not written down are counted anew
                house.retention.look()
                house.clock.advance(DAY_S)
            house.retention.look()
        assert house.names() == set(), number
        assert not (texts / "talk.txt").exists()
        there = [n for n in house.trash() if TEMPORARY_PREFIX not in n]
        assert sorted(n.rpartition("/")[2] for n in there) == sorted(moved), number
        if not died:
            break
    assert number > 100, "there was much to do"


def test_a_recording_that_changes_while_it_is_copied_stays(tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    house = House(tmp_path, {"result": "hidden", "directory": str(texts)}, results_days=3)
    house.finish()
    house.retention.look()
    house.pass_days(2)
    number = iter(range(1000))

    def change(call: Call) -> None:
        if call.function == "write" and TEMPORARY_PREFIX in call.path:
            house.put("talk.txt", b"%d" % next(number), texts)

    with Disk(house.shared, texts, volumes=True) as disk:
        disk.plan = change
        house.pass_days(1, looks_a_day=1)
    assert next(number) > 0, "it was changed"
    assert house.done == {"recording": 1}, "what was moved is counted"
    assert (texts / "talk.txt").exists()
    assert not [name for name in house.trash() if "talk.txt" in name or "transcriber" in name]


@pytest.fixture
def other_volume(tmp_path: Path) -> Iterator[Path]:
    with contextlib.ExitStack() as stack:
        try:
            made = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        except OSError:
            pytest.skip("no second volume: /dev/shm cannot be written to")
        if made.stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("no second volume: temporary files lie in /dev/shm")
        yield made


def test_nothing_is_moved_before_the_copies_from_another_volume_exist(
    tmp_path: Path, other_volume: Path
) -> None:
    output = {"result": "hidden", "directory": str(other_volume)}
    house = House(tmp_path, output, results_days=3)
    house.finish()
    house.retention.look()
    house.pass_days(2)
    there: list[bool] = []

    def note(call: Call) -> None:
        if call.function == "read" and call.path.endswith("talk.txt"):
            there.append((house.shared / TALK).exists())

    with Disk(house.shared, other_volume) as disk:
        disk.plan = note
        house.pass_days(1)
    assert there, "it was copied"
    assert all(there), "the recording was still there"
    assert house.trash() == {f"2024-01-04/{name}" for name in WHOLE}
    assert house.done == {"recording": 1, "text": 1}


def test_texts_of_another_mount_of_one_volume_follow_their_recording(tmp_path: Path) -> None:
    """Nothing tells such a mount but the first rename, when the recording has been moved."""
    texts = tmp_path / "texts"
    house = House(tmp_path, {"result": "hidden", "directory": str(texts)}, results_days=3)
    house.finish()
    house.retention.look()
    house.pass_days(2)
    trash = house.shared / ".transcriber" / "trash" / "2024-01-04"
    house.put(TALK, b"another of that name", trash)
    with Disk(house.shared, texts, volumes=True):
        house.pass_days(1)
    assert house.trash() == {f"2024-01-04/{TALK}", *(f"2024-01-04 (2)/{name}" for name in WHOLE)}
    assert house.done == {"recording": 1, "text": 1}


def test_a_link_in_the_trash_leads_nowhere(tmp_path: Path) -> None:
    house = House(tmp_path, recordings_days=3, trash_days=0)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_bytes(b"text")
    trash = house.shared / ".transcriber" / "trash"
    (trash / "2023-01-01").mkdir(parents=True)
    (trash / "2023-01-01" / "link").symlink_to(outside)
    (trash / "2023-01-02").symlink_to(outside)
    house.retention.look()
    assert (outside / "precious.txt").exists()
    assert not (trash / "2023-01-01").exists()


def test_what_cannot_be_looked_at_keeps_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(tmp_path, recordings_days=3)
    house.finish()
    house.finish("denied.mp3")
    house.retention.look()
    facts_of = retention.facts_of

    def denied(path: Path) -> os.stat_result | None:
        if path.name.startswith("denied"):
            raise PermissionError(errno.EACCES, "denied", str(path))
        return facts_of(path)

    monkeypatch.setattr(retention, "facts_of", denied)
    house.pass_days(3)
    assert TALK not in house.names()
    assert "denied.mp3: could not be moved to the trash" in caplog.text
    monkeypatch.undo()
    house.retention.look()
    assert "denied.mp3" not in house.names(), "its days were not forgotten"


def test_a_share_that_goes_away_forgets_no_days(tmp_path: Path) -> None:
    house = House(tmp_path, recordings_days=3)
    house.finish()
    house.retention.look()
    house.pass_days(2)
    away = house.shared.rename(tmp_path / "away")
    house.shared.mkdir()
    with pytest.raises(StorageError):
        house.retention.look()
    house.shared.rmdir()
    away.rename(house.shared)
    house.pass_days(1)
    assert TALK not in house.names()


def test_rules_may_change(tmp_path: Path) -> None:
    house = House(tmp_path, recordings_days=300)
    house.finish()
    house.retention.look()
    house.pass_days(5)
    house.configure(recordings_days=4)
    house.retention.look()
    assert house.names() == TEXT
