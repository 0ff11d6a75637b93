"""The daemon's side of the WhisperX process: start, load, time out, kill, replace.

The child is never trusted. It runs in a session of its own; every wait on it has a deadline, and
when one passes the whole group is killed and reaped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from modules.clock import AwakeClock, Clock
from modules.config.schema import Config
from modules.errors import TranscriberError, WorkerError, noted
from modules.executors import base
from modules.executors.base import Capabilities, ExecutorStatus, Outcome, RunCallbacks, Task
from modules.executors.local.event_queue import ClosedError, ImplausibleError
from modules.executors.local.failures import error_of, time_out
from modules.executors.local.live_offer import LiveOffer
from modules.executors.local.output_bounds import implausible
from modules.executors.local.process import (
    TERM_GRACE_S,
    Child,
    start_child,
    worker_command,
)
from modules.executors.local.run_monitor import RunMonitor, outcome_of, slowness
from modules.executors.local.worker_status import status_of
from modules.executors.protocol import (
    Event,
    Failed,
    Load,
    Loaded,
    Prefetch,
    Ready,
    Transcribe,
)
from modules.logger import get_logger
from modules.transcript.model import Chunk
from modules.weights.files import ModelSpec

log = get_logger("AudioProcessor")

#: A child that dies between jobs is replaced at most this often; the second while somebody speaks.
_RESTART_GAP_S, _LIVE_RESTART_GAP_S = 30.0, 3.0
#: Restarts are counted under shorter names than the errors have.
_REASONS = {"worker_hung": "hung"}


class LocalExecutor:
    """One WhisperX process at a time. Not thread-safe: the runner's thread alone uses it.

    That thread must also live as long as the daemon: the kernel kills the child when the thread
    that started it ends.
    """

    def __init__(self, config: Config, clock: Clock, command: Sequence[str] | None = None) -> None:
        self._config = config
        self._clock = clock
        self._live = LiveOffer(None, clock)
        self._command = tuple(command or worker_command(config))
        self._child: Child | None = None
        self._tasks = 0
        #: The model to keep loaded between jobs; None once the child was ended for idleness.
        self._wanted: ModelSpec | None = None
        self._latest: ModelSpec | None = None
        self._started_at = float("-inf")
        self._ended_at = clock.monotonic()
        self._restarts: dict[str, int] = {}
        #: The child failed with the next file in hand, too: either of the two may be to blame.
        self.failed_ahead = False
        #: What the child was given to prepare between two tasks.
        self._prepared: bytes | None = None
        self._capabilities = Capabilities()
        self._unsandboxed: tuple[str, ...] = ()

    def serve_live(self, port: base.LiveSessionsPort) -> None:
        """Before the first child: each is connected with these sessions."""
        self._live = LiveOffer(port, self._clock)

    # --- state ---

    @property
    def pid(self) -> int | None:
        """The child's process id, or None if there is none."""
        child = self._child
        return child.process.pid if child and not child.is_dead else None

    @property
    def capabilities(self) -> Capabilities:
        """As the last child reported them."""
        return self._capabilities

    @property
    def status(self) -> ExecutorStatus:
        child = self._child
        living = child if child and not child.is_dead else None
        return ExecutorStatus(
            is_running=living is not None,
            is_idle=child is None and self._wanted is None,
            model_loaded=living.loaded.name if living and living.loaded else None,
            memory_mb=living.memory_mb if living else 0,
            restarts=dict(self._restarts),
            workers=(status_of(child, self._ended_at),),
        )

    # --- life of the child ---

    def warm(self, spec: ModelSpec) -> None:
        """Start the child and have it load a model, without waiting for either."""
        self._warmed(spec)

    def _warmed(self, spec: ModelSpec) -> Child:
        self._wanted = self._latest = spec
        if self._child and self._child.is_dead:
            self._replace("died")
        if self._child and not self._child.may_read(spec, self._config):
            self._replace("weights")  # it said at its start what it reads, for good
        child = self._child or self._start(spec)
        if not child.busy and child.spec != spec:
            child.connection.send(Load(model=spec))
            child.spec, child.loaded = spec, None
        return child

    def _start(self, spec: ModelSpec) -> Child:
        child = self._child = start_child(self._config, self._command, self._clock, spec.path)
        self._started_at = child.started_at
        return child

    def maintain(self) -> None:
        """Between jobs: read events, replace a child that died or grew, end one that is idle."""
        child = self._child
        if child is None:
            self._start_again()
            return
        trouble = self._trouble(child)
        if trouble:
            self._replace(trouble)
        else:
            self._end_unneeded(child)

    def _trouble(self, child: Child) -> str | None:
        """Why a child must be replaced, if it must; its events are noted."""
        try:
            for event in child.connection.waiting():
                self._note(child, event)
        except ImplausibleError:
            return "implausible_output"
        except ClosedError:
            return "died"
        if child.is_dead:
            return "died"
        return self._live.trouble(child)

    def _start_again(self) -> None:
        speaks = self._live.is_wanted
        spec = self._wanted or (self._latest if speaks else None)
        since = self._clock.monotonic() - self._started_at
        if spec and since > (_LIVE_RESTART_GAP_S if speaks else _RESTART_GAP_S):
            self.warm(spec)

    def _end_unneeded(self, child: Child) -> None:
        """End a child that is idle, or grew too much."""
        if self._live.is_wanted:
            child.idle_since = self._clock.monotonic()
        idle_s = self._config.processing.worker_idle_seconds
        if idle_s and child.loaded and self._clock.monotonic() - child.idle_since > idle_s:
            log.info("WhisperX was idle for %.0f s, letting its memory go", idle_s)
            self._wanted = None
            self.close()
        elif child.memory_mb > child.allowance_mb(self._config):
            self._replace("memory")

    def close(self, grace_s: float = TERM_GRACE_S) -> None:
        """End the child and everything that it started; all is reaped on return."""
        child, self._child = self._child, None
        if child:
            child.end(grace_s)
            self._ended_at = self._clock.monotonic()

    def _replace(self, reason: str) -> None:
        """End the child; the next one is started when it is needed."""
        if self._child is None:
            return
        if reason != "memory":
            for line in self._child.connection.complaints:
                log.debug("WhisperX said: %s", line)
        self._restarts[reason] = self._restarts.get(reason, 0) + 1
        log.warning("Replacing the WhisperX process (%s)", reason)
        # A process that hangs ignores TERM too: waiting for an answer would only delay the end.
        self.close(0.0 if reason == "hung" else TERM_GRACE_S)

    # --- work ---

    def prefetch(self, command: Transcribe) -> None:
        """Between tasks: have the child prepare what is likely to come, if it has the model."""
        child = self._child
        if child and not child.is_dead and child.loaded and child.spec == command.model:
            # One that cannot be opened is not prefetched; its own run will say why.
            with contextlib.suppress(TranscriberError):
                child.connection.send_recording(Prefetch(next=command))
                self._prepared = command.path

    def run(self, task: Task, callbacks: RunCallbacks) -> Outcome:
        """Have one file transcribed; every chunk is passed on as it is finished, in order.

        A stop waits for the chunks in hand; while the callbacks hurry no longer than the grace
        time. Raises MediaError, StorageError or WorkerError; after a WorkerError the child is
        ended.
        """
        child = self._loaded_child(task.command.model, callbacks)
        if child is None:
            return outcome_of(None, None, 0.0)
        callbacks.on_accepted()
        self._tasks += 1
        command = task.command.model_copy(update={"task_id": self._tasks})
        monitor = RunMonitor(
            child, command, task.spent_s, callbacks, self._config.processing, self._clock,
            allowance_mb=child.allowance_mb(self._config), on_event=lambda e: self._note(child, e),
        )  # fmt: skip
        child.connection.send_recording(command)
        child.busy_since = self._clock.monotonic()
        self.failed_ahead = False
        try:
            done = monitor.until_ended()
            if monitor.is_slow_to_stop:
                # The chunks that it held are done again; the rest is in the checkpoint.
                self._replace("slow to stop")
        except WorkerError as error:
            self.failed_ahead = self._may_be_ahead(monitor, command, error)
            self._replace(_REASONS.get(error.code, error.code))
            # Once a stop was sent, the result of the child is no longer wanted.
            done = None if monitor.was_asked_to_stop else monitor.text_without_speakers(error)
        except BaseException:
            # Whatever a callback raised, the child is in the middle of a file.
            if not monitor.over:
                self._replace("abandoned")
            raise
        finally:
            self._prepared = None
            child.busy_since = None
            child.idle_since = self._clock.monotonic()
        return outcome_of(child, done, monitor.ran_s)

    def _may_be_ahead(self, monitor: RunMonitor, command: Transcribe, error: WorkerError) -> bool:
        """Also what it was given before the task, and may still be busy with."""
        ahead = monitor.has_prefetched or self._prepared not in (None, command.path)
        return ahead and not monitor.over and error.code != "timeout"

    def _loaded_child(self, spec: ModelSpec, callbacks: RunCallbacks) -> Child | None:
        """The child with the model loaded; None if the caller no longer wants it."""
        child = self._warmed(spec)
        limit_s = self._config.processing.worker_start_seconds * slowness(spec.name)
        clock = AwakeClock(self._clock)
        deadline = clock.monotonic() + limit_s
        try:
            while child.loaded is None:
                if clock.monotonic() > deadline:
                    raise time_out(
                        noted("The WhisperX process did not load its model in time and was ended.")
                    )
                callbacks.on_tick()
                if callbacks.should_stop():
                    return None
                event = child.next_event()
                if event is not None:
                    self._note(child, event)
                if isinstance(event, Failed):
                    child.spec = None
                    raise error_of(event)
                if isinstance(event, Chunk):
                    raise implausible("a chunk before it was given a recording")
        except WorkerError as error:
            self._replace(_REASONS.get(error.code, error.code))
            raise
        return child

    def _note(self, child: Child, event: Event) -> None:
        if isinstance(event, Ready):
            child.ready = event
            self._capabilities = Capabilities(event.compute_types)
            self._report_once(event.unsandboxed)
        elif isinstance(event, Loaded):
            if child.spec and event.name != child.spec.name:
                return  # another one was asked for meanwhile
            child.loaded = event
            child.idle_since = self._clock.monotonic()
            child.rest_mb = child.memory_mb
            log.info("WhisperX has loaded %s in %.1f s", event.name, event.seconds)
            self._live.make(child)
        elif isinstance(event, Failed) and event.task_id == 0:
            log.error("WhisperX could not load its model: %s", event.message)
            child.spec = None

    def _report_once(self, missing: tuple[str, ...]) -> None:
        """Children come and go; what this machine lacks stays the same."""
        if missing != self._unsandboxed:
            self._unsandboxed = missing
            log.warning("WhisperX runs with less protection than it could: %s", "; ".join(missing))
