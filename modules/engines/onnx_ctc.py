"""Engines for Russian that run on onnxruntime: T-one and GigaAM. Loads onnx-asr.

Both are CTC models: each token has a time and a probability, and words are made of these. They
hear no other language, know no prompt and do not translate.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import onnxruntime
from onnx_asr import load_model

from modules.audio.chunking import SAMPLE_RATE, AudioChunk
from modules.config.settings import TranscriptionSettings
from modules.engines.base import Capabilities, DecodingOptions, Engine, Progress, no_progress
from modules.errors import ModelError, noted
from modules.transcript.chunk_text import ChunkText
from modules.transcript.sentences import sentences
from modules.transcript.token_words import words_of
from modules.weights import onnx_files
from modules.weights.files import ModelSpec

_RUSSIAN = "ru"
#: Where word times are from, as results say it.
_ALIGNMENT = "ctc"
_INT8 = ".int8.onnx"


class OnnxEngine(Engine):
    """A CTC model for Russian from a folder of the user."""

    #: As ``onnx_files`` has it, and as onnx-asr calls it.
    kind: ClassVar[str]
    model: ClassVar[str]
    longest_chunk_s: ClassVar[float] = 30.0
    #: How long a token stands for, in seconds.
    frame_s: ClassVar[float]

    def __init__(self, spec: ModelSpec, cpu_threads: int, models_directory: Path) -> None:
        super().__init__(spec, cpu_threads, models_directory)
        began = time.monotonic()
        folder = Path(spec.path)
        onnx_files.require(folder, self.kind)  # or onnx-asr would look for it in the hub
        weights = onnx_files.weights_in(folder, self.kind) or ""
        self.compute_type = "int8" if weights.endswith(_INT8) else "float32"
        self.streams = cpu_threads
        self.size_mb = round((folder / weights).stat().st_size / 2**20)
        self._model = self._loaded(folder)
        self.load_seconds = round(time.monotonic() - began, 3)

    def _loaded(self, folder: Path) -> Any:
        options = onnxruntime.SessionOptions()
        # A core for each stream, as with Whisper: more for one chunk is hardly quicker.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            made = load_model(
                self.model,
                folder,
                quantization="int8" if self.compute_type == "int8" else None,
                sess_options=options,
                providers=["CPUExecutionProvider"],
            )
        except Exception as error:
            # Of onnx-asr, onnxruntime, JSON or KeyError: the files are not what they should be.
            raise ModelError(
                "model_damaged",
                noted(
                    "The weights of {kind} in {folder} cannot be loaded: {error}.",
                    kind=self.kind,
                    folder=folder,
                    error=error,
                ),
                remedy=noted(
                    "Get them anew from {published}.",
                    published=onnx_files.FILES[self.kind].published,
                ),
            ) from error
        return made.with_timestamps()

    @classmethod
    def version(cls) -> str:
        return version("onnx-asr")

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            languages=frozenset({_RUSSIAN}),
            longest_chunk_s=self.longest_chunk_s,
            skips_speech=False,
        )

    def check(self, settings: TranscriptionSettings) -> None:
        if settings.language not in (_RUSSIAN, "auto"):
            raise ModelError(
                "language_unsupported",
                noted(
                    "The engine {kind} knows Russian only, not {language}.",
                    kind=self.kind,
                    language=settings.language,
                ),
                remedy=noted("Set language: ru, or engine: whisper."),
                permanent=True,
            )

    def detect_language(self, encoded: Any, index: int = 0) -> tuple[str, float]:
        return _RUSSIAN, 1.0

    def transcribe(
        self,
        chunks: Sequence[AudioChunk],
        options: DecodingOptions,
        progress: Progress = no_progress,
        encoded: Any = None,
    ) -> list[ChunkText]:
        texts = []
        for chunk in chunks:
            progress()
            texts.append(self._text_of(chunk, options.settings))
        return texts

    def _text_of(self, chunk: AudioChunk, settings: TranscriptionSettings) -> ChunkText:
        found = self._model.recognize(chunk.samples, sample_rate=SAMPLE_RATE)
        end_s = chunk.start_s + len(chunk.samples) / SAMPLE_RATE
        tokens = zip(found.tokens or (), found.timestamps or (), found.logprobs or (), strict=True)
        words = list(words_of(tokens, chunk.start_s, end_s, self.frame_s))
        segments = tuple(sentences(words, chunk.start_s, end_s, found.text))
        note = None
        if settings.hotwords or settings.initial_prompt:
            note = f"engine: {self.kind} takes no hotwords and no initial_prompt"
        return ChunkText(segments, alignment=_ALIGNMENT if segments else None, note=note)


class TOne(OnnxEngine):
    """T-one: telephone speech, 8 kHz, without punctuation."""

    kind, model, frame_s = "t-one", "t-tech/t-one", 0.03


class GigaAm(OnnxEngine):
    """GigaAM v3, end to end: with punctuation, capitals and digits."""

    kind, model, frame_s = "gigaam", "gigaam-v3-e2e-ctc", 0.04
    longest_chunk_s = 25.0
