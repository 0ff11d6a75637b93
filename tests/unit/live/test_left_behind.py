"""One session that cannot be stored keeps no other from being stored; and what is begun in vain
leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.errors import StorageError
from modules.live.events import Outbox
from modules.live.landing import GoOn, Landing, Stored
from modules.live.note import SessionNote
from modules.live.sessions import LiveSessions
from modules.live.store import SessionStore
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
