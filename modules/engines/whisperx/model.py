"""A Whisper model in memory: loading, the encoder, tokenizers, the detection of languages."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from modules.audio.chunking import MAX_CHUNK_S, SAMPLE_RATE, AudioChunk
from modules.engines.base import Progress, no_progress
from modules.errors import ModelError, noted
from modules.machine import allocator
from modules.weights.files import ModelSpec

if TYPE_CHECKING:
    from modules.engines.whisperx.encoder import Encoder

#: The encoder's input is 30 s long, in samples. Half of it is enough for shorter speech; less is
#: not: with 10 s the word error rate of read English rose from 11 to 28 %.
WINDOW = int(MAX_CHUNK_S * SAMPLE_RATE)
SHORT_WINDOW = WINDOW // 2
#: In a model up to this wide (base) memory is spent for speed, and not in a wider one.
_NARROW = 512
#: The encoder of the decoder's own library.
CTRANSLATE2 = "ctranslate2"
_NO_ENCODER = "encoder: OpenVINO could not be used, the slower one of CTranslate2 was"

Task = Literal["transcribe", "translate"]


class Model:
    """The weights, on one device.

    ``whisper`` serves ``streams`` threads with one core each: for decoding that is faster than
    several cores for one chunk. The encoder is faster with all cores: on the CPU it is computed by
    ``encoder``, or, where that cannot be had, by a second copy of a narrow model, ``all_cores``.
    ``note``: why it could not be had.
    """

    def __init__(self, spec: ModelSpec, cpu_threads: int) -> None:
        self.spec = spec
        self.device = device_of(spec.device)
        self.streams = 1 if self.on_gpu else cpu_threads
        self._cpu_threads = cpu_threads
        with allocator.loading():
            self.whisper = self._load(streams=self.streams, threads=1)
            self.is_narrow = self._width() <= _NARROW
            self.note: str | None = None
            self.encoder = None if self.on_gpu else self._own_encoder()
            self.all_cores = self.whisper
            if self.encoder is None and self.streams > 1 and self.is_narrow:
                self.all_cores = self._load(streams=1, threads=cpu_threads)
        #: The threads that are at work on the model.
        self._threads: set[int] = set()
        self._tokenizers: dict[tuple[str, Task], Tokenizer] = {}

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"

    @property
    def is_multilingual(self) -> bool:
        return bool(self.whisper.model.is_multilingual)

    @property
    def compute_type(self) -> str:
        """The actual one, whatever ``auto`` or ``default`` stood for."""
        return str(self.whisper.model.compute_type)

    @property
    def encoder_kind(self) -> str:
        """What computes the encoder: CTRANSLATE2, or the precision of ours."""
        return self.encoder.precision if self.encoder else CTRANSLATE2

    @property
    def size_mb(self) -> int:
        return round((Path(self.spec.path) / "model.bin").stat().st_size / 2**20)

    def fresh(self) -> Any:
        """A further ``WhisperModel`` of the same weights, with all cores."""
        with allocator.loading():
            return self._load(streams=1, threads=self._cpu_threads)

    def encode(
        self, chunks: Sequence[AudioChunk], fast: bool = False, progress: Progress = no_progress
    ) -> Any:
        """The encoder's output for a batch of chunks; ``fast`` as in ``fast_mode``."""
        window = self._window(chunks, fast)
        inputs = [features(self.whisper, chunk, window)[np.newaxis] for chunk in chunks]
        with self.in_use():
            if self.on_gpu:
                return self.whisper.encode(np.concatenate(inputs))
            # A core gains little from a batch here, and each further chunk would take 100 MB.
            encoded: list[Any] = []
            for one in inputs:
                if len(inputs) > 1:
                    progress()
                encoded.append(self._encode(one))
            return ctranslate2.StorageView.from_array(np.concatenate(encoded))

    def encoded_alone(self, chunk: AudioChunk, encoded: Any, index: int) -> Any:
        """The encoder's output for a chunk of a batch, as a batch of one."""
        if self.on_gpu:  # it has nothing to copy it with; anew takes no time
            return self.whisper.encode(features(self.whisper, chunk, WINDOW)[np.newaxis])
        if encoded.shape[0] == 1:
            return encoded
        return ctranslate2.StorageView.from_array(np.asarray(encoded)[index : index + 1])

    def _encode(self, one: Any) -> Any:
        if self.encoder:
            return self.encoder.encode(one)
        return np.asarray(self._ct2_encoder().encode(one))

    def detect_language(self, encoded: Any, index: int = 0) -> tuple[str, float]:
        """(code, probability) of the likeliest language of one chunk in ``encoded``."""
        token, probability = self.whisper.model.detect_language(encoded)[index][0]
        return token[2:-2], round(float(probability), 4)

    def tokenizer(self, language: str, task: Task) -> Tokenizer:
        if (language, task) not in self._tokenizers:
            made = Tokenizer(
                self.whisper.hf_tokenizer, self.is_multilingual, task=task, language=language
            )
            if task == "translate":
                # It decides how words are separated; Japanese has no spaces, its translation has.
                made.language_code = "en"
            self._tokenizers[language, task] = made
        return self._tokenizers[language, task]

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """While the calling thread works with the model. May be nested."""
        thread = threading.get_ident()
        if thread in self._threads:
            yield
            return
        self._threads.add(thread)
        try:
            yield
        finally:
            self._threads.remove(thread)

    def _ct2_encoder(self) -> Any:
        """The model with all cores if no other thread needs them, else that of the streams."""
        alone = self._threads == {threading.get_ident()}
        return self.all_cores if alone else self.whisper

    def _window(self, chunks: Sequence[AudioChunk], fast: bool) -> int:
        """The length of the encoder's input in samples: 30 s, as it was trained, or half of it.

        On a graphics card the encoder takes no time, and a text must not depend on its batch.
        """
        short = all(len(chunk.samples) <= SHORT_WINDOW for chunk in chunks)
        return SHORT_WINDOW if fast and short and not self.on_gpu else WINDOW

    def _own_encoder(self) -> Encoder | None:
        """None, with a note, where it cannot be had; without one where it is not wanted."""
        wanted = self.spec.encoder
        if wanted == CTRANSLATE2 or (wanted == "auto" and not self.is_narrow):
            return None  # in a wide model it would double the memory for little time
        try:
            from modules.engines.whisperx import encoder

            precision = encoder.chosen(wanted)
            if precision is None:
                return None
            return encoder.Encoder(Path(self.spec.path), precision, self._cpu_threads)
        except (ImportError, RuntimeError, OSError, MemoryError) as error:
            self.note = f"{_NO_ENCODER} ({error})"
            return None

    def _load(self, streams: int, threads: int) -> Any:
        supported = ctranslate2.get_supported_compute_types(self.device)
        if self.spec.compute_type not in (*supported, "default", "auto"):
            raise ModelError(
                "compute_type_unsupported",
                noted(
                    "whisperx.compute_type: {compute_type} does not work on this {device}.",
                    compute_type=self.spec.compute_type,
                    device=self.device,
                ),
                remedy=noted("Use one of {names}.", names=", ".join(sorted(supported))),
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
        """The size of the encoder's output for one frame: 512 in base, 768 in small."""
        bands = self.whisper.feature_extractor.mel_filters.shape[0]
        return int(self.whisper.encode(np.zeros((1, bands, 100), dtype=np.float32)).shape[-1])


def features(whisper: Any, chunk: AudioChunk, window: int) -> Any:
    """Log-Mel spectrogram of a chunk, padded to ``window`` samples: float32, shape
    ``(n_mels, window // 160)``."""
    silence = window - len(chunk.samples)
    return whisper.feature_extractor(np.pad(chunk.samples, (0, silence)), padding=0)


def compute_types() -> dict[str, tuple[str, ...]]:
    """The compute types that CTranslate2 can use, sorted, for each device of this machine."""
    devices = ["cpu", "cuda"] if ctranslate2.get_cuda_device_count() > 0 else ["cpu"]
    return {name: tuple(sorted(ctranslate2.get_supported_compute_types(name))) for name in devices}


def device_of(name: str) -> str:
    """``cpu`` or ``cuda``, whatever ``auto`` stands for on this machine."""
    if name != "auto":
        return name
    return "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
