"""What an engine promises the worker: one suite for every engine. Another engine is a row here.

Whisper needs its weights; see ``test_worker_contract.py``. T-one and GigaAM are tiny models that
are made here, with the inputs and outputs of the real ones; they need ``onnx`` and ``onnx-asr``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from modules.audio.chunking import SAMPLE_RATE, AudioChunk
from modules.audio.recording import Limits, open_recording
from modules.config.settings import EngineName
from modules.engines import registry
from modules.engines.base import DecodingOptions, Engine
from modules.errors import ModelError
from modules.weights.files import ModelSpec
from tests import tiny_models
from tests.builders import SETTINGS
from tests.contract.test_worker_contract import SAMPLE, real
from tests.tiny_models import require_tiny_models

pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore")]

#: Where the chunks begin in their recording: times must count from its beginning.
START_S = 100.0


@dataclass(frozen=True)
class Kind:
    """An engine under test, its weights, and the language of the sample for it."""

    name: str
    spec: ModelSpec
    language: str = "ru"

    def load(self, folder: Path) -> Engine:
        return registry.engine_class(self.name)(self.spec, 2, folder)


def whisper(folder: Path) -> Kind:
    os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
    return Kind("whisper", real(folder).spec)


def whisperx(folder: Path) -> Kind:
    import whisperx.asr  # noqa: F401 - the threads that it starts are there before a test

    return Kind("whisperx", whisper(folder).spec.model_copy(update={"engine": "whisperx"}))


def t_one(folder: Path) -> Kind:
    require_tiny_models()
    return _onnx("t-one", tiny_models.t_one(folder))


def gigaam(folder: Path) -> Kind:
    require_tiny_models()
    return _onnx("gigaam", tiny_models.gigaam(folder))


def _onnx(name: str, folder: Path) -> Kind:
    spec = ModelSpec(name=name, path=str(folder), device="cpu", compute_type="int8", engine=name)
    return Kind(name, spec)


KINDS: dict[str, Callable[[Path], Kind]] = {
    "whisper": whisper,
    "whisperx": whisperx,
    "t-one": t_one,
    "gigaam": gigaam,
}


def test_every_engine_is_here() -> None:
    assert set(KINDS) == set(registry.ENGINES) == set(get_args(EngineName))


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kind:
    made = KINDS[request.param](tmp_path_factory.mktemp("engine"))
    # The threads that libraries start and keep are there before a test is watched for leaks.
    registry.engine_class(made.name)
    return made


@pytest.fixture(scope="module")
def engine(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = kind.load(tmp_path_factory.mktemp("models"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def options(kind: Kind) -> DecodingOptions:
    return DecodingOptions(kind.language, SETTINGS)


@pytest.fixture(scope="module")
def chunks() -> list[AudioChunk]:
    """Two chunks of speech, of different lengths."""
    with open_recording(SAMPLE, Limits(max_duration_s=600)) as recording:
        samples = np.concatenate(list(recording.blocks()))
    return [_chunk(samples, START_S), _chunk(np.concatenate([samples, samples]), START_S + 50)]


def _chunk(samples: np.ndarray, start_s: float) -> AudioChunk:
    end_s = start_s + len(samples) / SAMPLE_RATE
    return AudioChunk(start_s, end_s, samples, ((start_s, end_s),))


def test_it_says_what_it_is_and_what_it_can_do(engine: Engine, kind: Kind) -> None:
    assert engine.spec == kind.spec
    assert type(engine).version()
    assert engine.device in type(engine).compute_types()
    assert engine.streams >= 1
    assert engine.batch_size >= 1
    assert engine.load_seconds >= 0
    languages = engine.capabilities.languages
    assert languages is None or kind.language in languages


def test_every_chunk_has_its_text_within_its_time(
    engine: Engine, chunks: list[AudioChunk], options: DecodingOptions
) -> None:
    texts = engine.transcribe(chunks, options)
    assert len(texts) == len(chunks)
    for chunk, text in zip(chunks, texts, strict=True):
        assert text.segments
        assert all(segment.text.strip() for segment in text.segments)
        starts = [segment.start for segment in text.segments]
        assert starts == sorted(starts)
        assert chunk.start_s <= starts[0]
        assert text.segments[-1].end <= chunk.position_s + 0.1


def test_words_have_times_if_it_says_so(
    engine: Engine, chunks: list[AudioChunk], options: DecodingOptions
) -> None:
    words = [
        w for text in engine.transcribe(chunks, options) for s in text.segments for w in s.words
    ]
    timed = [word for word in words if word.start is not None and word.end is not None]
    assert (len(timed) == len(words) > 0) or not engine.capabilities.word_times


def test_a_text_is_the_same_each_time_and_with_what_was_encoded_before(
    engine: Engine, chunks: list[AudioChunk], options: DecodingOptions
) -> None:
    one = chunks[:1]
    first = engine.transcribe(one, options)
    assert engine.transcribe(one, options) == first
    assert engine.transcribe(one, options, encoded=engine.encode(one)) == first


def test_it_hears_sound_that_goes_on(
    engine: Engine, chunks: list[AudioChunk], options: DecodingOptions
) -> None:
    """Text within its time, with word times where it has them, and the same each time."""
    chunk = chunks[0]
    text = engine.listen(chunk, options)
    words = [word for segment in text.segments for word in segment.words]
    assert text.segments
    assert text.segments[-1].end <= chunk.position_s + 0.1
    if engine.capabilities.word_times:
        assert words
        starts = [word.start for word in words if word.start is not None]
        assert len(starts) == len(words)
        assert starts == sorted(starts)
        assert starts[0] >= chunk.start_s
    assert engine.listen(chunk, options) == text
    assert engine.listen(chunk, options, engine.encode([chunk], fast=True)) == text


def test_what_it_hears_quickly_follows_from_no_prompt(
    engine: Engine, chunks: list[AudioChunk], options: DecodingOptions
) -> None:
    prompted = options.settings.model_copy(update={"initial_prompt": "Совсем о другом."})
    text = engine.listen(chunks[0], options)
    if engine.capabilities.streaming:
        assert engine.listen(chunks[0], replace(options, settings=prompted)) == text


def test_a_text_does_not_depend_on_its_batch(
    engine: Engine, chunks: list[AudioChunk], options: DecodingOptions
) -> None:
    batch = [chunk for chunk in chunks if engine.can_batch(chunk)]
    alone = [engine.transcribe([chunk], options)[0] for chunk in batch]
    assert not batch or engine.transcribe(batch, options) == alone


def test_its_streams_do_not_disturb_each_other(
    engine: Engine, chunks: list[AudioChunk], options: DecodingOptions
) -> None:
    alone = [engine.transcribe([chunk], options) for chunk in chunks]
    with ThreadPoolExecutor(engine.streams) as pool:
        together = list(pool.map(lambda chunk: engine.transcribe([chunk], options), chunks))
    assert together == alone


def test_it_detects_the_language_of_each_chunk(
    engine: Engine, chunks: list[AudioChunk], kind: Kind
) -> None:
    encoded = engine.encode(chunks)
    for index in range(len(chunks)):
        code, probability = engine.detect_language(encoded, index)
        assert code == kind.language
        assert 0 < probability <= 1


def test_weights_that_are_not_there_are_an_error_that_the_worker_reports(
    kind: Kind, tmp_path: Path
) -> None:
    missing = replace(kind, spec=kind.spec.model_copy(update={"path": str(tmp_path / "none")}))
    with pytest.raises((ModelError, RuntimeError, ValueError, OSError)):
        missing.load(tmp_path)
