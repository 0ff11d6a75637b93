"""A job's life: what is asked for, what was tried, and the only legal transitions. Read this first.

Every value here is frozen. A job evolves by ``job.to(Status.X, …)``, which refuses any step that
is not in ``TRANSITIONS``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, Literal

from pydantic import Field

from modules.clock import iso
from modules.config.message_field import MessageText, WithMessage
from modules.config.settings import Frozen, TranscriptionSettings
from modules.jobs.source import FileIdentity

JOB_ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"

#: How many addresses one job calls when it ends, and how many clients it remembers, the latest.
ADDRESSES_MAX = 20
CLIENTS_MAX = 1000
#: Longer than any recording or attempt, so that sums of such times stay numbers.
SECONDS_MAX = 1e9

#: The error code of an attempt under which the whole program went down.
WENT_DOWN = "interrupted_before_progress"
#: The error code of a job that waits because more bytes may mend what failed.
MAY_BE_GROWING = "may_be_growing"


class Status(StrEnum):
    """Where a job stands."""

    ARRIVING = "arriving"  #: ordered, but the file is still being copied, or copied anew
    QUEUED = "queued"  #: complete and waiting for its turn
    WAITING = "waiting"  #: failed, backing off before the next attempt
    RUNNING = "running"  #: the worker has it
    COMPLETED = "completed"  #: the result is on disk
    FAILED = "failed"  #: given up on; the file is in manual/
    CANCELLED = "cancelled"  #: deleted, renamed, replaced, or no recording at all


class Cause(StrEnum):
    """Why a job was cancelled."""

    DELETED = "deleted"  #: by a DELETE request
    SUPERSEDED = "superseded"  #: by an order with other settings
    REPLACED = "replaced"  #: another file took the name; the job lives on under the same id
    GONE = "gone"  #: the file was deleted or renamed by hand
    NO_RECORDING = "no_recording"  #: a text, a picture, a document: it stays where it is
    HAS_SUBTITLES = "has_subtitles"  #: somebody added them since it was found


TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.ARRIVING: frozenset({Status.QUEUED, Status.CANCELLED}),
    Status.QUEUED: frozenset({Status.RUNNING, Status.CANCELLED}),
    Status.WAITING: frozenset({Status.QUEUED, Status.CANCELLED}),
    Status.RUNNING: frozenset(
        {
            Status.ARRIVING,
            Status.QUEUED,
            Status.WAITING,
            Status.COMPLETED,
            Status.FAILED,
            Status.CANCELLED,
        }
    ),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
}


class Priority(IntEnum):
    """Order in the queue; the lower number goes first."""

    API = 1
    SCAN = 2

    @property
    def label(self) -> str:
        """The word for it in ``.in_progress``."""
        return "api_request" if self is Priority.API else "auto_scan"

    @classmethod
    def from_label(cls, label: str) -> Priority:
        return cls.API if label == "api_request" else cls.SCAN


class ErrorInfo(WithMessage):
    """One failure, as ``.in_progress`` and the API show it. ``retry_after`` in seconds."""

    code: str = Field(max_length=100)
    message: MessageText
    details: str | None = None
    timestamp: str = Field(max_length=64)
    attempt: int = Field(ge=0, le=1000)
    retry_after: float | None = Field(default=None, ge=0, le=SECONDS_MAX)


Stage = Literal["queued", "loading_model", "processing_audio", "generating_text"]


class Progress(Frozen):
    """``percentage`` of the recording that is transcribed, 0 to 100."""

    stage: Stage = "queued"
    percentage: int = Field(default=0, ge=0, le=100)


class Attempt(Frozen):
    """One try. An interrupted one (pause, urgent job, shutdown) is reopened, never counted."""

    attempt_number: int = Field(ge=1, le=1000)
    start_time: str = Field(max_length=64)
    end_time: str | None = Field(default=None, max_length=64)
    status: Literal["processing", "completed", "failed", "interrupted"] = "processing"
    continue_processing: bool = True
    error: ErrorInfo | None = None
    progress_info: Progress = Progress()
    start_position_seconds: float = Field(default=0.0, ge=0, le=SECONDS_MAX)
    running_seconds: float = Field(default=0.0, ge=0, le=SECONDS_MAX)


@dataclass(frozen=True)
class Job:
    """One file's way from discovery to its result. ``name``: path inside shared/, with ``/``.

    ``sequence`` is its place in the queue; it keeps it when it yields. ``position_s``: seconds of
    audio that the checkpoint holds. ``not_before``: monotonic seconds, for back-off.
    ``callback_urls`` get a webhook when it ends; ``cause`` says why it was cancelled.
    ``uploaded``: the file came with a request, so it is whole and not a person's own.
    ``nodes_lost``: how many machines were lost that had these bytes of it.
    """

    name: str
    job_id: str
    priority: Priority
    settings: TranscriptionSettings
    source: FileIdentity | None
    created: datetime
    status: Status = Status.QUEUED
    sequence: int = 0
    clients: tuple[str, ...] = ()
    callback_urls: tuple[str, ...] = ()
    cause: Cause | None = None
    uploaded: bool = False
    nodes_lost: int = 0
    attempts: tuple[Attempt, ...] = ()
    progress: Progress = Progress()
    position_s: float = 0.0
    duration_s: float | None = None
    last_segments: tuple[dict[str, Any], ...] = ()
    outputs: tuple[str, ...] = ()
    error: ErrorInfo | None = None
    not_before: float = field(default=0.0, compare=False)

    @property
    def attempt_number(self) -> int:
        """The attempt that runs now, or would run next; the last one if there is no next."""
        return self._failures if self.given_up else self._failures + 1

    @property
    def _failures(self) -> int:
        return sum(attempt.status == "failed" for attempt in self.attempts)

    @property
    def deaths(self) -> int:
        """Attempts under which the program went down, with nothing to show for it."""
        return sum(a.error is not None and a.error.code == WENT_DOWN for a in self.attempts)

    @property
    def finished(self) -> bool:
        return not TRANSITIONS[self.status]

    @property
    def waits_for_growth(self) -> bool:
        """Whether its file failed, and is left alone for a while as it may still be growing."""
        is_so = self.error is not None and self.error.code == MAY_BE_GROWING
        return is_so and self.status is Status.WAITING

    @property
    def given_up(self) -> bool:
        """The last attempt failed for good; only the move to manual/ is left to do."""
        last = self.attempts[-1] if self.attempts else None
        return bool(last and last.status == "failed" and last.error) and (
            last.error.retry_after is None  # type: ignore[union-attr]
        )

    def evolve(self, **changes: Any) -> Job:
        """The same job with other details; the status only changes through ``to``."""
        if "status" in changes:
            raise ValueError("use Job.to() to change the status")
        return replace(self, **changes)

    def to(self, status: Status, **changes: Any) -> Job:
        """The job after a transition. Raises ValueError if the step is not legal."""
        if status not in TRANSITIONS[self.status]:
            raise ValueError(f"{self.name}: {self.status} cannot become {status}")
        return replace(self, status=status, **changes)

    def at_start(self, status: Status) -> Job:
        """A job read from disk, put where it belongs after a restart."""
        return replace(self, status=status)

    @property
    def has_open_attempt(self) -> bool:
        return bool(self.attempts) and self.attempts[-1].status == "processing"

    def progress_at(self, stage: Stage) -> Progress:
        """As far as it is, in another stage."""
        return Progress(stage=stage, percentage=self.progress.percentage)

    def advance(self, progress: Progress) -> Job:
        """The job further on; an open attempt is as far as the job is."""
        if not self.has_open_attempt:
            return replace(self, progress=progress)
        attempt = self.attempts[-1].model_copy(update={"progress_info": progress})
        return replace(self, progress=progress, attempts=(*self.attempts[:-1], attempt))

    def open_attempt(self, now: datetime) -> Job:
        """Begin the next attempt, or reopen the one that was interrupted. The status stays."""
        number = self._failures + 1
        closed = [a for a in self.attempts if a.attempt_number != number]
        previous = next((a for a in self.attempts if a.attempt_number == number), None)
        attempt = Attempt(
            attempt_number=number,
            start_time=previous.start_time if previous else iso(now),
            start_position_seconds=self.position_s,
            running_seconds=previous.running_seconds if previous else 0.0,
        )
        return replace(self, attempts=(*closed, attempt))

    def close_attempt(
        self,
        status: Literal["completed", "failed", "interrupted"],
        now: datetime,
        ran_s: float = 0.0,
        error: ErrorInfo | None = None,
    ) -> Job:
        """Note how the open attempt ended; nothing changes if none is open."""
        if not self.has_open_attempt:
            return self
        last = self.attempts[-1]
        ended = last.model_copy(
            update={
                "status": status,
                "end_time": iso(now),
                "error": error,
                "continue_processing": status == "interrupted",
                "progress_info": self.progress,
                "running_seconds": round(last.running_seconds + ran_s, 3),
            }
        )
        return replace(self, attempts=(*self.attempts[:-1], ended), error=error or self.error)
