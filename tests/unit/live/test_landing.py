"""Whatever instant a death comes at, a session lands once, with every sample."""

from __future__ import annotations

import contextlib
import os
import wave
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from modules.errors import StorageError, TranscriberError
from modules.live.events import Outbox
from modules.live.landing import GoOn, Landing, Stored
from modules.live.note import SessionNote, recording_name
from modules.live.sessions import LiveSessions
from modules.live.store import SessionStore
from modules.recordings.checkpoint import Begun
from modules.recordings.uploads import Uploads
from modules.storage import beneath
from tests.builders import SETTINGS, a_config
from tests.fakes import FakeClock

SOUND = os.urandom(100_001)
NOTE = SessionNote(rate=8000, name="talk", created="2026-11-28 14-03", wishes={"language": "en"})


class Death(BaseException):
    """The process ends here."""


class World:
    """A share with one session in it, and a death at one of the calls that change something."""

    def __init__(
        self, root: Path, patched: pytest.MonkeyPatch, container: bytes | None = None
    ) -> None:
        self.shared = root / "shared"
        self.store = SessionStore(self.shared / ".transcriber" / "live")
        self.shared.mkdir()
        self.uploads = Uploads(self.shared / ".transcriber" / "uploads", self.shared)
        self.uploads.prepare()
        self.calls = 0
        self.die_at: int | None = None
        self.submitted: list[str] = []
        note = NOTE if container is None else NOTE.model_copy(update={"container": "webm"})
        self.session, sound, said = self.store.create(note)
        said.close()
        if container is not None:
            self.store.container_path(self.session).write_bytes(container)
        sound.append(SOUND[:-1])
        sound.close()
        with self.store.sound_path(self.session).open("ab") as file:
            file.write(SOUND[-1:])  # half a sample, of a write that was torn
        for name in ("link", "unlink", "rename"):
            patched.setattr(beneath, name, self._deadly(getattr(beneath, name)))
        patched.setattr(os, "replace", self._deadly(os.replace))

    def _deadly(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self._count()
            answer = call(*args, **kwargs)
            self._count()
            return answer

        return wrapped

    def _count(self) -> None:
        self.calls += 1
        if self.calls == self.die_at:
            raise Death

    def finish(self) -> Stored:
        self.uploads.prepare()
        return Landing(self.shared, self.store, self.uploads, self._submit, "live").finish(
            self.session
        )

    def _submit(
        self, name: str, wishes: Mapping[str, Any], client: str, begun: Begun | None
    ) -> str:
        self._count()
        assert wishes == NOTE.wishes
        self.submitted.append(name)
        self._count()
        return "job"

    def landed(self) -> list[Path]:
        return sorted((self.shared / "live").glob("*"))


def check(world: World, stored: Stored) -> None:
    (path,) = world.landed()
    assert stored == Stored(f"live/{path.name}", "job")
    assert path.name == "2026-11-28 14-03 talk.wav"
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        assert file.readframes(file.getnframes()) == SOUND[:-1]
    assert world.submitted[-1] == stored.recording
    assert world.store.open_sound(world.session) is None
    assert world.finish() == stored


def test_a_death_at_each_call_changes_nothing(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patched:
        (tmp_path / "whole").mkdir()
        undisturbed = World(tmp_path / "whole", patched)
        undisturbed.calls = 0
        stored = undisturbed.finish()
        count = undisturbed.calls
        check(undisturbed, stored)
    assert count > 8
    for die_at in range(1, count + 1):
        root = tmp_path / str(die_at)
        root.mkdir()
        with pytest.MonkeyPatch.context() as patched:
            world = World(root, patched)
            world.calls, world.die_at = 0, die_at
            with pytest.raises(Death):
                world.finish()
            world.die_at = None
            check(world, world.finish())


def test_what_was_not_decoded_lands_as_it_came_whatever_instant_a_death_comes_at(
    tmp_path: Path,
) -> None:
    for die_at in range(20):
        root = tmp_path / str(die_at)
        root.mkdir()
        with pytest.MonkeyPatch.context() as patched:
            world = World(root, patched, container=SOUND)
            world.calls, world.die_at = 0, die_at or None
            with contextlib.suppress(Death):
                world.finish()
            world.die_at = None
            stored = world.finish()
            (path,) = world.landed()
            assert stored == Stored("live/2026-11-28 14-03 talk.webm", "job")
            assert path.read_bytes() == SOUND
            assert world.store.open_container(world.session) is None
            assert world.store.open_sound(world.session) is None


@pytest.mark.parametrize("container", [None, b""])
def test_what_was_decoded_lands_as_any_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, container: bytes | None
) -> None:
    world = World(tmp_path, monkeypatch, container=container or b"")
    if container is None:
        world.store.remove_container(world.session)
    check(world, world.finish())


def test_what_is_not_wanted_never_lands(tmp_path: Path) -> None:
    for die_at in range(1, 5):
        root = tmp_path / str(die_at)
        root.mkdir()
        with pytest.MonkeyPatch.context() as patched:
            world = World(root, patched, container=SOUND)
            world.calls, world.die_at = 0, die_at
            with pytest.raises(Death):
                world.store.remove(world.session)
            world.die_at = None
            if world.store.note(world.session) is None:
                assert world.finish() == Stored()
                assert world.landed() == []
                assert world.store.ids() == set()


def test_what_has_the_name_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, monkeypatch)
    (world.shared / "live").mkdir()
    theirs = world.shared / "live" / "2026-11-28 14-03 talk.wav"
    theirs.write_bytes(b"theirs")
    assert world.finish().recording == "live/2026-11-28 14-03 talk (2).wav"
    assert theirs.read_bytes() == b"theirs"


def test_a_job_that_cannot_be_made_leaves_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, monkeypatch)

    def refuse(name: str, wishes: Mapping[str, Any], client: str, begun: Begun | None) -> str:
        raise TranscriberError("invalid_settings", "No such model any more.")

    landing = Landing(world.shared, world.store, world.uploads, refuse, "")
    assert landing.finish(world.session) == Stored("2026-11-28 14-03 talk.wav", None)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, "2026-11-28 14-03.wav"),
        ("", "2026-11-28 14-03.wav"),
        ("Планёрка", "2026-11-28 14-03 Планёрка.wav"),
        ("../../etc/passwd", "2026-11-28 14-03 etc passwd.wav"),
        (".hidden\n\0", "2026-11-28 14-03 hidden.wav"),
        ("x.temp", "2026-11-28 14-03.wav"),
        ("ы" * 100, f"2026-11-28 14-03 {'ы' * 100}.wav"),
        ("語" * 100, "2026-11-28 14-03.wav"),
    ],
)
def test_names(name: str | None, expected: str) -> None:
    note = NOTE.model_copy(update={"name": name})
    assert recording_name(note, "") == expected
    assert recording_name(note, "live") == f"live/{expected}"


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format": 2}', b"\xff" * 200_000])
def test_sound_with_a_note_that_cannot_be_read_is_left_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    world = World(tmp_path, monkeypatch)
    (world.store.folder / f"{world.session}.json").write_bytes(content)
    assert world.finish() == Stored()
    assert world.store.sound_path(world.session).read_bytes() == SOUND
    (world.store.folder / f"{world.session}.json").unlink()
    assert world.finish() == Stored()
    assert world.store.ids() == set()


class Stubborn(Landing):
    """Cannot land one of the sessions, whatever happens."""

    refused = ""

    def finish(self, session_id: str, go_on: GoOn = lambda: None) -> Stored:
        if session_id == self.refused:
            raise StorageError("file_name_too_long", "Its name is too long.")
        return super().finish(session_id, go_on)


def test_a_session_that_cannot_land_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, clock = World(tmp_path, monkeypatch), FakeClock()
    ids = [world.session]
    for _ in range(2):
        session_id, sound, said = world.store.create(NOTE)
        said.close()
        sound.append(SOUND[:-1])
        sound.close()
        ids.append(session_id)
    landing = Stubborn(world.shared, world.store, world.uploads, world._submit, "live")
    landing.refused = min(ids)  # the first that is tried
    later = SessionStore(world.store.folder)
    sessions = LiveSessions(a_config(tmp_path), later, landing, clock)
    sessions._leftovers.find()
    outbox = Outbox()
    current = sessions.begin(NOTE, SETTINGS, outbox)
    current.sound(SOUND[:-1], outbox)
    sessions.end(current.session_id)
    for _ in range(80):
        clock.advance(0.5)
        sessions._tick()
        sessions._landings.tick()
    assert len(world.landed()) == 3
    assert sessions.all() == []
    landing.refused = ""
    clock.advance(10)
    sessions._tick()
    sessions._landings.tick()
    assert len(world.landed()) == 4
    sessions.stop()
