"""WhisperX, driven chunk by chunk. Lives in the child process; loads torch and ctranslate2.

``whisperx.transcribe`` is sequential and wants the whole recording in memory, so the parts under
it are used: its ``WhisperModel``, its features, its VAD models, its alignment.
"""

from __future__ import annotations

import math
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import ctranslate2
import numpy as np
import torch
import whisperx.asr
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import merge_punctuations
from faster_whisper.vad import VadOptions, get_speech_timestamps

from modules.chunking import SAMPLE_RATE, AudioChunk, Samples, SpeechDetector
from modules.errors import ModelError, WorkerError
from modules.protocol import ModelSpec, Segment, Word
from modules.segments import joined, sentences, word_of

WHISPERX_VERSION = version("whisperx")
_PREPENDED = "\"'“¿([{-"
_APPENDED = "\"'.。,，!！?？:：”)]}、"
#: At temperatures above 0, so many samples are drawn and the likeliest is kept.
_BEST_OF = 5

Task = Literal["transcribe", "translate"]


@dataclass(frozen=True)
class Decoding:
    """How to decode: the language of the speech, 0 for beam search or above 0 for sampling."""

    language: str
    temperature: float
    beam_size: int
    task: Task = "transcribe"
    initial_prompt: str | None = None


@dataclass(frozen=True)
class Generated:
    """A chunk's text tokens and Whisper's figures for them; None where it gave no number."""

    tokens: list[int]
    avg_logprob: float | None
    no_speech_prob: float | None

    @classmethod
    def of(cls, result: Any, eot: int) -> Generated:
        """From CTranslate2's result, whose sequences hold neither the prompt nor the end."""
        row = result.sequences_ids[0]
        # As faster-whisper has it: the sum, over the tokens and the end that follows them.
        average = float(result.scores[0]) * len(row) / (len(row) + 1)
        silence = min(1.0, max(0.0, float(result.no_speech_prob)))
        return cls([token for token in row if token < eot], _finite(average), _finite(silence))


@dataclass(frozen=True)
class ChunkText:
    """What came of one chunk; ``alignment`` names where the word times are from."""

    segments: tuple[Segment, ...]
    alignment: str | None
    note: str | None = None


class Engine:
    """A Whisper model in memory. ``transcribe`` may be called from ``streams`` threads at once."""

    def __init__(self, spec: ModelSpec, cpu_threads: int, align_directory: Path) -> None:
        self.spec = spec
        started = time.monotonic()
        self.on_gpu = _device(spec.device) == "cuda"
        #: One single-threaded stream per core is faster than threads inside one chunk.
        self.streams = 1 if self.on_gpu else cpu_threads
        self._cpu_threads = cpu_threads
        self._model = self._load(streams=self.streams, threads=1)
        self._tokenizers: dict[tuple[str, Task], Tokenizer] = {}
        self._sampling = threading.Lock()
        self._aligner = Aligner(align_directory, _device(spec.device))
        self.load_seconds = round(time.monotonic() - started, 3)

    @property
    def multilingual(self) -> bool:
        return bool(self._model.model.is_multilingual)

    def transcribe(
        self, chunks: Sequence[AudioChunk], decoding: Decoding, encoded: Any = None
    ) -> list[ChunkText]:
        """Text and words of chunks that go through the model together."""
        encoded = self.encode(chunks) if encoded is None else encoded
        task = self._task(decoding)
        tokenizer = self._tokenizer(decoding.language, task)
        generated = self._generate(chunks, encoded, tokenizer, decoding)
        tokens = [one.tokens for one in generated]
        frames = [max(1, len(chunk.samples) // 160) for chunk in chunks]
        aligned = self._model.find_alignment(tokenizer, tokens, encoded, frames)
        spoken = decoding.language if task == "transcribe" else None
        return [
            self._text_of(chunk, one, tokenizer.decode(one.tokens), words, spoken)
            for chunk, one, words in zip(
                chunks, generated, aligned or [[]] * len(chunks), strict=True
            )
        ]

    def encode(self, chunks: Sequence[AudioChunk]) -> Any:
        """The encoder's output for a batch of chunks."""
        return self._model.encode(np.stack([_features(self._model, chunk) for chunk in chunks]))

    def detect_language(self, encoded: Any) -> tuple[str, float]:
        """(code, probability) of the likeliest language of the first chunk in ``encoded``."""
        token, probability = self._model.model.detect_language(encoded)[0][0]
        return token[2:-2], round(float(probability), 4)

    def _task(self, how: Decoding) -> Task:
        """What English-only models cannot do, English speech does not need: a translation."""
        return how.task if self.multilingual and how.language != "en" else "transcribe"

    def _tokenizer(self, language: str, task: Task) -> Tokenizer:
        if (language, task) not in self._tokenizers:
            made = Tokenizer(
                self._model.hf_tokenizer, self.multilingual, task=task, language=language
            )
            if task == "translate":
                # Only says how words are told apart; Japanese has no spaces, its translation does.
                made.language_code = "en"
            self._tokenizers[language, task] = made
        return self._tokenizers[language, task]

    def _prompt(self, tokenizer: Tokenizer, initial_prompt: str | None) -> list[int]:
        """The tokens before the text. Of a long ``initial_prompt`` faster-whisper keeps the end."""
        text = (initial_prompt or "").strip()
        # Control tokens that somebody spelt out are left away; they would derail the decoder.
        previous = [t for t in tokenizer.encode(f" {text}") if t < tokenizer.eot] if text else []
        prompt = self._model.get_prompt(tokenizer, previous, without_timestamps=True)
        return list(prompt)

    def _load(self, streams: int, threads: int) -> Any:
        device = _device(self.spec.device)
        possible = ctranslate2.get_supported_compute_types(device)
        if self.spec.compute_type not in (*possible, "default", "auto"):
            raise ModelError(
                "compute_type_unsupported",
                f"whisperx.compute_type: {self.spec.compute_type} does not work on this {device}.",
                remedy=f"Use one of {', '.join(sorted(possible))}.",
                permanent=True,
            )
        return whisperx.asr.WhisperModel(
            self.spec.path,
            device=device,
            compute_type=self.spec.compute_type,
            cpu_threads=threads,
            num_workers=streams,
            local_files_only=True,
        )

    def _generate(
        self, chunks: Sequence[AudioChunk], encoded: Any, tokenizer: Tokenizer, how: Decoding
    ) -> list[Generated]:
        prompt = self._prompt(tokenizer, how.initial_prompt)
        common = {
            "max_length": self._model.max_length,
            "suppress_blank": True,
            "suppress_tokens": [-1],
            "return_scores": True,
            "return_no_speech_prob": True,
        }
        if how.temperature == 0:
            results = self._model.model.generate(
                encoded, [prompt] * len(chunks), beam_size=how.beam_size, **common
            )
        else:
            results = [self._sampled(chunk, prompt, how.temperature, common) for chunk in chunks]
        return [Generated.of(result, tokenizer.eot) for result in results]

    def _sampled(
        self, chunk: AudioChunk, prompt: list[int], temperature: float, common: dict[str, Any]
    ) -> Any:
        """Sampling that can be repeated: the seed depends on the chunk's own samples.

        CTranslate2 seeds a generator once per thread of its pool, so a repeatable draw needs a
        pool of its own; loading one costs 0.35 s for Whisper base.
        """
        with self._sampling:
            ctranslate2.set_random_seed(zlib.crc32(chunk.samples.tobytes()) or 1)
            fresh = self._load(streams=1, threads=self._cpu_threads)
            return fresh.model.generate(
                fresh.encode(_features(fresh, chunk)),
                [prompt],
                beam_size=1,
                num_hypotheses=_BEST_OF,
                sampling_topk=0,
                sampling_temperature=temperature,
                **common,
            )[0]

    def _text_of(
        self,
        chunk: AudioChunk,
        generated: Generated,
        text: str,
        timings: list[dict[str, Any]],
        spoken: str | None,
    ) -> ChunkText:
        """``spoken``: the language of speech and text, None if the text is a translation."""
        merge_punctuations(timings, _PREPENDED, _APPENDED)
        words = [word_of(timing, chunk.start_s) for timing in timings if timing["word"].strip()]
        end_s = chunk.start_s + len(chunk.samples) / SAMPLE_RATE
        if words:
            words, alignment, note = self._aligner.refine(words, chunk, spoken)
        else:
            alignment, note = None, None
        figures = {
            "avg_logprob": generated.avg_logprob,
            "no_speech_prob": generated.no_speech_prob,
        }
        segments = tuple(
            segment.model_copy(update=figures)
            for segment in sentences(words, chunk.start_s, end_s, text)
        )
        return ChunkText(segments, alignment if segments else None, note)


class Aligner:
    """Word times by whisperx's own wav2vec2 alignment, for languages whose model is on the disk.

    A model is a folder ``LANGUAGE/`` in ``directory``, in the Hugging Face format.
    """

    ATTENTION = "attention"

    def __init__(self, directory: Path, device: str) -> None:
        self._directory = directory
        self._device = device
        self._models: dict[str, tuple[Any, Any]] = {}
        self._lock = threading.Lock()

    def refine(
        self, words: list[Word], chunk: AudioChunk, language: str | None
    ) -> tuple[list[Word], str, str | None]:
        """(words, where their times are from, a note if that is worse than it could be).

        ``language`` is None if the words are not those that were spoken, but a translation.
        """
        if language is None:
            return words, self.ATTENTION, "alignment: translated words are timed by attention"
        folder = self._directory / language
        if not folder.is_dir():
            note = f"alignment: no model for {language}, words are timed by attention"
            return words, self.ATTENTION, note
        try:
            with self._lock:
                return self._aligned(words, chunk, language, folder), "wav2vec2", None
        except Exception as error:  # noqa: BLE001 - the text is there; only its times are worse
            note = f"alignment: the model for {language} failed, words are timed by attention"
            return words, self.ATTENTION, f"{note} ({error})"

    def _aligned(
        self, words: list[Word], chunk: AudioChunk, language: str, folder: Path
    ) -> list[Word]:
        from whisperx import alignment

        # It would fetch NLTK's sentence splitter from the network, only to group words that are
        # grouped here by ``sentences`` anyway.
        alignment.nltk_load = lambda resource: _OneSentence()
        if language not in self._models:
            self._models[language] = alignment.load_align_model(
                language, self._device, model_name=str(folder), model_cache_only=True
            )
        model, metadata = self._models[language]
        seconds = len(chunk.samples) / SAMPLE_RATE
        asked = [{"text": joined(words), "start": 0.0, "end": seconds}]
        aligned = alignment.align(asked, model, metadata, chunk.samples, self._device)
        found = aligned["word_segments"]
        if len(found) != len(words):
            raise WorkerError(
                "alignment_mismatch", f"{len(found)} words aligned, {len(words)} were spoken"
            )
        return [
            word.model_copy(
                update={
                    "start": chunk.start_s + float(timing["start"]),
                    "end": chunk.start_s + float(timing["end"]),
                }
            )
            if "start" in timing and "end" in timing
            else word
            for word, timing in zip(words, found, strict=True)
        ]


class _OneSentence:
    """A sentence splitter that does not split."""

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


def _features(model: Any, chunk: AudioChunk) -> Any:
    """Log-Mel spectrogram of a chunk, padded to 30 s: float32, shape ``(n_mels, 3000)``."""
    return whisperx.asr.log_mel_spectrogram(
        chunk.samples,
        n_mels=model.feat_kwargs.get("feature_size") or 80,
        padding=whisperx.asr.N_SAMPLES - len(chunk.samples),
    ).numpy()


def silero(samples: Samples) -> list[tuple[int, int]]:
    """Speech by Silero's ONNX model, which faster-whisper ships; deterministic, one thread."""
    options = VadOptions(min_silence_duration_ms=160, speech_pad_ms=200, min_speech_duration_ms=100)
    return [(int(r["start"]), int(r["end"])) for r in get_speech_timestamps(samples, options)]


@lru_cache(maxsize=1)
def _pyannote(device: str) -> Callable[..., Any]:
    from whisperx.vads.pyannote import load_vad_model

    return load_vad_model(torch.device(device))  # type: ignore[no-any-return]


def pyannote(samples: Samples) -> list[tuple[int, int]]:
    """Speech by the pyannote model that whisperx ships; slower than Silero by a factor of ten."""
    waveform = torch.from_numpy(samples).unsqueeze(0)
    scores = _pyannote(_device("auto"))({"waveform": waveform, "sample_rate": SAMPLE_RATE})
    from whisperx.vads.pyannote import Binarize

    regions = Binarize(onset=0.5, offset=0.363)(scores).get_timeline().support()
    edges = [(int(r.start * SAMPLE_RATE), int(r.end * SAMPLE_RATE)) for r in regions]
    return [(max(0, a), min(b, len(samples))) for a, b in edges if b > a]


DETECTORS: dict[str, SpeechDetector] = {"silero": silero, "pyannote": pyannote}


def compute_types() -> dict[str, tuple[str, ...]]:
    """The compute types that CTranslate2 can use, sorted, for each device of this machine."""
    devices = ["cpu", "cuda"] if ctranslate2.get_cuda_device_count() > 0 else ["cpu"]
    return {name: tuple(sorted(ctranslate2.get_supported_compute_types(name))) for name in devices}


def _finite(number: float) -> float | None:
    return round(number, 4) if math.isfinite(number) else None


def _device(name: str) -> str:
    if name != "auto":
        return name
    return "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
