"""Two channels in turns, with real speech and the real voice detector, but a scripted engine."""

from __future__ import annotations

import itertools
import wave
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modules.audio.chunking import AudioChunk
from modules.engines.base import Capabilities, DecodingOptions, Engine, Progress, no_progress
from modules.executors.local.output_bounds import OutputBounds
from modules.executors.protocol import Done, Event, Transcribe
from modules.executors.tasks import task_for
from modules.recordings.checkpoint import Chunks
from modules.transcript.chunk_text import ChunkText
from modules.transcript.model import Chunk, Segment, Turn, Word
from modules.transcript.transcript import Transcript
from modules.weights.files import ModelSpec
from modules.worker.transcription import Transcription
from tests.builders import SETTINGS, a_config, assigned
from tests.recordings.sound import RATE, Samples, spoken

SPEC = ModelSpec(name="base", path="base", device="cpu", compute_type="int8")
SPLIT = SETTINGS.model_copy(update={"channels": "split"})


class Scribe(Engine):
    """Writes one word for each chunk: where it begins, and how loud it is."""

    streams = 2

    @classmethod
    def version(cls) -> str:
        return "0"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities()

    def transcribe(
        self,
        chunks: Sequence[AudioChunk],
        options: DecodingOptions,
        progress: Progress = no_progress,
        encoded: Any = None,
    ) -> list[ChunkText]:
        return [ChunkText(self._said(chunk)) for chunk in chunks]

    def _said(self, chunk: AudioChunk) -> tuple[Segment, ...]:
        text = f"{chunk.start_s:.3f}/{float(np.abs(chunk.samples).sum()):.2f}."
        start, end = chunk.speech[0][0], chunk.speech[-1][1]
        words = (Word(word=text, start=start, end=end, confidence=0.9),)
        return (Segment(start=start, end=end, text=text, words=words),)

    def detect_language(self, encoded: Any, index: int = 0) -> tuple[str, float]:
        return "ru", 0.99


@dataclass
class Line:
    next_up: None = None
    events: list[Event] = field(default_factory=list)

    def send(self, event: Event) -> None:
        self.events.append(event)

    def stopped(self, task_id: int) -> bool:
        return False


def written(path: Path, *channels: Samples) -> Path:
    length = max(map(len, channels))
    padded = np.stack([np.pad(line, (0, length - len(line))) for line in channels], axis=1)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((padded * 32767).astype("<i2").tobytes())
    return path


def run(path: Path, settings: Any = SPLIT, **more: Any) -> tuple[list[Chunk], Done]:
    task = task_for(path, settings, SPEC, a_config(path.parent), **more)
    command: Transcribe = task.command.model_copy(update={"task_id": 1})
    line = Line()
    asked: list[Any] = []

    def diarize(*what: Any) -> None:
        asked.append(what)

    engine = Scribe(SPEC, 2, Path())
    Transcription(assigned(command), engine, diarize, line, line).run()  # type: ignore[arg-type]
    chunks = [event for event in line.events if isinstance(event, Chunk)]
    bounds = OutputBounds(command)
    for chunk in chunks:
        bounds.check_chunk(chunk)
    done = line.events[-1]
    assert isinstance(done, Done)
    bounds.check_end(done)
    assert not asked
    return chunks, done


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), dtype=np.float32)


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute in which both speak, at different times and at the same; the right one longer."""
    ru, queue, en = spoken("ru"), spoken("queue"), spoken("en")
    left = np.concatenate([silence(1), ru, silence(6), queue, silence(9), en])
    right = np.concatenate([silence(3.3), en, silence(8), ru, silence(4), ru, silence(5), queue])
    return written(tmp_path_factory.mktemp("call") / "call.wav", left, right)


@pytest.fixture(scope="module")
def whole(call: Path) -> tuple[list[Chunk], Done]:
    return run(call)


def test_both_legs_are_heard_and_reach_the_end(whole: tuple[list[Chunk], Done]) -> None:
    chunks, done = whole
    assert {chunk.leg for chunk in chunks} == {0, 1}
    assert Chunks(chunks).position_s == pytest.approx(done.duration_s, abs=0.1)
    assert done.diarization == "channels"
    assert done.turns == ()
    assert [chunk.number for chunk in chunks] == list(range(1, len(chunks) + 1))


def test_progress_never_goes_back(whole: tuple[list[Chunk], Done]) -> None:
    growing = Chunks()
    seen = []
    for chunk in whole[0]:
        growing.append(chunk)
        seen.append(growing.position_s)
    assert seen == sorted(seen)
    assert len(set(seen)) > 3


@pytest.mark.parametrize("channel", [0, 1])
def test_a_leg_is_cut_and_heard_as_if_it_was_alone(
    call: Path, whole: tuple[list[Chunk], Done], channel: int, tmp_path: Path
) -> None:
    with wave.open(str(call)) as file:
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    alone = written(tmp_path / "alone.wav", both[:, channel].astype(np.float32) / 32767)
    expected, done = run(alone, SETTINGS)
    assert done.diarization is None
    found = [chunk for chunk in whole[0] if chunk.leg == channel]
    assert [(c.start_s, c.position_s, c.speech_s) for c in found] == [
        (c.start_s, c.position_s, c.speech_s) for c in expected
    ]
    assert [s.text for c in found for s in c.segments] == [
        s.text for c in expected for s in c.segments
    ]


def bare(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Without what depends on the run: its numbers, and when it knew the language."""
    run = dict.fromkeys(("detected_language", "language_probability"))
    return [c.model_copy(update={"number": 0, "read_fraction": 0.0, **run}) for c in chunks]


def test_from_every_checkpoint_it_goes_on_as_if_nothing_had_been(
    call: Path, whole: tuple[list[Chunk], Done]
) -> None:
    chunks, _ = whole
    for count in range(1, len(chunks)):
        before = Chunks(chunks[:count])
        rest, done = run(call, start_s=before.position_s, legs=before.legs)
        assert bare(rest) == bare(chunks[count:]), f"after {count} chunks"
        assert done.diarization == "channels"


def test_the_transcript_has_each_word_at_its_speaker_in_order(
    whole: tuple[list[Chunk], Done],
) -> None:
    segments = list(Transcript(Chunks(whole[0])))
    assert [s.start for s in segments] == sorted(s.start for s in segments)
    for leg in (0, 1):
        expected = [s.text for c in whole[0] if c.leg == leg for s in c.segments]
        found = [s for s in segments if s.speaker == f"SPEAKER_0{leg}"]
        assert [s.text for s in found] == expected
        assert {w.speaker for s in found for w in s.words} == {f"SPEAKER_0{leg}"}
    pairs = itertools.pairwise(segments)
    assert any(a.speaker != b.speaker and b.start < a.end for a, b in pairs), (
        "nobody spoke at the same time: the test shows nothing"
    )


def test_turns_of_an_old_run_do_not_rename_anybody(whole: tuple[list[Chunk], Done]) -> None:
    turns = [Turn(start=0, end=600, speaker="SPEAKER_07")]
    assert list(Transcript(whole[0], turns)) == list(Transcript(whole[0]))


@pytest.mark.parametrize("kind", ["mono", "one silent", "the same twice"])
def test_where_there_are_no_two_legs_it_is_as_ever_with_a_note(tmp_path: Path, kind: str) -> None:
    sound = spoken("ru")
    channels = {
        "mono": (sound,),
        "one silent": (silence(1), sound),
        "the same twice": (sound, sound),
    }[kind]
    path = written(tmp_path / "talk.wav", *channels)
    chunks, done = run(path)
    expected, as_ever = run(path, SETTINGS)
    assert chunks == expected
    assert {chunk.leg for chunk in chunks} == {None}
    [note] = set(done.notes) - set(as_ever.notes)
    assert note.startswith("channels: not told apart, ")
    assert done.diarization is None
