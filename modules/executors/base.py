"""What the runner needs of an executor, whether it works on this machine or elsewhere."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from modules.errors import TranscriberError
from modules.executors.protocol import Done, Loaded, Started, Transcribe
from modules.transcript.model import Chunk, RunFacts
from modules.weights.files import ModelSpec


@dataclass(frozen=True)
class HandOut:
    """One hand-out of a job to a worker: what a worker sends back counts under this name alone.

    ``epoch``: the life of the daemon that it was made in. ``order`` rises with each in that life.
    """

    job_id: str
    epoch: str
    order: int


@dataclass
class Outcome:
    """How a run ended without an error. ``done`` is None if it was stopped after a chunk.

    ``handout``: the one that this ends, as the worker says; None from a worker in this process.
    """

    done: Done | None
    ran_s: float
    loaded: Loaded | None
    whisperx_version: str
    memory_peak_mb: int
    handout: HandOut | None = None

    @property
    def facts(self) -> RunFacts:
        """What the result file says about a finished run."""
        assert self.done is not None
        assert self.loaded is not None
        return RunFacts(
            duration_s=self.done.duration_s,
            notes=self.done.notes,
            left_out=self.done.left_out,
            whisperx_version=self.whisperx_version,
            model_name=self.loaded.name,
            model_size_mb=self.loaded.size_mb,
            model_load_s=self.loaded.seconds,
            memory_peak_mb=self.memory_peak_mb,
            cpu_s=self.done.cpu_seconds,
            device=self.loaded.device,
            compute_type=self.loaded.compute_type,
            encoder=self.loaded.encoder,
            own_vad=self.loaded.own_vad,
            engine_version=self.loaded.engine_version,
            turns=self.done.turns,
            diarization=self.done.diarization,
        )


@dataclass(frozen=True)
class Task:
    """One file to transcribe. ``spent_s``: seconds that this attempt already ran.

    A worker elsewhere sends ``handout`` back with each chunk and with the end.
    """

    command: Transcribe
    spent_s: float = 0.0
    handout: HandOut | None = None


def _nothing(*_: object) -> None:
    pass


@dataclass(frozen=True)
class RunCallbacks:
    """What an executor calls while it runs a task: progress up, and questions whether to go on."""

    #: Each finished chunk, in order.
    on_chunk: Callable[[Chunk], None]
    #: Called several times a second.
    on_tick: Callable[[], None] = _nothing
    #: Asked several times a second, after ``on_tick``.
    should_stop: Callable[[], bool] = lambda: False
    #: The model is loaded; the file is opened when this returns.
    on_accepted: Callable[[], None] = _nothing
    #: The file is open.
    on_started: Callable[[Started], None] = _nothing
    #: This process stood still for so many seconds, which count as no work.
    on_standstill: Callable[[float], None] = _nothing
    #: Whether a client waits for the stop.
    must_hurry: Callable[[], bool] = lambda: True
    #: Asked once a second: what comes next, for the child to prefetch.
    next_up: Callable[[], Transcribe | None] = lambda: None
    #: A chunk with the hand-out that its worker has it from; whether it counted. None: all count.
    on_delivery: Callable[[HandOut, Chunk], bool] | None = None

    def deliver(self, handout: HandOut, chunk: Chunk) -> bool:
        """For workers elsewhere, instead of ``on_chunk``; False if it was late, or came twice.

        Safe in any order and at any time; only a chunk that continues the checkpoint counts.
        Raises NodeLostError if one before it is missing.
        """
        if self.on_delivery is not None:
            return self.on_delivery(handout, chunk)
        self.on_chunk(chunk)
        return True


@dataclass(frozen=True)
class Capabilities:
    """What an executor can do. ``compute_types``: by device; empty until a worker has reported."""

    compute_types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


Activity = Literal["off", "starting", "loading", "waiting", "transcribing"]


@dataclass(frozen=True)
class WorkerStatus:
    """One worker: where it runs, what it has loaded, what it does.

    ``since``: when the state began, by the monotonic clock. ``off``: there is no process, because
    none is needed or it could not be started.
    """

    node: str
    state: Activity
    since: float
    pid: int | None = None
    model: str | None = None
    device: str | None = None
    compute_type: str | None = None
    encoder: str | None = None
    memory_mb: int = 0
    serves_live: bool = False


@dataclass(frozen=True)
class ExecutorStatus:
    """The state of an executor.

    ``is_running``: it has a worker. ``is_idle``: it has none because none is needed.
    ``model_loaded``: the name of the model in memory. ``memory_mb``: of the work on this machine.
    ``restarts``: how often a worker was replaced, by reason. ``workers``: each of them. ``lost``:
    why it is of no use any more, if it is known; None while it is. ``is_silent``: it was asked
    something between tasks and has not answered yet, so it is to be given none.
    """

    is_running: bool = True
    is_idle: bool = False
    model_loaded: str | None = None
    memory_mb: int = 0
    restarts: Mapping[str, int] = field(default_factory=dict)
    workers: tuple[WorkerStatus, ...] = ()
    lost: str | None = None
    is_silent: bool = False


def combined(statuses: Sequence[ExecutorStatus]) -> ExecutorStatus:
    """Several executors as one: it runs if one does, and is idle if all are that do not."""
    if len(statuses) == 1:
        return statuses[0]
    restarts: Counter[str] = Counter()
    for status in statuses:
        restarts.update(status.restarts)
    return ExecutorStatus(
        is_running=any(status.is_running for status in statuses),
        is_idle=bool(statuses) and all(s.is_idle for s in statuses if not s.is_running),
        model_loaded=next((s.model_loaded for s in statuses if s.model_loaded), None),
        memory_mb=sum(status.memory_mb for status in statuses),
        restarts=restarts,
        workers=tuple(worker for status in statuses for worker in status.workers),
    )


class LiveSessionsPort(Protocol):
    """What an executor needs to know of live sessions. Thread-safe."""

    @property
    def is_wanted(self) -> bool:
        """Whether there is a session, so that a worker must be there."""

    @property
    def has_channel(self) -> bool:
        """Whether the latest channel is open."""

    @property
    def complaint(self) -> str | None:
        """What the worker with the latest channel did wrong, so that it must be replaced."""

    @property
    def hangs(self) -> bool:
        """Whether the complaint is that it shows no progress."""

    def attach(self, channel: socket.socket) -> None:
        """A worker has its model loaded and serves sessions at the other end of ``channel``."""


class Executor(Protocol):
    """Runs one task at a time, for one thread, which lives as long as the worker does."""

    @property
    def capabilities(self) -> Capabilities:
        """What its workers can do. May be read from any thread."""

    @property
    def status(self) -> ExecutorStatus:
        """Its present state. May be read from any thread."""

    @property
    def failed_ahead(self) -> bool:
        """Whether the last failure may be due to the file that was prefetched."""

    def warm(self, spec: ModelSpec) -> None:
        """Load a model without waiting for it. Raises TranscriberError."""

    def run(self, task: Task, callbacks: RunCallbacks) -> Outcome:
        """Transcribe one file; every chunk is passed to ``on_chunk`` once, in order.

        Raises MediaError, StorageError, ModelError or WorkerError, and what a callback raises.
        From a worker elsewhere also NodeLostError, once its machine or its actor is gone (a dead
        child on a living one is a WorkerError), and ClusterAwayError.
        """

    def prefetch(self, command: Transcribe) -> None:
        """Between tasks: prepare a file that is likely to come. Nothing follows if it does not."""

    def maintain(self) -> None:
        """Between tasks: replace a worker that died, end one that is idle."""

    def close(self) -> None:
        """End all that was started; it has ended on return. May be called twice."""


@dataclass(frozen=True)
class Worker:
    """One that does one file at a time. ``name`` is shown and is unique among those there are.

    ``executor`` is what tells two workers apart: one that was lost and comes back has a new one.
    ``node``: the machine. ``device``: ``cpu``, ``cuda``.
    """

    name: str
    node: str
    device: str
    executor: Executor


class WorkerPool(Protocol):
    """The workers there are. All but ``maintain`` and ``close`` answers at once, to any thread.

    Each executor has a thread of its own, which calls ``close`` on it at the end, also after the
    worker is gone from ``workers``.
    """

    @property
    def is_fixed(self) -> bool:
        """Whether ``workers`` is the same from the start to the end, so that nobody need look."""

    @property
    def limit(self) -> int:
        """How many there may be at most."""

    @property
    def problem(self) -> TranscriberError | None:
        """Why there are none, or fewer than there should be; shown as it is. None if all is well.

        A ClusterAwayError while the machines cannot be reached.
        """

    @property
    def capabilities(self) -> Capabilities:
        """What every one of them can do, as far as is known; requests are checked against it."""

    def workers(self) -> tuple[Worker, ...]:
        """Those that are there now, in an order that stays."""

    def maintain(self) -> None:
        """Called about once a second by one thread: connect, look, replace. Raises nothing."""

    def close(self) -> None:
        """End what is shared by the workers; their executors were closed before."""
