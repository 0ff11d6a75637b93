"""One order in the child's hands: what it says, its deadlines, its memory, its stop."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from modules.clock import Clock
from modules.config.schema import ProcessingConfig
from modules.errors import MediaError, ModelError, StorageError, TranscriberError, WorkerError
from modules.executors.base import RunCallbacks
from modules.executors.local.process import Child, resident_mb
from modules.executors.protocol import (
    Command,
    Done,
    Event,
    Failed,
    Prefetch,
    Started,
    Stop,
    Stopped,
    Transcribe,
    Transcribed,
)
from modules.logger import get_logger
from modules.transcript.model import Chunk

log = get_logger("AudioProcessor")

#: How often the child's memory is looked at, in seconds.
_MEMORY_EVERY_S = 1.0
#: How much more than between jobs a child may take in one, where a recording may need it.
_MEMORY_IN_A_JOB = 2.0
#: How much longer than Whisper base a model may take, in all and between signs of life.
_SLOWNESS = {"tiny": 0.6, "base": 1.0, "small": 3.0, "medium": 8.0, "large": 16.0, "turbo": 8.0}
#: Seconds of work per second of audio that Whisper base is allowed; it needs 0.05 on two cores.
_BUDGET_PER_SECOND = 1.0


def slowness(model_size: str) -> float:
    """How much slower than Whisper base a model is, roughly; an unknown one counts as large."""
    name = Path(model_size).name
    known = (factor for part, factor in _SLOWNESS.items() if part in name)
    return max(known, default=_SLOWNESS["large"])


class Keeper(Protocol):
    """Whoever started the child, and ends it."""

    def next_event(self, child: Child, deadline: float, failing: str) -> Event | None:
        """The next event; None after a tick. Raises WorkerError on death or past the deadline."""

    def send(self, child: Child, order: Command) -> None:
        """Tell the child something; that it has died is noticed elsewhere."""

    def replace(self, reason: str) -> None:
        """End the child."""

    def allowance_mb(self, child: Child) -> float:
        """What the child may hold between jobs."""


class RunMonitor:
    """One order in the child's hands, with its deadlines."""

    def __init__(
        self,
        keeper: Keeper,
        child: Child,
        order: Transcribe,
        spent_s: float,
        handlers: RunCallbacks,
        limits: ProcessingConfig,
        clock: Clock,
    ) -> None:
        self._keeper = keeper
        self._child = child
        self._order = order
        self._spent_s = spent_s
        self._handlers = handlers
        self._prepared: Transcribe | None = None
        self._clock = clock
        self._limits = limits
        self._factor = slowness(order.model.name)
        self._began = self._alive_at = self._clock.monotonic()
        self._weighed_at = self._began - _MEMORY_EVERY_S
        self._duration_s: float | None = None
        self._position_s = order.start_s
        self._heard = 0
        self._stop_sent_at: float | None = None
        self._transcribed: Transcribed | None = None
        self.over = False

    @property
    def ran_s(self) -> float:
        """Seconds since the child got the file."""
        return self._clock.monotonic() - self._began

    @property
    def was_asked_to_stop(self) -> bool:
        return self._stop_sent_at is not None

    @property
    def is_ahead(self) -> bool:
        """Whether the child was given the next file, too."""
        return self._prepared is not None

    def until_ended(self) -> Done | None:
        """Hear the child out. None if it stopped as asked."""
        self._look_around()
        while True:
            event = self._keeper.next_event(
                self._child, self._silence_deadline, "showed no progress"
            )
            if event is not None:
                self._alive_at = self._clock.monotonic()
            ended = self._handle(event)
            if ended:
                self.over = True
                return ended if isinstance(ended, Done) else None
            self._look_around()
            if self._stop_overdue:
                # What it held in flight is done again; the rest stands in the checkpoint.
                self._keeper.replace("slow to stop")
                self.over = True
                return None

    @property
    def _silence_deadline(self) -> float:
        return self._alive_at + self._limits.worker_hang_seconds * max(1.0, self._factor)

    def _handle(self, event: Event | None) -> Done | Stopped | None:
        if isinstance(event, Transcribed) and event.order == self._order.order:
            self._check_count(event.chunks)
            self._transcribed = event
        elif isinstance(event, Started) and event.order == self._order.order:
            self._duration_s = event.duration_s
            self._handlers.on_started(event)
        elif isinstance(event, Chunk) and event.order == self._order.order:
            self._heard += 1
            self._check_count(event.number)
            if event.position_s < self._position_s:
                raise WorkerError("whisperx_failed", "The WhisperX process lost its place.")
            self._position_s = event.position_s
            self._handlers.on_chunk(event)
        elif isinstance(event, Failed) and event.order == self._order.order:
            self.over = True
            raise error_of(event)
        elif isinstance(event, Done) and event.order == self._order.order:
            self._check_count(event.chunks)
            return event
        elif isinstance(event, Stopped) and event.order == self._order.order:
            return event
        return None

    def _check_count(self, told: int) -> None:
        """A line that was torn may have been a chunk, whose text would be missing."""
        if told != self._heard:
            raise WorkerError(
                "whisperx_failed",
                f"The WhisperX process told of {told} pieces, and {self._heard} came.",
            )

    def text_without_speakers(self, error: WorkerError) -> Done:
        """What is there when the child failed over the speakers; raises the error if text lacks."""
        if self._transcribed is None:
            raise error
        log.warning("The text is there, but not who speaks: %s", error)
        note = f"diarization: failed, speakers are not told apart ({error})"
        return Done(
            order=self._order.order,
            chunks=self._transcribed.chunks,
            duration_s=self._transcribed.duration_s,
            notes=(*self._transcribed.notes, note),
        )

    def _look_around(self) -> None:
        self._handlers.on_tick()
        now = self._clock.monotonic()
        # Who speaks is found from the beginning each time, so only those who hurry may stop it.
        may_stop = self._transcribed is None or self._handlers.must_hurry()
        if self._stop_sent_at is None and may_stop and self._handlers.should_stop():
            self._keeper.send(self._child, Stop(order=self._order.order))
            self._stop_sent_at = now
        if now - self._weighed_at >= _MEMORY_EVERY_S:
            self._weighed_at = now
            self._weigh()
            self._prepare()
        spent = self._spent_s + now - self._began
        if spent > self.budget_s:
            raise WorkerError(
                "timeout",
                f"Transcription took longer than the {self.budget_s:.0f} s that it may take.",
                remedy="Raise processing.timeout_seconds, or use a smaller whisperx.model_size.",
            )

    def _prepare(self) -> None:
        following = self._handlers.next_up() if self._stop_sent_at is None else None
        if following and following != self._prepared:
            self._prepared = following
            self._keeper.send(self._child, Prefetch(next=following))

    def _weigh(self) -> None:
        """Before the machine runs out of memory, and others suffer with it."""
        memory = resident_mb(self._child.process.pid)
        self._child.memory_peak_mb = max(self._child.memory_peak_mb, memory)
        limit = _MEMORY_IN_A_JOB * self._keeper.allowance_mb(self._child)
        if memory > limit:
            raise WorkerError(
                "out_of_memory",
                f"WhisperX took {memory} MB of memory for this recording, more than the "
                f"{limit:.0f} that it may take, and was ended.",
                remedy="Raise processing.worker_memory_mb, or use a smaller whisperx.model_size.",
            )

    @property
    def _stop_overdue(self) -> bool:
        if self._stop_sent_at is None or not self._handlers.must_hurry():
            return False
        waited = self._clock.monotonic() - self._stop_sent_at
        return waited > self._limits.stop_grace_seconds

    @property
    def budget_s(self) -> float:
        """Seconds that the whole attempt may run."""
        by_length = (self._duration_s or 0.0) * _BUDGET_PER_SECOND * self._factor
        return max(self._limits.timeout_seconds, by_length)


def error_of(event: Failed) -> TranscriberError:
    """What the child complained of, as the error that it is here."""
    kinds = {"media": MediaError, "model": ModelError, "storage": StorageError}
    kind = kinds.get(event.fault, WorkerError)
    return kind(event.code, event.message, details=event.details, permanent=event.permanent)
