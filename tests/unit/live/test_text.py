"""The finished chunks of a session: only what can be true, and saved behind their sound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modules.errors import StorageError, WorkerError
from modules.executors.live_protocol import Text, TextFailed
from modules.live.note import SessionNote
from modules.live.store import SessionStore
from modules.live.text import SessionText
from modules.recordings import checkpoint
from modules.recordings.checkpoint import Header
from modules.recordings.shared_folder import SharedFolder
from modules.recordings.state_store import StateStore
from modules.transcript.model import Chunk
from modules.weights.files import ModelSpec
from tests.builders import SETTINGS, a_job

NOTE = SessionNote(rate=8000, name="talk", created="2026-11-28 14-03")
SPEC = ModelSpec(name="base", path="/nowhere", device="cpu", compute_type="int8")
SECOND = bytes(2 * 8000)


class World:
    def __init__(self, root: Path) -> None:
        self.shared = root / "shared"
        self.store = SessionStore(self.shared / ".transcriber" / "live")
        self.session_id, self.sound, said = self.store.create(NOTE)
        said.close()
        self.begun = self.store.begun(self.session_id)
        self.text = SessionText(SETTINGS, SPEC, self.sound, self.begun)

    def say(self, number: int, position_s: float, **changes: Any) -> None:
        """With 100 s of sound."""
        chunk = Chunk(
            task_id=1, number=number, start_s=position_s - 10, position_s=position_s, language="ru"
        )
        self.text.note(Text(session=1, chunk=chunk.model_copy(update=changes)), 100.0)

    def saved(self) -> list[float]:
        header = Header(settings=SETTINGS, source=self.begun.source)
        return [chunk.position_s for chunk in checkpoint.read(self.begun.path, header).chunks]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.sound.append(100 * SECOND)
    yield made
    made.text.close()
    made.sound.close()


def test_chunks_are_saved_and_the_next_child_goes_on_behind_them(world: World) -> None:
    order = world.text.order()
    assert order
    assert (order.start_s, order.known_language, order.model) == (0.0, None, SPEC)
    world.say(1, 20.0)
    world.say(2, 50.0)
    assert world.saved() == []
    world.text.save()
    assert world.saved() == [20.0, 50.0]
    order = world.text.order()
    assert order
    assert (order.start_s, order.known_language) == (50.0, "ru")
    world.say(1, 60.0)  # each child counts from 1 on
    world.text.close()
    assert world.saved() == [20.0, 50.0, 60.0]
    world.say(2, 70.0)
    world.text.save()
    assert world.saved() == [20.0, 50.0, 60.0]
    assert world.text.order() is None


@pytest.mark.parametrize(
    ("number", "position_s", "changes"),
    [(2, 40.0, {}), (1, 40.0, {"leg": 0}), (1, 10.0, {}), (1, 59.0, {"start_s": -500.0}),
     (1, 90.0, {}), (0, 40.0, {})],
)  # fmt: skip
def test_what_cannot_be_true_is_refused(
    world: World, number: int, position_s: float, changes: dict[str, Any]
) -> None:
    """A chunk is missing, of a channel, behind the last one, far from it, or too long."""
    world.text.order()
    world.say(1, 20.0)
    world.text.order()
    with pytest.raises(WorkerError) as caught:
        world.say(number, position_s, **changes)
    assert caught.value.code == "implausible_output"
    world.text.save()
    assert world.saved() == [20.0]


def test_there_is_no_text_of_sound_that_is_not_there(world: World) -> None:
    world.text.order()
    for number, position_s in enumerate((50.0, 98.0), 1):
        world.say(number, position_s)
    with pytest.raises(WorkerError):
        world.say(3, 110.0)


def test_without_a_model_or_after_a_failure_nothing_is_ordered(world: World) -> None:
    assert SessionText(SETTINGS, None, world.sound, world.begun).order() is None
    world.text.order()
    world.say(1, 20.0)
    world.text.note(TextFailed(session=1, message="It did."), 100.0)
    assert world.text.order() is None
    world.text.save()
    assert world.saved() == [20.0], "what came before it counts"


def test_a_disk_that_is_full_ends_the_text_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise StorageError("disk_full", "The disk is full.")

    world.text.order()
    world.say(1, 20.0)
    monkeypatch.setattr(world.sound, "sync", full)
    world.text.save()
    assert world.text.order() is None
    assert not world.begun.path.exists(), "a chunk without its sound"


# --- the job of the recording -----------------------------------------------------------------


def test_a_recording_goes_on_from_the_chunks_of_its_session(world: World) -> None:
    world.text.order()
    world.say(1, 20.0)
    world.text.close()
    with world.begun.path.open("ab") as file:
        file.write(b'{"kind": "chunk", "torn')
    recording = world.shared / "talk.wav"
    recording.write_bytes(b"RIFF and so on")
    folder = SharedFolder(world.shared)
    states = StateStore(folder)
    job = a_job("talk.wav", source=folder.identity("talk.wav"))
    states.adopt("talk.wav", SETTINGS, world.begun)
    found = states.read_checkpoint(job)
    assert [chunk.position_s for chunk in found.chunks] == [20.0]
    recording.write_bytes(b"RIFF and more than that")
    other = job.evolve(source=folder.identity("talk.wav"))
    assert len(states.read_checkpoint(other).chunks) == 0


def test_chunks_of_other_settings_are_not_gone_on_from(world: World) -> None:
    world.text.order()
    world.say(1, 20.0)
    world.text.close()
    (world.shared / "talk.wav").write_bytes(b"RIFF and so on")
    states = StateStore(SharedFolder(world.shared))
    states.adopt("talk.wav", SETTINGS.model_copy(update={"beam_size": 1}), world.begun)
    assert not states.checkpoint_path("talk.wav").exists()
    world.begun.path.unlink()
    states.adopt("talk.wav", SETTINGS, world.begun)
    assert not states.checkpoint_path("talk.wav").exists()
