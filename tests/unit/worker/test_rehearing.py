"""Chunks heard again, with an engine that follows a script instead of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modules.audio.chunking import AudioChunk
from modules.audio.resampler import SAMPLE_RATE
from modules.config.settings import TranscriptionSettings
from modules.engines.base import Capabilities, DecodingOptions, Engine, Progress, no_progress
from modules.transcript.chunk_text import ChunkText
from modules.transcript.model import Segment
from modules.weights.files import ModelSpec
from modules.worker.rehearing import Rehearing
from tests.builders import SETTINGS, a_segment, a_word

NOTHING = ChunkText()


@dataclass(frozen=True)
class Said:
    """Speech from ``start`` to ``end`` in a language; ``deaf_s``: a chunk that is longer than this
    is transcribed without it.
    """

    start: float
    end: float
    language: str = "ru"
    deaf_s: float = 60.0
    avg_logprob: float | None = -0.3
    flags: tuple[Any, ...] = ()


@dataclass
class Script:
    """What is said, how sure the detector is, and which calls there were."""

    said: Sequence[Said]
    probability: float = 0.99
    only: frozenset[str] | None = None
    calls: list[tuple[str, float, str]] = field(default_factory=list)
    settings: list[TranscriptionSettings] = field(default_factory=list)


class ScriptedEngine(Engine):
    def __init__(self, script: Script) -> None:
        spec = ModelSpec(name="base", path="base", device="cpu", compute_type="int8")
        super().__init__(spec, 1, Path())
        self.script = script

    @classmethod
    def version(cls) -> str:
        return "0"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(languages=self.script.only, translation=True)

    def transcribe(
        self,
        chunks: Sequence[AudioChunk],
        options: DecodingOptions,
        progress: Progress = no_progress,
        encoded: Any = None,
    ) -> list[ChunkText]:
        [chunk] = chunks
        assert encoded in (None, [chunk]), "what was encoded is another chunk"
        assert len(chunk.samples), "a silent chunk"
        self.script.calls.append(("transcribe", round(chunk.start_s, 1), options.language))
        self.script.settings.append(options.settings)
        length_s = len(chunk.samples) / SAMPLE_RATE
        heard = [
            segment
            for said in self.script.said
            if said.language == options.language and length_s <= said.deaf_s
            for segment in _within(said, chunk)
        ]
        return [ChunkText(tuple(heard))]

    def detect_language(self, encoded: Any, index: int = 0) -> tuple[str, float]:
        chunk = encoded[index]
        self.script.calls.append(("detect", round(chunk.start_s, 1), ""))
        shares: dict[str, float] = {}
        for said in self.script.said:
            inside = min(said.end, chunk.position_s) - max(said.start, chunk.start_s)
            shares[said.language] = shares.get(said.language, 0.0) + max(0.0, inside)
        most = max(shares, key=lambda code: shares[code])
        return most, self.script.probability * shares[most] / (sum(shares.values()) or 1.0)


def _within(said: Said, chunk: AudioChunk) -> list[Segment]:
    """A word for each half second of it that lies in the chunk."""
    start, end = max(said.start, chunk.start_s), min(said.end, chunk.position_s)
    if end - start < 0.1:
        return []
    words = [a_word(said.language, at, min(at + 0.5, end)) for at in np.arange(start, end, 0.5)]
    segment = a_segment(start, end, " ".join(word.word for word in words), tuple(words))
    return [segment.model_copy(update={"avg_logprob": said.avg_logprob, "flags": said.flags})]


def a_chunk(
    length_s: float, speech: Sequence[tuple[float, float]], start_s: float = 0.0
) -> AudioChunk:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, round(length_s * SAMPLE_RATE))
    return AudioChunk(start_s, start_s + length_s, noise.astype(np.float32), tuple(speech))


def improved(
    script: Script, chunk: AudioChunk, text: ChunkText | None = None, **settings: Any
) -> ChunkText:
    """The chunk as it is transcribed first, in Russian, and then heard again."""
    engine = ScriptedEngine(script)
    chosen = SETTINGS.model_copy(update=settings)
    if text is None:
        [text] = engine.transcribe([chunk], DecodingOptions("ru", chosen))
        script.calls.clear()
        script.settings.clear()
    return Rehearing(engine, chosen, no_progress).improved(chunk, text, "ru")


def spans(text: ChunkText) -> list[tuple[float, float, str | None]]:
    return [(s.start, s.end, s.language) for s in text.segments]


def languages(text: ChunkText) -> set[str | None]:
    return {segment.language for segment in text.segments}


WHOLE = ((0.0, 20.0),)


def test_a_chunk_with_all_its_words_is_not_heard_again() -> None:
    script = Script([Said(0, 20)])
    chunk = a_chunk(20, WHOLE)
    [text] = ScriptedEngine(script).transcribe([chunk], DecodingOptions("ru", SETTINGS))
    script.calls.clear()
    assert improved(script, chunk, text) is text
    assert script.calls == []


def test_a_sentence_that_was_passed_over_is_found_in_a_part() -> None:
    script = Script([Said(0, 10), Said(11, 20, deaf_s=15)])
    found = improved(script, a_chunk(20, [(0, 10), (11, 20)]))
    assert spans(found) == [(0.0, 10.0, None), (11.0, 20.0, None)]


def test_it_is_found_in_a_quarter_too() -> None:
    script = Script([Said(0, 24), Said(25, 30, deaf_s=8)])
    found = improved(script, a_chunk(30, [(0, 12), (13, 24), (25, 30)]))
    assert found.segments[-1].end == 30.0


def test_speech_in_another_language_is_heard_in_it() -> None:
    script = Script([Said(0, 20, "en")])
    found = improved(script, a_chunk(20, WHOLE))
    assert spans(found) == [(0.0, 20.0, "en")]
    assert script.calls == [("detect", 0.0, ""), ("transcribe", 0.0, "en")]


def test_a_chunk_in_two_languages_is_heard_in_both() -> None:
    script = Script([Said(0, 9), Said(10, 20, "en")])
    found = improved(script, a_chunk(20, [(0, 9), (10, 20)]))
    assert spans(found) == [(0.0, 9.0, None), (10.0, 20.0, "en")]


@pytest.mark.parametrize("probability", [0.3, 0.69])
def test_another_language_is_not_taken_on_a_guess(probability: float) -> None:
    script = Script([Said(0, 20, "en")], probability)
    assert improved(script, a_chunk(20, WHOLE)) == NOTHING
    assert ("transcribe", 0.0, "en") not in script.calls


@pytest.mark.parametrize(
    "said",
    [
        Said(0, 20, "en", avg_logprob=-0.81),
        Said(0, 20, "en", avg_logprob=None),
        Said(0, 20, "en", flags=("repetition",)),
        Said(0, 20, "en", flags=("low_probability",)),
    ],
)
def test_a_text_in_another_language_must_convince(said: Said) -> None:
    script = Script([said])
    assert "en" not in languages(improved(script, a_chunk(20, WHOLE)))
    assert ("transcribe", 0.0, "en") in script.calls


def test_a_text_that_is_certain_convinces() -> None:
    assert languages(improved(Script([Said(0, 20, "en", avg_logprob=0.0)]), a_chunk(20, WHOLE)))


def test_speech_that_has_words_is_not_heard_in_another_language_as_a_whole() -> None:
    script = Script([Said(0, 14), Said(15, 20, "en")])
    improved(script, a_chunk(20, [(0, 14), (15, 20)]))
    assert ("transcribe", 0.0, "en") not in script.calls


def test_the_text_is_never_replaced_by_a_worse_one() -> None:
    text = ChunkText((a_segment(0, 10, "да", (a_word("да", 0, 10),)),))
    for said in ([Said(0, 2)], [], [Said(0, 10.9)], [Said(0, 10, "en", avg_logprob=-2.0)]):
        script = Script(said or [Said(99, 100)])
        assert improved(script, a_chunk(20, WHOLE), text) is text
        assert script.calls, "it was tried"


def test_a_gain_of_a_second_counts() -> None:
    text = ChunkText((a_segment(0, 10, "да", (a_word("да", 0, 10),)),))
    found = improved(Script([Said(0, 13)]), a_chunk(20, WHOLE), text)
    assert max(segment.end for segment in found.segments) == 13.0


def test_translation_stays_translation() -> None:
    script = Script([Said(0, 9), Said(10, 20, "fr")])
    found = improved(script, a_chunk(20, [(0, 9), (10, 20)]), task="translate")
    assert spans(found) == [(0.0, 9.0, None), (10.0, 20.0, "fr")]
    assert {settings.task for settings in script.settings} == {"translate"}


def test_a_model_of_one_language_is_asked_for_no_other() -> None:
    script = Script([Said(0, 9), Said(10, 20, deaf_s=15)], only=frozenset({"ru"}))
    found = improved(script, a_chunk(20, [(0, 9), (10, 20)]))
    assert spans(found) == [(0.0, 9.0, None), (10.0, 20.0, None)]
    assert {call for call, _, _ in script.calls} == {"transcribe"}


@pytest.mark.parametrize("length_s", [5.0, 20.0, 30.0])
def test_speech_that_has_no_words_in_it_comes_to_an_end(length_s: float) -> None:
    script = Script([Said(99, 100)], probability=0.1)
    assert improved(script, a_chunk(length_s, [(0, length_s)])) == NOTHING
    assert sum(call == "transcribe" for call, _, _ in script.calls) <= 2 + 4


@pytest.mark.parametrize("speech_s", [1.3, 1.9])
def test_a_word_or_two_are_not_heard_again(speech_s: float) -> None:
    script = Script([Said(0, 20, "en")])
    assert improved(script, a_chunk(3, [(0, speech_s)])) == NOTHING
    assert script.calls == []


def test_short_speech_is_not_cut() -> None:
    script = Script([Said(0, 20, "en")], probability=0.5)
    assert improved(script, a_chunk(4, [(0, 3.9)])) == NOTHING
    assert script.calls == [("detect", 0.0, "")]


def test_the_same_chunk_is_heard_the_same_each_time() -> None:
    said = [Said(0, 9, deaf_s=12), Said(10, 16, "en"), Said(17, 29, deaf_s=16)]
    chunk = a_chunk(30, [(0, 9), (10, 16), (17, 29)])
    first, second = Script(said), Script(said)
    assert improved(first, chunk) == improved(second, chunk)
    assert first.calls == second.calls


def test_times_are_those_of_the_recording() -> None:
    later = [replace(said, start=said.start + 600, end=said.end + 600)
             for said in (Said(0, 9), Said(10, 20, "en"))]  # fmt: skip
    found = improved(Script(later), a_chunk(20, [(600, 609), (610, 620)], 600.0))
    assert spans(found) == [(600.0, 609.0, None), (610.0, 620.0, "en")]
