"""The child process: holds the model, transcribes one file at a time, chunk by chunk.

Started by ``executors/local/`` as ``python -m modules.worker.main``. Commands and open recordings
arrive on standard input, a Unix socket; events leave on what was standard output; see
``executors/protocol.py``. It dies with its parent.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modules.worker.parent import die_with_parent

if __name__ == "__main__":  # before the imports: on a busy machine they take seconds
    die_with_parent(int(sys.argv[sys.argv.index("--parent") + 1]))

from modules.errors import MediaError, ModelError, StorageError, TranscriberError, noted
from modules.executors.protocol import Failed, Load, Loaded, Prefetch, Ready
from modules.machine import allocator
from modules.weights.files import ModelSpec
from modules.worker.pipes import Assignment, Inbox, Outbox
from modules.worker.prefetch import Prefetcher
from modules.worker.sandbox import confine
from modules.worker.shared_diarizer import SharedDiarizer
from modules.worker.sharing import Sharing

if TYPE_CHECKING:
    from modules.diarization.diarizer import Diarized
    from modules.engines.base import Engine
    from modules.worker.live_server import LiveServer
    from modules.worker.transcription import Transcription

#: A prefetched recording that is not asked for is closed then, as it holds its file open.
_IDLE_S = 5.0
#: Memory that a long recording took is given back then. What a short one takes is kept, or the next
#: would take a quarter longer: less than that share of what the model takes.
_KEPT_SHARE = 0.75


class Worker:
    """Runs commands one after the other, each with its model. ``engine_class``: the default."""

    def __init__(
        self,
        inbox: Inbox,
        outbox: Outbox,
        engine_class: type[Engine],
        cpu_threads: int,
        models: Path,
        sharing: Sharing | None = None,
        diarizer: SharedDiarizer | None = None,
    ) -> None:
        self._sharing = sharing or Sharing()
        self._engine_class = engine_class
        self._inbox = inbox
        self._outbox = outbox
        self._cpu_threads = cpu_threads
        self._models = models
        self._engine: Engine | None = None
        self._diarizer = diarizer or SharedDiarizer(models / "diarize", cpu_threads)
        self._prefetcher = Prefetcher()
        #: From this much resident memory on some is given back, in MiB; and what is kept of it.
        self._swollen_mb = self._kept_mb = math.inf

    def run(self) -> None:
        """Work until the parent ends."""
        while True:
            command = self._inbox.next(_IDLE_S)
            if command is None:
                self._prefetcher.drop()
                self._inbox.forget_next()
                self._give_back()
                continue
            if isinstance(command, Prefetch):
                try:
                    self._prefetch_while_idle()
                except Exception:  # noqa: BLE001 - its own run will say what is wrong
                    self._prefetcher.drop()
                continue
            number = command.command.task_id if isinstance(command, Assignment) else 0
            try:
                self._obey(command)
            except Exception as error:  # noqa: BLE001 - the process boundary: reported, then next
                self._outbox.send(_failure(number, error))

    def _obey(self, command: Load | Assignment) -> None:
        """Nothing of it may stay in a local of ``run``: that would keep the weights of a model
        while those of the next one are loaded."""
        if isinstance(command, Load):
            self._engine_for(command.model)
            return
        engine = self._engine_for(command.command.model)
        made = self._prefetcher.take(command) or self._transcription(command, engine)
        made.run()

    def _prefetch_while_idle(self) -> None:
        """Between two tasks: prepare what is likely to come as far as possible."""
        following = self._inbox.next_up
        if following and self._engine and following.command.model == self._engine.spec:
            engine = self._engine
            self._prefetcher.begin(
                following, lambda it: self._transcription(it, engine), is_idle=True
            )

    def _give_back(self) -> None:
        """Memory that only a long recording needs."""
        if allocator.resident_mb() > self._swollen_mb:
            allocator.give_back()
            # Models for speakers or words may have been loaded since.
            left_mb = allocator.resident_mb()
            self._swollen_mb = max(self._swollen_mb, left_mb + self._kept_mb)

    def _transcription(self, assignment: Assignment, engine: Engine) -> Transcription:
        from modules.worker.transcription import Transcription

        def prefetch() -> None:
            following = self._inbox.next_up
            if following and following.command.model == engine.spec:
                self._prefetcher.begin(following, lambda it: self._transcription(it, engine))

        return Transcription(
            assignment,
            engine,
            self._diarize,
            self._inbox,
            self._outbox,
            prefetch,
            self._sharing,
        )

    def _engine_for(self, spec: ModelSpec) -> Engine:
        if self._engine is None or self._engine.spec != spec:
            self._prefetcher.drop()
            self._sharing.withdraw()
            if self._engine:
                self._engine.close()
            self._engine = None  # free the old weights before the new ones are loaded
            try:
                made = self._class_for(spec)
                self._engine = made(spec, self._cpu_threads, self._models)
            except (RuntimeError, ValueError, OSError, MemoryError) as error:
                # Broken weights, no driver, no memory: no recording is to blame for it.
                raise ModelError(
                    "model_not_loaded",
                    noted(
                        "The model {name} cannot be loaded: {error}.", name=spec.name, error=error
                    ),
                    remedy=noted("Run the command `doctor`; it says what to do."),
                ) from error
            self._sharing.offer(self._engine)
            loaded_mb = allocator.resident_mb()
            self._kept_mb = _KEPT_SHARE * loaded_mb
            self._swollen_mb = loaded_mb + self._kept_mb
            self._outbox.send(
                Loaded(
                    name=spec.name,
                    size_mb=self._engine.size_mb,
                    seconds=self._engine.load_seconds,
                    device=self._engine.device,
                    compute_type=self._engine.compute_type,
                    encoder=self._engine.encoder,
                    own_vad=self._engine.own_vad,
                    engine_version=self._engine.version(),
                )
            )
        return self._engine

    def _class_for(self, spec: ModelSpec) -> type[Engine]:
        from modules.engines import registry

        default = spec.engine == registry.DEFAULT
        return self._engine_class if default else registry.engine_class(spec.engine)

    def _diarize(self, engine: Engine, *what: Any) -> Diarized | None:
        """See ``Diarizer.turns``. Its models are loaded when they are first needed."""
        return self._diarizer.on(engine.device).turns(*what)


_FAULTS: dict[type[TranscriberError], Literal["media", "model", "storage"]] = {
    MediaError: "media",
    ModelError: "model",
    StorageError: "storage",
}


def _failure(task_id: int, error: Exception) -> Failed:
    if isinstance(error, TranscriberError):
        return Failed(
            task_id=task_id,
            code=error.code,
            message=str(error),
            details=error.details,
            fault=next((f for kind, f in _FAULTS.items() if isinstance(error, kind)), "worker"),
            permanent=error.permanent,
        )
    if isinstance(error, MemoryError):
        message = noted("There was not enough memory. Use a smaller whisperx.model_size.")
        return Failed(task_id=task_id, code="out_of_memory", message=message, details=repr(error))
    message = noted("WhisperX failed: {error}", error=error)
    return Failed(task_id=task_id, code="whisperx_failed", message=message, details=repr(error))


def _live(sharing: Sharing, diarizer: SharedDiarizer) -> Callable[[socket.socket], None]:
    """What serves live sessions; imported with the first of them."""
    serving: list[LiveServer] = []

    def serve(connection: socket.socket) -> None:
        from modules.worker.live_server import LiveServer

        if not serving:
            serving.append(LiveServer(sharing, diarizer.voices))
        serving[0].serve(connection)

    return serve


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--cpu-threads", type=int, required=True)
    parser.add_argument("--models-directory", type=Path, required=True)
    parser.add_argument("--weights", type=Path, action="append", default=[])
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--private", type=Path, action="append", default=[])
    return parser.parse_args()


def main() -> None:
    """Import what each recording needs, report that, and run commands."""
    options = _options()
    allocator.configure()
    weights = (options.models_directory, *options.weights)
    # Before the first thread: on Linux each has a niceness and rights of its own, its starter's.
    missing = confine.apply(confine.Places(weights, options.scratch, tuple(options.private)))
    if os.getppid() != options.parent:
        os._exit(0)  # while the user was changed, nobody would have told
    # Libraries print to standard output; only events may go to the parent's pipe.
    outbox = Outbox(os.dup(1))
    os.dup2(2, 1)
    diarizer = SharedDiarizer(options.models_directory / "diarize", options.cpu_threads)
    inbox = Inbox(os.dup(0), _live(sharing := Sharing(), diarizer))
    os.close(0)
    os.open(os.devnull, os.O_RDONLY)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    began = time.monotonic()
    warnings.filterwarnings("ignore")
    import modules.worker.transcription  # noqa: F401 - so that the first file need not wait for it
    from modules.engines import registry

    engine_class = registry.engine_class(registry.DEFAULT)
    outbox.send(
        Ready(
            whisperx_version=engine_class.version(),
            seconds=round(time.monotonic() - began, 3),
            compute_types=dict(engine_class.compute_types()),
            unsandboxed=missing,
        )
    )
    Worker(
        inbox,
        outbox,
        engine_class,
        options.cpu_threads,
        options.models_directory,
        sharing,
        diarizer,
    ).run()


if __name__ == "__main__":
    main()
