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
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modules.chunking import AudioChunk, Cutting, Samples, chunks
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
    Turn,
)

if TYPE_CHECKING:
    from modules.diarization import Diarized, Diarizer
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
#: How often a sign of life is given, at most.
_TELL_S = 1.0
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


@dataclass(frozen=True)
class Speakers:
    """Who speaks when, and what told the voices apart; nothing if that was not to be had."""

    turns: tuple[Turn, ...] = ()
    method: str | None = None


class Worker:
    """Carries out orders one after the other."""

    def __init__(self, inbox: Inbox, outbox: Outbox, cpu_threads: int, models: Path) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._cpu_threads = cpu_threads
        self._models = models
        self._engine: Engine | None = None
        self._diarizer: Diarizer | None = None

    def run(self) -> None:
        """Work until the parent goes away."""
        while True:
            order = self._inbox.next()
            number = order.order if isinstance(order, Transcribe) else 0
            try:
                engine = self._engine_for(order.model)
                if isinstance(order, Transcribe):
                    Transcription(order, engine, self._diarize, self._inbox, self._outbox).run()
            except Exception as error:  # noqa: BLE001 - the process boundary: told, then next
                self._outbox.send(_failure(number, error))

    def _engine_for(self, spec: ModelSpec) -> Engine:
        if self._engine is None or self._engine.spec != spec:
            from modules.engine import Engine

            self._engine = None  # let the old weights go before the new ones come
            try:
                self._engine = Engine(spec, self._cpu_threads, self._models / "align")
                size_mb = round((Path(spec.path) / "model.bin").stat().st_size / 2**20)
            except (RuntimeError, ValueError, OSError, MemoryError) as error:
                # Broken weights, no driver, no memory: no recording is to blame for it.
                raise ModelError(
                    "model_not_loaded",
                    f"The model {spec.name} cannot be loaded: {error}.",
                    remedy="Run `python transcriber.py doctor`; it says what to do.",
                ) from error
            self._outbox.send(
                Loaded(
                    name=spec.name,
                    size_mb=size_mb,
                    seconds=self._engine.load_seconds,
                    device=self._engine.device,
                    compute_type=self._engine.compute_type,
                )
            )
        return self._engine

    def _diarize(self, engine: Engine, *what: Any) -> Diarized | None:
        """See ``Diarizer.turns``. Its models are loaded when somebody first wants them."""
        if self._diarizer is None:
            from modules.diarization import Diarizer

            self._diarizer = Diarizer(self._models / "diarize", engine.device, engine.streams)
        return self._diarizer.turns(*what)


class Transcription:
    """One order: decode, find speech, and keep the model's streams busy, results in order."""

    def __init__(
        self,
        order: Transcribe,
        engine: Engine,
        diarize: Callable[..., Diarized | None],
        inbox: Inbox,
        outbox: Outbox,
    ) -> None:
        from modules.listening import Listener
        from modules.voice import detector

        self._order = order
        self._diarize = diarize
        self._detect = detector(order.settings, engine.device)
        self._settings = order.settings
        self._engine = engine
        self._inbox = inbox
        self._outbox = outbox
        self._listener = Listener(engine, order.settings.language, order.settled_language)
        self._notes: dict[str, None] = {}
        self._position_s = order.start_s
        self._chunks_sent = 0
        self._told_at = time.monotonic()

    def run(self) -> None:
        """Raises TranscriberError; sends ``done``, or ``stopped`` if the parent asked to stop."""
        began_cpu = time.process_time()
        with self._open() as recording:
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
            duration_s = max(self._position_s, recording.decoded_s)
            told = self._speakers(recording) if self._settings.diarize else Speakers()
            if told is None:
                self._outbox.send(Stopped(order=self._order.order))
                return
            self._outbox.send(
                Done(
                    order=self._order.order,
                    duration_s=duration_s,
                    turns=told.turns,
                    diarization=told.method,
                    notes=tuple(self._notes),
                    cpu_seconds=round(time.process_time() - began_cpu, 3),
                )
            )

    def _speakers(self, recording: Recording) -> Speakers | None:
        """Who speaks when, in a second pass; None if the parent asked to stop.

        Whatever goes wrong here costs the speakers, never the text.
        """
        if self._order.attempt > 1 and not self._chunks_sent:
            # All of the text was there, and the process did not survive what came then.
            self._notes["diarization: left out, as it failed before"] = None
            return Speakers()
        asked = self._settings
        try:
            found = self._diarize(
                self._engine,
                recording.blocks,
                self._detect,
                asked.min_speakers,
                asked.max_speakers,
                self._goes_on,
            )
        except Exception as error:  # noqa: BLE001 - told in the result
            self._notes[f"diarization: failed, speakers are not told apart ({error})"] = None
            return Speakers()
        if found and found.note:
            self._notes[found.note] = None
        return Speakers(tuple(found.turns), found.method) if found else None

    def _goes_on(self) -> bool:
        """Whether nobody asked to stop; a sign of life, too."""
        self._sign_of_life()
        return not self._inbox.stopped(self._order.order)

    def _open(self) -> AbstractContextManager[Recording]:
        limits = Limits(max_duration_s=self._order.max_duration_s)
        return open_recording(Path(os.fsdecode(self._order.path)), limits)

    def _transcribe(self, recording: Recording) -> bool:
        """Send every chunk, in order. False if the parent asked to stop before the end."""
        from modules.listening import CUTTING

        mixed = self._settings.language == "mixed"
        blocks = recording.blocks(self._order.start_s)
        cutting = CUTTING if mixed else Cutting()
        stream = chunks(self._alive(blocks), self._detect, self._order.start_s, cutting)
        batched = self._engine.on_gpu and not mixed
        groups = _batches(stream, self._order.batch_size if batched else 1)
        running: deque[tuple[list[AudioChunk], Future[list[Finished]]]] = deque()
        stopped = False
        with ThreadPoolExecutor(self._engine.streams, thread_name_prefix="stream") as pool:
            for group, encoded in self._listener.heard_first(groups):
                if self._inbox.stopped(self._order.order):
                    stopped = True
                    break
                running.append((group, pool.submit(self._finish, group, encoded)))
                while running and (len(running) > self._engine.streams + _AHEAD or _ready(running)):
                    self._hand_over(*running.popleft(), recording)
            if stopped:
                # Those that no stream has begun are left for the next run.
                while running and running[-1][1].cancel():
                    running.pop()
            while running:
                self._hand_over(*running.popleft(), recording)
        return not stopped

    def _alive(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        """The recording's blocks, with a sign of life now and then: decoding is progress too."""
        for block in blocks:
            self._sign_of_life()
            yield block

    def _sign_of_life(self) -> None:
        """At most once a second."""
        now = time.monotonic()
        if now - self._told_at > _TELL_S:
            self._told_at = now
            self._outbox.send(Alive())

    def _finish(self, group: list[AudioChunk], encoded: Any) -> list[Finished]:
        """The texts of a group of chunks; silent ones have none. Runs in a stream's thread."""
        from modules.engine import ChunkText, Decoding

        spoken = [chunk for chunk in group if len(chunk.samples)]
        if self._listener.language is None:
            return [self._by_languages(chunk) for chunk in group]
        decoding = Decoding(self._listener.language, self._settings)
        texts = iter(
            self._engine.transcribe(spoken, decoding, encoded, self._sign_of_life) if spoken else ()
        )
        return [
            Finished(
                next(texts) if len(chunk.samples) else ChunkText(),
                self._listener.language,
                *(self._listener.heard or (None, None)),
            )
            for chunk in group
        ]

    def _by_languages(self, chunk: AudioChunk) -> Finished:
        """A chunk of a mixed recording: each part in its own language."""
        from modules.engine import ChunkText, Decoding

        texts, found = [], []
        for part, heard, encoded in self._listener.parts(chunk, self._sign_of_life):
            how = Decoding(heard[0], self._settings)
            text = self._engine.transcribe([part], how, encoded, self._sign_of_life)[0]
            texts.append(text.spoken_in(heard[0]))
            found.append((part.speech_s, *heard))
        _, language, probability = max(found, default=(0.0, "", None))
        return Finished(ChunkText.joined(texts), language, language or None, probability)

    def _hand_over(
        self, group: list[AudioChunk], finished: Future[list[Finished]], recording: Recording
    ) -> None:
        for chunk, result in zip(group, finished.result(), strict=True):
            if result.text.note:
                self._notes[result.text.note] = None
            self._position_s = chunk.position_s
            self._chunks_sent += 1
            self._outbox.send(
                Chunk(
                    order=self._order.order,
                    start_s=chunk.start_s,
                    position_s=chunk.position_s,
                    speech_s=round(chunk.speech_s, 3),
                    segments=result.text.segments,
                    dropped=result.text.dropped,
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
    parser.add_argument("--models-directory", type=Path, required=True)
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
    Worker(inbox, outbox, options.cpu_threads, options.models_directory).run()


if __name__ == "__main__":
    main()
