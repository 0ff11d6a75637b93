"""The encoder by OpenVINO: as exact as it should be, and never a reason to hear nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modules.audio.chunking import AudioChunk
from modules.engines.base import DecodingOptions
from modules.weights.ct2_file import UnknownFormatError
from modules.weights.files import ModelSpec
from tests.acceptance.test_batches import chunk_of, sound_of
from tests.builders import SETTINGS
from tests.contract.test_worker_contract import real
from tests.daemon_process import PROJECT

pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore")]

#: Of the encoder's output against float32.
MOST_OFF = {"bfloat16": 0.025, "float32": 1e-4}


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
    import modules.engines.whisperx.engine  # noqa: F401 - its threads stay

    return real(tmp_path_factory.mktemp("real")).spec


@pytest.fixture(scope="module")
def chunk() -> AudioChunk:
    return chunk_of(sound_of("please-hold-ru.wav"))


def engine_of(spec: ModelSpec, folder: Path, encoder: str) -> Any:
    from modules.engines.whisperx.engine import WhisperXEngine

    return WhisperXEngine(spec.model_copy(update={"encoder": encoder}), 2, folder)


@pytest.fixture(scope="module")
def exact(spec: ModelSpec, chunk: AudioChunk, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What CTranslate2 computes without rounding weights."""
    plain = spec.model_copy(update={"compute_type": "float32"})
    engine = engine_of(plain, tmp_path_factory.mktemp("exact"), "ctranslate2")
    return np.array(engine.encode([chunk]))


def off(found: Any, exact: Any) -> float:
    return float(np.linalg.norm(np.asarray(found) - exact) / np.linalg.norm(exact))


@pytest.mark.parametrize("precision", MOST_OFF)
def test_it_is_as_exact_as_its_precision_allows(
    spec: ModelSpec, chunk: AudioChunk, exact: Any, tmp_path: Path, precision: str
) -> None:
    if precision == "bfloat16" and not has_bfloat16():
        pytest.skip("this processor has no bfloat16; imitated it takes a minute")
    engine = engine_of(spec, tmp_path, precision)
    assert (engine.encoder, engine.note) == (precision, None)
    encoded = engine.encode([chunk])
    assert off(encoded, exact) < MOST_OFF[precision]
    assert np.array_equal(np.array(encoded), np.array(engine.encode([chunk])))


def has_bfloat16() -> bool:
    from modules.engines.whisperx import encoder

    return encoder.has_bfloat16()


def test_what_is_chosen_is_no_less_exact_than_ctranslate2(
    spec: ModelSpec, chunk: AudioChunk, exact: Any, tmp_path: Path
) -> None:
    chosen = engine_of(spec, tmp_path, "auto")
    assert chosen.encoder == ("bfloat16" if has_bfloat16() else "ctranslate2")
    assert chosen.note is None
    rounded = engine_of(spec, tmp_path, "ctranslate2")
    assert off(chosen.encode([chunk]), exact) <= off(rounded.encode([chunk]), exact)


def test_bfloat16_is_not_imitated(
    spec: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine whose libraries are held to an older instruction set."""
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_VNNI")
    assert engine_of(spec, tmp_path, "auto").encoder == "ctranslate2"


def test_threads_that_encode_at_once_get_their_own_output(
    spec: ModelSpec, chunk: AudioChunk, tmp_path: Path
) -> None:
    engine = engine_of(spec, tmp_path, "float32")
    other = chunk_of(sound_of("please-hold-en.flac"))
    alone = [np.array(engine.encode([each])) for each in (chunk, other)]
    with ThreadPoolExecutor(2) as pool:
        beside = list(pool.map(lambda each: np.array(engine.encode([each])), [chunk, other] * 4))
    for number, found in enumerate(beside):
        assert np.array_equal(found, alone[number % 2])


def test_without_openvino_the_text_is_there_and_says_so(
    spec: ModelSpec, chunk: AudioChunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "modules.engines.whisperx.encoder", raising=False)
    monkeypatch.delattr("modules.engines.whisperx.encoder", raising=False)
    engine = engine_of(spec, tmp_path, "float32")
    assert engine.encoder == "ctranslate2"
    assert "OpenVINO could not be used" in engine.note
    assert engine.model.all_cores is not engine.model.whisper
    assert engine.transcribe([chunk], DecodingOptions("ru", SETTINGS))[0].segments
    quiet = engine_of(spec, tmp_path, "ctranslate2")
    assert quiet.note is None, "it was asked for"


def test_a_model_that_only_ctranslate2_understands_is_heard_with_it(
    spec: ModelSpec, chunk: AudioChunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modules.engines.whisperx import tensors

    def refuse(path: Path, prefix: str) -> Any:
        raise UnknownFormatError("numbers of kind 9")

    monkeypatch.setattr(tensors, "read", refuse)
    engine = engine_of(spec, tmp_path, "float32")
    assert engine.encoder == "ctranslate2"
    assert "(numbers of kind 9)" in engine.note


def test_doctor_gets_the_choice_and_its_error(spec: ModelSpec) -> None:
    command = [sys.executable, "-m", "modules.engines.whisperx.precision", "--model", spec.path]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, check=True, timeout=300)
    found = json.loads(ended.stdout)
    assert found["encoder"] == ("bfloat16" if has_bfloat16() else "ctranslate2")
    assert found["note"] is None
    assert 0 <= found["error"] <= found["ctranslate2_error"] < 0.2
