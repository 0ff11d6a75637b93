"""One session that cannot be stored keeps no other from being stored, nor does a share that was
away at the start; and what is begun in vain leaves nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from modules.errors import StorageError, TranscriberError
from modules.live.events import Outbox, SessionStored
from modules.live.landing import GoOn, Landing, Stored
from modules.live.note import SessionNote
from modules.live.sessions import LiveSessions
from modules.live.store import SessionStore
from modules.storage import beneath
from tests.builders import SETTINGS, a_config
from tests.fakes import FakeClock

NOTE = SessionNote(rate=8000, name="talk", created="2026-11-28 14-03")


class Stubborn(Landing):
    """Lands every session but one."""

    def __init__(self) -> None:
        self.refused = ""
        self.landed: list[str] = []

    def finish(self, session_id: str, go_on: GoOn = lambda: None) -> Stored:
        if session_id == self.refused:
            raise StorageError("storage_error", "It cannot be read.")
        self.landed.append(session_id)
        return Stored("talk.wav", "job")


@pytest.fixture
def store(tmp_path: Path) -> SessionStore:
    return SessionStore(tmp_path / "shared" / ".transcriber" / "live")


def test_a_session_that_cannot_be_landed_lets_the_others_by(
    store: SessionStore, tmp_path: Path
) -> None:
    clock, landing = FakeClock(), Stubborn()
    (tmp_path / "shared").mkdir(exist_ok=True)
    sessions = LiveSessions(a_config(tmp_path), store, landing, clock)
    begun = [sessions.begin(NOTE, SETTINGS, Outbox()) for _ in range(3)]
    landing.refused = begun[0].session_id
    for session in begun:
        session.leave(Outbox())
        session.stop()
        session.state = "finishing"
    for _ in range(3):
        sessions._tick()
        sessions._landings.tick()
        clock.advance(11)
    assert sorted(landing.landed) == sorted(session.session_id for session in begun[1:])
    assert [session.session_id for session in sessions.all()] == [landing.refused]
    landing.refused = ""
    sessions._tick()
    sessions._landings.tick()
    sessions.stop()
    assert sessions.all() == []


def test_who_has_failed_to_land_is_behind_the_others_of_this_run_or_an_earlier_one(
    store: SessionStore, tmp_path: Path
) -> None:
    """And comes back in the order in which they failed."""
    clock, landing = FakeClock(), Stubborn()
    (tmp_path / "shared").mkdir(exist_ok=True)
    earlier = sorted(left_by_an_earlier_run(store.folder) for _ in range(2))
    sessions = LiveSessions(a_config(tmp_path), store, landing, clock)
    turns = sessions._landings
    current = [sessions.begin(NOTE, SETTINGS, Outbox()).session_id for _ in range(2)]
    for ids in (earlier, current):
        landing.refused = ids[0]
        assert turns._whose_turn(ids) == ids[0]
        assert turns._land(ids[0]) is None
        assert turns._whose_turn(ids) == ids[1]
        clock.advance(5)
        landing.refused = ids[1]
        assert turns._land(ids[1]) is None
        assert turns._whose_turn(ids) is None
        clock.advance(6)
        assert turns._whose_turn(reversed(ids)) == ids[0]
        clock.advance(6)
        assert turns._whose_turn(reversed(ids)) == ids[0]
    sessions.stop()


def test_a_session_that_cannot_be_landed_is_not_looked_at_more_often_for_it(
    store: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, landing = FakeClock(), Stubborn()
    (tmp_path / "shared").mkdir(exist_ok=True)
    sessions = LiveSessions(a_config(tmp_path), store, landing, clock)
    session = sessions.begin(NOTE, SETTINGS, Outbox())
    landing.refused = session.session_id
    session.leave(Outbox())
    session.stop()
    session.state = "finishing"
    woken: list[int] = []
    monkeypatch.setattr(sessions._landings, "wake", lambda: woken.append(1))
    for _ in range(8):
        sessions._tick()
        clock.advance(0.25)
    assert woken == []
    sessions._landings.tick()
    assert sessions.all() == [session]
    sessions.stop()


def test_a_session_that_cannot_begin_leaves_no_file(
    store: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise StorageError("disk_full", "The disk is full.")

    (tmp_path / "shared").mkdir(exist_ok=True)
    sessions = LiveSessions(a_config(tmp_path), store, Stubborn(), FakeClock())
    monkeypatch.setattr("modules.live.store.append_regular", full)
    with pytest.raises(StorageError):
        sessions.begin(NOTE, SETTINGS, Outbox())
    assert list(store.folder.iterdir()) == []
    assert sessions.all() == []


# --- sessions of an earlier run -----------------------------------------------------------------


class Away:
    """A share of which this call fails, for names that end so, until it is back."""

    def __init__(self, patched: pytest.MonkeyPatch, call: str, ending: str = "") -> None:
        self.is_away = True
        self._real, self._ending = getattr(beneath, call), ending
        patched.setattr(beneath, call, self._call)

    def _call(self, path: Path, *rest: Any) -> Any:
        if self.is_away and os.fspath(path).endswith(self._ending):
            raise OSError(errno.EIO, "no answer", os.fspath(path))
        return self._real(path, *rest)


def left_by_an_earlier_run(folder: Path) -> str:
    session_id, sound, said = SessionStore(folder).create(NOTE)
    said.close()
    sound.append(bytes(200))
    sound.close()
    return session_id


def test_what_an_earlier_run_left_is_found_once_the_share_is_back_and_nothing_else_is(
    store: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, landing, outbox = FakeClock(), Stubborn(), Outbox()
    (tmp_path / "shared").mkdir(exist_ok=True)
    left = left_by_an_earlier_run(store.folder)
    share = Away(monkeypatch, "names_in")
    sessions = LiveSessions(a_config(tmp_path), store, landing, clock)
    sessions._landings._find_leftovers()
    current, discarded = (sessions.begin(NOTE, SETTINGS, Outbox()) for _ in range(2))
    sessions.end(discarded.session_id, discard=True)
    with pytest.raises(StorageError):
        sessions.resume(left, 0, outbox)
    clock.advance(11)
    sessions._landings.tick()
    assert landing.landed == []
    share.is_away = False
    sessions.resume(left, 0, outbox)
    clock.advance(11)
    for _ in range(3):
        sessions._landings.tick()
    assert landing.landed == [left]
    assert outbox.take() == [SessionStored("talk.wav", "job")]
    assert (sessions.all(), current.state) == ([current], "open")
    with pytest.raises(TranscriberError, match="no such live session"):
        sessions.resume("0" * 32, 0, Outbox())
    sessions.stop()


def test_it_is_looked_for_again_without_being_asked_for(
    store: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, landing = FakeClock(), Stubborn()
    (tmp_path / "shared").mkdir(exist_ok=True)
    left = left_by_an_earlier_run(store.folder)
    share = Away(monkeypatch, "names_in")
    sessions = LiveSessions(a_config(tmp_path), store, landing, clock)
    sessions._landings._find_leftovers()
    share.is_away = False
    sessions._landings.tick()
    assert landing.landed == [], "not at once"
    clock.advance(11)
    sessions._landings.tick()
    assert landing.landed == [left]
    sessions.stop()


def test_a_note_that_cannot_be_read_keeps_no_other_session_from_being_found(
    store: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, landing = FakeClock(), Stubborn()
    (tmp_path / "shared").mkdir(exist_ok=True)
    first, second = sorted(left_by_an_earlier_run(store.folder) for _ in range(2))
    share = Away(monkeypatch, "descriptor", f"{first}.json")
    sessions = LiveSessions(a_config(tmp_path), store, landing, clock)
    sessions._landings.tick()
    assert landing.landed == [second]
    finished = {"finished": True, "landing": "talk.wav"}
    store.write_note(second, NOTE.model_copy(update=finished))  # as landing it does
    with pytest.raises(StorageError):
        sessions.resume(first, 0, Outbox())
    share.is_away = False
    clock.advance(11)
    sessions._landings.tick()
    assert landing.landed == [second, first]
    sessions.stop()


def test_while_one_note_cannot_be_read_the_others_are_looked_at_once_and_one_warning_is_written(
    store: SessionStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Also those whose note stays as it was, as one that is damaged does."""
    clock, landing = FakeClock(), Stubborn()
    (tmp_path / "shared").mkdir(exist_ok=True)
    unreadable, left, done = sorted(left_by_an_earlier_run(store.folder) for _ in range(3))
    store.write_note(done, NOTE.model_copy(update={"finished": True, "landing": "talk.wav"}))
    share = Away(monkeypatch, "descriptor", f"{unreadable}.json")
    removed: list[str] = []
    monkeypatch.setattr(store, "remove_sound", removed.append)
    sessions = LiveSessions(a_config(tmp_path), store, landing, clock)
    for _ in range(5):
        sessions._landings.tick()
        with pytest.raises(StorageError):
            sessions.resume("0" * 32, 0, Outbox())
        clock.advance(11)
    assert (landing.landed, removed) == ([left], [done])
    assert caplog.text.count("could not be looked through") == 1
    share.is_away = False
    sessions._landings.tick()
    sessions.stop()
    assert landing.landed == [left, unreadable]


def test_a_problem_that_comes_back_is_logged_again(
    store: SessionStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    (tmp_path / "shared").mkdir(exist_ok=True)
    sessions = LiveSessions(a_config(tmp_path), store, Stubborn(), clock)
    sessions._landings.start()
    sessions._landings.stop(10)
    share = Away(monkeypatch, "names_in")
    logged = []
    for share.is_away in (True, True, False, True):
        clock.advance(3601)  # they are looked through every hour
        sessions._landings.tick()
        logged.append(caplog.text.count("could not be looked through"))
    assert logged == [1, 1, 1, 2]
    sessions.stop()


def test_one_that_lands_while_a_client_asks_for_it_is_not_landed_twice(
    store: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, landing, outbox = FakeClock(), Stubborn(), Outbox()
    (tmp_path / "shared").mkdir(exist_ok=True)
    left = left_by_an_earlier_run(store.folder)
    sessions = LiveSessions(a_config(tmp_path), store, landing, clock)
    read, reads = store.note, []

    def read_and_land(session_id: str) -> SessionNote | None:
        note = read(session_id)
        reads.append(session_id)
        if len(reads) == 1:  # the client's thread has read it, and is overtaken
            sessions._landings.tick()
            finished = {"finished": True, "landing": "talk.wav", "job_id": "job"}
            store.write_note(left, NOTE.model_copy(update=finished))  # as landing it does
        return note

    monkeypatch.setattr(store, "note", read_and_land)
    sessions.resume(left, 0, outbox)
    sessions._landings.tick()
    assert landing.landed == [left]
    assert outbox.take() == [SessionStored("talk.wav", "job")]
    sessions.stop()
