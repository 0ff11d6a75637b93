"""What a child may say of a recording: all that can be spoken in it, and nothing beyond."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modules.audio import decoder
from modules.errors import WorkerError
from modules.executors.local.output_bounds import BYTES_PER_S_MIN, OutputBounds
from modules.executors.protocol import Done, Started, Transcribe
from modules.transcript.model import Chunk, Dropped, LeftOut, Segment, Turn, Word
from modules.weights.files import ModelSpec
from tests.builders import SETTINGS

SPEC = ModelSpec(name="faster-whisper-base", path="/nowhere", device="cpu", compute_type="int8")
DAY_S = 24 * 3600.0


def bounds(path: Path, size: int = 10**7, start_s: float = 0.0) -> OutputBounds:
    path.touch()
    os.truncate(path, size)
    return OutputBounds(
        Transcribe(
            task_id=1, path=bytes(path), model=SPEC, settings=SETTINGS, batch_size=8,
            start_s=start_s, max_duration_s=DAY_S,
        )
    )  # fmt: skip


@contextlib.contextmanager
def refused(why: str) -> Iterator[pytest.ExceptionInfo[WorkerError]]:
    """The message is for people; the details say what of it was too much."""
    with pytest.raises(WorkerError, match="cannot come from this recording") as caught:
        yield caught
    assert re.search(why, caught.value.details or ""), caught.value.details


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "talk.mp3"


def chunk(start_s: float, position_s: float, **more: Any) -> Chunk:
    return Chunk(task_id=1, start_s=start_s, position_s=position_s, **more)


def fast_speech(start_s: float, seconds: float) -> Segment:
    """Ten words of six letters a second: nobody is faster for long."""
    count = int(10 * seconds)
    words = tuple(
        Word(word=" answer", start=start_s + n / 10, end=start_s + n / 10 + 0.1, confidence=0.5)
        for n in range(count)
    )
    text = " answer" * count
    return Segment(start=start_s, end=start_s + seconds, text=text, words=words)


def test_a_day_of_the_fastest_speech_is_believed(path: Path) -> None:
    checked = bounds(path)
    checked.credible(Started(task_id=1, duration_s=DAY_S, format="mp3", codec="mp3"))
    position_s = 0.0
    speech = fast_speech(0.0, 30.0)
    while position_s < DAY_S:
        moved = speech.model_copy(update={"start": position_s, "end": position_s, "words": tuple(
            word.model_copy(update={"start": position_s, "end": position_s})
            for word in speech.words
        ) if position_s < 600 else ()})  # fmt: skip
        checked.check_chunk(chunk(position_s, position_s + 30, segments=(moved,)))
        position_s += 30
    turns = tuple(Turn(start=n, end=n + 1, speaker=f"SPEAKER_{n % 20:02d}") for n in range(30_000))
    checked.check_end(Done(task_id=1, chunks=2880, duration_s=DAY_S, turns=turns))


def test_a_short_recording_may_repeat_itself_as_whisper_does(path: Path) -> None:
    """All the tokens that it may take, four times, as a chunk is cut into four parts."""
    loop = Segment(start=0, end=1, text="Субтитры " * 900, words=(Word(word="Субтитры"),) * 900)
    bounds(path, size=300).check_chunk(chunk(0, 1.0, segments=(loop,)))


def test_a_run_that_goes_on_counts_from_there(path: Path) -> None:
    bounds(path, start_s=600.0).check_chunk(chunk(600.0, 630.0))


def test_a_file_that_grew_may_last_longer(path: Path) -> None:
    checked = bounds(path, size=300)
    for start_s in (0.0, 30.0, 60.0):
        checked.check_chunk(chunk(start_s, start_s + 30.0))
    with pytest.raises(WorkerError):
        checked.check_chunk(chunk(90.0, 120.0))
    os.truncate(path, 3000)
    checked.check_chunk(chunk(120.0, 150.0))


def test_the_child_refuses_by_the_same_size(path: Path) -> None:
    assert BYTES_PER_S_MIN <= decoder.BYTES_PER_S_MIN


@pytest.mark.parametrize("stated_s", [1e9, -1.0])
def test_a_length_that_cannot_be_is_as_none(path: Path, stated_s: float) -> None:
    """It would be the time that an attempt may take."""
    event = Started(task_id=1, duration_s=stated_s, format="mp3", codec="mp3")
    assert bounds(path).credible(event).duration_s is None
    assert bounds(path).credible(event.model_copy(update={"duration_s": 5.0})).duration_s == 5.0


WORD = Word(word="a")
SEGMENT = Segment(start=0, end=1, text="a")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (chunk(0, 0), "a chunk from 0.000 to 0.000 s"),
        (chunk(0, -1), "a chunk from"),
        (chunk(0, 61), "a chunk from"),
        (chunk(0, 30, segments=(SEGMENT.model_copy(update={"text": "a" * 18_001}),)), "characters"),
        (chunk(0, 30, dropped=(Dropped(start=0, end=1, text="a" * 18_001, flags=()),)), "charact"),
        (
            chunk(0, 30, segments=(SEGMENT.model_copy(update={"words": (WORD,) * 1201}),)),
            "1201 words",
        ),
        (chunk(0, 30, segments=(SEGMENT,) * 601), "601 segments"),
        (chunk(0, 30, wordless=((0.0, 1.0),) * 601), "601 segments"),
        (chunk(0, 30, segments=(SEGMENT.model_copy(update={"end": 1e6}),)), "times far from"),
        (
            chunk(
                0, 30, segments=(SEGMENT.model_copy(update={"words": (Word(word="a", end=-99),)}),)
            ),
            "times far from",
        ),
        (chunk(-99, 30), "times far from"),
        (chunk(0, 30, wordless=((0.0, 1e6),)), "times far from"),
    ],
)
def test_a_chunk_that_holds_more_than_its_sound_is_refused(
    path: Path, wrong: Chunk, why: str
) -> None:
    with refused(why) as caught:
        bounds(path).check_chunk(wrong)
    assert caught.value.code == "implausible_output"
    assert not caught.value.permanent


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda n: chunk(n / 1e6, (n + 1) / 1e6), "chunks in"),
        (lambda n: chunk(n, n + 1, segments=(Segment(start=n, end=n, text="a" * 5000),)), "char"),
        (
            lambda n: chunk(
                n, n + 1, segments=(Segment(start=n, end=n, text="", words=(WORD,) * 900),)
            ),
            "words in",
        ),
        (lambda n: chunk(n, n + 1, segments=(Segment(start=n, end=n, text=""),) * 50), "segments"),
    ],
)
def test_many_chunks_together_are_bounded_too(
    path: Path, made: Callable[[int], Chunk], why: str
) -> None:
    with refused(why):
        check_all(bounds(path), made, 2000)


def check_all(checked: OutputBounds, made: Callable[[int], Chunk], count: int) -> None:
    for number in range(count):
        checked.check_chunk(made(number))


def test_all_of_the_text_together_is_bounded_whatever_the_length(path: Path) -> None:
    segment = Segment(start=0, end=1, text="a" * 9000, words=(WORD,) * 1199)

    def full(number: int) -> Chunk:
        times = {"start": 30.0 * number, "end": 30.0 * number}
        parts = (segment.model_copy(update=times),)
        return chunk(30 * number, 30 * (number + 1), segments=parts)

    with refused("in all"):
        check_all(bounds(path), full, int(DAY_S / 30))


LABEL = LeftOut(what="track", label="a" * 101_000, count=1, why="asked")


@pytest.mark.parametrize(
    "wrong",
    [
        {"duration_s": 1e7},
        {"duration_s": -5.0},
        {"notes": ("a" * 100_001,)},
        {"left_out": (LABEL,)},
        {"turns": (Turn(start=0, end=1, speaker="A"),) * 200},
        {"turns": (Turn(start=0, end=1e6, speaker="A"),)},
        {"turns": (Turn(start=0, end=1, speaker="A" * 201),)},
        {"diarization": "a" * 201},
    ],
    ids=str,
)
def test_an_end_that_does_not_fit_the_recording_is_refused(
    path: Path, wrong: dict[str, Any]
) -> None:
    with pytest.raises(WorkerError, match="cannot come from this recording"):
        bounds(path).check_end(
            Done.model_validate({"task_id": 1, "chunks": 0, "duration_s": 1.0} | wrong)
        )


def call_bounds(
    path: Path, channels: str = "split", legs: tuple[float, float] | None = None
) -> OutputBounds:
    path.touch()
    os.truncate(path, 10**7)
    settings = SETTINGS.model_copy(update={"channels": channels})
    return OutputBounds(
        Transcribe(
            task_id=1, path=bytes(path), model=SPEC, settings=settings, batch_size=8, legs=legs,
            max_duration_s=DAY_S,
        )
    )  # fmt: skip


def test_two_legs_go_on_each_from_its_own_place(path: Path) -> None:
    checked = call_bounds(path)
    checked.check_chunk(chunk(0, 30, leg=0))
    checked.check_chunk(chunk(0, 20, leg=1))
    checked.check_chunk(chunk(20, 45, leg=1))
    checked.check_chunk(chunk(30, 45, leg=0))
    checked.check_end(Done(task_id=1, chunks=4, duration_s=45))
    again = call_bounds(path, legs=(30.0, 20.0))
    again.check_chunk(chunk(20, 45, leg=1))
    with refused("chunk from 30.000 to 20.000"):
        again.check_chunk(chunk(0, 20, leg=0))


@pytest.mark.parametrize(
    ("channels", "legs"), [("auto", (0,)), ("split", (0, None)), ("split", (None, 1))]
)
def test_legs_that_nobody_asked_for_are_not_believed(
    path: Path, channels: str, legs: tuple[Any, ...]
) -> None:
    checked = call_bounds(path, channels)
    *before, last = (chunk(10 * n, 10 * n + 10, leg=leg) for n, leg in enumerate(legs))
    for each in before:
        checked.check_chunk(each)
    with refused("together and apart"):
        checked.check_chunk(last)
