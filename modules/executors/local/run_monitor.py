"""One task in the child's hands: what it says, its deadlines, its memory, its stop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from modules.clock import AwakeClock, Clock
from modules.config.schema import ProcessingConfig
from modules.errors import TranscriberError, WorkerError, noted
from modules.executors.base import Outcome, RunCallbacks
from modules.executors.local.failures import error_of, time_out
from modules.executors.local.output_bounds import OutputBounds, implausible
from modules.executors.local.process import Child
from modules.executors.protocol import (
    Alive,
    Done,
    Event,
    Failed,
    Loaded,
    Prefetch,
    Ready,
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
#: Events of other tasks, which are ignored: none is usual.
_STRAYS_MAX = 100


def slowness(model_size: str) -> float:
    """How much slower than Whisper base a model is, roughly; an unknown one counts as large."""
    name = Path(model_size).name
    known = (factor for part, factor in _SLOWNESS.items() if part in name)
    return max(known, default=_SLOWNESS["large"])


class RunMonitor:
    """One task in the child's hands: its events, its deadlines, its memory, its stop.

    ``allowance_mb``: what the child may hold between jobs. ``on_event`` gets each event first.
    """

    def __init__(
        self,
        child: Child,
        command: Transcribe,
        spent_s: float,
        callbacks: RunCallbacks,
        limits: ProcessingConfig,
        clock: Clock,
        allowance_mb: float,
        on_event: Callable[[Event], None],
    ) -> None:
        self._child = child
        self._command = command
        self._spent_s = spent_s
        self._callbacks = callbacks
        self._limits = limits
        #: Nothing is held against the child while this process stood still, as both may have.
        self._clock = AwakeClock(clock)
        self._memory_limit_mb = _MEMORY_IN_A_JOB * allowance_mb
        self._on_event = on_event
        self._prefetched: Transcribe | None = None
        self._factor = slowness(command.model.name)
        self._began = self._alive_at = self._clock.monotonic()
        self._weighed_at = self._began - _MEMORY_EVERY_S
        self._duration_s: float | None = None
        self._bounds = OutputBounds(command)
        self._received = self._strays = 0
        self._stop_sent_at: float | None = None
        self._transcribed: Transcribed | None = None
        #: The child has nothing of the task in hand any more.
        self.over = False
        self.is_slow_to_stop = False

    @property
    def ran_s(self) -> float:
        """Seconds since the child got the file."""
        return self._clock.monotonic() - self._began

    @property
    def was_asked_to_stop(self) -> bool:
        return self._stop_sent_at is not None

    @property
    def has_prefetched(self) -> bool:
        """Whether the child was given the next file, too."""
        return self._prefetched is not None

    def until_ended(self) -> Done | None:
        """Read events until the task ends. None if it stopped as asked, or is slow to.

        Raises what the child reports, and WorkerError if it dies, hangs or breaks a limit.
        """
        self._check()
        while True:
            event = self._wait()
            if event is not None:
                self._on_event(event)
                self._alive_at = self._clock.monotonic()
            elif self._clock.monotonic() > self._silence_deadline:
                raise time_out(
                    noted("The WhisperX process showed no progress in time and was ended.")
                )
            ended = self._handle(event)
            if ended:
                self.over = True
                return ended if isinstance(ended, Done) else None
            self._check()
            if self._stop_overdue:
                self.is_slow_to_stop = self.over = True
                return None

    def _wait(self) -> Event | None:
        """The next event; None after a tick. A wait that took far longer was a standstill."""
        self._clock.look()  # what callbacks took is no standstill, and no silence is forgiven
        event = self._child.next_event()
        lost_s = self._clock.look()
        if lost_s:
            log.warning("Stood still for %.0f s; nothing is counted, deadlines start anew", lost_s)
            self._alive_at = self._clock.monotonic()
            self._callbacks.on_standstill(lost_s)
        return event

    @property
    def _silence_deadline(self) -> float:
        return self._alive_at + self._limits.worker_hang_seconds * max(1.0, self._factor)

    def _handle(self, event: Event | None) -> Done | Stopped | None:
        if event is None or isinstance(event, Alive | Ready | Loaded):
            return None
        if event.task_id != self._command.task_id:
            self._strays += 1
            if self._strays > _STRAYS_MAX:
                raise implausible(f"{self._strays} events of other tasks")
            return None
        if isinstance(event, Done | Stopped):
            return self._ended(event)
        if isinstance(event, Failed):
            self.over = True
            raise error_of(event)
        self._went_on(event)
        return None

    def _ended(self, event: Done | Stopped) -> Done | Stopped:
        if isinstance(event, Done):
            self._check_count(event.chunks)
            self._bounds.check_end(event)
        return event

    def _went_on(self, event: Started | Chunk | Transcribed) -> None:
        if isinstance(event, Started):
            started = self._bounds.credible(event)
            self._duration_s = started.duration_s
            self._callbacks.on_started(started)
        elif isinstance(event, Chunk):
            self._received += 1
            self._check_count(event.number)
            self._bounds.check_chunk(event)
            self._callbacks.on_chunk(event)
        else:
            self._check_count(event.chunks)
            self._bounds.check_end(event)
            self._transcribed = event

    def _check_count(self, sent: int) -> None:
        """A line that was torn may have been a chunk, whose text would be missing."""
        if sent != self._received:
            raise WorkerError(
                "whisperx_failed",
                noted(
                    "The WhisperX process sent {sent} chunks, and {received} arrived.",
                    sent=sent,
                    received=self._received,
                ),
            )

    def text_without_speakers(self, error: WorkerError) -> Done:
        """The text, if the child failed after it; else raises the error."""
        if self._transcribed is None:
            raise error
        log.warning("The text is there, but not who speaks: %s", error)
        note = f"diarization: failed, speakers are not told apart ({error})"
        return Done(
            task_id=self._command.task_id,
            chunks=self._transcribed.chunks,
            duration_s=self._transcribed.duration_s,
            notes=(*self._transcribed.notes, note),
            left_out=self._transcribed.left_out,
        )

    def _check(self) -> None:
        self._callbacks.on_tick()
        now = self._clock.monotonic()
        # Diarization begins anew each time, so only a stop in a hurry interrupts it.
        may_stop = self._transcribed is None or self._callbacks.must_hurry()
        if self._stop_sent_at is None and may_stop and self._callbacks.should_stop():
            self._child.connection.send(Stop(task_id=self._command.task_id))
            self._stop_sent_at = now
        if now - self._weighed_at >= _MEMORY_EVERY_S:
            self._weighed_at = now
            self._weigh()
            self._prefetch()
        spent = self._spent_s + now - self._began
        if spent > self.budget_s:
            raise WorkerError(
                "timeout",
                noted(
                    "Transcription took longer than the {budget_s:.0f} s that it may take.",
                    budget_s=self.budget_s,
                ),
                remedy=noted(
                    "Raise processing.timeout_seconds, or use a smaller whisperx.model_size."
                ),
            )

    def _prefetch(self) -> None:
        following = self._callbacks.next_up() if self._stop_sent_at is None else None
        if not following or following == self._prefetched:
            return
        # One that cannot be opened is not prefetched; its own run will say why.
        with contextlib.suppress(TranscriberError):
            self._child.connection.send_recording(Prefetch(next=following))
            self._prefetched = following

    def _weigh(self) -> None:
        """End a child that takes too much, before the machine runs out of memory."""
        memory = self._child.memory_mb
        self._child.memory_peak_mb = max(self._child.memory_peak_mb, memory)
        limit = self._memory_limit_mb
        if memory > limit:
            raise WorkerError(
                "out_of_memory",
                noted(
                    "WhisperX took {memory} MB of memory for this recording, more than the "
                    "{limit:.0f} that it may take, and was ended.",
                    memory=memory,
                    limit=limit,
                ),
                remedy=noted(
                    "Raise processing.worker_memory_mb, or use a smaller whisperx.model_size."
                ),
            )

    @property
    def _stop_overdue(self) -> bool:
        if self._stop_sent_at is None or not self._callbacks.must_hurry():
            return False
        waited = self._clock.monotonic() - self._stop_sent_at
        return waited > self._limits.stop_grace_seconds

    @property
    def budget_s(self) -> float:
        """Seconds that the whole attempt may run."""
        by_length = (self._duration_s or 0.0) * _BUDGET_PER_SECOND * self._factor
        return max(self._limits.timeout_seconds, by_length)


def outcome_of(child: Child | None, done: Done | None, ran_s: float) -> Outcome:
    """How a run of ``ran_s`` seconds ended."""
    return Outcome(
        done=done,
        ran_s=ran_s,
        loaded=child.loaded if child else None,
        whisperx_version=child.ready.whisperx_version if child and child.ready else "",
        memory_peak_mb=child.memory_peak_mb if child else 0,
    )
