"""What the runner needs of whatever does the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from modules.executors.protocol import Done, Loaded, Started, Transcribe
from modules.transcript.model import Chunk, RunFacts


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

    order: Transcribe
    spent_s: float = 0.0


def _nothing(*_told: object) -> None:
    pass


@dataclass(frozen=True)
class RunCallbacks:
    """Whom to tell of an order's progress, and whom to ask whether it shall go on."""

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
    #: Whether somebody waits for the stop.
    must_hurry: Callable[[], bool] = lambda: True
    #: Asked once a second: what will be ordered then, for the child to make ready.
    next_up: Callable[[], Transcribe | None] = lambda: None
