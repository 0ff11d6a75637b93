"""What a speech engine offers. A new engine is a subclass, and a row in ``registry.py``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.audio.chunking import MAX_CHUNK_S, AudioChunk
from modules.config.settings import TranscriptionSettings
from modules.transcript.chunk_text import ChunkText
from modules.weights.files import ModelSpec

#: Called between the steps of long work, to show that it goes on.
Progress = Callable[[], None]


def no_progress() -> None:
    """A ``Progress`` that reports nothing."""


@dataclass(frozen=True)
class Capabilities:
    """What a loaded model can do.

    ``languages``: codes; None if it knows those of Whisper. ``word_times``: whether words have
    times. ``translation``: whether it can translate to English. ``streaming``: whether ``listen``
    is quicker than ``transcribe``, so that sound can be transcribed again and again as it arrives.
    ``longest_chunk_s``: no chunk may be longer. ``skips_speech``: whether speech without words
    should be transcribed once more, in parts.
    """

    languages: frozenset[str] | None = None
    word_times: bool = True
    translation: bool = False
    streaming: bool = False
    longest_chunk_s: float = MAX_CHUNK_S
    skips_speech: bool = True

    @property
    def only_language(self) -> str | None:
        """The language of a model that knows one; None if there is a choice."""
        return next(iter(self.languages)) if self.languages and len(self.languages) == 1 else None


@dataclass(frozen=True)
class DecodingOptions:
    """How to transcribe: the language of the speech, and the settings of the recording."""

    language: str
    settings: TranscriptionSettings


class Engine(ABC):
    """A model in memory. ``transcribe`` may be called from ``streams`` threads at once.

    A subclass loads its model when it is constructed; it may raise ModelError, RuntimeError,
    ValueError, OSError and MemoryError. ``models_directory`` is where further models may be.
    """

    #: Where it computes: cpu or cuda; and with which kind of numbers.
    device = "cpu"
    compute_type = "default"
    #: What computes the encoder, where an engine has a choice; and what a result should say of it.
    encoder: str | None = None
    note: str | None = None
    #: What the engine itself looks for speech with in each chunk, where it does so once more.
    own_vad: str | None = None
    #: How many threads may transcribe at once.
    streams = 1
    #: How many chunks a thread should pass to ``transcribe`` at once.
    batch_size = 1
    #: What loading took, and how large the weights are.
    load_seconds = 0.0
    size_mb = 0

    def __init__(self, spec: ModelSpec, cpu_threads: int, models_directory: Path) -> None:
        self.spec = spec

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """The version of the library, for results."""

    @classmethod
    def compute_types(cls) -> Mapping[str, tuple[str, ...]]:
        """The compute types that each device of this machine supports."""
        return {"cpu": ("default",)}

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What the loaded model can do."""

    def check(self, settings: TranscriptionSettings) -> None:  # noqa: B027 - most can do all
        """Raises ModelError if a recording with these settings is not for this engine."""

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"

    @abstractmethod
    def transcribe(
        self,
        chunks: Sequence[AudioChunk],
        options: DecodingOptions,
        progress: Progress = no_progress,
        encoded: Any = None,
    ) -> list[ChunkText]:
        """The text of each chunk, in order. No chunk is silent.

        ``encoded``: what ``encode`` returned for these chunks, if it was called.
        """

    def listen(self, chunk: AudioChunk, options: DecodingOptions, encoded: Any = None) -> ChunkText:
        """The text so far of sound that goes on behind the chunk, as quickly as can be.

        ``encoded``: what ``encode`` with ``fast`` returned for it. Of the settings, the prompt is
        not used, as a text must not follow from another one.
        """
        return self.transcribe([chunk], options)[0]

    @abstractmethod
    def detect_language(self, encoded: Any, index: int = 0) -> tuple[str, float]:
        """(code, probability) of the likeliest language of one chunk in ``encoded``."""

    def encode(
        self, chunks: Sequence[AudioChunk], fast: bool = False, progress: Progress = no_progress
    ) -> Any:
        """What ``detect_language`` and ``transcribe`` both need of chunks; by default the chunks.

        ``fast``: as in ``fast_mode``.
        """
        return list(chunks)

    def can_batch(self, chunk: AudioChunk, fast: bool = False) -> bool:
        """Whether the text of a chunk is the same in a batch with others for which this holds."""
        return False

    def close(self) -> None:  # noqa: B027 - most engines need nothing
        """Free what garbage collection would not."""
