"""whisperx's own alignment is used where its model lies on the disk, and never costs the text.

The model here is a tiny untrained one in the real format: it shows the way of the words through
``whisperx.align``, not how good the times are.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from modules.audio.chunking import SAMPLE_RATE, AudioChunk
from modules.transcript.model import Word

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.filterwarnings("ignore"),  # torch, lightning and pyannote warn on import
]

LETTERS = "абвгдежзийклмнопрстуфхцчшщъыьэюя"


@pytest.fixture(scope="module")
def align_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``align/ru`` with an untrained wav2vec2 model for Russian letters."""
    # The threads that these libraries start and keep are there before a test is watched for leaks.
    os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Processor,
    )

    import modules.engines.whisperx.engine  # noqa: F401

    directory = tmp_path_factory.mktemp("align")
    folder = directory / "ru"
    folder.mkdir()
    vocabulary = {token: i for i, token in enumerate(["<pad>", "<unk>", "|", *LETTERS])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    tokenizer = Wav2Vec2CTCTokenizer(folder / "vocab.json", pad_token="<pad>", unk_token="<unk>")
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(), tokenizer).save_pretrained(folder)
    config = Wav2Vec2Config(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    Wav2Vec2ForCTC(config).save_pretrained(folder)
    return directory


def spoken_words() -> list[Word]:
    return [
        Word(word=" Добрый", start=10.1, end=10.5, confidence=0.9),
        Word(word=" день,", start=10.5, end=11.0, confidence=0.8),
        Word(word=" коллеги.", start=11.0, end=11.9, confidence=0.7),
    ]


def chunk() -> AudioChunk:
    noise = np.random.default_rng(1).normal(0, 0.1, 2 * SAMPLE_RATE).astype(np.float32)
    return AudioChunk(start_s=10.0, position_s=12.0, samples=noise)


def test_a_model_on_the_disk_times_the_words(align_directory: Path) -> None:
    from modules.engines.whisperx.alignment import Aligner

    words, source, note = Aligner(align_directory, "cpu").refine(spoken_words(), chunk(), "ru")

    assert (source, note) == ("wav2vec2", None)
    assert [w.word for w in words] == [w.word for w in spoken_words()]
    assert [w.confidence for w in words] == [0.9, 0.8, 0.7]
    assert [(w.start, w.end) for w in words] != [(w.start, w.end) for w in spoken_words()]
    assert all(10.0 <= (w.start or 0) <= (w.end or 0) <= 12.0 for w in words)


def test_a_language_without_a_model_keeps_attention_times_and_says_so(
    align_directory: Path,
) -> None:
    from modules.engines.whisperx.alignment import Aligner

    words, source, note = Aligner(align_directory, "cpu").refine(spoken_words(), chunk(), "en")

    assert words == spoken_words()
    assert source == "attention"
    assert note is not None
    assert "no model for en" in note


def test_a_broken_model_never_costs_the_text(tmp_path: Path) -> None:
    from modules.engines.whisperx.alignment import Aligner

    (tmp_path / "ru").mkdir()
    (tmp_path / "ru" / "config.json").write_text("not json")

    words, source, note = Aligner(tmp_path, "cpu").refine(spoken_words(), chunk(), "ru")

    assert words == spoken_words()
    assert source == "attention"
    assert note is not None
    assert "failed" in note
