"""A chunk's text is the same alone and in a batch, which a resumed run makes up differently."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modules.audio.chunking import SAMPLE_RATE, AudioChunk, Samples
from modules.audio.decoder import Limits
from modules.audio.recording import open_recording
from modules.engines.base import DecodingOptions
from modules.weights.files import ModelSpec
from tests.acceptance.recordings import SAMPLES
from tests.builders import SETTINGS
from tests.contract.test_worker_contract import real

pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore")]

PARTS = ("please-hold-ru.wav", "queue-ru.mp4", "please-hold-en.flac")


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    # The threads that these libraries start and keep are there before a test is watched for leaks.
    os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
    import modules.engines.whisperx.engine  # noqa: F401

    return real(tmp_path_factory.mktemp("real")).spec


@pytest.fixture
def engine(spec: ModelSpec, tmp_path: Path) -> Any:
    from modules.engines.whisperx.engine import WhisperXEngine

    return WhisperXEngine(spec, 2, tmp_path)


def sound_of(name: str) -> Samples:
    with open_recording(SAMPLES / name, Limits(max_duration_s=600)) as recording:
        return np.concatenate(list(recording.blocks(0.0)))


def chunk_of(samples: Samples) -> AudioChunk:
    end_s = len(samples) / SAMPLE_RATE
    return AudioChunk(0.0, end_s, samples, ((0.0, end_s),))


@pytest.fixture(scope="module")
def chunks() -> list[AudioChunk]:
    """Of different lengths and languages, so that some end long before others."""
    held, queue, english = (sound_of(name) for name in PARTS)
    parts = ([held, queue], [queue, english, held], [english, held])
    return [chunk_of(np.concatenate(some)) for some in parts]


@pytest.mark.parametrize("settings", [{}, {"initial_prompt": "Звонок", "fast_mode": True}])
def test_a_text_does_not_depend_on_its_batch(
    engine: Any, chunks: list[AudioChunk], settings: dict[str, Any]
) -> None:
    how = DecodingOptions("ru", SETTINGS.model_copy(update=settings))
    joining = [chunk for chunk in chunks if engine.can_batch(chunk, how.settings.fast_mode)]
    assert len(joining) == (2 if how.settings.fast_mode else 3)
    alone = [engine.transcribe([chunk], how)[0] for chunk in joining]
    assert all(text.segments for text in alone)
    assert engine.transcribe(joining[::-1], how) == alone[::-1]


def test_what_is_heard_with_less_room_stands_alone(engine: Any) -> None:
    """A short chunk may have fewer tokens, and hears less with ``fast_mode``."""
    long, middling, short, none = (
        chunk_of(np.zeros(int(seconds * SAMPLE_RATE), dtype=np.float32))
        for seconds in (28, 12, 9.5, 0)
    )
    assert [engine.can_batch(chunk) for chunk in (long, middling, short, none)] == [
        True, True, False, True,
    ]  # fmt: skip
    assert [engine.can_batch(chunk, fast=True) for chunk in (long, middling, short)] == [
        True, False, False,
    ]  # fmt: skip


def test_a_stream_takes_more_at_once_when_that_goes_fast(
    engine: Any, chunks: list[AudioChunk], monkeypatch: pytest.MonkeyPatch
) -> None:
    how = DecodingOptions("ru", SETTINGS)
    assert engine.batch_size == 1, "nobody knows how fast it is"
    engine.transcribe(chunks[:1], how)
    assert 1 <= engine.batch_size <= 3
    for batch_s, expected in ((3600.0, 3), (0.001, 1)):
        monkeypatch.setattr("modules.engines.whisperx.engine._BATCH_S", batch_s)
        engine.transcribe(chunks[:1], how)
        assert engine.batch_size == expected


def test_a_wide_model_saves_memory(
    spec: ModelSpec, tmp_path: Path, chunks: list[AudioChunk], monkeypatch: pytest.MonkeyPatch
) -> None:
    from modules.engines.whisperx.engine import WhisperXEngine

    monkeypatch.setattr("modules.engines.whisperx.model._NARROW", 256)
    monkeypatch.setattr("modules.engines.whisperx.engine._BATCH_S", 3600.0)
    engine = WhisperXEngine(spec.model_copy(update={"encoder": "ctranslate2"}), 2, tmp_path)
    engine.transcribe(chunks[:1], DecodingOptions("ru", SETTINGS))
    assert engine.batch_size == 1
    assert engine.model.all_cores is engine.model.whisper, "its weights are there twice"


def test_ctranslate2s_encoder_takes_all_cores_when_nobody_else_needs_them(
    spec: ModelSpec, tmp_path: Path, chunks: list[AudioChunk], monkeypatch: pytest.MonkeyPatch
) -> None:
    from modules.engines.whisperx.engine import WhisperXEngine

    engine = WhisperXEngine(spec.model_copy(update={"encoder": "ctranslate2"}), 2, tmp_path)
    taken = []
    for name, model in (("broad", engine.model.all_cores), ("stream", engine.model.whisper)):
        watched = partial(lambda name, encode, what: (taken.append(name), encode(what))[1])
        monkeypatch.setattr(model, "encode", partial(watched, name, model.encode))
    alone = np.array(engine.encode(chunks[:1]))
    generating, go_on = threading.Event(), threading.Event()

    def alive() -> None:
        generating.set()
        assert go_on.wait(60)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(engine.transcribe, chunks[1:], DecodingOptions("ru", SETTINGS), alive)
        assert generating.wait(60)
        beside = np.array(engine.encode(chunks[:1]))
        go_on.set()
        other.result()
    assert taken == ["broad", "stream", "broad", "broad"]
    assert np.array_equal(alone, beside), "a text depends on what else is done"
    assert np.array_equal(alone, np.array(engine.encode(chunks[:1])))
    assert taken[-1] == "broad", "whoever was there before is counted for ever"
