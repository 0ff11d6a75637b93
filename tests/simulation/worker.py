"""A worker whose text follows from the bytes of the recording, and whose moods from the seed."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from modules.config.settings import TranscriptionSettings
from modules.errors import (
    ClusterAwayError,
    MediaError,
    ModelError,
    NodeLostError,
    StorageError,
    TranscriberError,
    WorkerError,
)
from modules.executors.base import HandOut, Outcome, RunCallbacks, Task
from modules.transcript.model import Chunk, Segment
from tests.disk import Died, Disk
from tests.fakes import FakeClock, FakeExecutor, Plan
from tests.simulation.folder import Folder, fingerprint
from tests.simulation.ledger import Ledger
from tests.simulation.violation import Violation


class Nature(Enum):
    """What becomes of a recording; it follows from its bytes."""

    GOOD = "becomes text"
    BROKEN = "is no recording"
    CURSED = "makes the worker fail each time"
    KILLER = "takes the machine down each time"


def nature_of(content: bytes) -> Nature:
    roll = hashlib.sha256(b"nature" + content).digest()[0]
    if roll < 200:
        return Nature.GOOD
    if roll < 220:
        return Nature.BROKEN
    return Nature.CURSED if roll < 242 else Nature.KILLER


def text_of(content: bytes, settings: TranscriptionSettings) -> list[str]:
    """The sentence of every chunk."""
    digest = hashlib.sha256(content).hexdigest()[:12]
    count = 1 + hashlib.sha256(content).digest()[0] % 4
    return [f"{i} of {count} in {digest} as {settings.language}." for i in range(count)]


@dataclass(frozen=True)
class Answer:
    """What a worker on another machine sends: a chunk, by these callbacks, for this hand-out."""

    callbacks: RunCallbacks
    handout: HandOut | None
    chunk: Chunk | None = None

    def deliver(self) -> bool:
        assert self.handout is not None
        assert self.chunk is not None
        return self.callbacks.deliver(self.handout, self.chunk)


class Worker(FakeExecutor):
    """Plays what the nature of a recording and the dice want.

    ``meanwhile(last)`` is called at every border between chunks, for what others do just then.
    ``stale``: answers that come once more, or too late, where the worker is on another machine;
    None for one on this machine.
    """

    def __init__(
        self, clock: FakeClock, dice: random.Random, mishaps: float, default: TranscriptionSettings,
        disk: Disk, folder: Folder, ledger: Ledger, meanwhile: Callable[[bool], None],
        stale: list[Answer] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(clock)
        self._dice = dice
        self._mishaps = mishaps
        self._default = default
        self._disk = disk
        self._folder = folder
        self._ledger = ledger
        self._meanwhile = meanwhile
        self._stale = stale
        #: Its machine is lost; how long for, it cannot know.
        self.is_gone = False
        self._text: list[str] = []
        self._content, self._first = b"", 0
        #: The name of the recording that it has.
        self.in_hand: str | None = None

    def run(self, request: Task, handlers: RunCallbacks) -> Outcome:
        if self.is_gone:
            raise _lost()
        name, content = self._read(request)
        self.in_hand = name
        settings, print_ = request.command.settings, fingerprint(content)
        self._text, self._content = text_of(content, settings), content
        first = self._first = round(request.command.start_s / 10)
        # One that was replaced by a shorter one has nothing left.
        plan = self._plan(name, content, max(0, len(self._text) - first))
        self.plans = [plan]
        self._run = Answer(handlers, request.handout)
        self._ledger.begins(id(self), name, print_, settings, first)

        def taken(chunk: Chunk) -> None:
            self._deliver(chunk, round(chunk.start_s / 10) - first)
            self._ledger.took(name, print_, settings, round(chunk.start_s / 10))

        try:
            self._load(plan)
            return self._ended(super().run(request, replace(handlers, on_chunk=taken)))
        except NodeLostError:
            self._ledger.loses_node(print_)
            raise
        except TranscriberError as error:
            if error is plan.error and self._counts(error, settings, plan):
                self._ledger.counts(print_)
            raise
        finally:
            self._ledger.ends(id(self))
            self.in_hand = None

    def _deliver(self, chunk: Chunk, index: int) -> None:
        """From another machine with the hand-out's name and a number, and now and then twice."""
        if self._stale is None:
            self._run.callbacks.on_chunk(chunk)
            return
        answer = replace(self._run, chunk=chunk.model_copy(update={"number": index + 1}))
        if not answer.deliver():
            raise Violation("refused", f"chunk {index} of {self.in_hand!r} did not count")
        if self._dice.random() < 0.3:
            self._stale.append(answer)

    def _ended(self, outcome: Outcome) -> Outcome:
        """Now and then it is the end of another hand-out that comes."""
        if self._stale is None:
            return outcome
        mixed_up = self._stale and self._dice.random() < 0.05 and outcome.done
        handout = self._stale[0].handout if mixed_up else self._run.handout
        if outcome.done and handout != self._run.handout:
            self._ledger.loses_node(fingerprint(self._content))
        return replace(outcome, handout=handout)

    def _hear_stale(self) -> None:
        """Answers of earlier hand-outs come now, by their own way or by that of the present one."""
        if not self._stale or self._dice.random() > 0.3:
            return
        late = self._dice.choice(self._stale)
        way = self._dice.choice((late.callbacks, self._run.callbacks))
        if replace(late, callbacks=way).deliver():
            raise Violation("late", f"a late chunk counted while {self.in_hand!r} runs")

    def _vanish(self, index: int) -> None:
        """The chunk that it was about to send may come yet."""
        self.is_gone = True
        if index < len(self._text):
            chunk = self._chunk(index, len(self._text), "ru")
            assert self._stale is not None
            chunk = chunk.model_copy(update={"number": index - self._first + 1})
            self._stale.append(replace(self._run, chunk=chunk))
        raise _lost()

    def _read(self, request: Task) -> tuple[str, bytes]:
        """The name and the bytes of the recording, as they are at the start of a run."""
        path = os.fsdecode(request.command.path)
        with self._disk.aside():
            try:
                return os.path.relpath(path, self._folder.shared), Path(path).read_bytes()
            except OSError as error:
                raise StorageError("file_vanished", "It cannot be read.") from error

    def _load(self, plan: Plan) -> None:
        """The model; a worker that dies over it was given no file yet."""
        if plan.error_after < 0 and plan.error:
            raise plan.error

    def _counts(self, error: Exception, settings: TranscriptionSettings, plan: Plan) -> bool:
        """Whether it is the file's own failure: a model is, where only this file asks for it."""
        if isinstance(error, MediaError):
            return True
        if isinstance(error, ModelError) or (plan.error_after < 0):
            return not settings.matches(self._default) and not isinstance(error, StorageError)
        return isinstance(error, WorkerError)

    def _plan(self, name: str, content: bytes, left: int) -> Plan:
        nature = nature_of(content)
        plan = Plan(chunks=len(self._text), chunk_s=self._dice.choice((0.1, 1.0, 5.0)))

        def before(index: int) -> None:
            if nature is Nature.KILLER and self._stale is not None:
                self._vanish(index)
            if nature is Nature.KILLER:
                self._ledger.kills(name)
                self._disk.dead = True
                raise Died("the recording took the machine down")
            self._meanwhile(index == plan.chunks)
            if self.is_gone:
                self._vanish(index)
            self._hear_stale()

        plan.before = before
        if nature is Nature.BROKEN:
            plan.error = MediaError("not_media", "This is not a recording.")
        elif nature is Nature.CURSED:
            plan.error = WorkerError("worker_hung", "It hung.")
        elif nature is Nature.GOOD and self._dice.random() < self._mishaps:
            plan.error = self._mishap()
        loading = nature is Nature.GOOD and self._dice.random() < 0.2
        plan.error_after = -1 if loading else self._dice.randint(0, left)
        return plan

    def _mishap(self) -> TranscriberError:
        elsewhere = () if self._stale is None else (ClusterAwayError("away", "It is away."),)
        return self._dice.choice(
            (
                *elsewhere,
                WorkerError("worker_died", "The WhisperX process died."),
                WorkerError("worker_hung", "It hung."),
                StorageError("disk_full", "The disk is full."),
                ModelError("model_missing", "The model is gone."),
            )
        )

    def _make(
        self, request: Task, index: int, on_chunk: Callable[[Chunk], None], plan: Plan
    ) -> None:
        assert isinstance(self.clock, FakeClock)
        self.clock.advance(plan.chunk_s)
        on_chunk(self._chunk(index, plan.chunks, request.command.settings.language))

    def _chunk(self, index: int, count: int, language: str) -> Chunk:
        start = 10.0 * index
        return Chunk(
            task_id=1,
            start_s=start,
            position_s=start + 10,
            speech_s=5,
            segments=(Segment(start=start, end=start + 5, text=self._text[index]),),
            language=language,
            read_fraction=(index + 1) / count,
        )


def _lost() -> NodeLostError:
    return NodeLostError("node_lost", "The machine is gone.")
