"""What the daemon and its WhisperX child say to each other: one JSON object a line.

The child is never trusted: ``parse_event`` turns a torn or unknown line into None.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from modules.config.settings import Frozen, TranscriptionSettings
from modules.transcript.model import Chunk, Turn
from modules.weights.files import ModelSpec


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
    settings: TranscriptionSettings
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


class Prefetch(Frozen):
    """What is likely to be ordered next, to be made ready while the last pieces of this one run.

    ``next`` is that order but for its number. Nothing is answered, and nothing is lost if another
    order comes.
    """

    op: Literal["prepare"] = "prepare"
    next: Transcribe


Command = Transcribe | Load | Stop | Prefetch
COMMANDS: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="op")])


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
