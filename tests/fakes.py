"""Stand-ins for what tests drive themselves. Each keeps the contract of what it stands for."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from modules.audio.chunking import SAMPLE_RATE, AudioChunk
from modules.clock import Clock
from modules.engines.base import Capabilities as EngineCapabilities
from modules.engines.base import DecodingOptions, Engine, Progress, no_progress
from modules.executors.base import Capabilities, ExecutorStatus, Outcome, RunCallbacks, Task
from modules.executors.protocol import Done, Loaded, Started, Transcribe
from modules.transcript.chunk_text import ChunkText
from modules.transcript.model import Chunk, Segment, Word
from modules.weights.files import ModelSpec


class FakeClock:
    """A ``Clock`` that only moves when it is told to."""

    def __init__(self, start: datetime = datetime(2024, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed_s = 0.0

    def monotonic(self) -> float:
        return self._elapsed_s

    def utc_now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed_s)

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("a clock does not run backwards")
        self._elapsed_s += seconds


@dataclass
class Plan:
    """How one run goes: ``chunks`` in the recording, and an error after some of this run."""

    chunks: int = 3
    error: Exception | None = None
    error_after: int = 0
    #: Called before each chunk with its number in the recording, and once more before the end.
    before: Callable[[int], None] = lambda index: None
    #: How long a chunk takes by the clock, where that is a fake one.
    chunk_s: float = 1.0
    #: How long the whole program stands still before each chunk, by such a clock.
    standstill_s: float = 0.0
    #: Whether the error comes while the worker has the next file in hand, if there is one.
    fails_ahead: bool = False
    notes: tuple[str, ...] = ()


@dataclass
class FakeExecutor:
    """Stands for ``LocalExecutor``: plays one plan a run, then the default for ever.

    Chunks are 10 s long and say their number and the name of the file.
    """

    clock: Clock
    plans: list[Plan] = field(default_factory=list)
    orders: list[Task] = field(default_factory=list)
    chunks_made: list[tuple[str, int]] = field(default_factory=list)
    warmed: list[ModelSpec] = field(default_factory=list)
    closed: bool = False
    maintained: int = 0
    restarts: dict[str, int] = field(default_factory=dict)
    prepared: list[Transcribe | None] = field(default_factory=list)
    expected: list[Transcribe] = field(default_factory=list)
    failed_ahead: bool = False
    pid: int | None = 4711
    model_loaded: str | None = "faster-whisper-base"
    compute_types: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {"cpu": ("float32", "int8", "int8_float32")}
    )
    memory_mb: int = 100
    resting: bool = False
    warm_error: Exception | None = None

    def warm(self, spec: ModelSpec) -> None:
        if self.warm_error:
            raise self.warm_error
        self.warmed.append(spec)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(self.compute_types)

    @property
    def status(self) -> ExecutorStatus:
        return ExecutorStatus(
            is_running=self.pid is not None,
            is_idle=self.resting,
            model_loaded=self.model_loaded,
            memory_mb=self.memory_mb,
            restarts=self.restarts,
        )

    def prefetch(self, command: Transcribe) -> None:
        self.expected.append(command)

    def maintain(self) -> None:
        self.maintained += 1

    def close(self) -> None:
        self.closed = True

    def run(self, request: Task, handlers: RunCallbacks) -> Outcome:
        self.orders.append(request)
        plan = self.plans.pop(0) if self.plans else Plan()
        handlers.on_tick()
        if handlers.should_stop():
            return self._outcome(None)
        handlers.on_accepted()
        following = handlers.next_up()
        self.prepared.append(following)
        self.failed_ahead = plan.fails_ahead and following is not None
        duration_s = plan.chunks * 10.0
        handlers.on_started(Started(task_id=1, duration_s=duration_s, format="fake", codec="none"))
        first = round(request.command.start_s / 10)
        for index in range(first, plan.chunks + 1):
            if plan.error and index - first == plan.error_after:
                raise plan.error
            plan.before(index)
            if plan.standstill_s and isinstance(self.clock, FakeClock):
                self.clock.advance(plan.standstill_s)
                handlers.on_standstill(plan.standstill_s)
            handlers.on_tick()
            if handlers.should_stop():
                return self._outcome(None)
            if index < plan.chunks:
                self._make(request, index, handlers.on_chunk, plan)
        made = max(0, plan.chunks - first)
        return self._outcome(
            Done(task_id=1, chunks=made, duration_s=duration_s, notes=plan.notes, cpu_seconds=1.5)
        )

    def _make(
        self, request: Task, index: int, on_chunk: Callable[[Chunk], None], plan: Plan
    ) -> None:
        if isinstance(self.clock, FakeClock):
            self.clock.advance(plan.chunk_s)
        name = request.command.path.rpartition(b"/")[2].decode(errors="replace")
        self.chunks_made.append((name, index))
        start = 10.0 * index
        on_chunk(
            Chunk(
                task_id=1,
                start_s=start,
                position_s=start + 10,
                speech_s=5,
                segments=(Segment(start=start, end=start + 5, text=f"{index} of {name}."),),
                language="ru",
                read_fraction=(index + 1) / plan.chunks,
            )
        )

    def numbers(self, name: str) -> Sequence[int]:
        """Which chunks of a file were made, in the order of their making."""
        return [index for made, index in self.chunks_made if made == name]

    @staticmethod
    def _outcome(done: Done | None) -> Outcome:
        return Outcome(
            done=done,
            ran_s=1.0,
            loaded=Loaded(name="faster-whisper-base", size_mb=139, seconds=2.0),
            whisperx_version="3.8.6",
            memory_peak_mb=500,
        )


SPOKEN_EVERY_S, SPOKEN_S = 0.5, 0.4


def spoken_word(index: int) -> Word:
    """What ``FakeEngine`` hears at every half second of a recording or a session."""
    start = index * SPOKEN_EVERY_S
    return Word(word=f"слово{index}", start=start, end=start + SPOKEN_S, confidence=0.9)


class FakeEngine(Engine):
    """Hears ``spoken_word`` wherever all of one lies in speech; takes ``pass_s`` for it.

    ``heard``: the chunks, and whether each was to be heard quickly. ``fails``: raise at each.
    """

    def __init__(self, spec: ModelSpec, cpu_threads: int, models_directory: Path) -> None:
        super().__init__(spec, cpu_threads, models_directory)
        self.streams = cpu_threads
        self.pass_s = 0.0
        self.fails = False
        self.heard: list[tuple[AudioChunk, bool]] = []
        self.running = self.most_running = 0
        self._lock = threading.Lock()

    @classmethod
    def version(cls) -> str:
        return "0.fake"

    @property
    def capabilities(self) -> EngineCapabilities:
        return EngineCapabilities(streaming=True)

    def detect_language(self, encoded: Any, index: int = 0) -> tuple[str, float]:
        return ("ru", 0.9)

    def can_batch(self, chunk: AudioChunk, fast: bool = False) -> bool:
        return True

    def transcribe(
        self,
        chunks: Sequence[AudioChunk],
        options: DecodingOptions,
        progress: Progress = no_progress,
        encoded: Any = None,
    ) -> list[ChunkText]:
        return [self._text(chunk, False) for chunk in chunks]

    def listen(self, chunk: AudioChunk, options: DecodingOptions, encoded: Any = None) -> ChunkText:
        return self._text(chunk, True)

    def _text(self, chunk: AudioChunk, is_quick: bool) -> ChunkText:
        with self._lock:
            self.heard.append((chunk, is_quick))
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        time.sleep(self.pass_s)
        with self._lock:
            self.running -= 1
        if self.fails:
            raise RuntimeError("it fails")
        end_s = chunk.start_s + len(chunk.samples) / SAMPLE_RATE
        numbers = range(math.ceil(chunk.start_s / SPOKEN_EVERY_S), int(end_s / SPOKEN_EVERY_S) + 1)
        words = tuple(
            word
            for word in map(spoken_word, numbers)
            if any(a <= (word.start or 0) and (word.end or 0) <= b for a, b in chunk.speech)
        )
        if not words:
            return ChunkText()
        text = " ".join(word.word for word in words)
        start, end = words[0].start or 0.0, words[-1].end or 0.0
        return ChunkText((Segment(start=start, end=end, text=text, words=words),))
