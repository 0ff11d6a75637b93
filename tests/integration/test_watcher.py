"""The watcher on real files: real inotify, real processes that write, real time or a fake clock."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from watchdog.events import FileClosedEvent
from watchdog.observers.api import BaseObserver, EventEmitter

from modules.clock import SystemClock
from modules.recordings.names import STATE_FOLDER
from modules.watching import folder_events
from modules.watching import watcher as watcher_module
from modules.watching.open_writers import ignore_lease_signals, leases_tell
from modules.watching.stability import FileSample
from modules.watching.watcher import Watcher
from tests.fakes import FakeClock

SETTLE_S = 0.2
STABLE_S = 0.5
#: On a machine three times slower than a quiet one.
DEADLINE_S = 30.0
#: A file that nobody is known to have closed is taken long after every deadline.
NEVER_S = 600.0

#: A process that does with one file what its standard input says, a line at a time.
WRITER = """
import mmap, os, sys
handle = None
for line in sys.stdin:
    word, _, rest = line.rstrip("\\n").partition(" ")
    if word == "open": handle = open(rest, "r+b" if os.path.exists(rest) else "w+b", buffering=0)
    if word == "seek-end": handle.seek(0, 2)
    if word == "write": handle.write(b"x" * int(rest))
    if word == "allocate": os.posix_fallocate(handle.fileno(), 0, int(rest))
    if word == "map":
        opened, handle = handle, mmap.mmap(handle.fileno(), 0)
        opened.close()
    if word == "poke": handle[int(rest)] = 7
    if word == "close": handle.close()
    print("done", flush=True)
"""


class Witness:
    """A sink that remembers; ``trouble`` is raised by the next call."""

    def __init__(self) -> None:
        self.wholes: list[tuple[str, FileSample]] = []
        self.gones: list[str] = []
        self.trouble: Exception | None = None

    def on_complete(self, name: str, sample: FileSample) -> None:
        self._fail()
        self.wholes.append((name, sample))

    def on_deleted(self, name: str) -> None:
        self._fail()
        self.gones.append(name)

    def names(self) -> list[str]:
        return [name for name, _ in self.wholes]

    def _fail(self) -> None:
        trouble, self.trouble = self.trouble, None
        if trouble is not None:
            raise trouble


class Writer:
    """Another program that writes into the share."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-c", WRITER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def do(self, *commands: str) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        for command in commands:
            self._child.stdin.write(f"{command}\n")
            self._child.stdin.flush()
            assert self._child.stdout.readline() == "done\n", f"the writer failed at: {command}"

    def end(self) -> None:
        with self._child:
            assert self._child.stdin is not None
            self._child.stdin.close()
            self._child.wait(timeout=DEADLINE_S)


def until(happened: Callable[[], bool], sentence: str, deadline_s: float = DEADLINE_S) -> None:
    """Poll until it happened, or fail with the sentence."""
    deadline = time.monotonic() + deadline_s
    while not happened():
        if time.monotonic() > deadline:
            pytest.fail(f"{sentence} (waited {deadline_s} s)")
        time.sleep(0.01)


def stays(holds: Callable[[], bool], sentence: str, for_s: float) -> None:
    """Fail with the sentence if it stops being so within this time."""
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        assert holds(), sentence
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def _lease_signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGIO)
    ignore_lease_signals()
    yield
    signal.signal(signal.SIGIO, before)


@pytest.fixture(autouse=True)
def _no_leaked_threads() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    until(
        lambda: set(threading.enumerate()) <= before,
        "threads were left behind by the watcher",
    )


@pytest.fixture
def share(tmp_path: Path) -> Path:
    root = tmp_path / "shared"
    (root / STATE_FOLDER).mkdir(parents=True)
    return root


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def writer() -> Iterator[Writer]:
    child = Writer()
    yield child
    child.end()


Start = Callable[..., Watcher]


@pytest.fixture
def build(share: Path, witness: Witness) -> Iterator[Start]:
    """Make a watcher, not started, with the tests' own times; whatever is left is stopped."""
    made: list[Watcher] = []

    def build(clock: Any = None, **options: Any) -> Watcher:
        settings: dict[str, Any] = {
            "recursive": False,
            "events": True,
            "rescan_s": 60.0,
            "settle_s": SETTLE_S,
            "stable_s": STABLE_S,
        }
        watcher = Watcher(share, witness, clock or SystemClock(), **(settings | options))
        made.append(watcher)
        return watcher

    yield build
    for watcher in made:
        watcher.stop()
        watcher.close()


@pytest.fixture
def start(build: Start) -> Start:
    """Make a watcher, start it, and wait for its first rescan."""

    def start(**options: Any) -> Watcher:
        watcher = build(**options)
        watcher.start()
        if options.get("events", True):
            until(lambda: watcher.health().last_rescan_s > 0, "the first rescan did not end")
        return watcher

    return start


def needs_leases(share: Path) -> None:
    if not leases_tell(share):
        pytest.skip("the file system of the temporary folder does not tell about writers")


# --- arrival ---


def test_a_file_that_is_closed_need_not_lie_still_as_long_as_others(
    share: Path, witness: Witness, writer: Writer, start: Start
) -> None:
    start(stable_s=NEVER_S, rescan_s=NEVER_S)
    writer.do(f"open {share}/talk.mp3", "write 5000", "close")
    until(lambda: witness.names() == ["talk.mp3"], "the closed file was not taken")
    assert witness.wholes[0][1].size == 5000


def test_a_file_that_is_moved_in_need_not_lie_still_as_long_as_others(
    share: Path, tmp_path: Path, witness: Witness, start: Start
) -> None:
    (tmp_path / "talk.mp3").write_bytes(b"x" * 10)
    start(stable_s=NEVER_S, rescan_s=NEVER_S)
    (tmp_path / "talk.mp3").rename(share / "talk.mp3")
    until(lambda: witness.names() == ["talk.mp3"], "the moved-in file was not taken")


def test_a_download_is_taken_under_its_final_name(
    share: Path, witness: Witness, writer: Writer, start: Start
) -> None:
    start(stable_s=NEVER_S, rescan_s=NEVER_S)
    writer.do(f"open {share}/talk.mp3.part", "write 5000", "close")
    stays(lambda: not witness.wholes, "a temporary name was taken", 0.7)
    (share / "talk.mp3.part").rename(share / "talk.mp3")
    until(lambda: witness.names() == ["talk.mp3"], "the final name was not taken")
    assert witness.gones == []


def test_files_that_were_there_at_start_are_taken(
    share: Path, witness: Witness, start: Start
) -> None:
    for name in ("a.mp3", "b.wav", "notes.txt", ".hidden.mp3"):
        (share / name).write_bytes(b"x")
    start()
    until(lambda: len(witness.wholes) == 2, "the files were not taken")
    assert sorted(witness.names()) == ["a.mp3", "b.wav"]


def test_a_half_copied_file_at_start_waits_like_any_other(
    share: Path, witness: Witness, writer: Writer, start: Start
) -> None:
    needs_leases(share)
    writer.do(f"open {share}/talk.mp3", "write 1000")
    start()
    stays(lambda: not witness.wholes, "a half-copied file was taken", 3 * STABLE_S)
    writer.do("write 1000", "close")
    until(lambda: bool(witness.wholes), "the finished file was not taken")
    assert witness.wholes[0][1].size == 2000


def test_a_slow_writer_is_waited_for_though_it_pauses(
    share: Path, witness: Witness, writer: Writer, start: Start
) -> None:
    needs_leases(share)
    start()
    writer.do(f"open {share}/talk.mp3", "write 1000")
    stays(lambda: not witness.wholes, "taken in the writer's first pause", 3 * STABLE_S)
    writer.do("write 1000")
    stays(lambda: not witness.wholes, "taken in the writer's second pause", 3 * STABLE_S)
    writer.do("close")
    until(lambda: bool(witness.wholes), "the finished file was not taken")
    stays(lambda: len(witness.wholes) == 1, "the file was taken twice", 2 * STABLE_S)
    assert witness.wholes[0][1].size == 2000


def test_a_preallocated_file_is_waited_for(
    share: Path, witness: Witness, writer: Writer, build: Start
) -> None:
    """The clock is a fake one: the pauses between its writes are as long as is said here."""
    clock = FakeClock()
    watcher = build(clock=clock, events=False, ask_writer=lambda path: None)
    writer.do(f"open {share}/talk.mp4", f"allocate {2**20}")
    watcher.poke()
    for _ in range(15):
        writer.do("write 4096")
        drive(watcher, clock, STABLE_S / 2)
        assert not witness.wholes, "the size alone was trusted"
    writer.do("close")
    drive(watcher, clock, 3 * STABLE_S)
    assert [sample.size for _, sample in witness.wholes] == [2**20]


def test_a_preallocated_file_at_rest_is_not_taken_while_it_is_open(
    share: Path, witness: Witness, writer: Writer, start: Start
) -> None:
    needs_leases(share)
    start()
    writer.do(f"open {share}/talk.mp4", f"allocate {2**20}")
    stays(lambda: not witness.wholes, "taken while a writer had it open", 3 * STABLE_S)
    writer.do("map", "poke 100")
    stays(lambda: not witness.wholes, "taken while a writer had it mapped", 3 * STABLE_S)
    writer.do("close")
    until(lambda: bool(witness.wholes), "the finished file was not taken")


def test_a_file_that_is_renamed_while_it_is_written_waits(
    share: Path, witness: Witness, writer: Writer, start: Start
) -> None:
    needs_leases(share)
    start()
    writer.do(f"open {share}/talk.part", "write 1000")
    (share / "talk.part").rename(share / "talk.mp3")
    stays(lambda: not witness.wholes, "taken while it was written", 3 * STABLE_S)
    writer.do("write 1000", "close")
    until(lambda: bool(witness.wholes), "the finished file was not taken")
    assert witness.wholes[0][1].size == 2000


def test_an_append_after_it_was_taken_hands_it_over_again(
    share: Path, witness: Witness, writer: Writer, start: Start
) -> None:
    start()
    writer.do(f"open {share}/talk.mp3", "write 1000", "close")
    until(lambda: len(witness.wholes) == 1, "the file was not taken")
    writer.do(f"open {share}/talk.mp3", "seek-end", "write 500", "close")
    until(lambda: len(witness.wholes) == 2, "the longer file was not taken")
    assert [sample.size for _, sample in witness.wholes] == [1000, 1500]
    assert witness.gones == []


def test_a_replaced_file_is_handed_over_again(
    share: Path, tmp_path: Path, witness: Witness, start: Start
) -> None:
    start()
    (share / "talk.mp3").write_bytes(b"old")
    until(lambda: len(witness.wholes) == 1, "the file was not taken")
    (tmp_path / "new.mp3").write_bytes(b"new")
    (tmp_path / "new.mp3").rename(share / "talk.mp3")
    until(lambda: len(witness.wholes) == 2, "the new file was not taken")
    assert witness.gones == []


def test_opening_a_file_without_a_change_hands_over_nothing(
    share: Path, witness: Witness, writer: Writer, start: Start
) -> None:
    watcher = start()
    writer.do(f"open {share}/talk.mp3", "write 1000", "close")
    until(lambda: len(witness.wholes) == 1, "the file was not taken")
    writer.do(f"open {share}/talk.mp3", "close")
    watcher.poke()
    stays(lambda: len(witness.wholes) == 1, "an unchanged file was taken", 3 * STABLE_S)


def test_an_empty_file_is_taken_in_the_end(share: Path, witness: Witness, start: Start) -> None:
    start()
    (share / "empty.wav").touch()
    until(lambda: witness.names() == ["empty.wav"], "the empty file was not taken")


def test_five_hundred_files_at_once_are_taken_once_each(
    share: Path, witness: Witness, start: Start
) -> None:
    watcher = start(rescan_s=0.5)
    names = [f"talk {number:03}.mp3" for number in range(500)]
    for name in names:
        (share / name).write_bytes(b"x" * 100)
    until(lambda: len(witness.wholes) >= 500, "not all files were taken", 2 * DEADLINE_S)
    stays(lambda: len(witness.wholes) == 500, "a file was taken twice", 1.0)
    assert Counter(witness.names()) == Counter(names)
    assert watcher.health().known_files == 500
    assert watcher.health().settling_files == 0


@pytest.mark.parametrize(
    "raw", [b"caf\xe9.mp3", b"new\nline.mp3", b"-rf.mp3", b"a\xcc\x81.mp3", b"\xf0\x9f\x8e\xa4.mp3"]
)
def test_odd_names_are_taken(share: Path, witness: Witness, start: Start, raw: bytes) -> None:
    start()
    (share / os.fsdecode(raw)).write_bytes(b"x")
    until(lambda: witness.names() == [os.fsdecode(raw)], "the odd name was not taken")


def test_only_regular_files_are_taken(
    share: Path, tmp_path: Path, witness: Witness, start: Start
) -> None:
    (tmp_path / "outside.mp3").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inner.mp3").write_bytes(b"x")
    watcher = start(recursive=True)
    (share / "link.mp3").symlink_to(tmp_path / "outside.mp3")
    (share / "linked folder").symlink_to(tmp_path / "folder")
    os.mkfifo(share / "pipe.mp3")
    (share / "folder.mp3").mkdir()
    watcher.poke()
    (share / "real.mp3").write_bytes(b"x")
    until(lambda: bool(witness.wholes), "the regular file was not taken")
    stays(lambda: witness.names() == ["real.mp3"], "something else was taken", 3 * STABLE_S)


# --- departure ---


def test_a_deleted_file_is_gone(share: Path, witness: Witness, start: Start) -> None:
    start()
    (share / "talk.mp3").write_bytes(b"x")
    until(lambda: bool(witness.wholes), "the file was not taken")
    (share / "talk.mp3").unlink()
    until(lambda: witness.gones == ["talk.mp3"], "the deletion was not told")


def test_a_renamed_file_is_gone_and_new(share: Path, witness: Witness, start: Start) -> None:
    start()
    (share / "old.mp3").write_bytes(b"x")
    until(lambda: bool(witness.wholes), "the file was not taken")
    (share / "old.mp3").rename(share / "new.mp3")
    until(lambda: witness.names() == ["old.mp3", "new.mp3"], "the new name was not taken")
    assert witness.gones == ["old.mp3"]


def test_a_file_that_is_moved_out_is_gone(
    share: Path, tmp_path: Path, witness: Witness, start: Start
) -> None:
    start()
    (share / "talk.mp3").write_bytes(b"x")
    until(lambda: bool(witness.wholes), "the file was not taken")
    (share / "talk.mp3").rename(tmp_path / "talk.mp3")
    until(lambda: witness.gones == ["talk.mp3"], "the move was not told")


def test_a_file_that_becomes_a_link_is_gone(share: Path, witness: Witness, start: Start) -> None:
    watcher = start()
    (share / "talk.mp3").write_bytes(b"x")
    until(lambda: bool(witness.wholes), "the file was not taken")
    (share / "talk.mp3").unlink()
    (share / "talk.mp3").symlink_to("/etc/hostname")
    watcher.poke()
    until(lambda: witness.gones == ["talk.mp3"], "the link was not noticed")


def test_a_forgotten_file_is_handed_over_again(share: Path, witness: Witness, start: Start) -> None:
    watcher = start()
    (share / "talk.mp3").write_bytes(b"x")
    until(lambda: len(witness.wholes) == 1, "the file was not taken")
    watcher.forget("talk.mp3")
    until(lambda: len(witness.wholes) == 2, "the forgotten file was not handed over again")


# --- subfolders ---


@pytest.mark.parametrize("events", [True, False])
def test_a_folder_that_is_moved_in_is_looked_into(
    share: Path, tmp_path: Path, witness: Witness, start: Start, events: bool
) -> None:
    inner = tmp_path / "album" / "disc 1"
    inner.mkdir(parents=True)
    (inner / "a.mp3").write_bytes(b"x")
    (tmp_path / "album" / "b.mp3").write_bytes(b"x")
    start(recursive=True, events=events, rescan_s=0.5)
    (tmp_path / "album").rename(share / "album")
    until(lambda: len(witness.wholes) == 2, "the files of the folder were not taken")
    assert sorted(witness.names()) == ["album/b.mp3", "album/disc 1/a.mp3"]
    (share / "album" / "disc 1" / "late.mp3").write_bytes(b"x")
    until(lambda: len(witness.wholes) == 3, "a later file in the moved folder was not taken")


def test_a_renamed_folder_renames_its_files(share: Path, witness: Witness, start: Start) -> None:
    (share / "old").mkdir()
    (share / "old" / "a.mp3").write_bytes(b"x")
    start(recursive=True)
    until(lambda: bool(witness.wholes), "the file was not taken")
    (share / "old").rename(share / "new")
    until(lambda: "new/a.mp3" in witness.names(), "the file was not found under its new name")
    until(lambda: witness.gones == ["old/a.mp3"], "the old name was not told as gone")


def test_subfolders_are_left_alone_unless_asked_for(
    share: Path, witness: Witness, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (share / "album").mkdir()
    (share / "album" / "a.mp3").write_bytes(b"x")
    watcher = start(rescan_s=0.1)
    until(lambda: "watch.recursive is off" in caplog.text, "the subfolder was not mentioned")
    watcher.poke()
    stays(lambda: not witness.wholes, "a file in a subfolder was taken", 3 * STABLE_S)
    assert caplog.text.count("watch.recursive is off") == 1


def test_excluded_folders_are_not_looked_into(share: Path, witness: Witness, start: Start) -> None:
    (share / "manual" / "deep").mkdir(parents=True)
    (share / "manual 2").mkdir()
    start(recursive=True, excluded=(share / "manual", share.parent))
    for folder in ("manual", "manual/deep", "manual 2"):
        (share / folder / "a.mp3").write_bytes(b"x")
    until(lambda: bool(witness.wholes), "the file in the other folder was not taken")
    stays(lambda: witness.names() == ["manual 2/a.mp3"], "a file in manual/ was taken", STABLE_S)


# --- without events ---


def test_without_events_the_rescan_finds_everything(
    share: Path, witness: Witness, start: Start
) -> None:
    watcher = start(events=False, rescan_s=0.3)
    assert watcher.health().events == "off"
    assert not watcher.events_alive
    (share / "talk.mp3").write_bytes(b"x")
    until(lambda: witness.names() == ["talk.mp3"], "the rescan did not find the file")
    (share / "talk.mp3").unlink()
    until(lambda: witness.gones == ["talk.mp3"], "the rescan did not miss the file")


def test_a_poke_is_a_rescan_soon(share: Path, witness: Witness, start: Start) -> None:
    watcher = start(events=False)
    (share / "talk.mp3").write_bytes(b"x")
    watcher.poke()
    until(lambda: witness.names() == ["talk.mp3"], "the poke led to no rescan")


def test_an_emitter_that_died_is_replaced(
    share: Path, witness: Witness, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    watcher = start(rescan_s=0.5)
    emitter = next(t for t in threading.enumerate() if isinstance(t, EventEmitter))
    emitter.stop()
    until(lambda: "rebuilt" in caplog.text, "the dead emitter was not noticed")
    until(lambda: watcher.events_alive, "the observer was not rebuilt")
    assert not emitter.is_alive()
    (share / "talk.mp3").write_bytes(b"x")
    until(lambda: witness.names() == ["talk.mp3"], "no events from the new observer")


def test_an_observer_that_died_is_replaced(start: Start) -> None:
    watcher = start(rescan_s=0.5)
    first = next(t for t in threading.enumerate() if isinstance(t, BaseObserver))
    first.stop()
    until(lambda: not first.is_alive(), "the observer did not end")
    until(lambda: watcher.events_alive, "the observer was not rebuilt")


@pytest.mark.parametrize(
    ("number", "sysctl"),
    [
        (errno.ENOSPC, "fs.inotify.max_user_watches"),
        (errno.EMFILE, "fs.inotify.max_user_instances"),
    ],
)
def test_inotify_limits_are_named_and_rescans_go_on(
    share: Path,
    witness: Witness,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
    sysctl: str,
) -> None:
    def refuse() -> BaseObserver:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(folder_events, "_new_observer", refuse)
    watcher = start(rescan_s=0.2)
    (share / "talk.mp3").write_bytes(b"x")
    until(lambda: witness.names() == ["talk.mp3"], "rescans did not go on")
    assert caplog.text.count(sysctl) == 1
    assert watcher.health().events == "degraded"
    assert sysctl in (watcher.health().problem or "")
    monkeypatch.undo()
    until(lambda: watcher.health().events == "on", "the observer was not tried again")


def test_rescans_come_more_often_while_there_are_no_events(
    build: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> BaseObserver:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    monkeypatch.setattr(folder_events, "_new_observer", refuse)
    assert build(clock=FakeClock()).tick() == pytest.approx(5.0)


def test_an_unwatched_subfolder_counts_as_degraded(
    share: Path, build: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        (share / f"album {number}").mkdir()
    clock = FakeClock()
    watcher = build(clock=clock, recursive=True)
    watcher.tick()
    assert watcher.health().events == "on"
    monkeypatch.setattr(folder_events, "_watch_count", lambda: 2)
    for _ in range(2):
        clock.advance(60)
        watcher.tick()
    assert watcher.health().events == "degraded"
    assert "max_user_watches" in (watcher.health().problem or "")


def test_a_watch_that_was_lost_in_silence_is_renewed(
    share: Path, build: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    watcher = build(clock=clock)
    watcher.tick()
    first = next(t for t in threading.enumerate() if isinstance(t, BaseObserver))
    monkeypatch.setattr(folder_events, "_watch_count", lambda: 0)
    clock.advance(60)
    watcher.tick()
    assert watcher.events_alive
    assert not first.is_alive()


def test_a_failure_in_the_handler_is_logged_and_not_raised(
    share: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(hint: folder_events.Hint) -> None:
        raise RuntimeError("broken on purpose")

    handler = folder_events._Handler(str(share), False, explode)
    handler.dispatch(FileClosedEvent(str(share / "talk.mp3")))
    assert "broken on purpose" in caplog.text


# --- unavailable ---


def test_a_share_that_is_away_concludes_nothing_and_comes_back(
    share: Path, witness: Witness, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    watcher = start(rescan_s=0.3)
    (share / "talk.mp3").write_bytes(b"x")
    until(lambda: len(witness.wholes) == 1, "the file was not taken")
    away = share.with_name("away")
    share.rename(away)
    until(lambda: not watcher.available, "the missing share was not noticed")
    assert watcher.health().problem == "No such file or directory"
    (away / "late.mp3").write_bytes(b"x")
    stays(lambda: not witness.gones, "absence was taken for deletion", 1.0)
    away.rename(share)
    until(lambda: watcher.available, "the share's return was not noticed")
    until(lambda: witness.names() == ["talk.mp3", "late.mp3"], "the new file was not taken")
    (share / "event.mp3").write_bytes(b"x")
    until(lambda: len(witness.wholes) == 3, "events did not come back")
    assert witness.gones == []
    assert caplog.text.count("is unavailable") == 1
    assert caplog.text.count("is available again") == 1


def test_an_empty_mount_point_is_not_an_emptied_share(
    share: Path, witness: Witness, start: Start
) -> None:
    watcher = start(rescan_s=0.3)
    (share / "talk.mp3").write_bytes(b"x")
    until(lambda: len(witness.wholes) == 1, "the file was not taken")
    away = share.with_name("away")
    share.rename(away)
    share.mkdir()
    until(lambda: not watcher.available, "the empty mount point was not noticed")
    (share / "stray.mp3").write_bytes(b"x")
    stays(lambda: not witness.gones, "absence was taken for deletion", 1.0)
    assert witness.names() == ["talk.mp3"], "a file beside the share was taken"
    shutil.rmtree(share)
    away.rename(share)
    until(lambda: watcher.available, "the share's return was not noticed")
    (share / "talk.mp3").unlink()
    until(lambda: witness.gones == ["talk.mp3"], "a real deletion was not told")


def test_a_share_that_is_missing_at_start_is_waited_for(
    share: Path, witness: Witness, build: Start
) -> None:
    away = share.with_name("away")
    share.rename(away)
    watcher = build(rescan_s=0.2)
    watcher.start()
    until(lambda: not watcher.available, "the missing share was not noticed")
    (away / "talk.mp3").write_bytes(b"x")
    away.rename(share)
    until(lambda: witness.names() == ["talk.mp3"], "the file was not taken")
    assert watcher.events_alive


def test_a_deleted_marker_alone_does_not_stop_the_work(
    share: Path, witness: Witness, start: Start
) -> None:
    watcher = start(rescan_s=0.2)
    (share / "talk.mp3").write_bytes(b"x")
    until(lambda: len(witness.wholes) == 1, "the file was not taken")
    (share / STATE_FOLDER).rmdir()
    (share / "more.mp3").write_bytes(b"x")
    until(lambda: len(witness.wholes) == 2, "the work stopped without the marker")
    assert watcher.available


def test_one_folder_that_cannot_be_read_does_not_stop_the_rest(
    share: Path, witness: Witness, build: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("good", "stale"):
        (share / folder).mkdir()
        (share / folder / "a.mp3").write_bytes(b"x")
    clock = FakeClock()
    watcher = build(clock=clock, recursive=True)
    drive(watcher, clock, 5)
    assert sorted(witness.names()) == ["good/a.mp3", "stale/a.mp3"]

    monkeypatch.setattr(os, "scandir", failing(os.scandir, share / "stale"))
    monkeypatch.setattr(os, "lstat", failing(os.lstat, share / "stale" / "a.mp3"))
    (share / "good" / "b.mp3").write_bytes(b"x")
    drive(watcher, clock, 120)
    assert "good/b.mp3" in witness.names()
    assert witness.gones == []
    assert watcher.available


# --- the clock and the thread ---


def failing(real: Callable[..., Any], bad: Path) -> Callable[..., Any]:
    """The same call, but with a stale handle on one path."""

    def call(path: Any, *args: Any, **options: Any) -> Any:
        if Path(path) == bad:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return real(path, *args, **options)

    return call


def drive(watcher: Watcher, clock: FakeClock, seconds: float) -> int:
    """Let made-up time pass; answers how many ticks it took."""
    end = clock.monotonic() + seconds
    ticks = 0
    while clock.monotonic() < end:
        clock.advance(max(watcher.tick(), 0.01))
        ticks += 1
    return ticks


def test_an_idle_watcher_sleeps(build: Start) -> None:
    clock = FakeClock()
    watcher = build(clock=clock, rescan_s=30.0)
    assert drive(watcher, clock, 3000) <= 101, "it wakes more often than it rescans"


def test_files_are_looked_at_no_more_than_they_need(
    share: Path, witness: Witness, build: Start
) -> None:
    (share / "talk.mp3").write_bytes(b"x")
    clock = FakeClock()
    watcher = build(clock=clock, events=False, stable_s=3.0)
    assert drive(watcher, clock, 3.5) <= 8
    assert witness.names() == ["talk.mp3"]


def test_a_sink_that_fails_is_asked_again(
    share: Path, witness: Witness, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    witness.trouble = RuntimeError("broken on purpose")
    start()
    (share / "talk.mp3").write_bytes(b"x")
    until(lambda: witness.names() == ["talk.mp3"], "the file was lost with the failure")
    assert "broken on purpose" in caplog.text


def test_stopping_ends_every_thread_and_starting_again_works(
    share: Path, witness: Witness, start: Start
) -> None:
    watcher = start()
    watcher.stop()
    assert not watcher.events_alive
    watcher.start()
    (share / "talk.mp3").write_bytes(b"x")
    until(lambda: witness.names() == ["talk.mp3"], "the second start does not work")


def test_a_share_that_is_a_link_itself_is_watched(
    share: Path, witness: Witness, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(share)
    watcher = Watcher(
        tmp_path / "link",
        witness,
        SystemClock(),
        recursive=True,
        events=True,
        rescan_s=60.0,
        settle_s=SETTLE_S,
        stable_s=STABLE_S,
    )
    watcher.start()
    until(lambda: watcher.health().last_rescan_s > 0, "the first rescan did not end")
    (share / "talk.mp3").write_bytes(b"x")
    until(lambda: witness.names() == ["talk.mp3"], "no event came through the link")
    watcher.stop()


# --- faults ---


def test_what_an_overflow_lost_is_found_by_the_next_rescan(
    share: Path, witness: Witness, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    room = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if room > 200_000:
        pytest.skip(f"the queue for events has room for {room}")
    watcher = start(rescan_s=2.0, settle_s=0.1, stable_s=0.3)
    with thread_named("InotifyFD")._lock:  # type: ignore[attr-defined]
        for number in range(room // 3 + 1000):  # made, closed and deleted: three events each
            (share / f"{number}.txt").touch()
            (share / f"{number}.txt").unlink()
        (share / "talk.mp3").write_bytes(b"x")
    until(lambda: "overflow" in caplog.text, "the queue did not overflow")
    until(lambda: witness.names() == ["talk.mp3"], "the rescan did not find the file")
    assert watcher.events_alive


def thread_named(kind: str) -> threading.Thread:
    return next(t for t in threading.enumerate() if type(t).__name__ == kind)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("kind", "duty"),
    [
        ("InotifyFD", "read_events"),
        ("InotifyFullEmitter", "queue_events"),
        ("InotifyObserver", "dispatch_events"),
    ],
)
def test_a_dead_thread_of_the_observer_is_told_and_replaced(
    share: Path, witness: Witness, start: Start, caplog: pytest.LogCaptureFixture,
    kind: str, duty: str,
) -> None:  # fmt: skip
    def die(*args: Any, **options: Any) -> None:
        raise OSError(errno.EIO, "broken on purpose")

    watcher = start(rescan_s=60.0)
    victim = thread_named(kind)
    setattr(victim, duty, die)
    (share / "wake.mp3").touch()
    until(lambda: not victim.is_alive(), "the thread lived on")
    health = watcher.health()
    assert health.events == "degraded"
    assert health.problem == "a thread of its observer died; a new one is on its way"
    watcher.poke()
    until(lambda: watcher.health().events == "on", "the observer was not rebuilt")
    assert "rebuilt" in caplog.text
    (share / "talk.mp3").write_bytes(b"x")
    until(lambda: "talk.mp3" in witness.names(), "no events from the new observer")


def failing_once(real: Callable[..., Any], bad: Path, number: int) -> Callable[..., Any]:
    """The same call, but the first on one path fails."""
    left = [OSError(number, os.strerror(number))]

    def call(path: Any = ".", *args: Any, **options: Any) -> Any:
        if left and not isinstance(path, int) and Path(os.fsdecode(path)) == bad:
            raise left.pop()
        return real(path, *args, **options)

    return call


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO])
@pytest.mark.parametrize(
    ("call", "bad"), [("stat", "."), ("scandir", "."), ("lstat", "old.mp3"), ("lstat", "new.mp3")]
)
def test_one_failed_look_costs_a_moment_and_nothing_else(
    share: Path, witness: Witness, build: Start, monkeypatch: pytest.MonkeyPatch,
    number: int, call: str, bad: str,
) -> None:  # fmt: skip
    (share / "old.mp3").write_bytes(b"x")
    clock = FakeClock()
    watcher = build(clock=clock, events=False)
    drive(watcher, clock, 5)
    (share / "new.mp3").write_bytes(b"x")
    os.utime(share / "old.mp3", (1, 1))
    monkeypatch.setattr(os, call, failing_once(getattr(os, call), share / bad, number))
    watcher.poke()
    drive(watcher, clock, 20)
    assert sorted(witness.names()) == ["new.mp3", "old.mp3", "old.mp3"]
    assert witness.gones == []
    assert watcher.available


def test_a_file_that_lands_right_after_the_first_scan_is_seen(
    share: Path, witness: Witness, build: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = watcher_module.scan

    def scan_then_land(*args: Any, **options: Any) -> Any:
        seen = real(*args, **options)
        (share / "talk.mp3").write_bytes(b"x")
        monkeypatch.setattr(watcher_module, "scan", real)
        return seen

    monkeypatch.setattr(watcher_module, "scan", scan_then_land)
    build(rescan_s=60.0).start()
    until(lambda: witness.names() == ["talk.mp3"], "it fell between the scan and the watch")


@pytest.mark.parametrize(
    "name",
    [
        "talk.mp3.part", "talk.mp3.partial", "talk.mp3.crdownload", "talk.mp3.filepart",
        "talk.mp3.tmp", ".syncthing.talk.mp3.tmp", "~syncthing~talk.mp3.tmp", "~syncthing~talk.mp3",
        "._talk.mp3", ".DS_Store", ".talk.mp3.Xa81Bc", "talk.mp3.download", ".talk.mp3",
        "talk.mp3.!sync", ".nfs000000001.mp3",
    ],
)  # fmt: skip
@pytest.mark.parametrize("events", [True, False])
def test_only_the_final_name_of_a_transfer_is_taken(
    share: Path, witness: Witness, build: Start, name: str, events: bool
) -> None:
    watcher = build(rescan_s=0.1, events=events, settle_s=0.01, stable_s=0.1)
    watcher.start()
    (share / name).write_bytes(b"x")
    (share / "other.mp3").write_bytes(b"x")
    until(lambda: bool(witness.wholes), "nothing was taken at all")
    stays(lambda: witness.names() == ["other.mp3"], "a temporary name was taken", 0.4)
    (share / name).rename(share / "talk.mp3")
    until(lambda: witness.names() == ["other.mp3", "talk.mp3"], "the final name was not taken")
    assert witness.gones == []
