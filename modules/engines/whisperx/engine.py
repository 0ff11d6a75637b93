"""The WhisperX engine: chunks of audio in, their text out. Loads ctranslate2.

``whisperx.transcribe`` is sequential and wants the whole recording in memory, so the parts under
it are used: the ``WhisperModel`` that its own one adds batches to, and its features, without torch.
What needs torch (its alignment, its VAD models, its diarization) is imported when first needed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import merge_punctuations

from modules.audio.chunking import SAMPLE_RATE, AudioChunk, audible, halves
from modules.engines.base import Capabilities, DecodingOptions, Engine, Progress, no_progress
from modules.engines.whisperx.alignment import Aligner
from modules.engines.whisperx.decoding import (
    TOKENS_AT_LEAST,
    TOKENS_PER_S,
    Decoder,
    Generated,
    should_divide,
)
from modules.engines.whisperx.model import SHORT_WINDOW, Model, Task, compute_types
from modules.transcript.chunk_text import ChunkText, judged
from modules.transcript.coverage import out_of_silence, shortened
from modules.transcript.model import Word
from modules.transcript.quality import DecodingScores
from modules.transcript.sentences import sentences
from modules.transcript.word_times import snapped, word_of
from modules.weights.files import ModelSpec

_PREPENDED = "\"'“¿([{-"
_APPENDED = "\"'.。,，!！?？:：”)]}、"

#: CTranslate2 unpacks the decoder's weights for each token of a batch, however many texts it has:
#: three take four fifths of the time. Each takes 80 MB, in a wider model several times that.
_MOST_AT_ONCE = 3
#: Urgent recordings and signs of progress wait for a batch: it should not take longer, in seconds.
_BATCH_S = 12.0
#: From this length on chunks may be decoded for the same number of tokens, the most there are.
_BATCHED_FROM_S = (448 / 2 - TOKENS_AT_LEAST) / TOKENS_PER_S


class WhisperXEngine(Engine):
    """Whisper by CTranslate2, word times by attention or by wav2vec2."""

    def __init__(self, spec: ModelSpec, cpu_threads: int, models_directory: Path) -> None:
        super().__init__(spec, cpu_threads, models_directory)
        began = time.monotonic()
        self.model = Model(spec, cpu_threads)
        self._decoder = Decoder(self.model)
        self.device = self.model.device
        self.compute_type = self.model.compute_type
        self.encoder = self.model.encoder_kind
        self.note = self.model.note
        self.streams = self.model.streams
        self.size_mb = self.model.size_mb
        self._aligner = Aligner(models_directory / "align", self.device)
        self.load_seconds = round(time.monotonic() - began, 3)

    @classmethod
    def version(cls) -> str:
        return version("whisperx")

    @classmethod
    def compute_types(cls) -> Mapping[str, tuple[str, ...]]:
        return compute_types()

    @property
    def capabilities(self) -> Capabilities:
        multilingual = self.model.is_multilingual
        return Capabilities(
            languages=None if multilingual else frozenset({"en"}),
            translation=multilingual,
            streaming=True,
        )

    def encode(
        self, chunks: Sequence[AudioChunk], fast: bool = False, progress: Progress = no_progress
    ) -> Any:
        return self.model.encode(chunks, fast, progress)

    def detect_language(self, encoded: Any, index: int = 0) -> tuple[str, float]:
        return self.model.detect_language(encoded, index)

    def can_batch(self, chunk: AudioChunk, fast: bool = False) -> bool:
        least = SHORT_WINDOW if fast else int(_BATCHED_FROM_S * SAMPLE_RATE)
        return self.on_gpu or len(chunk.samples) > least or not len(chunk.samples)

    def transcribe(
        self,
        chunks: Sequence[AudioChunk],
        options: DecodingOptions,
        progress: Progress = no_progress,
        encoded: Any = None,
    ) -> list[ChunkText]:
        """See ``Engine``. ``progress`` is called before each further try at a doubtful chunk."""
        with self.model.in_use():
            return self._transcribe(chunks, options, progress, encoded)

    def listen(self, chunk: AudioChunk, options: DecodingOptions, encoded: Any = None) -> ChunkText:
        """See ``Engine``: one greedy try, word times by attention, and the same rules for what is
        invented."""
        with self.model.in_use():
            if encoded is None:
                encoded = self.encode([chunk], fast=True)
            tokenizer = self.model.tokenizer(options.language, self._task(options))
            one = self._decoder.greedy(chunk, encoded, tokenizer, options.settings)
            [timings] = self._timings([chunk], [one], tokenizer, encoded)
        words = _words(timings, chunk)
        return _judged_text(chunk, one.scores, _by_attention(words, chunk), Aligner.ATTENTION)

    def _transcribe(
        self,
        chunks: Sequence[AudioChunk],
        options: DecodingOptions,
        progress: Progress,
        encoded: Any,
    ) -> list[ChunkText]:
        began = time.monotonic()
        if encoded is None:
            encoded = self.encode(chunks, options.settings.fast_mode, progress)
        task = self._task(options)
        tokenizer = self.model.tokenizer(options.language, task)
        generated = self._decoder.generate(chunks, encoded, tokenizer, options.settings, progress)
        timings = self._timings(chunks, generated, tokenizer, encoded)
        self._adapt_batch_size(len(chunks), time.monotonic() - began)
        spoken = options.language if task == "transcribe" else None
        return [
            self._divided(chunk, options, progress)
            if should_divide(chunk, one.scores)
            else self._text_of(chunk, one.scores, words, spoken, progress)
            for chunk, one, words in zip(chunks, generated, timings, strict=True)
        ]

    def _task(self, options: DecodingOptions) -> Task:
        """English speech needs no translation, and English-only models cannot translate."""
        translates = self.model.is_multilingual and options.language != "en"
        return options.settings.task if translates else "transcribe"

    def _adapt_batch_size(self, count: int, took_s: float) -> None:
        most = _MOST_AT_ONCE if self.model.is_narrow else 1
        self.batch_size = max(1, min(most, int(_BATCH_S * count / took_s)))

    def _divided(
        self, chunk: AudioChunk, options: DecodingOptions, progress: Progress
    ) -> ChunkText:
        """A chunk in two parts.

        Speech that does repeat itself comes out right then; an invention has to begin anew.
        """
        progress()
        return ChunkText.joined(
            [self.transcribe([part], options, progress)[0] for part in halves(chunk)]
        )

    def _timings(
        self,
        chunks: Sequence[AudioChunk],
        generated: Sequence[Generated],
        tokenizer: Tokenizer,
        encoded: Any,
    ) -> list[list[dict[str, Any]]]:
        """The words of each chunk with their times, from the attention; see faster-whisper."""
        tokens = [one.tokens for one in generated]
        frames = [max(1, len(chunk.samples) // 160) for chunk in chunks]
        find = partial(self.model.whisper.find_alignment, tokenizer)
        if self.on_gpu:
            return list(find(tokens, encoded, frames))
        # In a batch the probabilities of all tokens would take 60 MB more for each further chunk.
        return [
            find([tokens[i]], self.model.encoded_alone(chunk, encoded, i), [frames[i]])[0]
            for i, chunk in enumerate(chunks)
        ]

    def _text_of(
        self,
        chunk: AudioChunk,
        scores: DecodingScores,
        timings: list[dict[str, Any]],
        spoken: str | None,
        progress: Progress,
    ) -> ChunkText:
        """``spoken``: the language of speech and text, None if the text is a translation."""
        words = _words(timings, chunk)
        progress()  # a model for alignment may have to be loaded
        words, alignment, note = self._timed(words, chunk, spoken)
        progress()
        return _judged_text(chunk, scores, words, alignment, note)

    def _timed(
        self, words: list[Word], chunk: AudioChunk, spoken: str | None
    ) -> tuple[list[Word], str | None, str | None]:
        if not words:
            return words, None, None
        words, alignment, note = self._aligner.refine(words, chunk, spoken)
        if alignment == Aligner.ATTENTION:
            words = _by_attention(words, chunk)
        return words, alignment, note


def _words(timings: list[dict[str, Any]], chunk: AudioChunk) -> list[Word]:
    merge_punctuations(timings, _PREPENDED, _APPENDED)
    return [word_of(timing, chunk.start_s) for timing in timings if timing["word"].strip()]


def _by_attention(words: list[Word], chunk: AudioChunk) -> list[Word]:
    """Words whose times are those of the attention, where the chunk has sound."""
    words = shortened(snapped(words, chunk.speech))
    return out_of_silence(words, audible(chunk))


def _judged_text(
    chunk: AudioChunk,
    scores: DecodingScores,
    words: list[Word],
    alignment: str | None,
    note: str | None = None,
) -> ChunkText:
    """The text in sentences, without what was invented."""
    end_s = chunk.start_s + len(chunk.samples) / SAMPLE_RATE
    found = sentences(words, chunk.start_s, end_s, scores.text)
    segments, dropped = judged(found, scores, chunk.speech)
    if not segments:
        return ChunkText(dropped=dropped)
    return ChunkText(segments, dropped, alignment, note)
