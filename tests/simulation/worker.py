"""A worker whose text follows from the bytes of the recording, and whose moods from the seed."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from pathlib import Path

from modules.config.settings import TranscriptionSettings
from modules.errors import MediaError, ModelError, StorageError, TranscriberError, WorkerError
from modules.executors.base import Outcome, RunCallbacks, Task
from modules.transcript.model import Chunk, Segment
from tests.disk import Died, Disk
from tests.fakes import FakeClock, FakeExecutor, Plan
from tests.simulation.folder import Folder, fingerprint
from tests.simulation.ledger import Ledger


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


class Worker(FakeExecutor):
    """Plays what the nature of a recording and the dice want.

    ``meanwhile(last)`` is called at every border between chunks, for what others do just then.
    """

    def __init__(
        self, clock: FakeClock, dice: random.Random, mishaps: float, default: TranscriptionSettings,
        disk: Disk, folder: Folder, ledger: Ledger, meanwhile: Callable[[bool], None],
    ) -> None:  # fmt: skip
        super().__init__(clock)
        self._dice = dice
        self._mishaps = mishaps
        self._default = default
        self._disk = disk
        self._folder = folder
        self._ledger = ledger
        self._meanwhile = meanwhile
        self._text: list[str] = []
        #: The name of the recording that it has.
        self.in_hand: str | None = None

    def run(self, request: Task, handlers: RunCallbacks) -> Outcome:
        name, content = self._read(request)
        self.in_hand = name
        settings, print_ = request.command.settings, fingerprint(content)
        self._text = text_of(content, settings)
        first = round(request.command.start_s / 10)
        self._ledger.begins(name, print_, settings, first)
        plan = self._plan(name, content, len(self._text) - first)
        self.plans = [plan]

        def taken(chunk: Chunk) -> None:
            handlers.on_chunk(chunk)
            self._ledger.took(name, print_, settings, round(chunk.start_s / 10))

        try:
            self._load(plan)
            return super().run(request, replace(handlers, on_chunk=taken))
        except TranscriberError as error:
            if error is plan.error and self._counts(error, settings, plan):
                self._ledger.counts(print_)
            raise

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
            if nature is Nature.KILLER:
                self._ledger.kills(name)
                self._disk.dead = True
                raise Died("the recording took the machine down")
            self._meanwhile(index == plan.chunks)

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
        return self._dice.choice(
            (
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
        start = 10.0 * index
        on_chunk(
            Chunk(
                task_id=1,
                start_s=start,
                position_s=start + 10,
                speech_s=5,
                segments=(Segment(start=start, end=start + 5, text=self._text[index]),),
                language=request.command.settings.language,
                read_fraction=(index + 1) / plan.chunks,
            )
        )
