"""Join the segments of chunks; sentences that cross the border of two chunks become whole. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from modules.transcript.model import Chunk, Dropped, Segment, Turn, Word
from modules.transcript.sentences import PAUSE_S, best_cut, ends_sentence, is_too_long
from modules.transcript.slicing import concatenate, slice_words, word_offsets
from modules.transcript.speakers import with_speakers

M = TypeVar("M", bound=BaseModel)
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
    Those of channels that were transcribed apart are merged by their start.

    Each iteration builds them again from the chunks, one by one, so that memory use does not grow
    with the recording.
    """

    chunks: Iterable[Chunk]
    turns: Sequence[Turn] = ()

    def __iter__(self) -> Iterator[Segment]:
        first = next(iter(self.chunks), None)
        if first is None or first.leg is None:
            return with_speakers(segments_of(self.chunks), self.turns)
        # Who speaks is known from the channel; sentences go on from chunk to chunk of a channel.
        return merge(self._of_leg(0), self._of_leg(1), key=lambda segment: segment.start)

    def _of_leg(self, leg: int) -> Iterator[Segment]:
        return segments_of(chunk for chunk in self.chunks if chunk.leg == leg)


def segments_from(result: Mapping[str, Any]) -> list[Segment]:
    """The segments of a ``.result``; what is invalid is left out, as users may edit the file."""
    found = []
    for raw in _listed(result, "transcription", "segments"):
        segment = _valid(Segment, raw) or _valid(Segment, _repaired(raw))
        if segment and _is_possible(segment):
            found.append(segment)
    return found


def dropped_from(result: Mapping[str, Any]) -> list[Dropped]:
    """The text that a ``.result`` says was left out; what is invalid is left out."""
    found = []
    for raw in _listed(result, "metadata", "dropped"):
        bare = {**raw, "flags": (), "end": raw.get("end") or raw.get("start")}
        dropped = _valid(Dropped, raw) or _valid(Dropped, bare)
        if dropped and all(abs(time) <= LONGEST_S for time in (dropped.start, dropped.end)):
            found.append(dropped)
    return found


def _listed(result: Mapping[str, Any], part: str, key: str) -> list[dict[str, Any]]:
    inside = result.get(part)
    listed = inside.get(key) if isinstance(inside, dict) else None
    return [raw for raw in (listed if isinstance(listed, list) else ()) if isinstance(raw, dict)]


def _valid(kind: type[M], raw: Mapping[str, Any]) -> M | None:
    try:
        return kind.model_validate(raw)
    except ValidationError:
        return None


def _repaired(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The text of a segment with what else of it is valid."""
    words = raw.get("words")
    listed = [each for each in (words if isinstance(words, list) else ()) if isinstance(each, dict)]
    bare = [each | {"confidence": None} for each in listed]
    kept = [_valid(Word, each) or _valid(Word, b) for each, b in zip(listed, bare, strict=True)]
    return {
        "start": raw.get("start"),
        "end": raw.get("end"),
        "text": raw.get("text"),
        "words": [word for word in kept if word],
    }


def _is_possible(segment: Segment) -> bool:
    """Whether its times are those of a recording: in milliseconds they must be numbers too."""
    spoken = [time for word in segment.words for time in (word.start, word.end)]
    times = (segment.start, segment.end, *(time for time in spoken if time is not None))
    return all(abs(time) <= LONGEST_S for time in times)
