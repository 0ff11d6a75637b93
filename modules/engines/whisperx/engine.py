"""WhisperX, driven chunk by chunk. Lives in the child process; loads ctranslate2.

``whisperx.transcribe`` is sequential and wants the whole recording in memory, so the parts under
it are used: the ``WhisperModel`` that its own one adds batches to, and its features, without torch.
What needs torch (its alignment, its VAD models, its diarization) is imported when first asked for.
"""

from __future__ import annotations

import math
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import merge_punctuations

from modules.audio.chunking import MAX_CHUNK_S, SAMPLE_RATE, AudioChunk, halves, is_divisible
from modules.config.settings import TranscriptionSettings
from modules.engines.whisperx.alignment import Aligner
from modules.errors import ModelError
from modules.machine import allocator
from modules.transcript import quality
from modules.transcript.chunk_text import ChunkText, judged
from modules.transcript.model import Word
from modules.transcript.quality import DecodingScores
from modules.transcript.sentences import sentences
from modules.transcript.word_times import snapped, word_of
from modules.weights.files import ModelSpec

WHISPERX_VERSION = version("whisperx")
_PREPENDED = "\"'“¿([{-"
_APPENDED = "\"'.。,，!！?？:：”)]}、"
#: At temperatures above 0, so many samples are drawn and the likeliest is kept.
_BEST_OF = 5
#: Of Whisper's memory of 448 tokens so many may hold prompt and hotwords; as in Whisper itself.
_PROMPT_TOKENS = 223

#: What ``suppress_numerals`` keeps out, as in whisperx.
_NUMERAL = re.compile(r"[0-9%$£]")

#: A shorter chunk whose text goes in circles is not cut again, but tried at other temperatures.
_PART_S = 4.0
#: The most that is said: fast Russian speech, which Whisper spells in many tokens, has about 12.
_TOKENS_PER_S, _TOKENS_AT_LEAST = 20, 30

#: Whisper hears 30 s at a time, in samples. Half of it does for what is shorter; less does not:
#: with 10 s the word error rate of read English rose from 11 to 28 %.
_WINDOW = int(MAX_CHUNK_S * SAMPLE_RATE)
_SHORT_WINDOW = _WINDOW // 2

#: CTranslate2 unpacks the decoder's weights for each token of a batch, however many texts it has:
#: three take four fifths of the time. Each takes 80 MB, in a wider model several times that.
_TOGETHER = 3
#: What memory is spent on in a model up to this wide (base), and not in a wider one.
_NARROW = 512
#: Urgent recordings and signs of life wait for a batch: it should not take longer, in seconds.
_BATCH_S = 12.0
#: From this length on chunks may be decoded for the same number of tokens, as many as there are.
_JOINS_S = (448 / 2 - _TOKENS_AT_LEAST) / _TOKENS_PER_S

Task = Literal["transcribe", "translate"]


@dataclass(frozen=True)
class Decoding:
    """How to decode: the language of the speech, and what the settings say."""

    language: str
    settings: TranscriptionSettings


@dataclass(frozen=True)
class Generated:
    """A chunk's text tokens, without control tokens, and Whisper's figures for them."""

    tokens: list[int]
    figures: DecodingScores


class Engine:
    """A Whisper model in memory. ``transcribe`` may be called from ``streams`` threads at once."""

    def __init__(self, spec: ModelSpec, cpu_threads: int, align_directory: Path) -> None:
        self.spec = spec
        started = time.monotonic()
        self.device = device_of(spec.device)
        #: One single-threaded stream per core is faster than threads inside one chunk.
        self.streams = 1 if self.on_gpu else cpu_threads
        self._cpu_threads = cpu_threads
        with allocator.loading():
            self._model = self._load(streams=self.streams, threads=1)
            self._narrow = self._width() <= _NARROW
            #: The same with all cores for a chunk: the encoder is faster so, the decoder slower.
            self._broad = self._model
            if self.streams > 1 and self._narrow:
                self._broad = self._load(streams=1, threads=cpu_threads)
        #: The threads that have work for the model just now.
        self._inside: set[int] = set()
        self._tokenizers: dict[tuple[str, Task], Tokenizer] = {}
        self._sampling = threading.Lock()
        self._aligner = Aligner(align_directory, self.device)
        #: How many chunks a stream should take at once, going by what the last ones took.
        self.together = 1
        self.load_seconds = round(time.monotonic() - started, 3)

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"

    @property
    def multilingual(self) -> bool:
        return bool(self._model.model.is_multilingual)

    @property
    def compute_type(self) -> str:
        """What is really computed with, whatever ``auto`` or ``default`` meant."""
        return str(self._model.model.compute_type)

    def task(self, how: Decoding) -> Task:
        """What English-only models cannot do, English speech does not need: a translation."""
        can = self.multilingual and how.language != "en"
        return how.settings.task if can else "transcribe"

    def transcribe(
        self,
        chunks: Sequence[AudioChunk],
        how: Decoding,
        encoded: Any = None,
        alive: Callable[[], None] = lambda: None,
    ) -> list[ChunkText]:
        """Text and words of chunks that go through the model together.

        ``alive`` is called before each further try, as a doubtful chunk takes long.
        """
        with self._at_work():
            return self._transcribe(chunks, how, encoded, alive)

    def _transcribe(
        self,
        chunks: Sequence[AudioChunk],
        how: Decoding,
        encoded: Any,
        alive: Callable[[], None],
    ) -> list[ChunkText]:
        began = time.monotonic()
        if encoded is None:
            encoded = self.encode(chunks, how.settings.fast_mode, alive)
        task = self.task(how)
        tokenizer = self._tokenizer(how.language, task)
        generated = self._generate(chunks, encoded, tokenizer, how.settings, alive)
        timings = self._timings(chunks, generated, tokenizer, encoded)
        most = _TOGETHER if self._narrow else 1
        self.together = max(1, min(most, int(_BATCH_S * len(chunks) / (time.monotonic() - began))))
        spoken = how.language if task == "transcribe" else None
        return [
            self._in_parts(chunk, how, alive)
            if is_for_parts(chunk, one.figures)
            else self._text_of(chunk, one.figures, words, spoken, alive)
            for chunk, one, words in zip(chunks, generated, timings, strict=True)
        ]

    def _in_parts(self, chunk: AudioChunk, how: Decoding, alive: Callable[[], None]) -> ChunkText:
        """A chunk in two parts: more was said than fits, or the text goes in circles.

        What a telephone says again and again is right then; what Whisper made up has to begin anew.
        """
        alive()
        return ChunkText.joined(
            [self.transcribe([part], how, alive=alive)[0] for part in halves(chunk)]
        )

    def encode(
        self,
        chunks: Sequence[AudioChunk],
        fast: bool = False,
        alive: Callable[[], None] = lambda: None,
    ) -> Any:
        """The encoder's output for a batch of chunks; ``fast`` as in ``fast_mode``."""
        window = self._window(chunks, fast)
        features = [_features(self._model, chunk, window) for chunk in chunks]
        with self._at_work():
            if self.on_gpu or len(chunks) == 1:
                return self._encoder().encode(np.stack(features))
            # A core gains little from a batch here, and each further chunk would take 100 MB.
            encoded = []
            for one in features:
                alive()
                encoded.append(np.array(self._encoder().encode(one[np.newaxis])))
            return ctranslate2.StorageView.from_array(np.concatenate(encoded))

    def _encoder(self) -> Any:
        """The model with all cores in it if nobody else needs them, else the one of a stream."""
        return self._broad if self._inside == {threading.get_ident()} else self._model

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        me = threading.get_ident()
        if me in self._inside:
            yield
            return
        self._inside.add(me)
        try:
            yield
        finally:
            self._inside.remove(me)

    def joins(self, chunk: AudioChunk, fast: bool = False) -> bool:
        """Whether a chunk's text is the same in a batch with others that join."""
        least = _SHORT_WINDOW if fast else int(_JOINS_S * SAMPLE_RATE)
        return self.on_gpu or len(chunk.samples) > least or not len(chunk.samples)

    def _window(self, chunks: Sequence[AudioChunk], fast: bool) -> int:
        """How much Whisper hears at a time, in samples: 30 s, as it was trained, or half of it.

        On a graphics card the encoder takes no time, and a text must not depend on its batch.
        """
        short = all(len(chunk.samples) <= _SHORT_WINDOW for chunk in chunks)
        return _SHORT_WINDOW if fast and short and not self.on_gpu else _WINDOW

    def detect_language(self, encoded: Any, index: int = 0) -> tuple[str, float]:
        """(code, probability) of the likeliest language of one chunk in ``encoded``."""
        token, probability = self._model.model.detect_language(encoded)[index][0]
        return token[2:-2], round(float(probability), 4)

    # --- loading ---

    def _load(self, streams: int, threads: int) -> Any:
        possible = ctranslate2.get_supported_compute_types(self.device)
        if self.spec.compute_type not in (*possible, "default", "auto"):
            raise ModelError(
                "compute_type_unsupported",
                f"whisperx.compute_type: {self.spec.compute_type} does not work on this "
                f"{self.device}.",
                remedy=f"Use one of {', '.join(sorted(possible))}.",
                permanent=True,
            )
        if self.on_gpu:
            import torch  # noqa: F401 - brings the CUDA libraries that CTranslate2 looks for
        return WhisperModel(
            self.spec.path,
            device=self.device,
            compute_type=self.spec.compute_type,
            cpu_threads=threads,
            num_workers=streams,
            local_files_only=True,
        )

    def _width(self) -> int:
        """How many numbers the model has for each moment: 512 in base, 768 in small."""
        bands = self._model.feature_extractor.mel_filters.shape[0]
        return int(self._model.encode(np.zeros((1, bands, 100), dtype=np.float32)).shape[-1])

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

    # --- tokens ---

    def _prompt(self, tokenizer: Tokenizer, settings: TranscriptionSettings) -> list[int]:
        """The tokens before the text: hotwords, the end of ``initial_prompt``, what to do."""
        hot = _plain_tokens(tokenizer, settings.hotwords)[: _PROMPT_TOKENS // 2]
        room = _PROMPT_TOKENS - len(hot)
        previous = hot + _plain_tokens(tokenizer, settings.initial_prompt)[-room:]
        return list(self._model.get_prompt(tokenizer, previous, without_timestamps=True))

    @cached_property
    def _numerals(self) -> list[int]:
        """Tokens with digits or currency signs in them."""
        tokenizer = self._tokenizer("en", "transcribe")
        return [t for t in range(tokenizer.eot) if _NUMERAL.search(tokenizer.decode([t]))]

    def _options(
        self, settings: TranscriptionSettings, prompt: list[int], chunks: Sequence[AudioChunk]
    ) -> dict[str, Any]:
        # -1 stands for what the model's own configuration suppresses.
        suppressed = [-1, *(self._numerals if settings.suppress_numerals else ())]
        seconds = len(chunks[0].samples) / SAMPLE_RATE
        if self.on_gpu:
            seconds = MAX_CHUNK_S  # or a text would depend on what else is in its batch
        # Nobody says more; a text that goes in circles would fill all of the model's memory.
        most = int(_TOKENS_PER_S * seconds) + _TOKENS_AT_LEAST
        return {
            # CTranslate2 gives the text half of it, or what the prompt leaves.
            "max_length": min(self._model.max_length, max(2 * most, len(prompt) + most)),
            "suppress_blank": True,
            "suppress_tokens": suppressed,
            "return_scores": True,
            "return_no_speech_prob": True,
        }

    def _generate(
        self,
        chunks: Sequence[AudioChunk],
        encoded: Any,
        tokenizer: Tokenizer,
        settings: TranscriptionSettings,
        alive: Callable[[], None],
    ) -> list[Generated]:
        """Decode; what comes out doubtful is decoded again at the next temperatures."""
        first = settings.temperature
        prompt = self._prompt(tokenizer, settings)
        options = self._options(settings, prompt, chunks)
        if first == 0:
            results = self._model.model.generate(
                encoded, [prompt] * len(chunks), beam_size=settings.beam_size, **options
            )
        else:
            results = [self._sampled(chunk, prompt, first, options) for chunk in chunks]
        generated = [
            self._generated(tokenizer, result, prompt, first, options) for result in results
        ]
        return [
            self._retried(chunk, one, tokenizer, settings, alive)
            if one.figures.should_retry and not is_for_parts(chunk, one.figures)
            else one
            for chunk, one in zip(chunks, generated, strict=True)
        ]

    def _retried(
        self,
        chunk: AudioChunk,
        doubtful: Generated,
        tokenizer: Tokenizer,
        settings: TranscriptionSettings,
        alive: Callable[[], None],
    ) -> Generated:
        """The first temperature whose text is not doubtful; else the best of all."""
        # A prompt takes room that a long text needs, and can itself be what goes in circles.
        bare = settings.model_copy(update={"initial_prompt": None, "hotwords": None})
        prompt = self._prompt(tokenizer, bare if doubtful.figures.circles else settings)
        options = self._options(settings, prompt, [chunk])
        tried = [doubtful]
        for temperature in quality.temperatures(doubtful.figures):
            alive()
            try:
                result = self._sampled(chunk, prompt, temperature, options)
            except (RuntimeError, MemoryError, OSError, ValueError):
                break  # no room for a second model; what is there is better than nothing
            tried.append(self._generated(tokenizer, result, prompt, temperature, options))
            if not (tried[-1].figures.circles or tried[-1].figures.unsure):
                return tried[-1]
        return tried[quality.best([one.figures for one in tried])]

    def _generated(
        self,
        tokenizer: Tokenizer,
        result: Any,
        prompt: list[int],
        temperature: float,
        options: dict[str, Any],
    ) -> Generated:
        """From CTranslate2's result, whose sequences hold neither the prompt nor the end."""
        row = result.sequences_ids[0]
        room = min(options["max_length"] // 2, options["max_length"] - len(prompt))
        tokens = [token for token in row if token < tokenizer.eot]
        # As faster-whisper has it: the sum, over the tokens and the end that follows them.
        average = float(result.scores[0]) * len(row) / (len(row) + 1)
        silence = min(1.0, max(0.0, float(result.no_speech_prob)))
        figures = DecodingScores(
            text=tokenizer.decode(tokens),
            temperature=temperature,
            avg_logprob=_finite(average),
            no_speech_prob=_finite(silence),
            truncated=len(row) >= room,
        )
        return Generated(tokens, figures)

    def _sampled(
        self, chunk: AudioChunk, prompt: list[int], temperature: float, options: dict[str, Any]
    ) -> Any:
        """Sampling that can be repeated: the seed depends on the chunk's own samples.

        CTranslate2 seeds a generator once per thread of its pool, so a repeatable draw needs a
        pool of its own; loading one costs 0.35 s for Whisper base.
        """
        with self._sampling:
            ctranslate2.set_random_seed(zlib.crc32(chunk.samples.tobytes()) or 1)
            with allocator.loading():
                fresh = self._load(streams=1, threads=self._cpu_threads)
            return fresh.model.generate(
                fresh.encode(np.stack([_features(fresh, chunk, _WINDOW)])),
                [prompt],
                beam_size=1,
                num_hypotheses=_BEST_OF,
                sampling_topk=0,
                sampling_temperature=temperature,
                **options,
            )[0]

    # --- text ---

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
        find = partial(self._model.find_alignment, tokenizer)
        if self.on_gpu:
            return list(find(tokens, encoded, frames))
        # In a batch the probabilities of all tokens would take 60 MB more for each further chunk.
        rows = np.split(np.asarray(encoded), len(chunks))
        return [
            find([its_tokens], ctranslate2.StorageView.from_array(row), [its_frames])[0]
            for its_tokens, row, its_frames in zip(tokens, rows, frames, strict=True)
        ]

    def _text_of(
        self,
        chunk: AudioChunk,
        figures: DecodingScores,
        timings: list[dict[str, Any]],
        spoken: str | None,
        alive: Callable[[], None],
    ) -> ChunkText:
        """``spoken``: the language of speech and text, None if the text is a translation."""
        merge_punctuations(timings, _PREPENDED, _APPENDED)
        words = [word_of(timing, chunk.start_s) for timing in timings if timing["word"].strip()]
        alive()  # a model for alignment may have to be loaded
        words, alignment, note = self._timed(words, chunk, spoken)
        alive()
        end_s = chunk.start_s + len(chunk.samples) / SAMPLE_RATE
        segments, dropped = judged(
            sentences(words, chunk.start_s, end_s, figures.text), figures, chunk.speech
        )
        if not segments:
            return ChunkText(dropped=dropped)
        return ChunkText(segments, dropped, alignment, note)

    def _timed(
        self, words: list[Word], chunk: AudioChunk, spoken: str | None
    ) -> tuple[list[Word], str | None, str | None]:
        if not words:
            return words, None, None
        words, alignment, note = self._aligner.refine(words, chunk, spoken)
        if alignment == Aligner.ATTENTION:
            words = snapped(words, chunk.speech)
        return words, alignment, note


def is_for_parts(chunk: AudioChunk, figures: DecodingScores) -> bool:
    """Whether a chunk is better heard in parts."""
    long = len(chunk.samples) >= 2 * _PART_S * SAMPLE_RATE
    return figures.overflows or (figures.circles and long) if is_divisible(chunk) else False


def _plain_tokens(tokenizer: Tokenizer, text: str | None) -> list[int]:
    """Control tokens that somebody spelt out are left away; they would derail the decoder."""
    text = (text or "").strip()
    return [t for t in tokenizer.encode(f" {text}") if t < tokenizer.eot] if text else []


def _features(model: Any, chunk: AudioChunk, window: int) -> Any:
    """Log-Mel spectrogram of a chunk, padded to ``window`` samples: float32, shape
    ``(n_mels, window // 160)``."""
    silence = window - len(chunk.samples)
    return model.feature_extractor(np.pad(chunk.samples, (0, silence)), padding=0)


def compute_types() -> dict[str, tuple[str, ...]]:
    """The compute types that CTranslate2 can use, sorted, for each device of this machine."""
    devices = ["cpu", "cuda"] if ctranslate2.get_cuda_device_count() > 0 else ["cpu"]
    return {name: tuple(sorted(ctranslate2.get_supported_compute_types(name))) for name in devices}


def device_of(name: str) -> str:
    """``cpu`` or ``cuda``, whatever ``auto`` means on this machine."""
    if name != "auto":
        return name
    return "cuda" if ctranslate2.get_cuda_device_count() else "cpu"


def _finite(number: float) -> float | None:
    return round(number, 4) if math.isfinite(number) else None
