"""What runs in a Ray actor: a local executor with its sandboxed child, and a thread that feeds it.

Nothing here knows of Ray. The kernel ends the child with the thread that started it, so that thread
lives as long as the actor does.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modules import __version__
from modules.clock import SystemClock
from modules.config.schema import Config
from modules.config.user_folders import data_folder
from modules.errors import ModelError, TranscriberError, WorkerError, noted
from modules.executors.base import ExecutorStatus, Task
from modules.executors.local.executor import LocalExecutor
from modules.executors.protocol import Transcribe
from modules.executors.ray.media import Received, check_same, mapped
from modules.executors.ray.node_run import NodeRun, ended_with
from modules.executors.ray.node_weights import on_this_node
from modules.executors.ray.wire import (
    Abandon,
    Answer,
    Begin,
    Checked,
    Ended,
    Hello,
    Piece,
    Poll,
    Setup,
    State,
    Warm,
    failure_of,
)
from modules.logger import get_logger
from modules.storage import beneath
from modules.weights.files import ModelSpec

log = get_logger("ClusterWorker")

#: Where a node has its weights, unless in the usual folder; `cluster join --models` sets it.
MODELS_VARIABLE = "TRANSCRIBER_CLUSTER_MODELS"
#: How often the child is looked after between tasks, in seconds.
_MAINTAIN_S = 1.0
_SCRATCH = "transcriber-node"

Duty = Callable[[LocalExecutor], None]


class NodeWorker:
    """One worker. ``call`` may be called by several threads at once."""

    def __init__(self, setup: str) -> None:
        self._setup = Setup.model_validate_json(setup)
        self._scratch = scratch_root()
        self._config = node_config(self._setup, os.environ)
        beneath.guard(self._config.shared_directory)
        self._duties: queue.Queue[Duty] = queue.Queue()
        self._run: NodeRun | None = None
        self._status = ExecutorStatus(is_running=False)
        self._compute_types: Mapping[str, tuple[str, ...]] = {}
        self._device: str | None = None
        #: The model in use, as the daemon names it and as it is here.
        self._models: tuple[ModelSpec, ModelSpec] | None = None
        threading.Thread(target=self._work, name="node-worker", daemon=True).start()

    def call(self, method: str, argument: str, payload: bytes = b"") -> str:
        """Do what ``method`` names with an argument in JSON; the answer is JSON."""
        methods: dict[str, Callable[[str, bytes], str]] = {
            "hello": self._hello,
            "warm": self._warm,
            "prefetch": self._prefetch,
            "begin": self._begin,
            "poll": self._poll,
            "piece": self._piece,
            "abandon": self._abandon,
            "check": self._check,
        }
        return methods[method](argument, payload)

    # --- called by the daemon ---

    def _hello(self, argument: str, payload: bytes) -> str:
        node = socket.gethostname()
        return Hello(version=__version__, node=node, pid=os.getpid()).model_dump_json()

    def _warm(self, argument: str, payload: bytes) -> str:
        order = Warm.model_validate_json(argument)
        self._duties.put(lambda executor: executor.warm(self._spec(order.spec, order.sums)))
        return "{}"

    def _check(self, argument: str, payload: bytes) -> str:
        order = Warm.model_validate_json(argument)
        try:
            on_this_node(order.spec, order.sums, self._config.models_directory)
        except ModelError as error:
            return Checked(refusal=failure_of(error)).model_dump_json()
        return Checked().model_dump_json()

    def _abandon(self, argument: str, payload: bytes) -> str:
        if self._run:
            self._run.abandon(Abandon.model_validate_json(argument).order)
        return "{}"

    def _prefetch(self, argument: str, payload: bytes) -> str:
        command = Transcribe.model_validate_json(argument)
        if self._setup.media == "share":
            self._duties.put(lambda executor: self._prefetched(executor, command))
        return "{}"

    def _begin(self, argument: str, payload: bytes) -> str:
        begin = Begin.model_validate_json(argument)
        if self._run:
            self._run.abandon(self._run.begin.order)
        media = None
        if self._setup.media == "stream":
            folder, name = self._scratch / "recording", os.path.basename(begin.command.path)
            media = Received(folder, name, begin.identity)
        run = self._run = NodeRun(begin, media)
        self._duties.put(lambda executor: self._transcribe(executor, run))
        return "{}"

    def _poll(self, argument: str, payload: bytes) -> str:
        poll, run = Poll.model_validate_json(argument), self._run
        if run is None or run.begin.order != poll.order:
            return Answer(state=self._state()).model_dump_json()
        events = run.take(poll)
        return Answer(
            job_id=run.begin.job_id,
            epoch=run.begin.epoch,
            handed_out=run.begin.handed_out,
            events=events,
            wants=run.media.wants if run.media else (),
            state=self._state(),
        ).model_dump_json()

    def _piece(self, argument: str, payload: bytes) -> str:
        piece, run = Piece.model_validate_json(argument), self._run
        if run and run.begin.order == piece.order:
            run.put(piece.index, payload)
        return "{}"

    def _state(self) -> State:
        status = self._status
        return State(
            is_running=status.is_running,
            is_idle=status.is_idle,
            model_loaded=status.model_loaded,
            device=self._device,
            memory_mb=status.memory_mb,
            restarts=dict(status.restarts),
            compute_types=dict(self._compute_types),
        )

    # --- the thread that has the child ---

    def _work(self) -> None:
        executor = LocalExecutor(self._config, SystemClock(), self._setup.command)
        while True:
            try:
                self._duties.get(timeout=_MAINTAIN_S)(executor)
            except queue.Empty:
                self._attempt(executor.maintain)
            except TranscriberError as error:
                log.error("%s", error)
            except Exception:
                log.exception("An unexpected error; the worker goes on")
            self._look(executor)

    def _attempt(self, duty: Callable[[], None]) -> None:
        try:
            duty()
        except Exception:
            log.exception("The child could not be looked after; the worker goes on")

    def _look(self, executor: LocalExecutor) -> None:
        self._status = executor.status
        self._compute_types = executor.capabilities.compute_types

    def _spec(self, spec: ModelSpec, sums: dict[str, str]) -> ModelSpec:
        """The model as it is here. Raises ModelError."""
        found = on_this_node(spec, sums, self._config.models_directory)
        self._models = (spec, found)
        return found

    def _prefetched(self, executor: LocalExecutor, command: Transcribe) -> None:
        following = self._here(command)
        if following:
            executor.prefetch(following)

    def _here(self, command: Transcribe) -> Transcribe | None:
        """What may come next, as it is named here; None if it needs another model."""
        if self._models is None or self._models[0] != command.model:
            return None
        path = mapped(command.path, self._setup.path_map)
        return command.model_copy(update={"path": path, "model": self._models[1]})

    def _transcribe(self, executor: LocalExecutor, run: NodeRun) -> None:
        try:
            run.end(self._ended(executor, run))
        except TranscriberError as error:
            run.end(Ended(failure=failure_of(error), failed_ahead=executor.failed_ahead))
        except Exception as error:
            log.exception("An unexpected error in a run")
            message = noted("The worker met an unexpected error.")
            wrapped = WorkerError("unexpected_error", message, details=repr(error))
            run.end(Ended(failure=failure_of(wrapped)))
        finally:
            if run.media:
                run.media.close()

    def _ended(self, executor: LocalExecutor, run: NodeRun) -> Ended:
        begin = run.begin
        spec = self._spec(begin.command.model, begin.sums)
        path = self._recording(run)
        if path is None or not run.is_wanted:
            return Ended()
        command = begin.command.model_copy(update={"path": path, "model": spec})
        callbacks = run.callbacks(
            on_tick=lambda: self._look(executor),
            here=lambda following: None if run.media else self._here(following),
        )
        outcome = executor.run(Task(command, begin.spent_s), callbacks)
        self._device = outcome.loaded.device if outcome.loaded else self._device
        return ended_with(outcome)

    def _recording(self, run: NodeRun) -> bytes | None:
        """Where the file is here; None if it is no longer wanted. Raises StorageError."""
        if run.media:
            received = run.media.whole(lambda: run.is_wanted)
            return os.fsencode(received) if received else None
        path = mapped(run.begin.command.path, self._setup.path_map)
        check_same(Path(os.fsdecode(path)), run.begin.identity)
        return path


def node_config(setup: Setup, environ: Mapping[str, str]) -> Config:
    """The daemon's configuration of the child, with this machine's folders. Raises ValueError."""
    tree: dict[str, Any] = dict(setup.config)
    for key in ("shared_directory", "manual_directory"):
        there = os.fsencode(str(tree[key]))
        tree[key] = os.fsdecode(mapped(there, setup.path_map))
    usual = data_folder(environ) / "models"
    tree["models_directory"] = environ.get(MODELS_VARIABLE) or str(usual)
    return Config.model_validate(tree, context={"base": Path("/")})


def scratch_root() -> Path:
    """A folder for temporary files of this process alone; those of dead ones are removed.

    Two workers on one machine would otherwise take the same, which is named after the share.
    """
    top, prefix = Path(tempfile.gettempdir()), f"{_SCRATCH}-{os.getuid()}-"
    for old in top.glob(f"{prefix}*"):
        pid = old.name.removeprefix(prefix)
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(old, ignore_errors=True)
    folder = top / f"{prefix}{os.getpid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if folder.stat().st_uid != os.getuid() or folder.is_symlink():
        folder = Path(tempfile.mkdtemp(prefix=prefix))
    tempfile.tempdir = str(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
