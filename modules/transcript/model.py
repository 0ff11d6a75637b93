"""The parts of a transcript: words, segments, chunks and turns of speakers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import ConfigDict, Field

from modules.config.settings import Frozen

#: Why a text is doubtful: it repeats itself, its probability is low, the model detected no speech,
#: it is a line that Whisper is known to invent, or its words lie outside detected speech.
Flag = Literal["repetition", "low_probability", "no_speech", "filler", "outside_speech"]

#: So begins the note of a run about a recording that is damaged or cut off.
PARTIAL = "partial: "


class Word(Frozen):
    """One word; times in seconds from the start of the recording, absent where none is known.

    ``checked``: a person listened, and ``confirmed`` the word or wrote it (``edited``).
    """

    word: str
    start: float | None = None
    end: float | None = None
    confidence: float | None = Field(default=None, ge=0, le=1)
    speaker: str | None = None
    checked: Literal["confirmed", "edited"] | None = None


class Segment(Frozen):
    """A sentence or a part of one; times in seconds from the start of the recording.

    ``avg_logprob``, ``no_speech_prob`` and ``compression_ratio`` are Whisper's scores for its
    chunk, ``temperature`` is the one the chunk was finally decoded with. ``flags`` say why the text
    is doubtful. ``language`` is set in recordings with several languages.
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
    """Text that Whisper invented where there is no speech; not part of the transcript."""

    start: float
    end: float
    text: str
    flags: tuple[Flag, ...]


class Turn(Frozen):
    """A time span in which one speaker speaks; seconds from the start of the recording."""

    start: float
    end: float
    speaker: str


class Chunk(Frozen):
    """Audio up to ``position_s`` is finished. Chunks come in order, each exactly once.

    ``number``: which one of its task, from 1 on, so that a lost line is noticed. ``leg``: the
    channel that it is of where the channels are transcribed apart; then all of this is about it.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    kind: Literal["chunk"] = "chunk"
    #: Checkpoints have it as ``order``.
    task_id: int = Field(alias="order")
    number: int = 0
    start_s: float
    position_s: float
    leg: Literal[0, 1] | None = None
    speech_s: float = 0.0
    #: Where there is speech, but no words: (start, end); and how much speech that is, in seconds.
    wordless: tuple[tuple[float, float], ...] = ()
    wordless_s: float = 0.0
    segments: tuple[Segment, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    language: str | None = None
    detected_language: str | None = None
    language_probability: float | None = None
    alignment: str | None = None
    read_fraction: float = 0.0


class LeftOut(Frozen):
    """Sound that was not transcribed: ``label``, one of so many tracks or channels.

    ``why``: a ``commentary``; in another ``language``; another was ``asked`` for; it speaks at the
    same time as the track that was heard (``simultaneous``); it has no speech, but noise
    (``no_speech``). ``seconds``: for how long; None for all of it.
    """

    what: Literal["track", "channel"]
    label: str
    count: int
    why: Literal["commentary", "language", "asked", "simultaneous", "no_speech"]
    seconds: float | None = None


@dataclass(frozen=True)
class RunFacts:
    """What the worker reported about the run that finished a job.

    ``turns``: who speaks when, by the method in ``diarization``.
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
    encoder: str | None = None
    own_vad: str | None = None
    engine_version: str | None = None
    left_out: tuple[LeftOut, ...] = ()
    turns: tuple[Turn, ...] = ()
    diarization: str | None = None

    @property
    def incomplete(self) -> str | None:
        """What is missing from the recording, in plain words; None if nothing is known to be."""
        partial = (note for note in self.notes if note.startswith(PARTIAL))
        return next((note.removeprefix(PARTIAL) for note in partial), None)
