"""What must not be lost between two threads, two sessions, or a full disk and the next moment."""

from __future__ import annotations

import errno
import io
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from modules.audio.recording import Limits, open_recording
from modules.clock import SystemClock
from modules.config.schema import Config
from modules.errors import StorageError, TranscriberError
from modules.executors.live_protocol import Commit
from modules.live import landing, landings, room, sound_file
from modules.live import said as live_said
from modules.live import session as live_session
from modules.live.events import Committed, Outbox, SessionStored
from modules.live.landing import GoOn, Landing, Stored
from modules.live.link import LiveLink
from modules.live.load import Load
from modules.live.note import SessionNote
from modules.live.room import Room
from modules.live.said import SaidFile, event_of, line_of
from modules.live.session import Session
from modules.live.sessions import LiveSessions
from modules.live.sound_file import SoundFile
from modules.live.store import SessionStore
from modules.live.wav import header
from modules.recordings.uploads import Uploads
from modules.storage import beneath
from modules.transcript.model import Word
from tests.builders import a_config, until

NOTE = SessionNote(rate=8000, name="talk", created="2026-11-28 14-03")
WORD = Word(word=" w", start=0.0, end=0.5)


@pytest.fixture(autouse=True)
def _nobody_hears(monkeypatch: pytest.MonkeyPatch) -> None:
    """So nothing is waited for at the end."""
    monkeypatch.setattr(live_session, "CLOSE_S", 0.0)


class World:
    """Live sessions without a child, in a share of their own; ``broken`` ones cannot be stored."""

    def __init__(self, root: Path, **live: Any) -> None:
        self.config: Config = a_config(root, live=live)
        shared = self.config.shared_directory
        shared.mkdir(exist_ok=True)
        self.store = SessionStore(shared / ".transcriber" / "live")
        uploads = Uploads(shared / ".transcriber" / "uploads", shared)
        uploads.prepare()
        self.broken: set[str] = set()
        self.copying, self.may_copy = threading.Event(), threading.Event()
        self.may_copy.set()
        made = Landing(shared, self.store, uploads, lambda *_: "job", "")
        self._finish = made.finish
        made.finish = self._land  # type: ignore[method-assign]
        self.sessions = LiveSessions(self.config, self.store, made, SystemClock())

    def _land(self, session_id: str, go_on: GoOn = lambda: None) -> Stored:
        if session_id in self.broken:
            raise StorageError("permission_denied", "It may not be read.")
        self.copying.set()
        assert self.may_copy.wait(30)
        return self._finish(session_id, go_on)

    @contextmanager
    def running(self) -> Iterator[LiveSessions]:
        self.sessions.start()
        try:
            yield self.sessions
        finally:
            self.sessions.stop()

    def begin(self, outbox: Outbox | None = None) -> Session:
        settings = self.config.default_settings()
        return self.sessions.begin(NOTE, settings, outbox or Outbox())


def stored_in(outbox: Outbox) -> SessionStored | None:
    return next((each for each in outbox.take() if isinstance(each, SessionStored)), None)


# --- two clients -------------------------------------------------------------------------------


def test_who_takes_a_session_over_is_told_of_the_sound_that_is_just_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier, later = Outbox(), Outbox()
    session = World(tmp_path).begin(earlier)
    writing, may_write = threading.Event(), threading.Event()

    def write(descriptor: int, data: Any, real: Any = os.write) -> int:
        writing.set()
        assert may_write.wait(10)
        return int(real(descriptor, data))

    monkeypatch.setattr(sound_file.os, "write", write)
    told: list[tuple[int, int] | None] = []
    sending = threading.Thread(target=session.sound, args=(bytes(200), earlier))
    sending.start()
    assert writing.wait(10)
    taking = threading.Thread(target=lambda: told.append(session.subscribe(later)))
    taking.start()
    taking.join(0.2)
    may_write.set()
    for thread in (sending, taking):
        thread.join(10)
    session.sound(bytes(200), earlier)
    assert told == [(100, 0)]
    assert session.samples == 100
    session.end(None)


def test_who_comes_back_to_a_session_that_has_just_ended_is_told_where_it_is(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    with world.running() as sessions:
        first, second = Outbox(), Outbox()
        session = world.begin(first)
        session.sound(bytes(200), first)
        sessions.end(session.session_id)
        stored = until(lambda: stored_in(first), "it was stored")
        assert session.subscribe(second) is None
        assert sessions.resume(session.session_id, 0, second).session is None
        assert stored_in(second) == stored


# --- several sessions --------------------------------------------------------------------------


def test_one_that_cannot_be_stored_keeps_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landings, "_RETRY_S", 600.0)
    world, outbox = World(tmp_path), Outbox()
    bad, good = world.begin(), world.begin(outbox)
    world.broken.add(bad.session_id)
    for session in (bad, good):
        world.sessions.end(session.session_id)
    with world.running():
        until(lambda: stored_in(outbox), "the other one is stored")


def test_a_leftover_that_cannot_be_stored_keeps_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landings, "_RETRY_S", 600.0)
    world, outbox = World(tmp_path), Outbox()
    ids = []
    for _ in range(2):
        session_id, sound, said = SessionStore(world.store.folder).create(NOTE)
        said.close()
        sound.append(bytes(200))
        sound.close()
        ids.append(session_id)
    bad, good = sorted(ids)
    world.broken.add(bad)
    with world.running() as sessions:
        until(lambda: (world.store.note(good) or NOTE).finished, "the other one is stored")
        sessions.resume(good, 0, outbox)
        until(lambda: stored_in(outbox), "it is told so")


def test_of_those_that_begin_at_once_no_more_are_admitted_than_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, max_sessions=1)
    session = world.begin()
    monkeypatch.setattr(Room, "check", lambda *_: None)  # it was before the other one began
    with pytest.raises(TranscriberError, match="1 live sessions"):
        world.begin()
    assert world.store.ids() == {session.session_id}
    session.end(None)


def test_a_session_that_cannot_begin_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)

    def refuse(session_id: str) -> None:
        raise StorageError("disk_full", "The disk is full.")

    monkeypatch.setattr(world.store, "_open_said", refuse)
    with pytest.raises(StorageError):
        world.begin()
    assert world.store.ids() == set()


def test_one_that_takes_long_to_be_stored_keeps_no_other_waiting(tmp_path: Path) -> None:
    """The pace, the end of who stays away, and what is told go on meanwhile."""
    world, outbox = World(tmp_path, resume_seconds=0.5), Outbox()
    others = Outbox()
    long, other = world.begin(outbox), world.begin(others)
    long.sound(bytes(200), outbox)
    world.may_copy.clear()
    with world.running() as sessions:
        sessions.end(long.session_id)
        assert world.copying.wait(30)
        other.leave(others)
        until(lambda: other.state == "finishing", "it ends, as its client stays away")
        assert long.state == "finishing"
        world.may_copy.set()
        until(lambda: not sessions.all(), "both are stored")
    assert stored_in(outbox)


def test_the_end_of_the_program_ends_a_copy_and_the_next_start_makes_it_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, outbox = World(tmp_path), Outbox()
    session = world.begin(outbox)
    session.sound(bytes(9000), outbox)
    monkeypatch.setattr(landing, "_PIECE_BYTES", 1000)
    monkeypatch.setattr(landing, "_SYNC_BYTES", 3000)
    go_on = world.sessions._landings._go_on
    pieces: list[int] = []
    is_there, may_go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        pieces.append(1)
        if len(pieces) == 5:
            is_there.set()
            assert may_go_on.wait(30)
        go_on()

    monkeypatch.setattr(world.sessions._landings, "_go_on", slowly)
    world.sessions.start()
    world.sessions.end(session.session_id)
    assert is_there.wait(30)
    world.sessions._landings._loop.ask_to_stop()
    may_go_on.set()
    world.sessions.stop()
    shared = world.config.shared_directory
    assert len(pieces) == 5
    assert not list(shared.glob("*.wav"))
    assert not list((shared / ".transcriber" / "uploads").iterdir())
    world = World(tmp_path)
    with world.running():
        stored = until(lambda: next(iter(shared.glob("*.wav")), None), "it is stored")
        assert stored.stat().st_size == 44 + 9000


def test_so_many_that_wait_to_be_stored_let_no_other_begin(tmp_path: Path) -> None:
    world = World(tmp_path)
    for _ in range(room._UNSTORED_MAX):
        world.sessions.end(world.begin().session_id)
    with pytest.raises(TranscriberError, match="wait to be stored"):
        world.begin()
    world.sessions.stop()


# --- discarded ---------------------------------------------------------------------------------


class Refusal:
    """Lets no file of these kinds be removed, or replaced."""

    def __init__(
        self, patched: pytest.MonkeyPatch, *kinds: str, also_writing: bool = False
    ) -> None:
        self._kinds = kinds
        self._unlink, self._replace = beneath.unlink, os.replace
        patched.setattr(beneath, "unlink", self._refusing(self._unlink))
        if also_writing:
            patched.setattr(os, "replace", self._refusing(self._replace))

    def _refusing(self, call: Any) -> Any:
        def wrapped(path: Any, *rest: Any) -> Any:
            if str((path, *rest)[-1]).endswith(self._kinds):
                raise OSError(errno.EIO, "no")
            return call(path, *rest)

        return wrapped

    def lift(self) -> None:
        self._kinds = (".nothing",)


@pytest.mark.parametrize("kinds", [(".json",), (".pcm",), (".json", ".pcm", ".said")])
def test_what_is_discarded_and_cannot_be_removed_is_never_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: tuple[str, ...]
) -> None:
    world, outbox = World(tmp_path), Outbox()
    session = world.begin(outbox)
    session.sound(bytes(200), outbox)
    refusal = Refusal(monkeypatch, *kinds)
    world.sessions.end(session.session_id, discard=True)
    assert stored_in(outbox) == SessionStored(None, None)
    assert world.store.ids() == {session.session_id}
    world.sessions.stop()
    refusal.lift()
    later = World(tmp_path)
    with later.running() as sessions:
        until(lambda: not later.store.ids(), "it is removed")
        with pytest.raises(TranscriberError, match="no such live session"):
            sessions.resume(session.session_id, 0, Outbox())
    assert not list(world.config.shared_directory.glob("*.wav"))
    assert later.sessions.finished == 0


def test_who_comes_back_while_it_is_being_removed_finds_no_session(tmp_path: Path) -> None:
    world = World(tmp_path)
    session = world.begin()
    session.sound(bytes(200), Outbox())
    world.sessions.stop()
    later = World(tmp_path)
    later.sessions._leftovers.find()
    later.store.remove(session.session_id)
    with pytest.raises(TranscriberError, match="no such live session"):
        later.sessions.resume(session.session_id, 0, Outbox())
    later.sessions.stop()


def test_who_cannot_be_promised_that_it_is_discarded_is_told_and_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landings, "_RETRY_S", 0.1)
    world, outbox = World(tmp_path), Outbox()
    with world.running() as sessions:
        session = world.begin(outbox)
        session.sound(bytes(200), outbox)
        refusal = Refusal(monkeypatch, ".json", also_writing=True)
        with pytest.raises(StorageError):
            sessions.end(session.session_id, discard=True)
        with pytest.raises(TranscriberError, match="no such live session"):
            sessions.resume(session.session_id, 0, Outbox())
        refusal.lift()
        until(lambda: not world.store.ids(), "it is removed")
    assert not list(world.config.shared_directory.glob("*.wav"))


# --- the child ---------------------------------------------------------------------------------


@pytest.fixture
def link() -> Iterator[LiveLink]:
    ours, its = socket.socketpair()
    made = LiveLink(ours, lambda *_: None, lambda _: None)
    yield made
    made.end()
    made.join(10)
    its.close()


def test_a_session_is_not_given_to_a_child_that_is_gone(tmp_path: Path, link: LiveLink) -> None:
    session = World(tmp_path).begin()
    link.end()
    link.join(10)
    session.open_in(link, 1.0)
    session.sound(bytes(16_000), Outbox())
    assert session._child.link is None
    session.end(None)


def test_what_the_child_says_of_a_session_that_is_over_does_no_harm(
    tmp_path: Path, link: LiveLink
) -> None:
    outbox = Outbox()
    session = World(tmp_path).begin(outbox)
    session.open_in(link, 1.0)
    session.sound(bytes(16_000), outbox)
    session.end(None)
    session.take(link, Commit(session=1, words=(WORD,)))
    assert outbox.take() == []


# --- a disk that takes no more -----------------------------------------------------------------


class SmallFile(io.FileIO):
    """Has room for so many bytes."""

    room = 0

    def write(self, data: Any) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "no room")
        written = super().write(bytes(data)[: self.room]) or 0
        self.room -= written
        return written


def test_words_that_the_disk_had_no_room_for_are_kept_and_spoil_no_others(tmp_path: Path) -> None:
    lines = [line_of(Committed(seq, (WORD,))) for seq in range(1, 5)]
    with SmallFile(tmp_path / "said", "ab") as file:
        said = SaidFile(file)
        file.room = len(lines[0]) + 10
        for line in lines[:3]:
            said.add(line)
            said.save()
        assert (tmp_path / "said").read_bytes()[: len(lines[0])] == lines[0]
        assert said.waiting() == lines[1:3]
        file.room = 10_000
        said.add(lines[3])
        said.save()
        assert said.waiting() == []
        kept = (tmp_path / "said").read_bytes().splitlines(keepends=True)
        assert kept == lines
        assert all(map(event_of, kept))
        said.close()
        said.add(lines[0])
        said.save()


def test_no_more_words_wait_in_memory_than_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [line_of(Committed(seq, (WORD,))) for seq in range(1, 10)]
    monkeypatch.setattr(live_said, "_WAITING_BYTES", sum(map(len, lines[-3:])))
    with SmallFile(tmp_path / "said", "ab") as file:
        said = SaidFile(file)
        for line in lines:
            said.add(line)
            said.save()
        assert said.waiting() == lines[-3:]


class SlowFile(io.FileIO):
    """Writes when it may."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "ab")
        self.writing, self.may_write = threading.Event(), threading.Event()

    def write(self, data: Any) -> int:
        self.writing.set()
        assert self.may_write.wait(300)
        return super().write(data)


def test_a_slow_disk_keeps_no_words_from_a_client_nor_from_one_that_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: LiveLink
) -> None:
    files: list[SlowFile] = []

    def open_slowly(path: Path) -> SlowFile:
        files.append(SlowFile(path))
        return files[0]

    monkeypatch.setattr("modules.live.store.append_regular", open_slowly)
    monkeypatch.setattr(landings, "_TICK_S", 0.01)
    world, outbox = World(tmp_path), Outbox()
    with world.running() as sessions:
        session = world.begin(outbox)
        session.open_in(link, 1.0)
        session.sound(bytes(32_000), outbox)

        def say(number: int) -> None:
            word = Word(word=f" w{number}", start=number / 10, end=number / 10 + 0.05)
            session.take(link, Commit(session=1, words=(word,)))

        def missed() -> list[int]:
            resumed = sessions.resume(session.session_id, 0, Outbox())
            return [event.seq for event in resumed.missed]

        say(1)
        sessions._landings.wake()
        assert files[0].writing.wait(30)
        say(2)
        assert [event.seq for event in outbox.take() if isinstance(event, Committed)] == [1, 2]
        assert missed() == [1, 2]
        half_read = sessions.resume(session.session_id, 0, Outbox()).missed
        assert next(half_read).seq == 1
        say(3)
        assert missed() == [1, 2, 3]
        files[0].may_write.set()
        until(lambda: session.said.waiting() == [], "all is written")
        say(4)
        assert missed() == [1, 2, 3, 4]
        assert [event.seq for event in half_read] == [2], "3 comes by its outbox"
        until(lambda: session.said.waiting() == [], "all is written")
        assert missed() == [1, 2, 3, 4]


def test_samples_that_were_only_written_in_part_are_taken_away_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = SoundFile(tmp_path / "sound.pcm", new=True)
    sound.append(b"aabb")
    real_write, real_truncate = os.write, os.ftruncate

    def torn(descriptor: int, data: Any) -> int:
        monkeypatch.setattr(sound_file.os, "write", fail)
        return real_write(descriptor, bytes(data)[:3])

    def fail(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(sound_file.os, "write", torn)
    monkeypatch.setattr(sound_file.os, "ftruncate", fail)
    with pytest.raises(StorageError):
        sound.append(b"ccdd")
    monkeypatch.setattr(sound_file.os, "write", real_write)
    with pytest.raises(StorageError):
        sound.append(b"ccdd")
    monkeypatch.setattr(sound_file.os, "ftruncate", real_truncate)
    assert sound.append(b"eeff") == 4
    sound.close()
    assert sound.path.read_bytes() == b"aabbeeff"


# --- the longest one ---------------------------------------------------------------------------


def test_a_session_is_never_longer_than_a_recording_may_be(tmp_path: Path) -> None:
    config = a_config(tmp_path, processing={"max_duration_hours": 0.01})
    world = World(tmp_path)
    world.config = config
    most = Room(config, world.sessions.load).samples_max(8000)
    assert most / 8000 < 36
    sound = SoundFile(tmp_path / "sound.pcm", new=True)
    sound.samples_max = most
    assert sound.append(bytes(2 * (most - 1))) == most - 1
    assert sound.append(bytes(20)) == most
    assert sound.append(bytes(20)) == most
    sound.close()
    assert sound.path.stat().st_size == 2 * most


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 44_100, 48_000])
def test_the_longest_session_is_no_recording_that_is_too_long(tmp_path: Path, rate: int) -> None:
    config = a_config(tmp_path, processing={"max_duration_hours": 0.01})
    samples = Room(config, Load(SystemClock().monotonic)).samples_max(rate)
    path = tmp_path / "longest.wav"
    path.write_bytes(header(rate, 2 * samples) + bytes(2 * samples))
    heard = 0
    with path.open("rb") as file:
        limits = Limits(max_duration_s=36.0)
        with open_recording(file.fileno(), limits) as recording:
            for block in recording.blocks(block_s=1.0):
                heard += len(block)
    assert heard / 16_000 == pytest.approx(35.9, abs=0.02)
