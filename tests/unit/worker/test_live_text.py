"""The text of a session while it grows is that of the file, as far as it goes."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import wave
import weakref
from pathlib import Path
from typing import IO, Any
from unittest.mock import Mock

import pytest

from modules.config.settings import TranscriptionSettings
from modules.executors.live_protocol import (
    LiveEvent,
    OpenSession,
    Text,
    TextFailed,
    TextOrder,
    Working,
)
from modules.executors.tasks import task_for
from modules.live.wav import header
from modules.transcript.model import Chunk
from modules.weights.files import ModelSpec
from modules.worker.live_text import GrowingText
from modules.worker.pipes import OpenFile
from modules.worker.sharing import Sharing
from modules.worker.transcription import Transcription
from tests.builders import SETTINGS, a_config, assigned, until
from tests.fakes import FakeEngine

RATE = 16_000
SAMPLE = Path(__file__).resolve().parents[3] / "samples" / "please-hold-ru.wav"
SPEC = ModelSpec(name="base", path="/nowhere", device="cpu", compute_type="int8")
OTHER = SPEC.model_copy(update={"name": "small"})
#: What is cut may depend on so much more sound.
UNCERTAIN_S = 63.0
SOON_S = 60.0


def speech(seconds: float) -> bytes:
    with wave.open(str(SAMPLE)) as file:
        clip = file.readframes(file.getnframes())
    gap = bytes(2 * RATE)
    return (gap + (clip + gap) * (int(seconds * 2 * RATE) // len(clip) + 1))[
        : int(seconds * RATE) * 2
    ]


def engine(spec: ModelSpec = SPEC) -> FakeEngine:
    return FakeEngine(spec, 2, Path("/nowhere"))


def offline(root: Path, sound: bytes, settings: TranscriptionSettings) -> list[Chunk]:
    """The chunks of the file that the sound becomes."""
    path = root / "whole.wav"
    path.write_bytes(header(RATE, len(sound)) + sound)
    command = task_for(path, settings, SPEC, a_config(root)).command
    outbox = Mock()
    inbox = Mock(stopped=lambda task_id: False)
    Transcription(assigned(command), engine(), Mock(), inbox, outbox).run()
    sent = [call.args[0] for call in outbox.send.call_args_list]
    return [event for event in sent if isinstance(event, Chunk)]


class Growing:
    """A session whose sound is given bit by bit."""

    def __init__(self, sharing: Sharing, settings: TranscriptionSettings, **order: Any) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by ``end``
        self._samples = 0
        self.events: list[LiveEvent] = []
        self.signs: list[Working] = []
        order.setdefault("model", SPEC)
        command = OpenSession(
            session=1, rate=RATE, settings=settings, text=TextOrder.model_validate(order)
        )
        assert command.text is not None
        sound = OpenFile(os.dup(self._file.fileno()))
        self.text = GrowingText(command, command.text, sound, sharing, self._take)

    def _take(self, event: LiveEvent) -> None:
        (self.signs if isinstance(event, Working) else self.events).append(event)  # type: ignore[arg-type]

    def give(self, sound: bytes) -> None:
        self._file.write(sound)
        self._file.flush()
        self._samples += len(sound) // 2
        self.text.hear(self._samples)

    @property
    def chunks(self) -> list[Chunk]:
        assert not [event for event in self.events if isinstance(event, TextFailed)]
        return [event.chunk for event in self.events if isinstance(event, Text)]

    def wait_for(self, position_s: float) -> list[Chunk]:
        until(
            lambda: self.chunks and self.chunks[-1].position_s >= position_s,
            f"the text came to {position_s:g} s",
            SOON_S,
        )
        return self.chunks

    def end(self) -> None:
        self.text.stop()
        self.text.join()
        self._file.close()


@pytest.fixture
def sharing() -> Sharing:
    made = Sharing()
    made.live(1, 0)
    return made


def same(found: list[Chunk], whole: list[Chunk]) -> bool:
    """But for what counts the way, not the text."""
    aside = {"task_id", "number", "read_fraction"}
    return [chunk.model_dump(exclude=aside) for chunk in found] == [
        chunk.model_dump(exclude=aside) for chunk in whole
    ]


@pytest.fixture(params=["ru", "auto", "mixed"])
def settings(request: pytest.FixtureRequest) -> TranscriptionSettings:
    return SETTINGS.model_copy(update={"language": request.param})


def test_the_chunks_are_those_of_the_file(
    sharing: Sharing, settings: TranscriptionSettings, tmp_path: Path
) -> None:
    sound = speech(150.0)
    whole = offline(tmp_path, sound, settings)
    sharing.offer(engine())
    growing = Growing(sharing, settings)
    try:
        for start in range(0, len(sound), 50_000):
            growing.give(sound[start : start + 50_000])
        found = growing.wait_for(150.0 - UNCERTAIN_S - 30)
    finally:
        growing.end()
    assert [chunk.number for chunk in found] == list(range(1, len(found) + 1))
    assert same(found, whole[: len(found)])
    assert any(chunk.segments for chunk in found)


def test_another_engine_ends_the_wait_and_ours_goes_on_from_there(
    sharing: Sharing, tmp_path: Path
) -> None:
    sound = speech(200.0)
    whole = offline(tmp_path, sound, SETTINGS)
    sharing.offer(engine())
    growing = Growing(sharing, SETTINGS)
    try:
        growing.give(sound[: 120 * 2 * RATE])
        before = len(growing.wait_for(30.0))
        sharing.withdraw()
        sharing.offer(engine(OTHER))
        growing.give(sound[120 * 2 * RATE :])
        sharing.withdraw()
        while_away = len(growing.chunks)
        sharing.offer(engine())
        found = growing.wait_for(200.0 - UNCERTAIN_S - 30)
    finally:
        growing.end()
    assert before <= while_away < len(found)
    assert same(found, whole[: len(found)])


def test_a_text_begins_where_an_earlier_one_ended(sharing: Sharing, tmp_path: Path) -> None:
    sound = speech(150.0)
    whole = offline(tmp_path, sound, SETTINGS)
    sharing.offer(engine())
    growing = Growing(sharing, SETTINGS, start_s=whole[1].position_s)
    try:
        growing.give(sound)
        found = growing.wait_for(150.0 - UNCERTAIN_S - 30)
    finally:
        growing.end()
    assert same(found, whole[2 : 2 + len(found)])


def test_nothing_keeps_an_engine_alive_that_was_withdrawn(sharing: Sharing) -> None:
    made = engine()
    sharing.offer(made)
    growing = Growing(sharing, SETTINGS)
    try:
        growing.give(speech(100.0))
        growing.wait_for(1.0)
        gc.collect()
        gc.disable()
        sharing.withdraw()
        known = weakref.ref(made)
        del made
        until(lambda: known() is None, "the engine was freed")
    finally:
        gc.enable()
        growing.end()


def test_what_goes_wrong_is_reported_once_and_ends_it(sharing: Sharing) -> None:
    made = engine()
    made.fails = True
    sharing.offer(made)
    growing = Growing(sharing, SETTINGS)
    try:
        growing.give(speech(100.0))
        until(lambda: growing.events, "it was reported", SOON_S)
        growing.text.join()
    finally:
        growing.end()
    assert growing.events == [TextFailed(session=1, message="it fails")]


def test_it_says_that_it_works_and_that_it_rests(
    sharing: Sharing, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = engine()
    is_in_it, may_go_on = threading.Event(), threading.Event()

    def slow(*arguments: Any, real: Any = made.transcribe, **named: Any) -> Any:
        is_in_it.set()
        assert may_go_on.wait(SOON_S)
        return real(*arguments, **named)

    monkeypatch.setattr(made, "transcribe", slow)
    sharing.offer(made)
    growing = Growing(sharing, SETTINGS)
    try:
        growing.give(speech(100.0))
        assert is_in_it.wait(SOON_S)
        assert growing.signs[-1].busy
        assert {sign.lane for sign in growing.signs} == {"text"}
        may_go_on.set()
        growing.wait_for(100.0 - UNCERTAIN_S - 30)
        until(lambda: not growing.signs[-1].busy, "it rests", SOON_S)
    finally:
        may_go_on.set()
        growing.end()
    assert not growing.signs[-1].busy


def test_sound_that_is_not_there_is_reported(sharing: Sharing) -> None:
    sharing.offer(engine())
    growing = Growing(sharing, SETTINGS)
    try:
        growing.text.hear(100 * RATE)
        until(lambda: growing.events, "it was reported", SOON_S)
    finally:
        growing.end()
    assert "not all in its file" in str(growing.events)
