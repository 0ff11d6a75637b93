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

from modules import PROJECT_ROOT
from modules.clock import Clock
from modules.config.schema import Config
from modules.errors import WorkerError
from modules.executors.base import Outcome, RunCallbacks, Task
from modules.executors.local.process import (
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
from modules.executors.local.run_monitor import RunMonitor, error_of, slowness
from modules.executors.protocol import Command, Done, Event, Failed, Load, Loaded, Ready
from modules.logger import get_logger
from modules.weights.files import ModelSpec

log = get_logger("AudioProcessor")

#: How often the parent looks at clocks while the child is busy, in seconds.
_TICK_S = 0.25
#: How much larger than just after loading its model a child may be between jobs: a long recording
#: takes up to 2.2 times as much (decision 21), and it is only given back a few seconds later.
_GROWTH = 2.5
#: A child that dies between jobs is started anew at most this often.
_RESTART_GAP_S = 30.0


class LocalExecutor:
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
            self.send(child, Load(model=spec))
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
            self.replace("died")
            return
        if child.process.poll() is not None:
            self.replace("died")
            return
        idle_s = self._config.processing.worker_idle_seconds
        if idle_s and child.loaded and self._clock.monotonic() - child.idle_since > idle_s:
            log.info("WhisperX was idle for %.0f s, letting its memory go", idle_s)
            self._wanted = None
            self.close()
        elif self.memory_mb > self.allowance_mb(child):
            self.replace("memory")

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

    def process(self, request: Task, handlers: RunCallbacks) -> Outcome:
        """Have one file transcribed; every chunk is handed over as it is finished, in order.

        A stop waits for the chunks in hand; while the handlers hurry no longer than the grace time.
        Raises MediaError, StorageError or WorkerError; after a WorkerError the child is gone.
        """
        child = self._ready_child(request.order.model, handlers)
        if child is None:
            return self._outcome(None, None, 0.0)
        handlers.on_accepted()
        self._orders += 1
        order = request.order.model_copy(update={"order": self._orders})
        limits = self._config.processing
        run = RunMonitor(self, child, order, request.spent_s, handlers, limits, self._clock)
        child.busy = True
        self.failed_ahead = False
        try:
            self.send(child, order)
            done = run.until_ended()
        except WorkerError as error:
            self.failed_ahead = run.is_ahead and not run.over and error.code != "timeout"
            self.replace(error.code)
            # Where it was asked to stop, nobody waits for its work any more.
            done = None if run.was_asked_to_stop else run.text_without_speakers(error)
        except BaseException:
            # Whatever the caller's handlers raised, the child is in the middle of a file.
            if not run.over:
                self.replace("abandoned")
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

    def allowance_mb(self, child: Child) -> float:
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
            cwd=PROJECT_ROOT,
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

    def _ready_child(self, spec: ModelSpec, callbacks: RunCallbacks) -> Child | None:
        """The child with the model loaded; None if the caller no longer wants it."""
        self.warm(spec)
        child = self._child
        assert child is not None
        factor = slowness(spec.name)
        deadline = self._clock.monotonic() + self._config.processing.worker_start_seconds * factor
        while child.loaded is None:
            callbacks.on_tick()
            if callbacks.should_stop():
                return None
            event = self.next_event(child, deadline, "did not load its model")
            if isinstance(event, Failed):
                child.spec = None
                error = error_of(event)
                if isinstance(error, WorkerError):
                    self.replace(error.code)
                raise error
            if event is not None and child.loaded is None:
                self._check_deadline(deadline, "did not load its model")
        return child

    def _check_deadline(self, deadline: float, failing: str) -> None:
        if self._clock.monotonic() > deadline:
            self.replace("hung")
            raise WorkerError(
                "worker_hung", f"The WhisperX process {failing} in time and was ended."
            )

    def next_event(self, child: Child, deadline: float, failing: str) -> Event | None:
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
            self.replace(error.code)
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

    def send(self, child: Child, order: Command) -> None:
        assert child.process.stdin is not None
        with contextlib.suppress(OSError):  # its death is noticed, and told, by the reader
            child.process.stdin.write(order.model_dump_json().encode() + b"\n")
            child.process.stdin.flush()

    def _discard_if_dead(self) -> None:
        if self._child and self._child.process.poll() is not None:
            self.replace("died")

    def replace(self, reason: str) -> None:
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
