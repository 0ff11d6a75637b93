"""Chunks in batches: all of them, in order, and the streams come to their end together."""

from __future__ import annotations

import heapq
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.audio.batching import batches, fair_share
from modules.audio.chunking import MAX_CHUNK_S, AudioChunk


def chunk(number: int) -> AudioChunk:
    return AudioChunk(float(number), number + 1.0, np.zeros(1, dtype=np.float32))


def made(count: int, size: int, alone: set[int] = frozenset()) -> list[list[int]]:  # type: ignore[assignment]
    """The numbers of the chunks in each batch; those in ``alone`` do not join others."""
    found = batches(
        map(chunk, range(count)), lambda first: size, lambda it: int(it.start_s) not in alone
    )
    return [[int(it.start_s) for it in batch] for batch in found]


def test_the_first_stands_alone_and_the_others_together() -> None:
    assert made(8, 3) == [[0], [1, 2, 3], [4, 5, 6], [7]]
    assert made(3, 1) == [[0], [1], [2]]
    assert made(0, 3) == []


def test_silence_before_it_does_not_join_the_first_speech_to_others() -> None:
    silent = [replace(chunk(number), samples=np.zeros(0, np.float32)) for number in range(2)]
    found = batches(iter([*silent, *map(chunk, range(2, 7))]), lambda first: 3, lambda it: True)
    assert [[int(it.start_s) for it in batch] for batch in found] == [[0], [1], [2], [3, 4, 5], [6]]


def test_what_does_not_join_stands_alone() -> None:
    assert made(7, 3, {2, 4}) == [[0], [1], [2], [3], [4], [5, 6]]


@given(
    count=st.integers(0, 30), size=st.integers(1, 8), alone=st.sets(st.integers(0, 30), max_size=9)
)
def test_all_come_once_and_in_order(count: int, size: int, alone: set[int]) -> None:
    found = made(count, size, alone)
    assert [number for batch in found for number in batch] == list(range(count))
    assert all(1 <= len(batch) <= size for batch in found)
    assert all(len(batch) == 1 for batch in found if alone & set(batch))


def test_the_size_is_asked_for_where_a_batch_begins() -> None:
    asked = []

    def size(first: AudioChunk) -> int:
        asked.append(first.start_s)
        return 2 if first.start_s < 3 else 4

    found = list(batches(map(chunk, range(9)), size, lambda it: True))
    assert [len(batch) for batch in found] == [1, 2, 4, 2]
    assert asked == [1, 3, 7]


def test_nobody_knows_how_much_is_left() -> None:
    assert fair_share(None, 2, 3) == 3


@pytest.mark.parametrize("left_s", [-5.0, 0.0, 1.0, MAX_CHUNK_S])
def test_the_last_ones_go_one_by_one(left_s: float) -> None:
    assert fair_share(left_s, 2, 3) == 1


@pytest.mark.parametrize("streams", [1, 2, 4, 8])
@pytest.mark.parametrize("count", [1, 2, 5, 21, 40, 120])
def test_no_stream_waits_longer_than_two_chunks_for_the_last(streams: int, count: int) -> None:
    """Each chunk takes as long as another; a stream that is free takes the next batch."""
    most = 3
    found = batches(
        map(chunk, range(count)),
        lambda first: fair_share((count - first.start_s) * MAX_CHUNK_S, streams, most),
        lambda it: True,
    )
    ends = [0] * streams
    for batch in found:
        heapq.heapreplace(ends, ends[0] + len(batch))
    assert max(ends) - min(ends) <= 2
    assert max(ends) <= count / streams + 2
