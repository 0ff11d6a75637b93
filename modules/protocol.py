"""What the daemon and its WhisperX child say to each other: one JSON object a line.

The child is never trusted: ``parse_event`` turns a torn or unknown line into None.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from modules.config.settings import Frozen, Settings

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


class ModelSpec(Frozen):
    """Which weights to hold in memory, and how. ``path`` is a folder with a CTranslate2 model."""

    name: str
    path: str
    device: str
    compute_type: str


class Transcribe(Frozen):
    """Order to transcribe one file from ``start_s`` on.

    ``path`` is bytes because file names need not be UTF-8. ``settled_language``: what ``auto``
    found before an interruption, so that it is not asked twice.
    """

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    op: Literal["transcribe"] = "transcribe"
    order: int
    path: bytes
    model: ModelSpec
    settings: Settings
    settled_language: str | None = None
    batch_size: int
    start_s: float = 0.0
    max_duration_s: float


class Load(Frozen):
    """Order to have a model ready before the first file comes."""

    op: Literal["load"] = "load"
    model: ModelSpec


class Stop(Frozen):
    """Order to hand over the chunks in flight and stop."""

    op: Literal["stop"] = "stop"
    order: int


class Prepare(Frozen):
    """What is likely to be ordered next, to be made ready while the last pieces of this one run.

    ``next`` is that order but for its number. Nothing is answered, and nothing is lost if another
    order comes.
    """

    op: Literal["prepare"] = "prepare"
    next: Transcribe


Order = Transcribe | Load | Stop | Prepare
ORDERS: TypeAdapter[Order] = TypeAdapter(Annotated[Order, Field(discriminator="op")])


class Ready(Frozen):
    """The libraries are imported. ``compute_types``: what each device of this machine can do.

    ``uncaged``: what the process would have given up, and this machine does not know (``cage``).
    """

    kind: Literal["ready"] = "ready"
    whisperx_version: str
    seconds: float
    compute_types: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    uncaged: tuple[str, ...] = ()


class Loaded(Frozen):
    """A model is in memory, on this device and with this compute type, whatever ``auto`` meant."""

    kind: Literal["loaded"] = "loaded"
    name: str
    size_mb: int
    seconds: float
    device: str | None = None
    compute_type: str | None = None


class Started(Frozen):
    """The file is open; ``duration_s`` is what its container says, if it says anything."""

    kind: Literal["started"] = "started"
    order: int
    duration_s: float | None = None
    format: str
    codec: str


class Chunk(Frozen):
    """Audio up to ``position_s`` is finished. Chunks come in order, each exactly once.

    ``number``: which one of its order, from 1 on; so a lost line is noticed.
    """

    kind: Literal["chunk"] = "chunk"
    order: int
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


class Transcribed(Frozen):
    """All of the text, so many ``chunks``, is there; only who speaks is still to be found."""

    kind: Literal["transcribed"] = "transcribed"
    order: int
    chunks: int
    duration_s: float
    notes: tuple[str, ...] = ()


class Done(Frozen):
    """The whole file is finished, in so many ``chunks``.

    ``notes``: what was done worse than asked, and why. ``turns``: who speaks when, if that was
    asked for and found; ``diarization``: by what.
    """

    kind: Literal["done"] = "done"
    order: int
    chunks: int
    duration_s: float
    turns: tuple[Turn, ...] = ()
    diarization: str | None = None
    notes: tuple[str, ...] = ()
    cpu_seconds: float = 0.0


class Stopped(Frozen):
    """The order was dropped at a chunk's end, as asked."""

    kind: Literal["stopped"] = "stopped"
    order: int


class Failed(Frozen):
    """The order, or the loading of a model (``order`` 0), failed."""

    kind: Literal["failed"] = "failed"
    order: int
    code: str
    message: str
    details: str | None = None
    fault: Literal["worker", "media", "model", "storage"] = "worker"
    permanent: bool = False


class Alive(Frozen):
    """A sign of real progress between chunks: blocks were decoded or a model is being read."""

    kind: Literal["alive"] = "alive"


Event = Ready | Loaded | Started | Chunk | Transcribed | Done | Stopped | Failed | Alive
_EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])


def parse_event(line: bytes) -> Event | None:
    """The event in a line, or None if it is torn or not one of ours."""
    try:
        return _EVENTS.validate_json(line)
    except ValidationError:
        return None
