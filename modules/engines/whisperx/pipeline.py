"""The engine ``whisperx``: its own pipeline and its own alignment, as its command runs them.

Each chunk is to ``whisperx`` a recording of its own: its VAD cuts it again, its pipeline decodes
it, and its wav2vec2 aligns the words where there is a model for the language. Slower than
``engine.py`` and of more memory, and nothing is tried again or left out that its command would not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from modules.audio.chunking import AudioChunk
from modules.config.settings import TranscriptionSettings
from modules.engines.base import Capabilities, DecodingOptions, Engine, Progress, no_progress
from modules.engines.whisperx.alignment import Aligner
from modules.engines.whisperx.model import compute_types, device_of
from modules.machine import allocator
from modules.transcript.chunk_text import ChunkText
from modules.transcript.model import Segment, Word
from modules.transcript.sentences import mean_confidence
from modules.weights.files import WEIGHTS, ModelSpec


class PipelineEngine(Engine):
    """Whisper by whisperx's ``FasterWhisperPipeline``."""

    own_vad = "pyannote"

    def __init__(self, spec: ModelSpec, cpu_threads: int, models_directory: Path) -> None:
        super().__init__(spec, cpu_threads, models_directory)
        from whisperx.asr import load_model  # with torch and pyannote: takes seconds

        began = time.monotonic()
        self.device = device_of(spec.device)
        with allocator.loading():
            self._pipeline = load_model(
                spec.path,
                self.device,
                vad_method=self.own_vad,
                compute_type=spec.compute_type,
                local_files_only=True,
                threads=cpu_threads,
            )
        self.compute_type = str(self._pipeline.model.model.compute_type)
        self.size_mb = round((Path(spec.path) / WEIGHTS).stat().st_size / 2**20)
        self._aligner = Aligner(models_directory / "align", self.device)
        #: Its options and its tokenizer are kept in the pipeline.
        self._lock = threading.Lock()
        self.load_seconds = round(time.monotonic() - began, 3)

    @classmethod
    def version(cls) -> str:
        return version("whisperx")

    @classmethod
    def compute_types(cls) -> Mapping[str, tuple[str, ...]]:
        return compute_types()

    @property
    def capabilities(self) -> Capabilities:
        multilingual = bool(self._pipeline.model.model.is_multilingual)
        return Capabilities(
            languages=None if multilingual else frozenset({"en"}),
            word_times=False,  # only for languages with a model of their own
            translation=multilingual,
            skips_speech=False,
        )

    def detect_language(self, encoded: Any, index: int = 0) -> tuple[str, float]:
        """As whisperx detects it, in one of the chunks that ``encode`` returned."""
        from whisperx.audio import N_SAMPLES, log_mel_spectrogram

        model, samples = self._pipeline.model, encoded[index].samples
        bands = model.feat_kwargs.get("feature_size") or 80
        with self._lock:
            features = log_mel_spectrogram(samples, bands, padding=N_SAMPLES - len(samples))
            token, probability = model.model.detect_language(model.encode(features))[0][0]
        return token[2:-2], round(float(probability), 4)

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
            with self._lock, self._with(options.settings):
                found = self._decoded(chunk, options)
            progress()
            texts.append(self._text_of(chunk, found, options))
        return texts

    def _decoded(self, chunk: AudioChunk, options: DecodingOptions) -> list[dict[str, Any]]:
        found = self._pipeline.transcribe(
            chunk.samples, batch_size=1, language=options.language, task=self._task(options)
        )
        segments: list[dict[str, Any]] = found["segments"]
        return segments

    def _task(self, options: DecodingOptions) -> str:
        return options.settings.task if self.capabilities.translation else "transcribe"

    @contextmanager
    def _with(self, settings: TranscriptionSettings) -> Iterator[None]:
        """The pipeline with the settings of a recording, which its command has as options."""
        before = self._pipeline.options, self._pipeline.suppress_numerals
        self._pipeline.options = replace(
            before[0],
            beam_size=settings.beam_size,
            initial_prompt=settings.initial_prompt,
            hotwords=settings.hotwords,
        )
        self._pipeline.suppress_numerals = settings.suppress_numerals
        try:
            yield
        finally:
            self._pipeline.options, self._pipeline.suppress_numerals = before

    def _text_of(
        self, chunk: AudioChunk, found: list[dict[str, Any]], options: DecodingOptions
    ) -> ChunkText:
        """whisperx aligns a transcript, and leaves a translation as it is; so does this."""
        note = None
        if found and self._task(options) == "transcribe":
            found, note = self._aligner.own(found, chunk, options.language)
        segments = tuple(_segment(one, chunk.start_s) for one in found if one["text"].strip())
        is_aligned = any(segment.words for segment in segments)
        return ChunkText(segments, alignment="wav2vec2" if is_aligned else None, note=note)


def _segment(found: Mapping[str, Any], offset_s: float) -> Segment:
    words = tuple(
        Word(
            word=str(word["word"]),
            start=_moved(word.get("start"), offset_s),
            end=_moved(word.get("end"), offset_s),
            confidence=_share(word.get("score")),
        )
        for word in found.get("words") or ()
    )
    score = found.get("avg_logprob")
    return Segment(
        start=round(offset_s + float(found["start"]), 3),
        end=round(offset_s + float(found["end"]), 3),
        text=found["text"].strip(),
        words=words,
        confidence=mean_confidence(words),
        avg_logprob=None if score is None else round(float(score), 4),
    )


def _moved(seconds: float | None, offset_s: float) -> float | None:
    return None if seconds is None else round(offset_s + float(seconds), 3)


def _share(score: float | None) -> float | None:
    return None if score is None else min(1.0, max(0.0, float(score)))
