"""What the runner needs of an executor, whether it works on this machine or elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from modules.executors.protocol import Done, Loaded, Started, Transcribe
from modules.transcript.model import Chunk, RunFacts
from modules.weights.files import ModelSpec


@dataclass
class Outcome:
    """How a run ended without an error. ``done`` is None if it was stopped at a chunk's end."""

    done: Done | None
    ran_s: float
    loaded: Loaded | None
    whisperx_version: str
    memory_peak_mb: int

    @property
    def facts(self) -> RunFacts:
        """What the result tells of a run that came to its end."""
        assert self.done is not None
        assert self.loaded is not None
        return RunFacts(
            duration_s=self.done.duration_s,
            notes=self.done.notes,
            whisperx_version=self.whisperx_version,
            model_name=self.loaded.name,
            model_size_mb=self.loaded.size_mb,
            model_load_s=self.loaded.seconds,
            memory_peak_mb=self.memory_peak_mb,
            cpu_s=self.done.cpu_seconds,
            device=self.loaded.device,
            compute_type=self.loaded.compute_type,
            turns=self.done.turns,
            diarization=self.done.diarization,
        )


@dataclass(frozen=True)
class Task:
    """What the child is to do with one file. ``spent_s``: seconds that this attempt already ran."""

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
    #: The model is loaded; the file is given to it when this returns.
    on_accepted: Callable[[], None] = _nothing
    #: The file is open.
    on_started: Callable[[Started], None] = _nothing
    #: Whether the stop is waited for.
    must_hurry: Callable[[], bool] = lambda: True
    #: Asked once a second: what comes next, for the child to prefetch.
    next_up: Callable[[], Transcribe | None] = lambda: None


class Executor(Protocol):
    """Runs one task at a time, for one thread, which lives as long as the daemon."""

    @property
    def pid(self) -> int | None:
        """The process that does the work on this machine, or None if there is none."""

    @property
    def model_loaded(self) -> str | None:
        """The name of the model in memory, or None."""

    @property
    def resting(self) -> bool:
        """Whether nothing is running because nothing is wanted."""

    @property
    def compute_types(self) -> Mapping[str, tuple[str, ...]]:
        """What each device can do; empty until that is known."""

    @property
    def memory_mb(self) -> int:
        """Resident memory of the work on this machine, in MiB."""

    @property
    def restarts(self) -> Mapping[str, int]:
        """How often a process was replaced, by reason."""

    @property
    def failed_ahead(self) -> bool:
        """Whether the last failure may be due to the file that was prefetched."""

    def warm(self, spec: ModelSpec) -> None:
        """Load a model without waiting for it. Raises TranscriberError."""

    def run(self, task: Task, callbacks: RunCallbacks) -> Outcome:
        """Have one file transcribed; chunks are passed on in order, as they are finished.

        Raises MediaError, StorageError, ModelError or WorkerError, and what a callback raises.
        """

    def maintain(self) -> None:
        """Between tasks: replace what died, end what is idle."""

    def close(self) -> None:
        """End all that was started; it has ended on return."""
