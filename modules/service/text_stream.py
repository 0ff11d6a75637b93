"""The text of a request while it is made: what each finished chunk adds, then the whole."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from modules.clock import Clock
from modules.config.schema import ApiConfig
from modules.intake.request import TranscriptionRequest
from modules.jobs.events import Event, Events, Subscription
from modules.jobs.job import Cause, Job
from modules.jobs.scheduler import Scheduler
from modules.recordings.state_store import StateStore
from modules.service.answers import Accepted, Text
from modules.service.submission import Submission
from modules.service.waiting import CHECK_S, Disconnected, Waiting, Watch
from modules.transcript.slicing import joined_text


@dataclass(frozen=True)
class Piece:
    """What was added to the text of a job, with the space before it; empty as a sign of life."""

    text: str
    job: Job


#: Pieces, at last the text; ``Accepted`` in its place if it takes too long. To be closed.
Stream: TypeAlias = Generator[Piece | Accepted | Text, None, None]


class TextStreams:
    """Submits requests and follows their jobs. Thread-safe."""

    def __init__(
        self,
        config: ApiConfig,
        submission: Submission,
        scheduler: Scheduler,
        states: StateStore,
        events: Events,
        waiting: Waiting,
        clock: Clock,
    ) -> None:
        self._wait_s = config.wait_seconds
        self._submission = submission
        self._scheduler = scheduler
        self._states = states
        self._events = events
        self._waiting = waiting
        self._clock = clock

    def follow(self, request: TranscriptionRequest, disconnected: Disconnected) -> Stream:
        """Submit a request; the stream goes on as chunks are finished.

        A piece without text comes first, and at least every ``CHECK_S``. Takes a place of those
        that wait; without one the answer is ``Accepted`` at once. Raises TranscriberError if there
        is no text: before the first piece if the request cannot be carried out.
        """
        with self._waiting.place() as free, self._listening() as listener:
            found = self._submission.transcribe(request, False, disconnected)
            if isinstance(found, Text) or not free:
                yield found
                return
            job = found.job
            with self._waiting.watch(job.job_id) as watch:
                yield Piece("", job)
                if self._scheduler.by_id(job.job_id):
                    yield from self._pieces(job, listener, watch, disconnected)
                ended = watch.until_ended(0, disconnected)
            current = self._scheduler.by_id(job.job_id)
            if ended is None and current:
                yield self._submission.accepted(current, request.client)
            else:
                yield self._submission.text_of(job, ended)

    @contextmanager
    def _listening(self) -> Iterator[Subscription]:
        listener = self._events.subscribe()
        try:
            yield listener
        finally:
            self._events.unsubscribe(listener)

    def _pieces(
        self, job: Job, listener: Subscription, watch: Watch, disconnected: Disconnected
    ) -> Iterator[Piece]:
        """Until the job has ended, or time, client or program has."""
        growing = _Growing()
        deadline = self._clock.monotonic() + self._wait_s
        yield from self._earlier(job.job_id, growing)
        while not self._waiting.closing and not disconnected():
            left_s = deadline - self._clock.monotonic()
            if left_s <= 0:
                return
            mine = [e for e in listener.take(min(left_s, CHECK_S)) if e.job.job_id == job.job_id]
            yield from (Piece(growing.add(event.job), event.job) for event in mine)
            if listener.lost:
                return  # thousands of events behind: the rest comes with the whole text
            # Its end is reported to listeners first, and noted after that.
            if watch.until_ended(CHECK_S if any(map(_is_end, mine)) else 0, disconnected):
                return
            if not mine:
                yield Piece("", job)

    def _earlier(self, job_id: str, growing: _Growing) -> Iterator[Piece]:
        """What was finished before anybody listened, as the folder was watched, too."""
        current = self._scheduler.by_id(job_id)
        if current is None or not current.position_s:
            return
        for chunk in self._states.read_checkpoint(current).chunks:
            texts = [segment.text for segment in chunk.segments]
            yield Piece(growing.add_chunk(chunk.position_s, texts), current)


class _Growing:
    """Joins chunks, each once, as the whole text joins them."""

    def __init__(self) -> None:
        self._position_s = 0.0
        self._last = ""

    def add(self, job: Job) -> str:
        """What the job's last chunk adds; nothing if that is known."""
        texts = [str(segment.get("text", "")) for segment in job.last_segments]
        return self.add_chunk(job.position_s, texts)

    def add_chunk(self, position_s: float, texts: Iterable[str]) -> str:
        if position_s <= self._position_s:
            return ""
        self._position_s = position_s
        line = joined_text((self._last, *texts))
        added = line[len(self._last) :]
        self._last = line[-1:]
        return added


def _is_end(event: Event) -> bool:
    return event.job.finished and event.job.cause is not Cause.REPLACED
