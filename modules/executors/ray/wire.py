"""What the daemon and the worker on a node tell each other: JSON, both ways.

Nothing is unpickled on the daemon's side. An answer is checked as that of a child is.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from modules.config.message_field import MessageText, WithMessage
from modules.config.settings import Frozen
from modules.errors import (
    CODE_CHARS,
    DETAILS_CHARS,
    MESSAGE_CHARS,
    MediaError,
    ModelError,
    StorageError,
    TranscriberError,
    WorkerError,
    shortened,
)
from modules.executors.base import HandOut
from modules.executors.protocol import Done, Loaded, Transcribe
from modules.jobs.source import FileIdentity
from modules.weights.files import ModelSpec

#: What travels at once of a recording, in bytes.
PIECE_BYTES = 8 * 2**20
#: So many of them are under way at most.
PIECES_IN_FLIGHT = 2

Media = Literal["share", "stream"]
Sums = dict[str, str]


class Setup(Frozen):
    """What a worker is started with.

    ``config``: the sections and folders of the configuration that the child is run by. ``command``:
    the child's command line, where it is not the usual one.
    """

    config: dict[str, Any]
    media: Media = "share"
    path_map: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] | None = None


class Hello(Frozen):
    """What a worker is: the version of the program there, the name of the machine."""

    version: str
    node: Annotated[str, Field(max_length=255)]
    pid: int


class Warm(Frozen):
    """Load a model, whose files have these SHA-256."""

    spec: ModelSpec
    sums: Sums


class Begin(Frozen):
    """Transcribe a file. ``order``: which run of this worker it is."""

    order: int
    job_id: str = ""
    epoch: str = ""
    handed_out: int = 0
    command: Transcribe
    spent_s: float
    identity: FileIdentity
    sums: Sums

    @property
    def handout(self) -> HandOut:
        return HandOut(self.job_id, self.epoch, self.handed_out)


class Abandon(Frozen):
    """Nothing is wanted of that run any more; the next may have begun when this arrives."""

    order: int


class Poll(Frozen):
    """Ask for the events after number ``after``, and say what is wanted of the run.

    ``under_way``: pieces of the recording that were sent, and may not have arrived yet.
    """

    order: int
    after: int
    stop: bool
    hurry: bool
    wait_s: float
    under_way: tuple[int, ...] = ()
    next_up: Transcribe | None = None


class Piece(Frozen):
    """The piece with this number of the recording of a run; its bytes come beside it."""

    order: int
    index: int


class Accepted(Frozen):
    """The model is loaded; the file is opened next."""

    kind: Literal["accepted"] = "accepted"


class Standstill(Frozen):
    """The worker stood still for so many seconds, which count as no work."""

    kind: Literal["standstill"] = "standstill"
    seconds: float


class Line(Frozen):
    """A line as the child wrote it: that a file is open, or a chunk."""

    kind: Literal["line"] = "line"
    line: str


class Failure(WithMessage):
    """The error that a run ended with."""

    fault: Literal["media", "storage", "model", "worker"]
    code: Annotated[str, Field(max_length=CODE_CHARS)]
    message: MessageText = Field(max_length=MESSAGE_CHARS)
    details: Annotated[str, Field(max_length=DETAILS_CHARS)] | None = None
    permanent: bool = False


class Ended(Frozen):
    """The run is over. Without ``failure`` and ``done`` it was stopped after a chunk."""

    kind: Literal["ended"] = "ended"
    done: Done | None = None
    failure: Failure | None = None
    failed_ahead: bool = False
    ran_s: float = 0.0
    loaded: Loaded | None = None
    whisperx_version: str = ""
    memory_peak_mb: int = 0


Event = Accepted | Standstill | Line | Ended


class Numbered(Frozen):
    """An event; its number rises by one with each of a run, from 1 on."""

    number: int
    event: Annotated[Event, Field(discriminator="kind")]


class Checked(Frozen):
    """Whether the weights of a node are the daemon's; ``refusal`` says why not."""

    refusal: Failure | None = None


class State(Frozen):
    """What a worker is like at the moment."""

    is_running: bool = False
    is_idle: bool = False
    model_loaded: str | None = None
    device: str | None = None
    memory_mb: int = 0
    restarts: dict[str, int] = Field(default_factory=dict)
    compute_types: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class Answer(Frozen):
    """To a ``Poll``. ``wants``: the pieces of the recording that the worker waits for."""

    job_id: str = ""
    epoch: str = ""
    handed_out: int = 0
    events: tuple[Numbered, ...] = ()
    wants: tuple[int, ...] = ()
    state: State

    @property
    def handout(self) -> HandOut:
        return HandOut(self.job_id, self.epoch, self.handed_out)


_FAULTS: dict[str, type[TranscriberError]] = {
    "media": MediaError,
    "storage": StorageError,
    "model": ModelError,
    "worker": WorkerError,
}


def failure_of(error: TranscriberError) -> Failure:
    """An error as it travels."""
    names = (name for name, kind in _FAULTS.items() if isinstance(error, kind))
    return Failure.model_validate(
        {
            "fault": next(names, "worker"),
            "code": error.code[:CODE_CHARS],
            "message": shortened(error.text, MESSAGE_CHARS),
            "details": shortened(error.details, DETAILS_CHARS) if error.details else None,
            "permanent": error.permanent,
        }
    )


def error_of(failure: Failure) -> TranscriberError:
    """The error that travelled."""
    kind = _FAULTS[failure.fault]
    return kind(failure.code, failure.message, details=failure.details, permanent=failure.permanent)
