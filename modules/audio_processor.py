"""The parent's side of the WhisperX process: start, feed, hear, time out, kill, replace.

The child is never trusted. It runs in a session of its own; every wait on it has a deadline, and
when one passes the whole group is killed and reaped.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modules.child import (
    TERM_GRACE_S,
    Child,
    death_of,
    end_group,
    oom_kills,
    read_complaints,
    read_events,
    resident_mb,
    scratch_folder,
    worker_command,
    worker_environment,
)
from modules.clock import Clock
from modules.config import Config
from modules.errors import MediaError, ModelError, StorageError, TranscriberError, WorkerError
from modules.logger import get_logger
from modules.protocol import (
    Chunk,
    Done,
    Event,
    Failed,
    Load,
    Loaded,
    ModelSpec,
    Order,
    Prepare,
    Ready,
    Started,
    Stop,
    Stopped,
    Transcribe,
    Transcribed,
)
from modules.results import RunFacts
from modules.worker_order import Request

log = get_logger("AudioProcessor")

#: How often the parent looks at clocks and memory while the child is busy, in seconds.
_TICK_S = 0.25
_MEMORY_EVERY_S = 1.0
#: How much larger than just after loading its model a child may be between jobs, and how much
#: more than that during one, where a recording may need it for a moment.
_GROWTH = 1.25
_MEMORY_IN_A_JOB = 2.0
#: A child that dies between jobs is started anew at most this often.
_RESTART_GAP_S = 30.0
#: How much longer than Whisper base a model may take, in all and between signs of life.
_SLOWNESS = {"tiny": 0.6, "base": 1.0, "small": 3.0, "medium": 8.0, "large": 16.0, "turbo": 8.0}
#: Seconds of work per second of audio that Whisper base is allowed; it needs 0.05 on two cores.
_BUDGET_PER_SECOND = 1.0


def slowness(model_size: str) -> float:
    """How much slower than Whisper base a model is, roughly; an unknown one counts as large."""
    name = Path(model_size).name
    known = (factor for part, factor in _SLOWNESS.items() if part in name)
    return max(known, default=_SLOWNESS["large"])


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


class AudioProcessor:
    """One WhisperX process at a time. Not thread-safe: the runner's thread alone uses it.

    It must also be that thread that lives as long as the daemon: the kernel kills the child when
    the thread that started it ends.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        command: Sequence[str] | None = None,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self._config = config
        self._clock = clock
        self._command = tuple(command or worker_command(config))
        self._on_event = on_event
        self._child: Child | None = None
        self._orders = 0
        #: The model to have at hand between jobs; None once it was let go.
        self._wanted: ModelSpec | None = None
        self._started_at = float("-inf")
        #: Why processes were replaced, and how often.
        self.restarts: dict[str, int] = {}
        #: Whether the child failed while it also had the next file in hand, so that either of the
        #: two may be to blame.
        self.failed_ahead = False
        self._compute_types: dict[str, tuple[str, ...]] = {}
        self._uncaged: tuple[str, ...] = ()

    # --- what others may know ---

    @property
    def pid(self) -> int | None:
        """The child's process id, or None if there is none."""
        child = self._child
        return child.process.pid if child and child.process.poll() is None else None

    @property
    def model_loaded(self) -> str | None:
        """The name of the model in memory, or None."""
        child = self._child
        return child.loaded.name if child and child.loaded and self.pid else None

    @property
    def resting(self) -> bool:
        """Whether there is no child because none is wanted: it was idle for long."""
        return self._child is None and self._wanted is None

    @property
    def compute_types(self) -> dict[str, tuple[str, ...]]:
        """What each device of this machine can do, as a child said last; empty before the first."""
        return self._compute_types

    @property
    def memory_mb(self) -> int:
        """Resident memory of the child in MiB, 0 if there is none."""
        return resident_mb(self.pid) if self.pid else 0

    # --- life of the child ---

    def warm(self, spec: ModelSpec) -> None:
        """Start the child and have it load a model, without waiting for either."""
        self._wanted = spec
        self._discard_if_dead()
        if self._child is None:
            self._start()
        child = self._child
        if child and not child.busy and child.spec != spec:
            self._send(child, Load(model=spec))
            child.spec, child.loaded = spec, None

    def tend(self) -> None:
        """Between jobs: hear what the child said, replace it if it died, let it go if idle."""
        child = self._child
        if child is None:
            since = self._clock.monotonic() - self._started_at
            if self._wanted and since > _RESTART_GAP_S:
                self.warm(self._wanted)
            return
        with contextlib.suppress(queue.Empty):
            while (event := child.events.get_nowait()) is not None:
                self._note(child, event)
            # Its end of the pipe is closed: dead, or as good as.
            self._replace("died")
            return
        if child.process.poll() is not None:
            self._replace("died")
            return
        idle_s = self._config.processing.worker_idle_seconds
        if idle_s and child.loaded and self._clock.monotonic() - child.idle_since > idle_s:
            log.info("WhisperX was idle for %.0f s, letting its memory go", idle_s)
            self._wanted = None
            self.close()
        elif self.memory_mb > self._allowance_mb(child):
            self._replace("memory")

    def close(self, grace_s: float = TERM_GRACE_S) -> None:
        """End the child and everything it started; it is gone and reaped on return."""
        child, self._child = self._child, None
        if child is None:
            return
        with contextlib.suppress(OSError):
            if child.process.stdin:
                child.process.stdin.close()
        end_group(child.process, grace_s)
        shutil.rmtree(child.scratch, ignore_errors=True)
        for reader in child.readers:
            reader.join(TERM_GRACE_S)
        if any(reader.is_alive() for reader in child.readers):
            # It left the group and holds a pipe open; the reader waits for it in our stead.
            log.warning("A process that WhisperX started has outlived it")

    # --- work ---

    def process(
        self,
        request: Request,
        on_chunk: Callable[[Chunk], None],
        on_started: Callable[[Started], None],
        should_stop: Callable[[], bool],
        must_hurry: Callable[[], bool] = lambda: True,
        on_accepted: Callable[[], None] = lambda: None,
        next_up: Callable[[], Transcribe | None] = lambda: None,
    ) -> Outcome:
        """Have one file transcribed; every chunk is handed over as it is finished, in order.

        ``on_accepted`` is called once the model is loaded, just before the file is given to it.
        ``next_up``, asked once a second, is what will be ordered then: the child makes it ready.
        A stop waits for the chunks in hand; while ``must_hurry`` no longer than the grace time.
        Raises MediaError, StorageError or WorkerError; after a WorkerError the child is gone.
        """
        child = self._ready_child(request.order.model, should_stop)
        if child is None:
            return self._outcome(None, None, 0.0)
        on_accepted()
        self._orders += 1
        order = request.order.model_copy(update={"order": self._orders})
        run = _Run(
            self, child, order, request, on_chunk, on_started, should_stop, must_hurry, next_up
        )
        child.busy = True
        self.failed_ahead = False
        try:
            self._send(child, order)
            done = run.until_ended()
        except WorkerError as error:
            self.failed_ahead = run.is_ahead and not run.over and error.code != "timeout"
            self._replace(error.code)
            # Where it was asked to stop, nobody waits for its work any more.
            done = None if run.was_asked_to_stop else run.text_without_speakers(error)
        except BaseException:
            # Whatever the caller's handlers raised, the child is in the middle of a file.
            if not run.over:
                self._replace("abandoned")
            raise
        finally:
            child.busy = False
            child.idle_since = self._clock.monotonic()
        return self._outcome(child, done, run.ran_s)

    # --- inside ---

    def _outcome(self, child: Child | None, done: Done | None, ran_s: float) -> Outcome:
        return Outcome(
            done=done,
            ran_s=ran_s,
            loaded=child.loaded if child else None,
            whisperx_version=child.ready.whisperx_version if child and child.ready else "",
            memory_peak_mb=child.memory_peak_mb if child else 0,
        )

    def _allowance_mb(self, child: Child) -> float:
        """What the child may hold between jobs; a large model needs more from the beginning."""
        return max(self._config.processing.worker_memory_mb, _GROWTH * child.rest_mb)

    def _start(self) -> None:
        scratch = scratch_folder(self._config)
        process = subprocess.Popen(  # nosec B603 # our own words, no shell
            [*self._command, "--parent", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=worker_environment(self._config) | {"TMPDIR": str(scratch)},
            cwd=Path(__file__).resolve().parent.parent,
        )
        child = Child(process, queue.Queue(), scratch, self._clock.monotonic())
        child.idle_since = self._started_at = child.started_at
        child.oom_kills = oom_kills()
        child.readers = (
            threading.Thread(target=read_events, args=(child,), name="worker-events", daemon=True),
            threading.Thread(
                target=read_complaints, args=(child,), name="worker-stderr", daemon=True
            ),
        )
        for reader in child.readers:
            reader.start()
        self._child = child
        log.info("Started WhisperX (PID %d)", process.pid)

    def _ready_child(self, spec: ModelSpec, should_stop: Callable[[], bool]) -> Child | None:
        """The child with the model loaded; None if the caller no longer wants it."""
        self.warm(spec)
        child = self._child
        assert child is not None
        factor = slowness(spec.name)
        deadline = self._clock.monotonic() + self._config.processing.worker_start_seconds * factor
        while child.loaded is None:
            if should_stop():
                return None
            event = self._next_event(child, deadline, "did not load its model")
            if isinstance(event, Failed):
                child.spec = None
                error = _error_of(event)
                if isinstance(error, WorkerError):
                    self._replace(error.code)
                raise error
            if event is not None and child.loaded is None:
                self._check_deadline(deadline, "did not load its model")
        return child

    def _check_deadline(self, deadline: float, failing: str) -> None:
        if self._clock.monotonic() > deadline:
            self._replace("hung")
            raise WorkerError(
                "worker_hung", f"The WhisperX process {failing} in time and was ended."
            )

    def _next_event(self, child: Child, deadline: float, failing: str) -> Event | None:
        """The next event; None after a tick. Raises WorkerError on death or past the deadline."""
        event: Event | None
        dead = child.process.poll() is not None
        try:
            event = child.events.get(timeout=_TICK_S)
        except queue.Empty:
            if not dead:
                self._check_deadline(deadline, failing)
                return None
            event = None  # a process that it started holds its pipe open
        if event is None:
            error = death_of(child)
            self._replace(error.code)
            raise error
        self._note(child, event)
        return event

    def _note(self, child: Child, event: Event) -> None:
        if isinstance(event, Ready):
            child.ready = event
            self._compute_types = event.compute_types
            self._tell_once(event.uncaged)
        elif isinstance(event, Loaded):
            if child.spec and event.name != child.spec.name:
                return  # another one was asked for meanwhile
            child.loaded = event
            child.idle_since = self._clock.monotonic()
            child.rest_mb = resident_mb(child.process.pid)
            log.info("WhisperX has loaded %s in %.1f s", event.name, event.seconds)
        elif isinstance(event, Failed) and event.order == 0:
            log.error("WhisperX could not load its model: %s", event.message)
            child.spec = None
        self._on_event(event)

    def _tell_once(self, uncaged: tuple[str, ...]) -> None:
        """Children come and go; what this machine lacks stays the same."""
        if uncaged != self._uncaged:
            self._uncaged = uncaged
            log.warning("WhisperX runs with less protection than it could: %s", "; ".join(uncaged))

    def _send(self, child: Child, order: Order) -> None:
        assert child.process.stdin is not None
        with contextlib.suppress(OSError):  # its death is noticed, and told, by the reader
            child.process.stdin.write(order.model_dump_json().encode() + b"\n")
            child.process.stdin.flush()

    def _discard_if_dead(self) -> None:
        if self._child and self._child.process.poll() is not None:
            self._replace("died")

    def _replace(self, reason: str) -> None:
        """End the child; the next one is started when it is wanted."""
        if self._child is None:
            return
        if reason != "memory":
            for line in self._child.complaints:
                log.debug("WhisperX said: %s", line)
        self.restarts[reason] = self.restarts.get(reason, 0) + 1
        log.warning("Replacing the WhisperX process (%s)", reason)
        # Who hangs is deaf to TERM too: waiting for an answer would only make it later.
        self.close(0.0 if reason == "hung" else TERM_GRACE_S)


class _Run:
    """One order in the child's hands, with its deadlines."""

    def __init__(
        self,
        processor: AudioProcessor,
        child: Child,
        order: Transcribe,
        request: Request,
        on_chunk: Callable[[Chunk], None],
        on_started: Callable[[Started], None],
        should_stop: Callable[[], bool],
        must_hurry: Callable[[], bool],
        next_up: Callable[[], Transcribe | None],
    ) -> None:
        self._processor = processor
        self._child = child
        self._order = order
        self._spent_s = request.spent_s
        self._on_chunk = on_chunk
        self._on_started = on_started
        self._should_stop = should_stop
        self._must_hurry = must_hurry
        self._next_up = next_up
        self._prepared: Transcribe | None = None
        self._clock = processor._clock
        self._limits = processor._config.processing
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
            event = self._processor._next_event(
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
                self._processor._replace("slow to stop")
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
            self._on_started(event)
        elif isinstance(event, Chunk) and event.order == self._order.order:
            self._heard += 1
            self._check_count(event.number)
            if event.position_s < self._position_s:
                raise WorkerError("whisperx_failed", "The WhisperX process lost its place.")
            self._position_s = event.position_s
            self._on_chunk(event)
        elif isinstance(event, Failed) and event.order == self._order.order:
            self.over = True
            raise _error_of(event)
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
        now = self._clock.monotonic()
        # Who speaks is found from the beginning each time, so only those who hurry may stop it.
        may_stop = self._transcribed is None or self._must_hurry()
        if self._stop_sent_at is None and may_stop and self._should_stop():
            self._processor._send(self._child, Stop(order=self._order.order))
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
        following = self._next_up() if self._stop_sent_at is None else None
        if following and following != self._prepared:
            self._prepared = following
            self._processor._send(self._child, Prepare(next=following))

    def _weigh(self) -> None:
        """Before the machine runs out of memory, and others suffer with it."""
        memory = resident_mb(self._child.process.pid)
        self._child.memory_peak_mb = max(self._child.memory_peak_mb, memory)
        limit = _MEMORY_IN_A_JOB * self._processor._allowance_mb(self._child)
        if memory > limit:
            raise WorkerError(
                "out_of_memory",
                f"WhisperX took {memory} MB of memory for this recording, more than the "
                f"{limit:.0f} that it may take, and was ended.",
                remedy="Raise processing.worker_memory_mb, or use a smaller whisperx.model_size.",
            )

    @property
    def _stop_overdue(self) -> bool:
        if self._stop_sent_at is None or not self._must_hurry():
            return False
        waited = self._clock.monotonic() - self._stop_sent_at
        return waited > self._limits.stop_grace_seconds

    @property
    def budget_s(self) -> float:
        """Seconds that the whole attempt may run."""
        by_length = (self._duration_s or 0.0) * _BUDGET_PER_SECOND * self._factor
        return max(self._limits.timeout_seconds, by_length)


def _error_of(event: Failed) -> TranscriberError:
    kinds = {"media": MediaError, "model": ModelError, "storage": StorageError}
    kind = kinds.get(event.fault, WorkerError)
    return kind(event.code, event.message, details=event.details, permanent=event.permanent)
