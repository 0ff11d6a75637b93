"""The language is that of the first speech; a mixed chunk is cut until each part has one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from modules.audio.chunking import SAMPLE_RATE, AudioChunk
from modules.engines.base import Capabilities
from modules.engines.language_detection import LanguageDetector

Group = list[AudioChunk]


class Ears:
    """Stands for the engine: hears the language that a chunk's loudness stands for."""

    LANGUAGES = ("ru", "en")

    def __init__(self, multilingual: bool = True) -> None:
        self.capabilities = Capabilities(None if multilingual else frozenset({"en"}))
        self.encoded: list[list[AudioChunk]] = []

    def encode(self, chunks: list[AudioChunk], fast: bool = False) -> Any:
        self.encoded.append(list(chunks))
        return list(chunks)

    def detect_language(self, encoded: list[AudioChunk], index: int = 0) -> tuple[str, float]:
        samples = encoded[index].samples
        share = float(np.mean(samples > 1.5))
        return ("en", share) if share > 0.5 else ("ru", 1 - share)


def speech(start_s: float, length_s: float, language: str = "ru") -> AudioChunk:
    level = 1.0 + Ears.LANGUAGES.index(language)
    samples = np.full(int(length_s * SAMPLE_RATE), level, dtype=np.float32)
    end_s = start_s + length_s
    return AudioChunk(start_s, end_s, samples, ((start_s, end_s),))


def silence(start_s: float, length_s: float) -> AudioChunk:
    return AudioChunk(start_s, start_s + length_s, np.zeros(0, dtype=np.float32))


def listener(
    asked: str = "auto", known: str | None = None, ears: Ears | None = None
) -> LanguageDetector:
    return LanguageDetector(ears or Ears(), asked, known)  # type: ignore[arg-type]


def test_leading_silence_tells_nothing() -> None:
    groups = [[silence(0, 30)], [silence(30, 30)], [speech(60, 12, "en")]]
    it = listener()
    seen = []
    for group, _ in it.grouped(groups):
        seen.append((group, it.language))
    assert [group for group, _ in seen] == groups
    assert [language for _, language in seen] == [None, None, "en"]
    assert it.detected == ("en", 1.0)


def test_a_word_or_two_are_too_little_where_more_is_said() -> None:
    groups = [[speech(0, 1, "en")], [speech(5, 12, "ru")], [speech(20, 12, "en")]]
    it = listener()
    assert [group for group, _ in it.grouped(groups)] == groups
    assert it.language == "ru"


def test_how_chunks_are_grouped_does_not_change_what_is_detected() -> None:
    """Beside a live session, or while a recording grows, they are not grouped as in a file."""
    said = [speech(0, 4, "en"), speech(5, 7, "ru"), speech(13, 19, "en"), speech(33, 29, "en")]
    ways: list[list[Group]] = [
        [[each] for each in said],
        [said[:1], said[1:]],
        [said],
    ]
    found = []
    for groups in ways:
        it = listener()
        list(it.grouped(groups))
        found.append(it.detected)
    assert found == [("ru", pytest.approx(7 / 11))] * 3


def test_what_little_is_said_must_do() -> None:
    it = listener()
    assert len(list(it.grouped([[speech(0, 1, "en")], [silence(1, 5)]]))) == 2
    assert it.language == "en"


def test_it_does_not_wait_for_ever() -> None:
    def groups() -> Iterator[Group]:
        yield [speech(0, 1, "en")]
        yield [silence(1, 30)]
        yield [silence(31, 30)]
        raise AssertionError("a minute is enough")

    heard = listener().grouped(groups())
    assert len([next(heard) for _ in range(3)]) == 3


def test_what_was_encoded_to_hear_is_not_encoded_again() -> None:
    ears = Ears()
    groups = [[silence(0, 5)], [speech(5, 20)], [speech(30, 20)]]
    given = [encoded for _, encoded in listener(ears=ears).grouped(groups)]
    assert [encoded is not None for encoded in given] == [False, True, False]
    assert given[1] == groups[1]
    assert len(ears.encoded) == 1


def test_a_language_that_is_given_stays_and_the_speech_is_heard_all_the_same() -> None:
    it = listener("ru")
    list(it.grouped([[speech(0, 15, "en")]]))
    assert (it.language, it.detected) == ("ru", ("en", 1.0))


def test_what_an_earlier_run_found_stays() -> None:
    it = listener("auto", known="en")
    list(it.grouped([[speech(0, 15, "ru")]]))
    assert it.language == "en"


def test_an_english_model_hears_english_only() -> None:
    it = listener("auto", ears=Ears(multilingual=False))
    list(it.grouped([[speech(0, 15, "ru")]]))
    assert (it.language, it.detected) == ("en", ("en", 1.0))


def test_a_recording_without_speech_has_no_language() -> None:
    it = listener()
    assert len(list(it.grouped([[silence(0, 30)], [silence(30, 5)]]))) == 2
    assert (it.language, it.detected) == (None, None)


def test_mixed_is_asked_chunk_by_chunk() -> None:
    it = listener("mixed")
    groups = [[speech(0, 15, "ru")], [speech(20, 15, "en")]]
    assert list(it.grouped(groups)) == [(group, None) for group in groups]
    assert it.language is None


@pytest.mark.parametrize("first", ["ru", "en"])
def test_a_chunk_of_two_languages_is_cut_between_them(first: str) -> None:
    second = "en" if first == "ru" else "ru"
    one, two = speech(10, 4, first), speech(14.5, 5, second)
    pause = np.ones(SAMPLE_RATE // 2, dtype=np.float32)
    both = AudioChunk(
        10, 19.5, np.concatenate([one.samples, pause, two.samples]), one.speech + two.speech
    )
    alive: list[None] = []
    parts = listener("mixed").parts(both, lambda: alive.append(None))
    assert [part.detected[0] for part in parts] == [first, second]
    assert [part.chunk.start_s for part in parts] == [10, 14.25]
    assert sum(len(part.chunk.samples) for part in parts) == len(both.samples)
    assert [part.chunk.speech for part in parts] == [one.speech, two.speech]
    assert len(alive) == 3


def test_a_chunk_of_one_language_is_left_whole() -> None:
    chunk = speech(0, 15, "en")
    (part,) = listener("mixed").parts(chunk, lambda: None)
    assert (part.chunk, part.detected) == (chunk, ("en", 1.0))
    assert listener("mixed").parts(silence(0, 5), lambda: None) == []


def test_a_part_that_tells_no_language_takes_that_of_its_neighbour() -> None:
    """Half of it is English and half of it Russian: as good as a mumble."""
    mumble = np.concatenate([np.full(8000, 1.0), np.full(7900, 2.0)]).astype(np.float32)
    english = speech(2.0, 3.2, "en")
    pause = np.full(SAMPLE_RATE // 2, 2.0, dtype=np.float32)
    both = AudioChunk(
        0.5, 5.2, np.concatenate([mumble, pause, english.samples]), ((0.5, 1.49), *english.speech)
    )
    first, second = listener("mixed").parts(both, lambda: None)
    assert (first.detected[0], second.detected[0]) == ("en", "en")
    assert first.detected[1] < 0.7
