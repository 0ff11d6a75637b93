"""What the daemon and its WhisperX child say to each other: one JSON object a line.

The child is never trusted: ``parse_event`` turns a torn or unknown line into None.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from modules.job import Frozen


class Word(Frozen):
    """One word; times in seconds from the start of the recording, absent where none is known."""

    word: str
    start: float | None = None
    end: float | None = None
    confidence: float | None = Field(default=None, ge=0, le=1)


class Segment(Frozen):
    """A sentence or a part of one; times in seconds from the start of the recording.

    ``avg_logprob`` and ``no_speech_prob`` are Whisper's figures for the chunk it was said in.
    """

    start: float
    end: float
    text: str
    confidence: float | None = Field(default=None, ge=0, le=1)
    words: tuple[Word, ...] = ()
    avg_logprob: float | None = None
    no_speech_prob: float | None = Field(default=None, ge=0, le=1)


class ModelSpec(Frozen):
    """Which weights to hold in memory, and how. ``path`` is a folder with a CTranslate2 model."""

    name: str
    path: str
    device: str
    compute_type: str


class Transcribe(Frozen):
    """Order to transcribe one file from ``start_s`` on. ``language``: a code, auto or mixed.

    ``path`` is bytes because file names need not be UTF-8. ``settled_language``: what ``auto``
    found before an interruption, so that it is not asked twice. ``task`` translate: into English.
    ``initial_prompt``: text whose spelling and style every chunk is to follow.
    """

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    op: Literal["transcribe"] = "transcribe"
    order: int
    path: bytes
    model: ModelSpec
    language: str
    settled_language: str | None = None
    task: Literal["transcribe", "translate"] = "transcribe"
    initial_prompt: str | None = None
    temperature: float
    beam_size: int
    batch_size: int
    vad_method: str
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


Order = Transcribe | Load | Stop
ORDERS: TypeAdapter[Order] = TypeAdapter(Annotated[Order, Field(discriminator="op")])


class Ready(Frozen):
    """The libraries are imported. ``compute_types``: what each device of this machine can do."""

    kind: Literal["ready"] = "ready"
    whisperx_version: str
    seconds: float
    compute_types: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class Loaded(Frozen):
    """A model is in memory."""

    kind: Literal["loaded"] = "loaded"
    name: str
    size_mb: int
    seconds: float


class Started(Frozen):
    """The file is open; ``duration_s`` is what its container says, if it says anything."""

    kind: Literal["started"] = "started"
    order: int
    duration_s: float | None = None
    format: str
    codec: str


class Chunk(Frozen):
    """Audio up to ``position_s`` is finished. Chunks come in order, each exactly once."""

    kind: Literal["chunk"] = "chunk"
    order: int
    start_s: float
    position_s: float
    speech_s: float = 0.0
    segments: tuple[Segment, ...] = ()
    language: str | None = None
    detected_language: str | None = None
    language_probability: float | None = None
    alignment: str | None = None
    read_fraction: float = 0.0


class Done(Frozen):
    """The whole file is finished. ``notes``: what was done worse than asked, and why."""

    kind: Literal["done"] = "done"
    order: int
    duration_s: float
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


Event = Ready | Loaded | Started | Chunk | Done | Stopped | Failed | Alive
_EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])


def parse_event(line: bytes) -> Event | None:
    """The event in a line, or None if it is torn or not one of ours."""
    try:
        return _EVENTS.validate_json(line)
    except ValidationError:
        return None
