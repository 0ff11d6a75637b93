"""Cutting a stream into chunks: everything once, never too long, the same after any restart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.audio.chunking import (
    MAX_CHUNK_S,
    SAMPLE_RATE,
    AudioChunk,
    Cutting,
    Samples,
    chunks,
    halves,
    is_divisible,
)

#: Here speech ends where it ends.
TIGHT = Cutting(pad_s=0)

#: Everything is tested on a recording where speech is what is not zero.
Regions = list[tuple[float, float]]


def recording(length_s: float, speech: Regions) -> Samples:
    """Speech is a noise that is the same at every run; silence is zero."""
    samples = np.zeros(round(length_s * SAMPLE_RATE), dtype=np.float32)
    noise = np.random.default_rng(1).uniform(0.1, 0.9, len(samples)).astype(np.float32)
    for start, end in speech:
        here = slice(round(start * SAMPLE_RATE), round(end * SAMPLE_RATE))
        samples[here] = noise[here]
    return samples


def detector(samples: Samples) -> list[tuple[int, int]]:
    """The stretches that are not zero."""
    loud = np.concatenate([[False], samples != 0, [False]])
    edges = np.flatnonzero(loud[1:] != loud[:-1])
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def blocks(samples: Samples, start_s: float = 0.0, size: int = SAMPLE_RATE) -> Iterator[Samples]:
    rest = samples[round(start_s * SAMPLE_RATE) :]
    for start in range(0, len(rest), size):
        yield rest[start : start + size]


def cut(samples: Samples, start_s: float = 0.0, cutting: Cutting = TIGHT) -> list[AudioChunk]:
    return list(chunks(blocks(samples, start_s), detector, start_s, cutting))


def facts(found: list[AudioChunk]) -> list[tuple[object, ...]]:
    return [(c.start_s, c.position_s, c.speech, hash(c.samples.tobytes())) for c in found]


def test_an_empty_recording_has_no_chunks() -> None:
    assert cut(recording(0, [])) == []


def test_silence_is_covered_by_empty_chunks() -> None:
    found = cut(recording(100, []))
    assert found[-1].position_s == 100
    assert all(len(chunk.samples) == 0 for chunk in found)


def test_a_short_recording_is_one_chunk() -> None:
    (first, rest) = cut(recording(6, [(1, 2), (3, 4)]))
    assert (first.start_s, first.position_s, first.speech_s) == (1, 4, 2)
    assert len(first.samples) == 3 * SAMPLE_RATE
    assert (rest.position_s, len(rest.samples)) == (6, 0)


def test_a_cut_falls_into_a_pause() -> None:
    found = cut(recording(60, [(0, 20), (21, 28), (29, 45), (46, 60)]))
    spoken = [c for c in found if len(c.samples)]
    assert [(c.start_s, c.position_s) for c in spoken] == [(0, 28), (29, 45), (46, 60)]


def test_a_chunk_spans_no_long_pause() -> None:
    spoken = [c for c in cut(recording(30, [(0, 5), (12, 15)])) if len(c.samples)]
    assert [(c.start_s, c.position_s) for c in spoken] == [(0, 5), (12, 15)]


def test_speech_without_a_pause_is_cut_at_its_quietest_moment() -> None:
    samples = recording(70, [(0, 70)])
    quiet = slice(27 * SAMPLE_RATE, round(27.2 * SAMPLE_RATE))
    samples[quiet] *= 0.001
    first = cut(samples)[0]
    assert 27 <= first.position_s <= 27.2


def test_there_is_room_around_speech_and_close_neighbours_share_it() -> None:
    found = cut(recording(20, [(1, 2), (2.3, 3), (3.1, 4), (9, 9.5)]), cutting=Cutting(pad_s=0.2))
    first, second, _ = (c for c in found if len(c.samples) or c is found[-1])
    assert (first.start_s, first.position_s) == (0.8, 4.2)
    assert first.speech == ((1, 2), (2.3, 3), (3.1, 4))
    assert first.speech_s == pytest.approx(2.6)
    assert (second.start_s, second.position_s) == (8.8, 9.7)


def test_pauses_and_length_are_cut_as_asked() -> None:
    asked = Cutting(max_chunk_s=10, max_pause_s=0.5, pad_s=0)
    samples = recording(60, [(0, 4), (4.4, 8), (8.6, 12), (20, 45)])
    spoken = [(c.start_s, c.position_s) for c in cut(samples, cutting=asked) if len(c.samples)]
    assert spoken[:2] == [(0, 8), (8.6, 12)]
    assert all(end - start <= 10 for start, end in spoken)
    assert spoken[-1][1] == 45


def test_what_is_cut_off_counts_only_as_far_as_the_chunk_goes() -> None:
    found = [c for c in cut(recording(70, [(0, 70)])) if len(c.samples)]
    assert all(c.speech == ((c.start_s, c.position_s),) for c in found)
    assert sum(c.speech_s for c in found) == pytest.approx(70)


def test_a_chunk_is_halved_in_its_longest_pause() -> None:
    chunk = next(
        c for c in cut(recording(40, [(2, 8), (8.5, 12), (13, 20), (20.4, 21)])) if c.speech
    )
    left, right = halves(chunk)
    assert (left.start_s, left.position_s, right.position_s) == (2, 12.5, 21)
    assert (left.speech, right.speech) == (((2, 8), (8.5, 12)), ((13, 20), (20.4, 21)))
    assert np.array_equal(np.concatenate([left.samples, right.samples]), chunk.samples)


def test_a_chunk_without_a_pause_is_halved_at_a_quiet_moment_near_its_middle() -> None:
    samples = recording(20, [(0, 20)])
    samples[9 * SAMPLE_RATE : round(9.2 * SAMPLE_RATE)] *= 0.001
    left, right = halves(AudioChunk(100.0, 120.0, samples, ((100.0, 120.0),)))
    assert 109 <= left.position_s <= 109.2
    assert left.speech == ((100.0, left.position_s),)
    assert right.speech == ((left.position_s, 120.0),)


@pytest.mark.parametrize(("seconds", "divisible"), [(0.5, False), (1.9, False), (2.0, True)])
def test_what_is_too_short_is_not_halved(seconds: float, divisible: bool) -> None:
    chunk = AudioChunk(0.0, seconds, recording(seconds, [(0, seconds)]))
    assert is_divisible(chunk) is divisible
    if divisible:
        assert all(len(part.samples) for part in halves(chunk))


@pytest.mark.parametrize("size", [100, 16_000, 50_000, 10_000_000])
def test_the_size_of_the_blocks_changes_nothing(size: int) -> None:
    samples = recording(80, [(0.3, 20), (21, 50), (55, 79)])
    found = list(chunks(blocks(samples, size=size), detector, cutting=TIGHT))
    assert facts(found) == facts(cut(samples))


@st.composite
def speeches(draw: st.DrawFn) -> tuple[float, Regions]:
    """(length, regions of speech) with pauses and stretches of every kind."""
    regions, now = [], 0.0
    for _ in range(draw(st.integers(0, 8))):
        now += draw(st.sampled_from([0.0, 0.2, 0.5, 2.9, 3.1, 5.0, 33.0]))
        length = draw(st.sampled_from([0.1, 1.0, 4.5, 14.9, 29.9, 30.0, 30.1, 31.0, 65.0]))
        if regions and now == regions[-1][1]:
            now += 0.1
        regions.append((round(now, 3), round(now + length, 3)))
        now = regions[-1][1]
    return now + draw(st.sampled_from([0.0, 0.1, 1.0, 40.0])), regions


@settings(max_examples=60, deadline=None)
@given(speeches())
def test_every_sample_is_covered_once_and_all_speech_is_in_a_chunk(
    speech: tuple[float, Regions],
) -> None:
    samples = recording(*speech)
    found = cut(samples)
    covered = np.zeros(len(samples), dtype=int)
    before = 0.0
    for chunk in found:
        begin = round(chunk.start_s * SAMPLE_RATE)
        assert before <= chunk.start_s <= chunk.position_s
        assert chunk.position_s > before, "no chunk stands still"
        assert len(chunk.samples) <= MAX_CHUNK_S * SAMPLE_RATE
        if len(chunk.samples):
            assert np.array_equal(samples[begin : begin + len(chunk.samples)], chunk.samples)
            assert begin + len(chunk.samples) == round(chunk.position_s * SAMPLE_RATE)
            covered[begin : begin + len(chunk.samples)] += 1
        before = chunk.position_s
    assert round(before * SAMPLE_RATE) == len(samples), "the last chunk ends at the end"
    assert covered.max(initial=0) <= 1
    assert np.all(covered[samples != 0] == 1), "speech was left out"


@pytest.mark.parametrize("cutting", [TIGHT, Cutting(), Cutting(10, 0.5)], ids=str)
@settings(max_examples=15, deadline=None)
@given(speech=speeches(), data=st.data())
def test_a_restart_at_any_cut_gives_the_same_chunks(
    cutting: Cutting, speech: tuple[float, Regions], data: st.DataObject
) -> None:
    samples = recording(*speech)
    whole = cut(samples, cutting=cutting)
    if not whole:
        return
    index = data.draw(st.integers(0, len(whole) - 1))
    rest = cut(samples, whole[index].position_s, cutting)
    assert facts(rest) == facts(whole[index + 1 :])


def test_memory_is_bounded_by_the_window() -> None:
    """However long the recording, the detector never sees more than 31 s."""
    longest = 0

    def measuring(samples: Samples) -> list[tuple[int, int]]:
        nonlocal longest
        longest = max(longest, len(samples))
        return detector(samples)

    list(chunks(blocks(recording(200, [(0, 90), (95, 200)])), measuring))
    assert longest == 31 * SAMPLE_RATE
