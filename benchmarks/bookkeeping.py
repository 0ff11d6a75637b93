"""What it costs to write down a long recording, chunk by chunk, and to publish it at the end.

The real runner, journal, checkpoint and file manager on real files; in the worker's place stands
one that has its chunks ready, as wordy as people are.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from modules.clock import SystemClock
from modules.config.schema import Config
from modules.executors.base import Outcome, RunCallbacks, Task
from modules.executors.protocol import Done, Started, parse_event
from modules.jobs.job import Priority, Status
from modules.jobs.scheduler import Scheduler
from modules.recordings.state_writer import StateWriter
from modules.recordings.store import RecordingStore
from modules.runner.common import Common
from modules.runner.publishing import Publisher
from modules.runner.runner import Runner
from modules.transcript.model import Chunk, Segment, Word
from tests.builders import a_config, a_job, a_model
from tests.fakes import FakeExecutor

CHUNK_S = 30.0
WORDS, SENTENCE_WORDS = 75, 15
#: So many chunks at the beginning and at the end are compared.
COMPARED = 100
NAME = "long.mp3"
_SYLLABLES = "ба ве ги до жу зе ка ло мы ню па ры со ту фэ ха".split()


@dataclass(frozen=True)
class Bookkeeping:
    """Of one recording. Milliseconds a chunk are medians; memory is resident, in MB of 10^6.

    ``chunks_mb``: what all chunks together take; ``publishing_mb``: what is taken at most, besides,
    while the result and the texts are made; ``before_mb``: what the process had at first.
    """

    hours: float
    chunks: int
    first_ms: float
    last_ms: float
    writing_s: float
    written_mb: float
    publishing_s: float
    before_mb: float
    chunks_mb: float
    publishing_mb: float
    result_mb: float


def chunk_line(index: int) -> bytes:
    """What the worker would say of this chunk."""
    start = index * CHUNK_S
    step = CHUNK_S / WORDS
    words = [
        Word(
            word=_word(index * WORDS + n, n % SENTENCE_WORDS),
            start=round(start + n * step, 3),
            end=round(start + (n + 0.9) * step, 3),
            confidence=round(0.5 + n % 50 / 100, 3),
        )
        for n in range(WORDS)
    ]
    sentences = (words[n : n + SENTENCE_WORDS] for n in range(0, WORDS, SENTENCE_WORDS))
    chunk = Chunk(
        task_id=1,
        number=index + 1,
        start_s=start,
        position_s=start + CHUNK_S,
        speech_s=0.9 * CHUNK_S,
        segments=tuple(_segment(sentence) for sentence in sentences),
        language="ru",
        alignment="whisper",
    )
    return chunk.model_dump_json(exclude_none=True).encode()


def _word(number: int, place: int) -> str:
    """A word at this place of its sentence."""
    word = "".join(_SYLLABLES[number * 7919 >> shift & 15] for shift in (0, 4, 8))
    return f" {word}." if place == SENTENCE_WORDS - 1 else f" {word if place else word.title()}"


def _segment(words: list[Word]) -> Segment:
    assert words[0].start is not None
    assert words[-1].end is not None
    return Segment(
        start=words[0].start,
        end=words[-1].end,
        text="".join(word.word for word in words).strip(),
        confidence=0.745,
        words=tuple(words),
        temperature=0.0,
        avg_logprob=-0.251,
        no_speech_prob=0.012,
        compression_ratio=1.812,
    )


class Talker(FakeExecutor):
    """A worker that talks for so many chunks, and takes the time that each is written down in."""

    def __init__(self, chunks: int) -> None:
        super().__init__(SystemClock())
        self._count = chunks
        self.seconds: list[float] = []
        self.written = 0
        self.before_mb = self.chunks_mb = 0.0
        self.ended = 0.0

    def run(self, request: Task, handlers: RunCallbacks) -> Outcome:
        """Hand over one chunk after the other, and note what that cost."""
        handlers.on_accepted()
        duration_s = self._count * CHUNK_S
        handlers.on_started(Started(task_id=1, duration_s=duration_s, format="mp3", codec="mp3"))
        self.before_mb, written = _resident_mb(), _written()
        for index in range(self._count):
            chunk = parse_event(chunk_line(index))
            assert isinstance(chunk, Chunk)
            began = time.perf_counter()
            handlers.on_chunk(chunk)
            self.seconds.append(time.perf_counter() - began)
        self.written = _written() - written
        self.chunks_mb = _resident_mb() - self.before_mb
        _forget_peak()
        self.ended = time.perf_counter()
        return self._outcome(Done(task_id=1, chunks=self._count, duration_s=duration_s))


def bookkeeping(root: Path, hours: float) -> Bookkeeping:
    """Carry one recording through; to be called in a process of its own, for the memory's sake."""
    talker = Talker(round(hours * 3600 / CHUNK_S))
    runner, files, submit = runner_over(a_config(root), talker)
    files.folder.at(NAME).write_bytes(b"sound")
    submit(NAME)
    runner.tick()
    publishing_s = time.perf_counter() - talker.ended
    if runner.finished[Status.COMPLETED] != 1:
        raise AssertionError("the recording was not completed")
    seconds = talker.seconds
    return Bookkeeping(
        hours=hours,
        chunks=len(seconds),
        first_ms=1000 * statistics.median(seconds[:COMPARED]),
        last_ms=1000 * statistics.median(seconds[-COMPARED:]),
        writing_s=sum(seconds),
        written_mb=talker.written / 1e6,
        publishing_s=publishing_s,
        before_mb=talker.before_mb,
        chunks_mb=talker.chunks_mb,
        publishing_mb=_peak_mb() - talker.before_mb - talker.chunks_mb,
        result_mb=(files.folder.path / f"{NAME}.result").stat().st_size / 1e6,
    )


def runner_over(
    config: Config, worker: FakeExecutor
) -> tuple[Runner, RecordingStore, Callable[[str], None]]:
    """A runner with such a worker, its files, and what orders one of them."""
    a_model(config.models_directory)
    clock = SystemClock()
    files = RecordingStore(config.shared_directory, config.manual_directory)
    files.prepare()
    journal: StateWriter
    scheduler = Scheduler(clock, lambda job: journal.record_if_possible(job))
    journal = StateWriter(files.states, scheduler.get)
    publisher = Publisher(files)
    common = Common(
        config, scheduler, files, publisher, journal, clock,
        look_again=lambda name: None, compute_types=lambda: worker.capabilities.compute_types,
    )  # fmt: skip
    runner = Runner(common, worker)
    settings = config.default_settings()

    def submit(name: str) -> None:
        scheduler.submit(a_job(name, source=None, settings=settings, priority=Priority.API))

    return runner, files, submit


def _written() -> int:
    """Bytes that this process has written so far."""
    return int(psutil.Process().io_counters().write_chars)


def _resident_mb() -> float:
    return float(psutil.Process().memory_info().rss / 1e6)


def _forget_peak() -> None:
    """Let the kernel count this process's most resident memory from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    [peak] = (line for line in lines if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024 / 1e6
