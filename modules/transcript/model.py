"""The parts of a transcript: words, segments, chunks and turns of speakers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import ConfigDict, Field

from modules.config.settings import Frozen

#: Why a text is doubtful: it goes in circles, the model was unsure of it, the model heard no
#: speech, it is a line that Whisper is known to invent, or its words lie where nobody speaks.
Flag = Literal["repetition", "low_probability", "no_speech", "filler", "outside_speech"]


class Word(Frozen):
    """One word; times in seconds from the start of the recording, absent where none is known."""

    word: str
    start: float | None = None
    end: float | None = None
    confidence: float | None = Field(default=None, ge=0, le=1)
    speaker: str | None = None


class Segment(Frozen):
    """A sentence or a part of one; times in seconds from the start of the recording.

    ``avg_logprob``, ``no_speech_prob`` and ``compression_ratio`` are Whisper's figures for the
    chunk it was said in, ``temperature`` is what that was decoded with in the end. ``flags`` say
    why the text is doubtful. ``language`` is told where a recording is mixed.
    """

    start: float
    end: float
    text: str
    language: str | None = None
    confidence: float | None = Field(default=None, ge=0, le=1)
    words: tuple[Word, ...] = ()
    speaker: str | None = None
    flags: tuple[Flag, ...] = ()
    temperature: float | None = None
    avg_logprob: float | None = None
    no_speech_prob: float | None = Field(default=None, ge=0, le=1)
    compression_ratio: float | None = None


class Dropped(Frozen):
    """Text that Whisper gave where nobody spoke; kept out of the transcript, and told."""

    start: float
    end: float
    text: str
    flags: tuple[Flag, ...]


class Turn(Frozen):
    """A stretch in which one speaker speaks; seconds from the start of the recording."""

    start: float
    end: float
    speaker: str


class Chunk(Frozen):
    """Audio up to ``position_s`` is finished. Chunks come in order, each exactly once.

    ``number``: which one of its task, from 1 on; so a lost line is noticed.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    kind: Literal["chunk"] = "chunk"
    #: Checkpoints have it as ``order``.
    task_id: int = Field(alias="order")
    number: int = 0
    start_s: float
    position_s: float
    speech_s: float = 0.0
    segments: tuple[Segment, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    language: str | None = None
    detected_language: str | None = None
    language_probability: float | None = None
    alignment: str | None = None
    read_fraction: float = 0.0


@dataclass(frozen=True)
class RunFacts:
    """What the worker told of the run that finished a job.

    ``turns``: who speaks when, by the method that ``diarization`` names.
    """

    duration_s: float
    notes: tuple[str, ...]
    whisperx_version: str
    model_name: str
    model_size_mb: int
    model_load_s: float
    memory_peak_mb: int
    cpu_s: float
    device: str | None = None
    compute_type: str | None = None
    turns: tuple[Turn, ...] = ()
    diarization: str | None = None
