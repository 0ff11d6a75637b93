"""Sentences that go on over the border of two chunks, made whole. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from modules.parts import part, places, whole
from modules.protocol import Chunk, Segment
from modules.segments import PAUSE_S, best_cut, ends_sentence, is_too_long


def segments_of(chunks: Iterable[Chunk]) -> Iterator[Segment]:
    """The segments of all chunks, in order.

    A chunk ends where somebody draws breath, which need not be where a sentence ends.
    """
    last: list[Segment] = []
    for segments in (chunk.segments for chunk in chunks if chunk.segments):
        if last and _goes_on(last[0], segments[0]):
            segments = (*_in_size(whole(last.pop(), segments[0])), *segments[1:])
        yield from last
        yield from segments[:-1]
        last = [segments[-1]]
    yield from last


def _goes_on(before: Segment, after: Segment) -> bool:
    if before.language != after.language or after.start - before.end > PAUSE_S:
        return False
    last, first = _last_word(before), _first_word(after)
    return bool(last and first) and not ends_sentence(last, first)


def _last_word(segment: Segment) -> str:
    return segment.words[-1].word if segment.words else segment.text.rpartition(" ")[2]


def _first_word(segment: Segment) -> str:
    return segment.words[0].word if segment.words else segment.text.partition(" ")[0]


def _in_size(segment: Segment) -> list[Segment]:
    """The segment, cut at its best places if it has grown too long."""
    begins = places(segment)
    too_long = is_too_long(len(begins), segment.end - segment.start, len(segment.text))
    if not begins or not too_long:
        return [segment]
    cut = best_cut(segment.words)
    halves = part(segment, begins, 0, cut), part(segment, begins, cut, len(begins))
    return [piece for half in halves for piece in _in_size(half)]
