"""An executor whose worker is an actor on some node of the cluster."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from modules.clock import AwakeClock, Clock
from modules.config.schema import Config
from modules.errors import (
    ClusterAwayError,
    ModelError,
    NodeLostError,
    TranscriberError,
    WorkerError,
    noted,
)
from modules.executors.base import Capabilities, ExecutorStatus, Outcome, RunCallbacks, Task
from modules.executors.protocol import Transcribe
from modules.executors.ray.between import BetweenTasks
from modules.executors.ray.channel import Channel, LinkClosedError
from modules.executors.ray.frames import Content
from modules.executors.ray.remote_run import GONE, RemoteRun, answer_in, lost
from modules.executors.ray.wire import Abandon, Begin, Hello, Poll, State, Sums, Warm
from modules.logger import get_logger
from modules.recordings.shared_folder import identity_of
from modules.weights.files import ModelSpec
from modules.weights.sums import sums_of

log = get_logger("Cluster")

#: How long the worker holds a poll back until something happens, in seconds.
POLL_S = 0.25
#: A worker that answers no poll for so long is given up, whatever Ray thinks of its node.
SILENT_S = 25.0
#: How long one that cannot be reached, but may come back, is asked again; and how often. Ray itself
#: takes longer to decide that its node is gone, and from a checkpoint little is done twice.
UNAVAILABLE_S = 0.5
_AGAIN_S = 0.2
#: The link answers in this time, whatever the worker does, in seconds: it sends two pieces of a
#: recording and waits a minute for the one before them. One that stands still is noticed before by
#: the pool, which ends it.
ANSWER_S = 90.0
#: How long a stop may take beyond the grace time, as a slow answer is no slow child.
_STOP_SLACK_S = 5.0
#: How often an idle worker is asked what it is like, in seconds.
_LOOK_S = 2.0


class RayExecutor:
    """For one thread, but for what may be read. Once its worker is lost it is of no more use."""

    def __init__(self, channel: Channel, hello: Hello, config: Config, clock: Clock) -> None:
        self._channel = channel
        self._config = config
        self._clock = clock
        self._orders = 0
        self._state = State(is_running=True)
        self._looked_at = clock.monotonic()
        self._between = BetweenTasks(channel, clock, SILENT_S, self._answered, self._lose)
        self.hello = hello
        self.failed_ahead = False
        #: Why it is of no use any more; None while it is. The pool may know it first.
        self.lost: TranscriberError | None = None

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(self._state.compute_types)

    @property
    def device(self) -> str | None:
        """What its model runs on, once it is loaded."""
        return self._state.device

    @property
    def status(self) -> ExecutorStatus:
        state = self._state
        return ExecutorStatus(
            is_running=self.lost is None and state.is_running,
            is_idle=state.is_idle,
            model_loaded=state.model_loaded,
            memory_mb=state.memory_mb,
            restarts=state.restarts,
            lost=self._lost_of,
            is_silent=self._between.is_waiting,
        )

    # --- between tasks ---

    def warm(self, spec: ModelSpec) -> None:
        """Raises ModelError if the weights cannot be read here."""
        order = Warm(spec=spec, sums=sums_for(spec))
        self._ask("warm", order.model_dump_json())

    def prefetch(self, command: Transcribe) -> None:
        self._ask("prefetch", command.model_dump_json())

    def maintain(self) -> None:
        """Ask what the worker is like; the node looks after the child by itself."""
        self._between.look()
        if self._clock.monotonic() - self._looked_at >= _LOOK_S:
            self._looked_at = self._clock.monotonic()
            poll = Poll(order=0, after=0, stop=False, hurry=False, wait_s=0.0)
            self._ask("poll", poll.model_dump_json())

    def _ask(self, method: str, argument: str) -> None:
        """Nobody waits for the answer; of a worker that is lost, the next run reports it."""
        if self.lost is None:
            self._between.ask(method, argument)

    def _answered(self, method: str, text: str) -> None:
        if method == "poll":
            with contextlib.suppress(WorkerError):
                self._state = answer_in(text).state

    def _lose(self, error: str, answer: Content) -> None:
        self._give_up(self._error(error, answer))

    @property
    def _lost_of(self) -> str | None:
        """The reason, if it is another one than that its machine is gone."""
        return str(self.lost) if self.lost and self.lost.message != GONE else None

    def close(self) -> None:
        self._give_up(lost("closed"))

    # --- a task ---

    def run(self, task: Task, callbacks: RunCallbacks) -> Outcome:
        """As every executor; NodeLostError and ClusterAwayError are final, the worker is gone."""
        if self.lost:
            raise self.lost
        if callbacks.should_stop():
            return Outcome(None, 0.0, None, "", 0, task.handout)
        self.failed_ahead = False
        self._between.forget()
        self._orders += 1
        run = RemoteRun(self._orders, task, callbacks, self._post)
        watch = _Watch(self._clock, callbacks, self._config.processing.stop_grace_seconds)
        try:
            self._call("begin", self._begin(task).model_dump_json(), watch.look)
            return self._until_ended(run, watch)
        except _StopOverdueError:
            log.warning("%s: the worker does not stop and is given up", self.hello.node)
            self._give_up(NodeLostError("node_lost", noted("It did not stop, and was given up.")))
            return Outcome(None, watch.ran_s, None, "", 0, task.handout)
        except BaseException:
            self._abandon()
            raise
        finally:
            run.close()
            self._looked_at = self._clock.monotonic()

    def _abandon(self) -> None:
        """Whatever a callback raised, the worker is in the middle of a file."""
        if self.lost is None:
            with contextlib.suppress(TranscriberError):
                self._post("abandon", Abandon(order=self._orders).model_dump_json(), b"")

    def _begin(self, task: Task) -> Begin:
        handout = task.handout
        return Begin(
            order=self._orders,
            job_id=handout.job_id if handout else "",
            epoch=handout.epoch if handout else "",
            handed_out=handout.order if handout else 0,
            command=task.command,
            spent_s=task.spent_s,
            identity=identity_of(Path(os.fsdecode(task.command.path))),
            sums=sums_for(task.command.model),
        )

    def _until_ended(self, run: RemoteRun, watch: _Watch) -> Outcome:
        while True:
            watch.look()
            question = run.poll(watch.is_stopping, POLL_S)
            answer = answer_in(self._call("poll", question, watch.look))
            self._state = answer.state
            run.take(answer)
            if run.ended:
                self.failed_ahead = run.ended.failed_ahead
                return run.outcome(run.ended, answer)

    # --- calls ---

    def _post(self, method: str, argument: str, payload: bytes) -> None:
        self._exchange({"op": "post", "method": method, "argument": argument}, payload, _nothing)

    def _call(self, method: str, argument: str, tick: Callable[[], None]) -> str:
        """What the worker answers. Raises NodeLostError and ClusterAwayError."""
        question = {"op": "call", "method": method, "argument": argument, "limit_s": SILENT_S}
        clock = AwakeClock(self._clock)
        deadline = clock.monotonic() + UNAVAILABLE_S
        while True:
            answer = self._exchange(question, b"", tick)
            error = answer.get("error")
            if error is None:
                return str(answer["answer"])
            if error == "unavailable" and clock.monotonic() < deadline:
                tick()
                time.sleep(_AGAIN_S)
                continue
            raise self._give_up(self._error(str(error), answer))

    def _error(self, error: str, answer: Content) -> TranscriberError:
        details = str(answer.get("details") or error)
        return away(details) if error == "away" else lost(details)

    def _exchange(self, question: Content, payload: bytes, tick: Callable[[], None]) -> Content:
        """Send a question to the link, and wait for its answer. Raises ClusterAwayError, or what
        the worker was lost of."""
        if self.lost:
            raise self.lost
        clock = AwakeClock(self._clock)
        deadline = clock.monotonic() + ANSWER_S
        try:
            self._channel.ask(question, payload)
            while (answer := self._channel.answer(POLL_S)) is None:
                if clock.monotonic() > deadline:
                    raise LinkClosedError(f"no answer within {ANSWER_S:g} s")
                tick()
            return answer
        except LinkClosedError as error:
            raise self._give_up(away(str(error))) from error

    def _give_up(self, error: TranscriberError) -> TranscriberError:
        """The worker is gone for good, or is ended now."""
        self.lost = self.lost or error
        self._channel.close()
        return error


class _StopOverdueError(Exception):
    """A stop that a client waits for did not happen in time."""


class _Watch:
    """Calls the callbacks while a run is waited for, and notices stops and standstills."""

    def __init__(self, clock: Clock, callbacks: RunCallbacks, grace_s: float) -> None:
        self._clock = AwakeClock(clock)
        self._callbacks = callbacks
        self._limit_s = grace_s + _STOP_SLACK_S
        self._began = self._clock.monotonic()
        self._stopped_at: float | None = None

    @property
    def ran_s(self) -> float:
        return self._clock.monotonic() - self._began

    @property
    def is_stopping(self) -> bool:
        return self._stopped_at is not None

    def look(self) -> None:
        """Between two answers, and while one is waited for. Raises _StopOverdueError."""
        lost_s = self._clock.look()
        if lost_s:
            log.warning("Stood still for %.0f s; nothing is counted, deadlines start anew", lost_s)
            self._callbacks.on_standstill(lost_s)
        self._callbacks.on_tick()
        now = self._clock.monotonic()
        if self._stopped_at is None and self._callbacks.should_stop():
            self._stopped_at = now
        overdue = self._stopped_at is not None and now - self._stopped_at > self._limit_s
        if overdue and self._callbacks.must_hurry():
            raise _StopOverdueError


def _nothing() -> None:
    pass


def sums_for(spec: ModelSpec) -> Sums:
    """What a node's files of the model must be. Raises ModelError."""
    try:
        return sums_of(Path(spec.path))
    except OSError as error:
        message = noted("The files of the model {name} cannot be read.", name=spec.name)
        raise ModelError("model_unreadable", message, details=str(error)) from error


def away(details: str) -> ClusterAwayError:
    """Nobody's fault: the machines cannot be reached."""
    return ClusterAwayError(
        "cluster_away",
        noted("The cluster of workers cannot be reached."),
        details=details,
        remedy=noted("Look at `{command}`, and whether the cluster runs.", command="doctor"),
    )
