"""What the runner needs of an executor, whether it works on this machine or elsewhere."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from modules.executors.protocol import Done, Loaded, Started, Transcribe
from modules.transcript.model import Chunk, RunFacts
from modules.weights.files import ModelSpec


@dataclass
class Outcome:
    """How a run ended without an error. ``done`` is None if it was stopped after a chunk."""

    done: Done | None
    ran_s: float
    loaded: Loaded | None
    whisperx_version: str
    memory_peak_mb: int

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
            engine_version=self.loaded.engine_version,
            turns=self.done.turns,
            diarization=self.done.diarization,
        )


@dataclass(frozen=True)
class Task:
    """One file to transcribe. ``spent_s``: seconds that this attempt already ran."""

    command: Transcribe
    spent_s: float = 0.0


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


@dataclass(frozen=True)
class Capabilities:
    """What an executor can do. ``compute_types``: by device; empty until a worker has reported."""

    compute_types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


WorkerState = Literal["off", "starting", "loading", "waiting", "transcribing"]


@dataclass(frozen=True)
class WorkerStatus:
    """One worker: where it runs, what it has loaded, what it does.

    ``since``: when the state began, by the monotonic clock. ``recording``: the path of what it
    transcribes. ``off``: there is no process, because none is needed or it could not be started.
    """

    node: str
    state: WorkerState
    since: float
    pid: int | None = None
    model: str | None = None
    device: str | None = None
    compute_type: str | None = None
    encoder: str | None = None
    memory_mb: int = 0
    recording: bytes | None = None
    serves_live: bool = False


@dataclass(frozen=True)
class ExecutorStatus:
    """The state of an executor.

    ``is_running``: it has a worker. ``is_idle``: it has none because none is needed.
    ``model_loaded``: the name of the model in memory. ``memory_mb``: of the work on this machine.
    ``restarts``: how often a worker was replaced, by reason. ``workers``: each of them.
    """

    is_running: bool = True
    is_idle: bool = False
    model_loaded: str | None = None
    memory_mb: int = 0
    restarts: Mapping[str, int] = field(default_factory=dict)
    workers: tuple[WorkerStatus, ...] = ()


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

    def attach(self, channel: socket.socket) -> None:
        """A worker has its model loaded and serves sessions at the other end of ``channel``."""


class Executor(Protocol):
    """Runs one task at a time, for one thread, which lives as long as the daemon."""

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
        """

    def prefetch(self, command: Transcribe) -> None:
        """Between tasks: prepare a file that is likely to come. Nothing follows if it does not."""

    def maintain(self) -> None:
        """Between tasks: replace a worker that died, end one that is idle."""

    def close(self) -> None:
        """End all that was started; it has ended on return. May be called twice."""
