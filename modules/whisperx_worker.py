"""The child process: holds the model, transcribes one file at a time, chunk by chunk.

Started by ``audio_processor`` as ``python -m modules.whisperx_worker``. Orders come in on standard
input, events go out on what was standard output; see ``protocol``. It dies with its parent.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import itertools
import os
import queue
import resource
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modules.chunking import AudioChunk, Samples, chunks
from modules.errors import MediaError, ModelError, StorageError, TranscriberError
from modules.media import Limits, Recording, open_recording
from modules.protocol import (
    ORDERS,
    Alive,
    Chunk,
    Done,
    Event,
    Failed,
    Load,
    Loaded,
    ModelSpec,
    Ready,
    Started,
    Stop,
    Stopped,
    Transcribe,
)

if TYPE_CHECKING:
    from modules.engine import ChunkText, Engine

_PR_SET_PDEATHSIG = 1
_NICENESS = 10
#: Python's audit events of everything that reaches for the network.
_CONNECTING = frozenset(
    f"socket.{what}"
    for what in (
        "connect",
        "sendto",
        "sendmsg",
        "getaddrinfo",
        "gethostbyname",
        "gethostbyaddr",
        "getnameinfo",
    )
)
#: Chunks that wait behind the running ones, so that a stream never stands idle.
_AHEAD = 1


class Outbox:
    """Events to the parent, one line each, from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "wb")
        self._lock = threading.Lock()

    def send(self, event: Event) -> None:
        line = event.model_dump_json(exclude_none=True).encode() + b"\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()


class Inbox:
    """Orders from the parent. A stop overtakes what it stops; the end of input ends the process."""

    def __init__(self, descriptor: int) -> None:
        self._orders: queue.Queue[Transcribe | Load] = queue.Queue()
        self._stopped = 0
        threading.Thread(target=self._read, args=(descriptor,), name="orders", daemon=True).start()

    def next(self) -> Transcribe | Load:
        return self._orders.get()

    def stopped(self, order: int) -> bool:
        """True once the parent asked to stop this order."""
        return order <= self._stopped

    def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as lines:
            for line in lines:
                order = ORDERS.validate_json(line)
                if isinstance(order, Stop):
                    self._stopped = max(self._stopped, order.order)
                else:
                    self._orders.put(order)
        # The parent closed the pipe or is dead; nobody is left to work for.
        os._exit(0)


@dataclass(frozen=True)
class Finished:
    """A chunk's text, the language it was decoded in, and the one that its speech seems to be."""

    text: ChunkText
    language: str
    heard: str | None = None
    probability: float | None = None


class Worker:
    """Carries out orders one after the other."""

    def __init__(self, inbox: Inbox, outbox: Outbox, cpu_threads: int, align: Path) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._cpu_threads = cpu_threads
        self._align = align
        self._engine: Engine | None = None

    def run(self) -> None:
        """Work until the parent goes away."""
        while True:
            order = self._inbox.next()
            number = order.order if isinstance(order, Transcribe) else 0
            try:
                engine = self._engine_for(order.model)
                if isinstance(order, Transcribe):
                    Transcription(order, engine, self._inbox, self._outbox).run()
            except Exception as error:  # noqa: BLE001 - the process boundary: told, then next
                self._outbox.send(_failure(number, error))

    def _engine_for(self, spec: ModelSpec) -> Engine:
        if self._engine is None or self._engine.spec != spec:
            from modules.engine import Engine

            self._engine = None  # let the old weights go before the new ones come
            try:
                self._engine = Engine(spec, self._cpu_threads, self._align)
                size_mb = round((Path(spec.path) / "model.bin").stat().st_size / 2**20)
            except (RuntimeError, ValueError, OSError, MemoryError) as error:
                # Broken weights, no driver, no memory: no recording is to blame for it.
                raise ModelError(
                    "model_not_loaded",
                    f"The model {spec.name} cannot be loaded: {error}.",
                    remedy="Run `python transcriber.py doctor`; it says what to do.",
                ) from error
            self._outbox.send(
                Loaded(name=spec.name, size_mb=size_mb, seconds=self._engine.load_seconds)
            )
        return self._engine


class Transcription:
    """One order: decode, find speech, and keep the model's streams busy, results in order."""

    def __init__(self, order: Transcribe, engine: Engine, inbox: Inbox, outbox: Outbox) -> None:
        self._order = order
        self._engine = engine
        self._inbox = inbox
        self._outbox = outbox
        language = order.settings.language
        self._language = None if language in ("auto", "mixed") else language
        if language == "auto":
            self._language = order.settled_language
        #: What the first speech sounds like: decides for ``auto``, checks a language that is given.
        self._heard: tuple[str, float] | None = None
        if not engine.multilingual:
            self._language, self._heard = "en", ("en", 1.0)
        self._notes: dict[str, None] = {}
        self._position_s = order.start_s

    def run(self) -> None:
        """Raises TranscriberError; sends ``done``, or ``stopped`` if the parent asked to stop."""
        began_cpu = time.process_time()
        limits = Limits(max_duration_s=self._order.max_duration_s)
        with open_recording(Path(os.fsdecode(self._order.path)), limits) as recording:
            self._outbox.send(
                Started(
                    order=self._order.order,
                    duration_s=recording.duration_s,
                    format=recording.format_name,
                    codec=recording.codec,
                )
            )
            if not self._transcribe(recording):
                self._outbox.send(Stopped(order=self._order.order))
                return
            if recording.partial:
                self._notes[f"partial: {recording.partial}"] = None
            self._outbox.send(
                Done(
                    order=self._order.order,
                    duration_s=max(self._position_s, recording.decoded_s),
                    notes=tuple(self._notes),
                    cpu_seconds=round(time.process_time() - began_cpu, 3),
                )
            )

    def _transcribe(self, recording: Recording) -> bool:
        """Send every chunk, in order. False if the parent asked to stop before the end."""
        from modules.engine import DETECTORS

        detect = DETECTORS[self._order.settings.vad_method]
        stream = chunks(self._alive(recording), detect, self._order.start_s)
        batched = self._engine.on_gpu and self._order.settings.language != "mixed"
        running: deque[tuple[list[AudioChunk], Future[list[Finished]]]] = deque()
        stopped = False
        with ThreadPoolExecutor(self._engine.streams, thread_name_prefix="stream") as pool:
            for group in _batches(stream, self._order.batch_size if batched else 1):
                if self._inbox.stopped(self._order.order):
                    stopped = True
                    break
                running.append((group, self._submit(pool, group)))
                while running and (len(running) > self._engine.streams + _AHEAD or _ready(running)):
                    self._hand_over(*running.popleft(), recording)
            if stopped:
                # Those that no stream has begun are left for the next run.
                while running and running[-1][1].cancel():
                    running.pop()
            while running:
                self._hand_over(*running.popleft(), recording)
        return not stopped

    def _alive(self, recording: Recording) -> Iterator[Samples]:
        """The recording's blocks, with a sign of life now and then: decoding is progress too."""
        told = time.monotonic()
        for block in recording.blocks(self._order.start_s):
            if time.monotonic() - told > 1.0:
                self._outbox.send(Alive())
                told = time.monotonic()
            yield block

    def _submit(self, pool: ThreadPoolExecutor, group: list[AudioChunk]) -> Future[list[Finished]]:
        spoken = [chunk for chunk in group if len(chunk.samples)]
        encoded = None
        if spoken and self._heard is None and self._order.settings.language != "mixed":
            encoded = self._engine.encode(spoken)
            self._heard = self._engine.detect_language(encoded)
            self._language = self._language or self._heard[0]
        return pool.submit(self._finish, group, spoken, encoded)

    def _finish(
        self, group: list[AudioChunk], spoken: list[AudioChunk], encoded: Any
    ) -> list[Finished]:
        """The texts of a group of chunks; silent ones have none. Runs in a stream's thread."""
        from modules.engine import ChunkText, Decoding

        language, heard = self._language, self._heard
        texts: Iterator[ChunkText] = iter(())
        if spoken:
            if language is None:  # mixed: every chunk decides for itself
                encoded = self._engine.encode(spoken)
                heard = self._engine.detect_language(encoded)
                language = heard[0]
            decoding = Decoding(
                language,
                self._order.settings.temperature,
                self._order.settings.beam_size,
                self._order.settings.task,
                self._order.settings.initial_prompt,
            )
            texts = iter(self._engine.transcribe(spoken, decoding, encoded))
        return [
            Finished(
                next(texts) if len(chunk.samples) else ChunkText((), None),
                language or "",
                *(heard or (None, None)),
            )
            for chunk in group
        ]

    def _hand_over(
        self, group: list[AudioChunk], finished: Future[list[Finished]], recording: Recording
    ) -> None:
        for chunk, result in zip(group, finished.result(), strict=True):
            if result.text.note:
                self._notes[result.text.note] = None
            self._position_s = chunk.position_s
            self._outbox.send(
                Chunk(
                    order=self._order.order,
                    start_s=chunk.start_s,
                    position_s=chunk.position_s,
                    speech_s=chunk.speech_s,
                    segments=result.text.segments,
                    language=result.language or None,
                    detected_language=result.heard,
                    language_probability=result.probability,
                    alignment=result.text.alignment,
                    read_fraction=recording.read_fraction,
                )
            )


def _ready(running: deque[tuple[list[AudioChunk], Future[list[Finished]]]]) -> bool:
    return running[0][1].done()


def _batches(stream: Iterator[AudioChunk], size: int) -> Iterator[list[AudioChunk]]:
    while group := list(itertools.islice(stream, size)):
        yield group


_FAULTS: dict[type[TranscriberError], Literal["media", "model", "storage"]] = {
    MediaError: "media",
    ModelError: "model",
    StorageError: "storage",
}


def _failure(order: int, error: Exception) -> Failed:
    if isinstance(error, TranscriberError):
        return Failed(
            order=order,
            code=error.code,
            message=str(error),
            details=error.details,
            fault=next((f for kind, f in _FAULTS.items() if isinstance(error, kind)), "worker"),
            permanent=error.permanent,
        )
    if isinstance(error, MemoryError):
        message = "There was not enough memory. Use a smaller whisperx.model_size."
        return Failed(order=order, code="out_of_memory", message=message, details=repr(error))
    message = f"WhisperX failed: {error}"
    return Failed(order=order, code="whisperx_failed", message=message, details=repr(error))


def _die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when the thread that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # it died before we could ask


def _give_way() -> None:
    """Let what people wait for at the screen, and the API, have the processor first.

    Before any thread is started: on Linux each has a niceness of its own, that of its starter.
    """
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)


def _stay_offline() -> None:
    """Refuse every connection that Python code tries to open."""

    def guard(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CONNECTING:
            raise PermissionError(
                "whisperx.allow_download is off, so the WhisperX process opens no connection"
            )

    sys.addaudithook(guard)


def main() -> None:
    """Import WhisperX, say so, and take orders."""
    _give_way()
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--cpu-threads", type=int, required=True)
    parser.add_argument("--align-directory", type=Path, required=True)
    parser.add_argument("--online", action="store_true")
    options = parser.parse_args()
    # Libraries print to standard output; only events may go to the parent's pipe.
    outbox = Outbox(os.dup(1))
    os.dup2(2, 1)
    inbox = Inbox(os.dup(0))
    os.close(0)
    os.open(os.devnull, os.O_RDONLY)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent(options.parent)
    if not options.online:
        _stay_offline()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    began = time.monotonic()
    warnings.filterwarnings("ignore")
    import torch

    from modules.engine import WHISPERX_VERSION, compute_types

    torch.set_num_threads(1)
    outbox.send(
        Ready(
            whisperx_version=WHISPERX_VERSION,
            seconds=round(time.monotonic() - began, 3),
            compute_types=compute_types(),
        )
    )
    Worker(inbox, outbox, options.cpu_threads, options.align_directory).run()


if __name__ == "__main__":
    main()
