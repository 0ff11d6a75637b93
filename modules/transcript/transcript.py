"""Join the segments of chunks; sentences that cross the border of two chunks become whole. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from modules.transcript.model import Chunk, Dropped, Segment, Turn
from modules.transcript.sentences import PAUSE_S, best_cut, ends_sentence, is_too_long
from modules.transcript.slicing import concatenate, slice_words, word_offsets
from modules.transcript.speakers import with_speakers

#: Thirty years; no recording is longer.
LONGEST_S = 1e9


def segments_of(chunks: Iterable[Chunk]) -> Iterator[Segment]:
    """The segments of all chunks, in order.

    A chunk ends at a pause, which may be in the middle of a sentence.
    """
    last: list[Segment] = []
    for segments in (chunk.segments for chunk in chunks if chunk.segments):
        if last and _continues(last[0], segments[0]):
            segments = (*_in_size(concatenate(last.pop(), segments[0])), *segments[1:])
        yield from last
        yield from segments[:-1]
        last = [segments[-1]]
    yield from last


def _continues(before: Segment, after: Segment) -> bool:
    if before.language != after.language or after.start - before.end > PAUSE_S:
        return False
    last, first = _last_word(before), _first_word(after)
    return bool(last and first) and not ends_sentence(last, first)


def _last_word(segment: Segment) -> str:
    return segment.words[-1].word if segment.words else segment.text.rpartition(" ")[2]


def _first_word(segment: Segment) -> str:
    return segment.words[0].word if segment.words else segment.text.partition(" ")[0]


def _in_size(segment: Segment) -> list[Segment]:
    """The segment, cut at its best places if it is too long."""
    begins = word_offsets(segment)
    too_long = is_too_long(len(begins), segment.end - segment.start, len(segment.text))
    if not begins or not too_long:
        return [segment]
    cut = best_cut(segment.words)
    halves = slice_words(segment, begins, 0, cut), slice_words(segment, begins, cut, len(begins))
    return [piece for half in halves for piece in _in_size(half)]


@dataclass(frozen=True)
class Transcript:
    """The segments of a finished recording, in order, with their speakers where those are known.

    Each iteration builds them again from the chunks, one by one, so that memory use does not grow
    with the recording.
    """

    chunks: Iterable[Chunk]
    turns: Sequence[Turn] = ()

    def __iter__(self) -> Iterator[Segment]:
        return with_speakers(segments_of(self.chunks), self.turns)


def segments_from(result: Mapping[str, Any]) -> list[Segment]:
    """The segments of a ``.result``; invalid ones are left out, as users may edit the file."""
    found = []
    transcription = result.get("transcription")
    listed = transcription.get("segments") if isinstance(transcription, dict) else None
    for raw in listed if isinstance(listed, list) else ():
        with contextlib.suppress(ValidationError):
            segment = Segment.model_validate(raw)
            if _is_possible(segment):
                found.append(segment)
    return found


def dropped_from(result: Mapping[str, Any]) -> list[Dropped]:
    """The text that a ``.result`` says was left out; what is invalid is left out."""
    metadata = result.get("metadata")
    listed = metadata.get("dropped") if isinstance(metadata, dict) else None
    found = []
    for raw in listed if isinstance(listed, list) else ():
        with contextlib.suppress(ValidationError):
            dropped = Dropped.model_validate(raw)
            if all(abs(time) <= LONGEST_S for time in (dropped.start, dropped.end)):
                found.append(dropped)
    return found


def _is_possible(segment: Segment) -> bool:
    """Whether its times are those of a recording: in milliseconds they must be numbers too."""
    spoken = [time for word in segment.words for time in (word.start, word.end)]
    times = (segment.start, segment.end, *(time for time in spoken if time is not None))
    return all(abs(time) <= LONGEST_S for time in times)
