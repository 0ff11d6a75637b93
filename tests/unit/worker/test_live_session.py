"""A live session by a clock of its own: what is due when; nothing grows with its length."""

from __future__ import annotations

import itertools
import os
import tempfile
import tracemalloc
import wave
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modules.audio.chunking import AudioChunk
from modules.engines.base import DecodingOptions
from modules.executors.live_protocol import (
    Closed,
    CloseSession,
    Commit,
    Final,
    LiveEvent,
    OpenSession,
    Partial,
    Skipped,
    Speech,
)
from modules.transcript.chunk_text import ChunkText
from modules.weights.files import ModelSpec
from modules.worker.live_passes import SpokenLanguage, heard_by
from modules.worker.live_session import Session
from modules.worker.live_utterance import Pass
from tests.builders import SETTINGS
from tests.fakes import FakeClock, FakeEngine

SAMPLE = Path(__file__).resolve().parents[3] / "samples" / "please-hold-ru.wav"
FRAME = 1600
RATE = 16_000


def speech() -> bytes:
    with wave.open(str(SAMPLE)) as source:
        return source.readframes(source.getnframes())


class Run:
    """A session that is fed at the pace of speech, with passes that take ``pass_s`` each."""

    def __init__(self, file: Any, sound: bytes, **more: Any) -> None:
        os.write(file.fileno(), sound)
        self._samples = len(sound) // 2
        self._told = 0
        self.pass_s = 0.2
        self.clock = FakeClock()
        self.events: list[LiveEvent] = []
        self.passes: list[tuple[float, Pass]] = []
        spec = ModelSpec(name="fake", path="/nowhere", device="cpu", compute_type="int8")
        self.engine = FakeEngine(spec, 1, Path("/nowhere"))
        command = OpenSession(session=1, rate=RATE, settings=SETTINGS, **more)
        self.session = Session(command, file.fileno(), self._emit, self.clock.monotonic)
        self._language = SpokenLanguage(SETTINGS, None)
        self._under_way: tuple[float, Pass] | None = None
        #: What there is of events and passes is not counted where memory is.
        self.keeps = True

    def _emit(self, event: LiveEvent) -> None:
        if self.keeps:
            self.events.append(event)

    def go_on(self, until_s: float | None = None) -> None:
        """Up to that second of the sound, or all of it."""
        limit = self._samples if until_s is None else min(self._samples, int(until_s * RATE))
        while self._told < limit:
            self._told = min(limit, self._told + FRAME)
            self.session.hear(self._told)
            self.tick()

    def tick(self) -> None:
        self.clock.advance(0.1)
        if self._under_way and self._under_way[0] <= self.clock.monotonic():
            self.finish()
        while self._under_way is None and self.session.due()[0] <= self.clock.monotonic():
            what = self.session.take()
            if what is None:
                continue
            if self.keeps:
                self.passes.append((self.clock.monotonic(), what))
            self._under_way = (self.clock.monotonic() + self.pass_s, what)

    def finish(self) -> None:
        assert self._under_way is not None
        what, self._under_way = self._under_way[1], None
        heard = heard_by(self.engine, what, self._language, SETTINGS)
        if not self.keeps:
            self.engine.heard.clear()
        self.session.found(what, heard)

    def close(self) -> None:
        self.session.end(CloseSession(session=1))
        for _ in range(100):
            if self.session.is_over:
                return
            self.tick()
        raise AssertionError("it was not closed")

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def file() -> Iterator[Any]:
    with tempfile.TemporaryFile() as made:
        yield made


def test_passes_keep_their_step(file: Any) -> None:
    run = Run(file, speech(), step_s=2.0)
    run.go_on()
    partials = [at for at, what in run.passes if what.kind == "partial"]
    assert len(partials) >= 2
    assert all(b - a >= 1.99 for a, b in itertools.pairwise(partials))
    run.session.pace(None)
    run.close()
    assert run.passes[-1][1].kind == "final"


class Unsure(FakeEngine):
    """Not sure of any word, and hears another one each time."""

    def listen(self, chunk: AudioChunk, options: DecodingOptions, encoded: Any = None) -> ChunkText:
        text = super().listen(chunk, options, encoded)
        changes = {"confidence": 0.3}
        return replace(
            text,
            segments=[
                segment.model_copy(
                    update={
                        "words": tuple(
                            word.model_copy(
                                update=changes | {"word": f"{word.word}x{len(self.heard)}"}
                            )
                            for word in segment.words
                        )
                    }
                )
                for segment in text.segments
            ],
        )


def pauses(run: Run) -> list[float]:
    partials = [at for at, what in run.passes if what.kind == "partial"]
    return [b - a for a, b in itertools.pairwise(partials)]


@pytest.mark.parametrize(
    ("step_s", "is_alone", "least_s"), [(1.0, True, 0.5), (1.0, False, 1.0), (2.0, True, 2.0)]
)
def test_doubts_bring_the_next_pass_sooner_where_there_is_time(
    file: Any, step_s: float, is_alone: bool, least_s: float
) -> None:
    run = Run(file, speech() * 2, step_s=step_s)
    run.engine = Unsure(run.engine.spec, 1, Path("/nowhere"))
    run.session.is_alone = is_alone
    run.go_on()
    # The clock of this test goes on in tenths of a second.
    assert least_s - 0.01 <= min(pauses(run)) <= least_s + 0.11
    assert not [word for one in run.of(Partial) for word in one.words], "doubts were shown"


def test_without_doubts_there_is_no_pass_more(file: Any) -> None:
    run = Run(file, speech() * 2, step_s=1.0)
    run.go_on()
    assert min(pauses(run)) >= 0.99


def test_a_final_comes_of_the_draft_that_was_made_in_its_silence(file: Any) -> None:
    run = Run(file, speech() + bytes(2 * RATE))
    run.go_on()
    kinds = [what.kind for _, what in run.passes]
    assert kinds[-1] == "draft"
    assert "final" not in kinds
    [final] = run.of(Final)
    assert len(final.words) >= 10
    spoken_until = run.of(Speech)[-1].at_s
    draft_at = run.passes[-1][0]
    assert spoken_until + 0.2 < draft_at < spoken_until + 0.6


def test_speech_that_goes_on_after_a_draft_makes_it_void(file: Any) -> None:
    half = speech()[: 2 * 2 * RATE]
    run = Run(file, half + bytes(int(0.55 * RATE) * 2) + half + bytes(2 * RATE), silence_s=0.8)
    run.go_on()
    drafts = [what for _, what in run.passes if what.kind == "draft"]
    assert len(drafts) == 2
    [final] = run.of(Final)
    assert final.words[-1].end > 3.5


def test_speech_without_a_pause_is_cut_before_the_model_is_full(file: Any) -> None:
    run = Run(file, speech() * 10, silence_s=5.0)
    run.go_on()
    run.close()
    assert len(run.of(Final)) >= 2
    assert max(len(what.chunk.samples) for _, what in run.passes) <= 30 * RATE
    partials = [what.chunk for _, what in run.passes if what.kind == "partial"]
    assert max(len(chunk.samples) for chunk in partials) <= 14 * RATE
    words = [word.word for final in run.of(Final) for word in final.words]
    assert len(words) == len(set(words)), "a word was committed twice"
    assert [event.speaking for event in run.of(Speech)] == [True, False]


def test_everything_that_is_committed_is_in_a_final_unchanged(file: Any) -> None:
    run = Run(file, (speech() + bytes(3 * RATE)) * 4)
    run.go_on()
    run.close()
    committed = [word for commit in run.of(Commit) for word in commit.words]
    final = [word for one in run.of(Final) for word in one.words]
    assert len(committed) >= 20
    assert set(committed) <= set(final)
    assert final == sorted(final, key=lambda word: word.start or 0.0)
    assert isinstance(run.events[-1], Closed)


def test_nothing_grows_with_the_length_of_a_session(file: Any) -> None:
    """Six minutes: more of the same changes neither memory nor what a pass hears."""
    run = Run(file, (speech() + bytes(3 * RATE)) * 42)
    run.keeps = False
    run.go_on(60)
    tracemalloc.start()
    try:
        run.go_on(120)
        before = tracemalloc.get_traced_memory()[0]
        run.go_on(350)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 1_500_000, "the sound of one utterance is all that may differ"
    run.keeps = True
    run.go_on()
    run.close()
    assert run.passes
    assert max(len(what.chunk.samples) for _, what in run.passes) <= 10 * RATE


# --- a machine that is too slow -----------------------------------------------------------------


def test_who_hears_much_at_once_shows_that_it_goes_on(file: Any) -> None:
    """A child that goes on with a session may have an hour of silence to hear first."""
    run = Run(file, bytes(2 * RATE * 60))
    shown: list[int] = []
    run.session._progress = lambda: shown.append(run.session._sound.position)
    run.session.hear(RATE * 60)
    assert len(shown) >= 60
    assert shown == sorted(set(shown))


class Starved(Run):
    """A final takes so long, and a quick one half of it. The part of the daemon is played, too."""

    def __init__(self, file: Any, final_s: float, may_hurry: bool = True) -> None:
        sound = speech() + bytes(2 * RATE)
        super().__init__(file, sound * (600 * 2 * RATE // len(sound)))
        self._final_s, self._may_hurry = final_s, may_hurry
        #: How much was unheard at each moment, in seconds.
        self.unheard: list[float] = []

    def tick(self) -> None:
        unheard_s = self._told / RATE - self.session._sound.second(self.session._sound.position)
        self.unheard.append(unheard_s)
        self.session.pace(None, hurries=self._may_hurry and unheard_s > 10)
        super().tick()
        if self._under_way and self._under_way[1] is not self._timed:
            self._timed = self._under_way[1]
            took_s = self._final_s / 2 if self._timed.is_quick else self._final_s
            self._under_way = (self.clock.monotonic() + took_s, self._timed)

    _timed: Pass | None = None


@pytest.mark.parametrize(("final_s", "is_quick"), [(12.0, False), (32.0, True)])
def test_a_session_that_gets_too_little_time_is_late_by_a_bounded_amount(
    file: Any, final_s: float, is_quick: bool
) -> None:
    """By finals of several utterances at once: all that was spoken is in one of them."""
    run = Starved(file, final_s)
    run.go_on()
    half = len(run.unheard) // 2
    assert max(run.unheard[half:]) <= 50.0
    assert max(run.unheard[half:]) <= max(run.unheard[:half]) + 10.0, "it grows no more"
    assert not run.of(Skipped)
    heard = [(what.chunk.start_s, what.chunk.position_s) for _, what in run.passes]
    gaps = [b - a for (_, a), (b, _) in itertools.pairwise(heard)]
    assert max(gaps) < 3.0, "what lies between two finals is silence"
    assert any(what.is_quick for _, what in run.passes) is is_quick


def test_without_a_hurry_it_would_be_later_and_later(file: Any) -> None:
    run = Starved(file, final_s=12.0, may_hurry=False)
    run.go_on()
    assert run.unheard[-1] > 150.0
    assert not any(what.is_quick for _, what in run.passes)


def test_what_there_is_no_time_for_at_all_is_skipped_and_told(file: Any) -> None:
    run = Starved(file, final_s=90.0)
    run.go_on()
    assert max(run.unheard) <= 60.0 + 45.0
    skipped = run.of(Skipped)
    assert len(skipped) >= 3
    assert all(each.from_s < each.to_s for each in skipped)
    ends = [each for each in run.events if isinstance(each, Skipped | Final)]
    times = [each.to_s if isinstance(each, Skipped) else each.start_s for each in ends]
    assert times == sorted(times)
    speaking = [each.speaking for each in run.of(Speech)]
    assert all(a is not b for a, b in itertools.pairwise(speaking))
    run.session.pace(None)
    run._final_s = 0.2
    for _ in range(2000):
        run.tick()
    run.close()
