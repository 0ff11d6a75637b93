"""A text while it is made: every chunk once, in order, also those of before anybody listened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.api.openai.stream import remaining
from modules.config.schema import ApiConfig
from modules.intake.request import TranscriptionRequest
from modules.jobs.events import BACKLOG, Events
from modules.jobs.job import Job, Progress, Status
from modules.jobs.scheduler import Scheduler
from modules.outputs.segments_json import full_text, segment_json
from modules.recordings.checkpoint import Checkpoint, Chunks
from modules.service.answers import Accepted, Text
from modules.service.text_stream import Piece, Stream, TextStreams, _Growing
from modules.service.waiting import Waiting
from modules.transcript.model import Chunk
from modules.transcript.transcript import Transcript
from tests.builders import SETTINGS, a_chunk, a_job, a_segment, a_word
from tests.fakes import FakeClock

REQUEST = TranscriptionRequest("talk.mp3")
WAIT_S = 100.0


class Bench:
    """Real queue, events and places; what the job becomes is played by the test."""

    def __init__(self, places: int = 1) -> None:
        self.clock = FakeClock()
        self.events = Events()
        self.scheduler = Scheduler(
            self.clock,
            lambda job: self.events.publish("transition", job),
            lambda job: self.events.publish("progress", job),
        )
        self.waiting = Waiting(self.clock, places)
        self.events.hooks.append(self.waiting.on_event)
        self.chunks = Chunks()
        self.left = False
        self.streams = TextStreams(
            ApiConfig(wait_seconds=WAIT_S), self, self.scheduler, self, self.events,  # type: ignore[arg-type]
            self.waiting, self.clock,
        )  # fmt: skip
        self.scheduler.submit(a_job(REQUEST.name))
        self.scheduler.take(0)

    # what it stands in for

    def transcribe(self, request: TranscriptionRequest, wait: bool, left: object) -> Accepted:
        job = self.scheduler.get(request.name)
        assert job
        assert not wait
        return Accepted(job, "queued", 0)

    def accepted(self, job: Job, client: str | None) -> Accepted:
        return Accepted(job, "queued", 0)

    def text_of(self, job: Job, ended: Job | None) -> Text:
        return Text(job.name, {"text": full_text(Transcript(self.chunks))})

    def read_checkpoint(self, job: Job) -> Checkpoint:
        return Checkpoint(self.chunks)

    # what happens

    def finish(self, chunk: Chunk, percentage: int = 0) -> None:
        self.chunks.append(chunk)
        segments = tuple(segment_json(segment) for segment in chunk.segments)
        progress = Progress(stage="processing_audio", percentage=percentage)
        self.scheduler.update(
            REQUEST.name,
            lambda job: job.evolve(
                position_s=chunk.position_s, last_segments=segments
            ).advance(progress),
        )  # fmt: skip

    def end(self) -> None:
        self.scheduler.release(REQUEST.name, Status.COMPLETED, "done")

    def follow(self) -> Stream:
        return self.streams.follow(REQUEST, lambda: self.left)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def texts(stream: Iterator[Any]) -> list[str]:
    return [part.text for part in stream if isinstance(part, Piece) and part.text]


def one(stream: Iterator[Any]) -> Iterator[Any]:
    """The next part that has a text."""
    yield next(part for part in stream if not isinstance(part, Piece) or part.text)


def test_each_chunk_is_there_once_also_within_a_percent(bench: Bench) -> None:
    stream = bench.follow()
    assert next(stream).text == ""  # type: ignore[union-attr]
    for index in range(3):
        bench.finish(a_chunk(index))
    bench.end()
    assert texts(stream) == ["слово 0", " слово 1", " слово 2"]


def test_what_was_finished_before_comes_from_the_checkpoint(bench: Bench) -> None:
    bench.finish(a_chunk(0))
    bench.finish(a_chunk(1))
    stream = bench.follow()
    assert texts(one(stream)) == ["слово 0 слово 1"]
    bench.finish(a_chunk(2))
    bench.end()
    assert texts(stream) == [" слово 2"]


def test_without_what_was_finished_before_nothing_is_sent_until_the_end(bench: Bench) -> None:
    """Its checkpoint was removed a moment ago, say; the whole text has it all."""
    bench.finish(a_chunk(0))
    chunks, bench.chunks = bench.chunks, Chunks()
    stream = bench.follow()
    next(stream)
    bench.chunks = chunks
    bench.finish(a_chunk(1))
    bench.end()
    *pieces, last = stream
    assert texts(iter(pieces)) == []
    assert last == Text("talk.mp3", {"text": "слово 0 слово 1"})


def test_what_is_done_again_after_an_interruption_is_not_sent_again(bench: Bench) -> None:
    stream = bench.follow()
    next(stream)
    for index in (0, 1, 0, 1, 2):
        bench.finish(a_chunk(index))
    bench.end()
    assert texts(stream) == ["слово 0", " слово 1", " слово 2"]


def test_the_text_is_the_last_part(bench: Bench) -> None:
    stream = bench.follow()
    next(stream)
    bench.finish(a_chunk(0))
    bench.end()
    assert list(stream)[-1] == Text("talk.mp3", {"text": "слово 0"})


def test_without_a_place_there_is_no_stream() -> None:
    bench = Bench(places=0)
    [only] = bench.follow()
    assert isinstance(only, Accepted)


def test_its_place_is_free_again_and_nobody_listens_once_it_is_closed(bench: Bench) -> None:
    stream = bench.follow()
    next(stream)
    assert (bench.waiting.taken, len(bench.events._listeners)) == (1, 1)
    assert bench.events.listeners == 0, "it would take a place of those of /events"
    stream.close()
    assert (bench.waiting.taken, len(bench.events._listeners)) == (0, 0)


@pytest.mark.parametrize("why", ["left", "closing", "late"])
def test_who_leaves_and_what_takes_too_long_ends_it(bench: Bench, why: str) -> None:
    stream = bench.follow()
    next(stream)
    bench.left = why == "left"
    if why == "closing":
        bench.waiting.close()
    if why == "late":
        bench.finish(a_chunk(0))
        assert texts(one(stream)) == ["слово 0"]
        bench.clock.advance(WAIT_S - 1)
        bench.finish(a_chunk(1))
        assert texts(one(stream)) == [" слово 1"]
        bench.clock.advance(WAIT_S - 1)
        bench.finish(a_chunk(2))
        assert texts(one(stream)) == [" слово 2"]
        bench.clock.advance(WAIT_S + 1)
    *_, last = stream
    assert isinstance(last, Accepted)


def test_a_reader_far_behind_catches_up_with_the_checkpoint(bench: Bench) -> None:
    stream = bench.follow()
    next(stream)
    count = BACKLOG + 5
    for index in range(count):
        bench.finish(a_chunk(index))
    found = ""
    while len(found.split()) < 2 * count:
        found += "".join(texts(one(stream)))
    assert found == " ".join(f"слово {index}" for index in range(count))
    bench.finish(a_chunk(count))
    bench.end()
    assert texts(stream) == [f" слово {count}"]


WORDS = st.lists(st.sampled_from(["да", "нет.", "日本", "e", "-mail", "ну,"]), max_size=30)


@given(st.lists(WORDS, max_size=8))
def test_the_pieces_and_the_rest_are_the_text(said: list[list[str]]) -> None:
    """However sentences are joined across chunks, and cut again."""
    chunks = []
    for index, words in enumerate(said):
        spoken = tuple(
            a_word(word, 10 * index + i / 4, 10 * index + i / 4 + 0.25)
            for i, word in enumerate(words)
        )
        whole = a_segment(10 * index, 10 * index + 9.9, " ".join(words), spoken)
        chunks.append(a_chunk(index, segments=(whole,) if words else ()))
    growing = _Growing()
    sent = "".join(growing.add_chunk(c.position_s, [s.text for s in c.segments]) for c in chunks)
    assert remaining(sent, full_text(Transcript(chunks))) == ""


def test_of_channels_that_are_told_apart_the_text_comes_at_the_end(bench: Bench) -> None:
    """Their sentences are put in order then; what was sent before could not be taken back."""
    settings = SETTINGS.model_copy(update={"channels": "split"})
    bench.scheduler.update(REQUEST.name, lambda job: job.evolve(settings=settings))
    stream = bench.follow()
    assert next(stream).text == ""  # type: ignore[union-attr]
    bench.finish(a_chunk(0, leg=0))
    bench.finish(a_chunk(0, leg=1))
    bench.end()
    *pieces, whole = stream
    assert "".join(p.text for p in pieces if isinstance(p, Piece)) == ""
    assert isinstance(whole, Text)
    assert whole.result["text"] == "слово 0 слово 0"
