"""The engine ``whisperx`` says what the library says of the same samples: its own functions are
called here as its command calls them."""

from __future__ import annotations

import os
import wave
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modules.audio.chunking import SAMPLE_RATE, AudioChunk, Samples
from modules.config.settings import TranscriptionSettings
from modules.engines import registry
from modules.engines.base import DecodingOptions, Engine
from modules.transcript.chunk_text import ChunkText
from modules.weights.files import ModelSpec
from tests.acceptance.recordings import SAMPLES
from tests.acceptance.test_alignment import align_directory  # noqa: F401 - a fixture
from tests.builders import SETTINGS
from tests.daemon_process import MODELS, DaemonProcess
from tests.recordings.hearing import heard
from tests.recordings.row import Row
from tests.recordings.sound import said, spoken
from tests.soak import soak
from tests.speech import (
    Clip,
    Language,
    asterisk_prompts,
    festvox_russian,
    joined,
    normalised,
    require_speech,
    word_error_rate,
)

pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore")]

START_S = 50.0
BASE = MODELS / "faster-whisper-base"
OTHER = SETTINGS.model_copy(
    update={"beam_size": 2, "initial_prompt": "Операторы, очередь.", "suppress_numerals": True}
)


@pytest.fixture(scope="module")
def library(weights: None) -> Any:
    """whisperx's own pipeline."""
    os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
    import whisperx

    return whisperx.load_model(str(BASE), "cpu", compute_type="int8", threads=2)


@pytest.fixture(scope="module")
def engine(
    library: Any,
    align_directory: Path,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Engine]:
    spec = ModelSpec(
        name="base", path=str(BASE), device="cpu", compute_type="int8", engine="whisperx"
    )
    models = tmp_path_factory.mktemp("models")
    (models / "align").symlink_to(align_directory)
    made = registry.engine_class("whisperx")(spec, 2, models)
    yield made
    made.close()


def chunk(samples: Samples) -> AudioChunk:
    end_s = START_S + len(samples) / SAMPLE_RATE
    return AudioChunk(START_S, end_s, samples, ((START_S, end_s),))


def read(path: Path) -> Samples:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


def longer() -> dict[str, Samples]:
    require_speech()
    man = read(joined(festvox_russian()[30:36], 28, 0.4).path)
    woman = read(joined(asterisk_prompts("ru", 8, wideband=True), 28, 1.0).path)
    return {"man": man[: 30 * SAMPLE_RATE], "woman": woman[: 30 * SAMPLE_RATE]}


def texts_of(found: dict[str, Any]) -> list[str]:
    return [segment["text"].strip() for segment in found["segments"]]


def more() -> list[tuple[Language, Clip]]:
    """Sixteen recordings of half a minute to a minute, each of several chunks: prose and prompts,
    three speakers, two languages, also by telephone."""
    require_speech()
    prose = festvox_russian()
    found: list[tuple[Language, Clip]] = [
        ("ru", joined(prose[first : first + 8], 45, 0.6)) for first in range(40, 600, 80)
    ]
    for language, kinds in (
        ("ru", (True, True, False, False)),
        ("en", (True, True, True, False, False)),
    ):
        for number, is_wideband in enumerate(kinds):
            prompts = asterisk_prompts(language, 40, wideband=is_wideband)
            found.append((language, joined(prompts[8 * number : 8 * number + 8], 40, 0.8)))
    return found


def by_library(
    library: Any, samples: Samples, settings: TranscriptionSettings, language: str = "ru"
) -> dict[str, Any]:
    library.options = replace(
        library.options, beam_size=settings.beam_size, initial_prompt=settings.initial_prompt
    )
    library.suppress_numerals = settings.suppress_numerals
    found: dict[str, Any] = library.transcribe(
        samples, batch_size=8, language=language, task="transcribe"
    )
    return found


@pytest.mark.parametrize("name", ["ru", "queue", "man", "woman"])
@pytest.mark.parametrize("settings", [SETTINGS, OTHER], ids=["as shipped", "other options"])
def test_its_text_and_times_are_the_library_s(
    engine: Engine, library: Any, name: str, settings: TranscriptionSettings
) -> None:
    samples = spoken(name) if name in ("ru", "queue") else longer()[name]
    expected = by_library(library, samples, settings)
    [found] = engine.transcribe([chunk(samples)], DecodingOptions("ru", settings))
    assert [segment.text for segment in found.segments] == texts_of(expected)
    assert texts_of(expected)


@pytest.mark.parametrize("number", range(soak(0, 16)))
@pytest.mark.timeout(1800)
def test_of_a_file_in_chunks_its_text_is_the_library_s(
    engine: Engine, library: Any, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file goes the way that it goes in the child: decoded, cut, chunk by chunk."""
    language, clip = more()[number]
    seen: list[tuple[AudioChunk, list[str]]] = []
    transcribe = engine.transcribe

    def noting(chunks: Sequence[AudioChunk], *options: Any, **more: Any) -> list[ChunkText]:
        texts = transcribe(chunks, *options, **more)
        seen.extend(
            (chunk, [segment.text for segment in text.segments])
            for chunk, text in zip(chunks, texts, strict=True)
        )
        return texts

    monkeypatch.setattr(engine, "transcribe", noting)
    row = Row(clip.path.name, "", "", clip.path.read_bytes, settings={"language": language})
    found = heard(clip.path, row, engine)
    assert len(seen) >= 2
    for chunk, texts in seen:
        assert texts == texts_of(by_library(library, chunk.samples, SETTINGS, language))
    said_in_chunks = [text for _, texts in seen for text in texts]
    assert normalised(found.text) == normalised(" ".join(said_in_chunks))
    assert word_error_rate(clip.text, found.text) < 0.6


def test_its_words_are_those_of_the_library_s_alignment(
    engine: Engine,
    library: Any,
    align_directory: Path,  # noqa: F811
) -> None:
    from whisperx import alignment

    samples = spoken("ru")
    [found] = engine.transcribe([chunk(samples)], DecodingOptions("ru", SETTINGS))
    assert found.alignment == "wav2vec2"
    model, metadata = alignment.load_align_model(
        "ru", "cpu", model_name=str(align_directory / "ru"), model_cache_only=True
    )
    said = by_library(library, samples, SETTINGS)
    expected = alignment.align(said["segments"], model, metadata, samples, "cpu")
    words = [word for segment in found.segments for word in segment.words]
    assert [word.word.strip() for word in words] == [w["word"] for w in expected["word_segments"]]
    assert [word.start for word in words] == [
        pytest.approx(START_S + w["start"], abs=0.001) for w in expected["word_segments"]
    ]
    assert [segment.text for segment in found.segments] == texts_of(expected)


def test_a_translation_has_no_words_of_its_own(engine: Engine) -> None:
    settings = SETTINGS.model_copy(update={"task": "translate"})
    [found] = engine.transcribe([chunk(spoken("ru"))], DecodingOptions("ru", settings))
    assert found.alignment is None
    assert "operators" in " ".join(segment.text for segment in found.segments).lower()


def test_it_looks_for_speech_with_what_it_says(engine: Engine) -> None:
    found = type(engine._pipeline.vad_model).__name__  # type: ignore[attr-defined]
    assert found.lower() == engine.own_vad


def test_silence_has_no_text(engine: Engine) -> None:
    quiet = np.zeros(2 * SAMPLE_RATE, dtype=np.float32)
    [found] = engine.transcribe([chunk(quiet)], DecodingOptions("ru", SETTINGS))
    assert found.segments == ()


def test_the_daemon_runs_it_in_its_sandbox(weights: None, tmp_path: Path) -> None:
    config = {"whisperx": {"engine": "whisperx"}}
    with DaemonProcess(tmp_path, config) as daemon:
        result = daemon.wait_for_result(daemon.put(SAMPLES / "please-hold-ru.wav"))
        found = result["metadata"]
        assert found["settings_used"]["engine"] == "whisperx"
        assert found["settings_used"]["vad_method"] == "silero"
        assert found["settings_used"]["vad_method_in_pieces"] == "pyannote"
        assert found["engine_version"] == found["whisperx_version"]
        assert word_error_rate(said("ru"), result["transcription"]["text"]) == 0
        assert "alignment: no model for ru, words have no times" in found["notes"]
        beside = daemon.shared / "queue-ru.mp4.settings.yaml"
        beside.write_text("engine: whisper\n", encoding="utf-8")
        other = daemon.wait_for_result(daemon.put(SAMPLES / "queue-ru.mp4"))
        assert other["metadata"]["settings_used"]["engine"] == "whisper"
        assert "vad_method_in_pieces" not in other["metadata"]["settings_used"]
        assert other["metadata"]["alignment"] == "attention"
