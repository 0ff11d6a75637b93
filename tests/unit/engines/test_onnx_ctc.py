"""T-one and GigaAM, with tiny models that are made here; see ``tests/tiny_models.py``."""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modules.audio.chunking import SAMPLE_RATE, AudioChunk
from modules.config.settings import TranscriptionSettings
from modules.engines import registry
from modules.engines.base import DecodingOptions, Engine
from modules.errors import ModelError
from modules.executors.protocol import Done, Event, Transcribe
from modules.executors.tasks import task_for
from modules.recordings.checkpoint import Chunks
from modules.transcript.chunk_text import ChunkText
from modules.transcript.model import Chunk
from modules.weights.files import ModelSpec
from modules.worker.transcription import Transcription
from tests import tiny_models
from tests.builders import SETTINGS, a_config, assigned
from tests.recordings.sound import spoken
from tests.tiny_models import Samples, require_tiny_models


@dataclass(frozen=True)
class Kind:
    """An engine, what makes its files, and how a test says tokens to it."""

    name: str
    make: Callable[[Path], Path]
    say: Callable[..., Samples]
    #: Tokens, and the words that they are.
    tokens: tuple[int | None, ...]
    words: tuple[str, ...]
    text: str
    #: How many of the words come first.
    longest_s: float

    def load(self, folder: Path) -> Engine:
        spec = ModelSpec(
            name=self.name, path=str(folder), device="cpu", compute_type="int8", engine=self.name
        )
        return registry.engine_class(self.name)(spec, 2, Path())


T_ONE = Kind(
    "t-one", tiny_models.t_one, tiny_models.tone,
    (None, None, 0, None, 1, 5, 2, None, 3, None, 4, None, None), ("да", "нет"), "да нет", 30.0,
)  # fmt: skip
GIGAAM = Kind(
    "gigaam", tiny_models.gigaam, tiny_models.noise,
    (None, None, 0, None, 3, None, 1, None, 2, None, 4, None, None), ("Да,", "нет."), "Да, нет.",
    25.0,
)  # fmt: skip


@pytest.fixture(scope="module", params=[T_ONE, GIGAAM], ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    require_tiny_models()
    chosen: Kind = request.param
    registry.engine_class(chosen.name)  # what it starts is there before a test looks for threads
    return chosen


@pytest.fixture(scope="module")
def folder(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kind.make(tmp_path_factory.mktemp("models") / kind.name)


@pytest.fixture(scope="module")
def engine(kind: Kind, folder: Path) -> Iterator[Engine]:
    made = kind.load(folder)
    yield made
    made.close()


def heard(
    engine: Engine, samples: Samples, settings: TranscriptionSettings = SETTINGS
) -> ChunkText:
    end_s = 100.0 + len(samples) / SAMPLE_RATE
    chunk = AudioChunk(100.0, end_s, samples, ((100.0, end_s),))
    return engine.transcribe([chunk], DecodingOptions("ru", settings))[0]


def test_words_are_where_they_were_said(engine: Engine, kind: Kind) -> None:
    found = heard(engine, kind.say(kind.tokens))
    [segment] = found.segments
    assert segment.text == kind.text
    assert tuple(word.word for word in segment.words) == kind.words
    first, second = segment.words
    # Each token is 0.24 s long; a frame is 0.03 or 0.04 s.
    assert first.start == pytest.approx(100 + 2 * 0.24, abs=0.05)
    assert second.start == pytest.approx(100 + 6 * 0.24, abs=0.05)
    for word in segment.words:
        assert word.start is not None
        assert word.end is not None
        assert word.start < word.end <= 100 + len(kind.tokens) * 0.24
        assert word.confidence is not None
        assert word.confidence > 0.9
    assert found.alignment == "ctc"


def test_an_uncertain_sound_is_a_word_of_less_confidence(engine: Engine, kind: Kind) -> None:
    between = kind.say(kind.tokens) * np.float32(tiny_models.BETWEEN)
    confidences = [w.confidence for s in heard(engine, between).segments for w in s.words]
    assert confidences
    assert min(c for c in confidences if c is not None) < 0.9


def test_silence_has_no_text(engine: Engine) -> None:
    assert heard(engine, np.zeros(2 * SAMPLE_RATE, np.float32)) == ChunkText()


def test_what_it_cannot_use_is_noted(engine: Engine, kind: Kind) -> None:
    settings = SETTINGS.model_copy(update={"hotwords": "Ада"})
    note = heard(engine, kind.say(kind.tokens), settings).note
    assert note == f"engine: {kind.name} takes no hotwords and no initial_prompt"


@pytest.mark.parametrize("language", ["en", "mixed", "kk"])
def test_another_language_is_refused(engine: Engine, kind: Kind, language: str) -> None:
    with pytest.raises(ModelError, match="knows Russian only") as caught:
        engine.check(SETTINGS.model_copy(update={"language": language}))
    assert caught.value.permanent
    assert "language: ru" in (caught.value.remedy or "")
    for known in ("ru", "auto"):
        engine.check(SETTINGS.model_copy(update={"language": known}))


def test_it_never_asks_the_hub(kind: Kind, tmp_path: Path) -> None:
    """onnx-asr would, for a folder that is not there."""
    with pytest.raises(ModelError, match="There is no folder"):
        kind.load(tmp_path / "none")


@pytest.mark.parametrize("name", ["config.json", "weights"])
def test_files_that_are_something_else_are_said_to_be(
    kind: Kind, tmp_path: Path, name: str
) -> None:
    folder = kind.make(tmp_path / kind.name)
    path = next(folder.glob("*.onnx")) if name == "weights" else folder / name
    path.write_bytes(b"<html>Not found</html>")
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        kind.load(folder)
    assert caught.value.code == "model_damaged"
    assert "https://" in (caught.value.remedy or "")


# --- with the worker's own code ------------------------------------------------------------------


class Line:
    next_up = None

    def __init__(self) -> None:
        self.events: list[Event] = []

    def send(self, event: Event) -> None:
        self.events.append(event)

    def stopped(self, task_id: int) -> bool:
        return False


def run(engine: Engine, path: Path, **more: Any) -> list[Chunk]:
    settings = SETTINGS.model_copy(update={"engine": engine.spec.engine, "language": "auto"})
    task = task_for(path, settings, engine.spec, a_config(path.parent), **more)
    command: Transcribe = task.command.model_copy(update={"task_id": 1})
    line = Line()
    nobody: Any = lambda *_: None  # noqa: E731
    Transcription(assigned(command), engine, nobody, line, line).run()  # type: ignore[arg-type]
    assert isinstance(line.events[-1], Done)
    return [event for event in line.events if isinstance(event, Chunk)]


@pytest.fixture(scope="module", params=[8_000, 16_000])
def talk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 seconds in which somebody hardly pauses, as a telephone or a microphone records it."""
    rate: int = request.param
    samples = np.tile(spoken("ru"), 12)[:: SAMPLE_RATE // rate]
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def test_no_chunk_is_too_long_and_words_are_in_their_chunks(
    engine: Engine, kind: Kind, talk: Path
) -> None:
    chunks = run(engine, talk)
    lengths = [chunk.position_s - chunk.start_s for chunk in chunks]
    assert max(lengths) <= kind.longest_s
    assert max(lengths) > 15, "it was cut where nobody asked for it"
    for chunk in chunks:
        for word in (word for s in chunk.segments for word in s.words):
            assert word.start is not None
            assert word.end is not None
            assert chunk.start_s <= word.start <= word.end <= chunk.position_s
    assert {chunk.language for chunk in chunks} == {"ru"}
    assert sum(len(s.words) for c in chunks for s in c.segments) > 10


def test_from_every_checkpoint_the_rest_is_the_same(engine: Engine, talk: Path) -> None:
    chunks = run(engine, talk)
    for count in range(1, len(chunks)):
        rest = run(engine, talk, start_s=Chunks(chunks[:count]).position_s)
        assert [(c.start_s, c.segments) for c in rest] == [
            (c.start_s, c.segments) for c in chunks[count:]
        ]
