"""What is heard of sound that grows, and cut of it, is what is heard and cut of the whole."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.audio.chunking import SAMPLE_RATE, AudioChunk, Cutting, Samples, chunks
from modules.audio.growing import growing_blocks
from modules.audio.recording import Limits, open_recording
from modules.audio.vad import detector
from modules.engines.language_detection import CUTTING
from modules.errors import StorageError
from modules.live.wav import header
from tests.builders import SETTINGS

T = TypeVar("T")

SAMPLE = Path(__file__).resolve().parents[3] / "samples" / "please-hold-ru.wav"
#: A chunk with what is looked at behind it, and the half minute that its loudness depends on.
UNCERTAIN_S = 31.0 + 31.0


class OverError(Exception):
    """The sound does not grow any more."""


def growth(steps: list[int], total: int) -> Callable[[int], int]:
    """Each time that more is wanted, so many more samples are there."""
    there = 0
    left = iter(steps)

    def wait(count: int) -> int:
        nonlocal there
        while there <= count:
            step = next(left, None)
            if there == total:
                raise OverError
            there = min(total, there + (step or total))
        return there

    return wait


def until_over(source: Iterator[T]) -> list[T]:
    """All that comes before the sound is over."""
    found: list[T] = []
    with contextlib.suppress(OverError):
        found.extend(source)
        pytest.fail("it ended by itself")
    return found


@contextlib.contextmanager
def filled(sound: bytes) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        file.write(sound)
        file.flush()
        yield file


def noise(seconds: float, rate: int, level: float = 0.3) -> bytes:
    """With ups and downs, so that a quiet one is made louder."""
    count = int(seconds * rate)
    shape = np.abs(np.sin(np.arange(count) / rate * 2.1))
    values = np.random.default_rng(7).uniform(-level, level, count) * shape
    return (values * 32767).astype("<i2").tobytes()


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("level", [0.3, 0.003])
def test_the_samples_are_those_of_the_file(tmp_path: Path, rate: int, level: float) -> None:
    sound = noise(75.3, rate, level)
    path = tmp_path / "whole.wav"
    path.write_bytes(header(rate, len(sound)) + sound)
    with open_recording(path, Limits()) as recording:
        whole = np.concatenate(list(recording.blocks()))
    steps = [1, 7, rate // 10, 3 * rate + 1, 333, 20 * rate]
    with filled(sound) as file:
        wait = growth(steps, len(sound) // 2)
        found = np.concatenate(until_over(growing_blocks(file.fileno(), rate, wait)))
        wait = growth(steps, len(sound) // 2)
        later = np.concatenate(until_over(growing_blocks(file.fileno(), rate, wait, 12.345)))
    assert len(found) >= (75 - 32) * SAMPLE_RATE
    assert np.array_equal(found, whole[: len(found)])
    begin = round(12.345 * SAMPLE_RATE)
    assert np.array_equal(later, whole[begin : begin + len(later)])
    assert len(later) >= (75 - 32 - 13) * SAMPLE_RATE


def test_sound_that_is_not_there_is_an_error() -> None:
    with filled(bytes(100)) as file, pytest.raises(StorageError, match="not all in its file"):
        next(growing_blocks(file.fileno(), 16_000, lambda count: 1000))


# --- cuts ---------------------------------------------------------------------------------------


def regions(samples: Samples) -> list[tuple[int, int]]:
    """Speech is what is not zero."""
    loud = np.concatenate([[False], samples != 0, [False]])
    edges = np.flatnonzero(loud[1:] != loud[:-1])
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def facts(found: list[AudioChunk]) -> list[tuple[object, ...]]:
    return [(c.start_s, c.position_s, c.speech, c.samples.tobytes()) for c in found]


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(st.tuples(st.floats(0, 12), st.floats(0.2, 50)), min_size=1, max_size=8),
    steps=st.lists(st.integers(1, 40 * SAMPLE_RATE), max_size=20),
    cutting=st.sampled_from([Cutting(), CUTTING]),
    start_s=st.sampled_from([0.0, 0.0, 17.25]),
)
def test_cuts_of_growing_sound_are_those_of_the_whole(
    parts: list[tuple[float, float]], steps: list[int], cutting: Cutting, start_s: float
) -> None:
    rng = np.random.default_rng(3)
    pieces = [
        piece
        for gap_s, speech_s in parts
        for piece in (
            np.zeros(int(gap_s * SAMPLE_RATE), np.int16),
            rng.integers(1000, 9000, int(speech_s * SAMPLE_RATE)).astype(np.int16),
        )
    ]
    values = np.concatenate(pieces)
    sound = values.astype("<i2").tobytes()
    with filled(sound) as file:
        planned = _cut(file, growth(steps, len(values)), start_s, cutting)
        # The file as it is when nothing more comes: what a recording of its own would be cut to.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "whole.wav"
            path.write_bytes(header(SAMPLE_RATE, len(sound)) + sound)
            with open_recording(path, Limits()) as recording:
                blocks = recording.blocks(start_s)
                whole = list(chunks(blocks, regions, start_s, cutting))
    assert facts(planned) == facts(whole[: len(planned)])
    reached_s = planned[-1].position_s if planned else start_s
    assert reached_s >= len(values) / SAMPLE_RATE - UNCERTAIN_S - 1.0


def _cut(
    file: IO[bytes], wait: Callable[[int], int], start_s: float, cutting: Cutting
) -> list[AudioChunk]:
    blocks = growing_blocks(file.fileno(), SAMPLE_RATE, wait, start_s)
    return until_over(chunks(blocks, regions, start_s, cutting))


def test_with_the_real_detector_the_cuts_are_the_same(tmp_path: Path) -> None:
    clip = SAMPLE.read_bytes()[44:]
    sound = (clip + bytes(40_000)) * (120 * 32_000 // len(clip) + 1)
    rate = 16_000
    path = tmp_path / "whole.wav"
    path.write_bytes(header(rate, len(sound)) + sound)
    find = detector(SETTINGS, "cpu")
    with open_recording(path, Limits()) as recording:
        whole = list(chunks(recording.blocks(), find))
    with filled(sound) as file:
        blocks = growing_blocks(file.fileno(), rate, growth([5000] * 1000, len(sound) // 2))
        planned = until_over(chunks(blocks, find))
    assert facts(planned) == facts(whole[: len(planned)])
    assert 0 < len(whole) - len(planned) <= 4
