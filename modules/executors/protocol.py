"""The protocol between the daemon and its WhisperX child: one JSON object a line.

The child is never trusted: ``parse_event`` turns a torn or unknown line into None, and refuses one
that is too large before it is an object of many times its size.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from modules.config.message_field import MessageText, WithMessage
from modules.config.settings import Frozen, TranscriptionSettings
from modules.transcript.model import Chunk, LeftOut, Turn
from modules.weights.files import ModelSpec

#: So many notes, or tracks that were left out, no recording has.
_LISTED_MAX = 1000


class Transcribe(Frozen):
    """Transcribe one file from ``start_s`` on.

    ``path`` is bytes because file names need not be UTF-8. ``known_language``: what ``auto``
    found before an interruption, so that it is not asked twice. ``legs``: how far each channel was
    covered before that, if the two were transcribed apart.
    """

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    op: Literal["transcribe"] = "transcribe"
    task_id: int
    path: bytes
    model: ModelSpec
    settings: TranscriptionSettings
    known_language: str | None = None
    batch_size: int
    start_s: float = 0.0
    legs: tuple[float, float] | None = None
    max_duration_s: float


class Load(Frozen):
    """Load a model before the first file comes."""

    op: Literal["load"] = "load"
    model: ModelSpec


class Stop(Frozen):
    """Finish the chunks in flight, send them, and stop."""

    op: Literal["stop"] = "stop"
    task_id: int


class Prefetch(Frozen):
    """What is likely to come next, to be prefetched while the last chunks of this one run.

    ``next`` is that command but for its number. Nothing is answered, and nothing is lost if another
    command comes.
    """

    op: Literal["prefetch"] = "prefetch"
    next: Transcribe


class Live(Frozen):
    """Serve live sessions with the loaded model, on the socket that comes with this command; see
    ``live_protocol.py``. Nothing is answered here."""

    op: Literal["live"] = "live"


Command = Transcribe | Load | Stop | Prefetch | Live
COMMANDS: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="op")])


class Ready(Frozen):
    """The libraries are imported. ``compute_types``: what each device of this machine can do.

    ``unsandboxed``: protections of the sandbox that this machine does not know.
    """

    kind: Literal["ready"] = "ready"
    whisperx_version: str
    seconds: float
    compute_types: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    unsandboxed: tuple[str, ...] = ()


class Loaded(Frozen):
    """A model is in memory, on this device, with this compute type and encoder, whatever ``auto``
    meant."""

    kind: Literal["loaded"] = "loaded"
    name: str
    size_mb: int
    seconds: float
    device: str | None = None
    compute_type: str | None = None
    encoder: str | None = None
    own_vad: str | None = None
    engine_version: str | None = None


class Started(Frozen):
    """The file is open; ``duration_s`` is what its container says, if it says anything."""

    kind: Literal["started"] = "started"
    task_id: int
    duration_s: float | None = None
    format: str
    codec: str


class Transcribed(Frozen):
    """All of the text, so many ``chunks``, is there; only who speaks is still to be found."""

    kind: Literal["transcribed"] = "transcribed"
    task_id: int
    chunks: int
    duration_s: float
    notes: Annotated[tuple[str, ...], Field(max_length=_LISTED_MAX)] = ()
    left_out: Annotated[tuple[LeftOut, ...], Field(max_length=_LISTED_MAX)] = ()


class Done(Frozen):
    """The whole file is finished, in so many ``chunks``.

    ``notes``: what was done worse than asked, and why. ``turns``: who speaks when, if that was
    asked for and found; ``diarization``: by what.
    """

    kind: Literal["done"] = "done"
    task_id: int
    chunks: int
    duration_s: float
    turns: tuple[Turn, ...] = ()
    diarization: str | None = None
    notes: Annotated[tuple[str, ...], Field(max_length=_LISTED_MAX)] = ()
    left_out: Annotated[tuple[LeftOut, ...], Field(max_length=_LISTED_MAX)] = ()
    cpu_seconds: float = 0.0


class Stopped(Frozen):
    """The task was ended after a chunk, as asked."""

    kind: Literal["stopped"] = "stopped"
    task_id: int


class Failed(WithMessage):
    """The task, or the loading of a model (``task_id`` 0), failed."""

    kind: Literal["failed"] = "failed"
    task_id: int
    code: str
    message: MessageText
    details: str | None = None
    fault: Literal["worker", "media", "model", "storage"] = "worker"
    permanent: bool = False


class Alive(Frozen):
    """A sign of real progress between chunks: blocks were decoded or a model is being read."""

    kind: Literal["alive"] = "alive"


Event = Ready | Loaded | Started | Chunk | Transcribed | Done | Stopped | Failed | Alive
_KINDS: dict[str, TypeAdapter[Event]] = {
    kind.model_fields["kind"].default: TypeAdapter(kind)
    for kind in (Ready, Loaded, Started, Chunk, Transcribed, Done, Stopped, Failed, Alive)
}
#: The kind comes first, as ``model_dump_json`` writes it.
_KIND = re.compile(rb'\s*\{\s*"kind"\s*:\s*"([a-z]+)"')

#: No line is longer, in bytes. The largest says who speaks when in two days.
LINE_BYTES_MAX = 4 * 2**20
#: Bytes and items of a line by its kind: 30 s of fast speech have 40 kB and 2,000 items, 24 hours
#: of conversation 1.5 MB and 100,000. An item may become an object of a thousand bytes.
_LARGE = {"chunk": (2**19, 20_000), "done": (LINE_BYTES_MAX, 120_000)}
_SMALL = (2**18, 10_000)


class OversizedError(Exception):
    """A line is larger than any of its kind can be."""


def parse_event(line: bytes) -> Event | None:
    """The event in a line, or None if it is torn or not one of ours. Raises OversizedError."""
    found = _KIND.match(line)
    kind = found.group(1).decode() if found else ""
    if kind not in _KINDS:
        return None
    size_max, items_max = _LARGE.get(kind, _SMALL)
    items = line.count(b",") + line.count(b"[") + line.count(b"{")
    if len(line) > size_max or items > items_max:
        raise OversizedError(f"{kind}: a line of {len(line)} bytes with {items} items")
    try:
        return _KINDS[kind].validate_json(line)
    except ValidationError as error:
        if any(each["type"] == "too_long" for each in error.errors(include_input=False)):
            raise OversizedError(f"{kind}: {error.errors(include_input=False)[0]['msg']}") from None
        return None
