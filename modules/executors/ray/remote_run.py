"""One run of a file on a node, seen from the daemon: what comes is checked, and counted once."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from modules.errors import NodeLostError, WorkerError, noted
from modules.executors.base import Outcome, RunCallbacks, Task
from modules.executors.local.output_bounds import OutputBounds
from modules.executors.protocol import OversizedError, Started, Transcribe, parse_event
from modules.executors.ray.wire import (
    PIECE_BYTES,
    Accepted,
    Answer,
    Ended,
    Event,
    Line,
    Piece,
    Poll,
    Standstill,
    error_of,
)
from modules.storage.recording_file import open_recording_file, raise_storage_error
from modules.transcript.model import Chunk

GONE = noted("The machine that worked on the file is gone.")
#: A piece that is still wanted so long after it was sent did not arrive, in seconds.
RESEND_S = 60.0
#: How often it is asked what comes next, in seconds. Each time its settings and weights are looked
#: up in files, which costs the daemon more than all of the poll.
NEXT_UP_S = 1.0


class RemoteRun:
    """``post(method, argument, payload)`` sends a call on whose answer nobody waits for."""

    def __init__(
        self,
        order: int,
        task: Task,
        callbacks: RunCallbacks,
        post: Callable[[str, str, bytes], None],
    ) -> None:
        self._order = order
        self._task = task
        self._callbacks = callbacks
        self._post = post
        self._bounds = OutputBounds(task.command)
        self._received = self._chunks = 0
        #: The pieces of the recording that were sent, and when.
        self._sent: dict[int, float] = {}
        self._wanted: tuple[int, ...] = ()
        self._recording: int | None = None
        self._next_up: Transcribe | None = None
        self._next_up_at = float("-inf")
        #: Whether the worker has loaded its model, and so the attempt is open.
        self.is_accepted = False
        self.ended: Ended | None = None

    def poll(self, stop: bool, wait_s: float) -> str:
        """The question that comes next, in JSON."""
        return Poll(
            order=self._order,
            after=self._received,
            stop=stop,
            hurry=self._callbacks.must_hurry(),
            wait_s=wait_s,
            under_way=tuple(filter(self._is_under_way, self._wanted)),
            next_up=None if stop else self._following(),
        ).model_dump_json()

    def _following(self) -> Transcribe | None:
        """What comes next, as it was within the last second."""
        now = time.monotonic()
        if now >= self._next_up_at + NEXT_UP_S:
            self._next_up, self._next_up_at = self._callbacks.next_up(), now
        return self._next_up

    def take(self, answer: Answer) -> None:
        """Pass on what is new in an answer; raises what the callbacks do, and WorkerError."""
        for numbered in answer.events:
            if numbered.number <= self._received:
                continue  # asked for twice, as it was not certain that it had arrived
            if numbered.number != self._received + 1:
                raise lost(f"event {numbered.number} follows {self._received}")
            self._received = numbered.number
            self._handle(numbered.event, answer)
        self._wanted = answer.wants
        for index in answer.wants:
            self._send(index)

    def _handle(self, event: Event, answer: Answer) -> None:
        if isinstance(event, Accepted):
            self.is_accepted = True
            self._callbacks.on_accepted()
        elif isinstance(event, Standstill):
            self._callbacks.on_standstill(event.seconds)
        elif isinstance(event, Line):
            self._take_line(event, answer)
        else:
            self.ended = event

    def _take_line(self, event: Line, answer: Answer) -> None:
        try:
            said = parse_event(event.line.encode())
        except OversizedError as error:
            raise _nonsense(str(error)) from None
        if isinstance(said, Started):
            self._callbacks.on_started(self._bounds.credible(said))
        elif isinstance(said, Chunk):
            self._chunks += 1
            if said.number != self._chunks:
                raise _nonsense(f"chunk {said.number} as number {self._chunks}")
            self._bounds.check_chunk(said)
            if self._task.handout is None:
                self._callbacks.on_chunk(said)
            else:
                self._callbacks.deliver(answer.handout, said)
        else:
            raise _nonsense("a line that is none of its own")

    def _is_under_way(self, index: int) -> bool:
        return time.monotonic() < self._sent.get(index, float("-inf")) + RESEND_S

    def _send(self, index: int) -> None:
        """Send a piece of the recording, again if it got lost. Raises MediaError, StorageError."""
        if self._is_under_way(index):
            return
        try:
            if self._recording is None:
                self._recording = open_recording_file(Path(os.fsdecode(self._task.command.path)))
            content = os.pread(self._recording, PIECE_BYTES, index * PIECE_BYTES)
        except OSError as error:
            raise_storage_error(error)
        self._sent[index] = time.monotonic()
        self._post("piece", Piece(order=self._order, index=index).model_dump_json(), content)

    def outcome(self, ended: Ended, answer: Answer) -> Outcome:
        """How the run ended; raises what the worker reports."""
        if ended.failure:
            raise error_of(ended.failure)
        if ended.done:
            if ended.done.chunks != self._chunks:
                raise _nonsense(f"{ended.done.chunks} chunks, of which {self._chunks} came")
            self._bounds.check_end(ended.done)
        handout = answer.handout if self._task.handout else None
        return Outcome(
            done=ended.done,
            ran_s=ended.ran_s,
            loaded=ended.loaded,
            whisperx_version=ended.whisperx_version,
            memory_peak_mb=ended.memory_peak_mb,
            handout=handout,
        )

    def close(self) -> None:
        if self._recording is not None:
            os.close(self._recording)
            self._recording = None


def lost(details: str | None) -> NodeLostError:
    """The worker is gone, and with it what it had not sent yet."""
    return NodeLostError("node_lost", GONE, details=details)


def _nonsense(details: str) -> WorkerError:
    message = noted("A worker of the cluster sent what makes no sense.")
    return WorkerError("implausible_output", message, details=details)


def answer_in(text: object) -> Answer:
    """The answer in JSON. Raises WorkerError for anything else."""
    try:
        return Answer.model_validate_json(text if isinstance(text, str) else json.dumps(text))
    except ValidationError as error:
        raise _nonsense(str(error.errors(include_input=False)[:1])) from None
