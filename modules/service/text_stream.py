"""The text of a request while it is made: what each finished chunk adds, then the whole."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from modules.clock import Clock
from modules.config.schema import ApiConfig
from modules.intake.request import TranscriptionRequest
from modules.jobs.events import Events, Subscription
from modules.jobs.job import Job
from modules.jobs.scheduler import Scheduler
from modules.recordings.state_store import StateStore
from modules.service.answers import Accepted, Text
from modules.service.submission import Submission
from modules.service.waiting import CHECK_S, Disconnected, Waiting
from modules.transcript.slicing import joined_text


@dataclass(frozen=True)
class Piece:
    """What is added to the text of a job, with the space before it; empty as a sign of life."""

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

        A piece comes first, mostly without text, and another at least every ``CHECK_S``. Takes a
        place of those that wait; without one the answer is ``Accepted`` at once, and later once
        nothing happened to the job for ``api.wait_seconds``. Raises TranscriberError if there is no
        text: before the first piece if the request cannot be carried out.
        """
        with self._waiting.place() as free, self._listening() as listener:
            found = self._submission.transcribe(request, False, disconnected)
            if isinstance(found, Text) or not free:
                yield found
                return
            job = found.job
            with self._waiting.watch(job.job_id) as watch:
                growing = _Growing()
                yield self._missed(job, growing)
                yield from self._pieces(job, listener, growing, disconnected)
                over = self._scheduler.by_id(job.job_id) is None
                # Its end is reported to listeners first, and noted after that.
                ended = watch.until_ended(CHECK_S if over else 0, disconnected)
            current = self._scheduler.by_id(job.job_id)
            if ended is None and current:
                yield self._submission.accepted(current, request.client)
            else:
                yield self._submission.text_of(job, ended)

    @contextmanager
    def _listening(self) -> Iterator[Subscription]:
        # It has a place of those that wait, and needs none of those that listen.
        listener = self._events.subscribe(counts=False)
        try:
            yield listener
        finally:
            self._events.unsubscribe(listener)

    def _pieces(
        self, job: Job, listener: Subscription, growing: _Growing, disconnected: Disconnected
    ) -> Iterator[Piece]:
        """Until the job has ended, or nothing happens to it, or client or program has ended."""
        last = self._clock.monotonic()
        while not self._waiting.closing and not disconnected():
            # Looked at before: what an ended job did is among the events then.
            current = self._scheduler.by_id(job.job_id)
            for event in listener.take(CHECK_S if current else 0):
                if event.job.job_id == job.job_id:
                    last = self._clock.monotonic()
                    yield Piece(growing.add(event.job), event.job)
            if current is None or self._clock.monotonic() - last >= self._wait_s:
                return
            if listener.lost:
                with self._listening() as again:
                    yield self._missed(job, growing)
                    yield from self._pieces(job, again, growing, disconnected)
                return
            yield Piece("", current)

    def _missed(self, job: Job, growing: _Growing) -> Piece:
        """What was finished before anybody listened: the folder is watched, too."""
        current = self._scheduler.by_id(job.job_id)
        # Channels that are transcribed apart are only put in order at the end.
        if current is None or current.settings.channels == "split":
            growing.is_whole = False
            return Piece("", current or job)
        text = ""
        if current.position_s > growing.position_s:
            chunks = self._states.read_checkpoint(current).chunks
            text = "".join(
                growing.add_chunk(chunk.position_s, [s.text for s in chunk.segments])
                for chunk in chunks
            )
            # It may have ended a moment ago, and its checkpoint with it.
            growing.is_whole = growing.position_s >= current.position_s
        return Piece(text, current)


class _Growing:
    """Joins chunks, each once, as the whole text joins them. Nothing once some were missed."""

    def __init__(self) -> None:
        self.position_s = 0.0
        self.is_whole = True
        self._last = ""

    def add(self, job: Job) -> str:
        """What the job's last chunk adds; nothing if that is known."""
        texts = [str(segment.get("text", "")) for segment in job.last_segments]
        return self.add_chunk(job.position_s, texts)

    def add_chunk(self, position_s: float, texts: Iterable[str]) -> str:
        if position_s <= self.position_s or not self.is_whole:
            return ""
        self.position_s = position_s
        line = joined_text((self._last, *texts))
        added = line[len(self._last) :]
        self._last = line[-1:]
        return added
