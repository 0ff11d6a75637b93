"""The text of a chunk: its segments with their flags, and what was dropped as invented. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from modules.transcript import quality
from modules.transcript.model import Dropped, Segment
from modules.transcript.quality import DecodingScores


@dataclass(frozen=True)
class ChunkText:
    """The text of one chunk; ``alignment`` names the source of the word times."""

    segments: tuple[Segment, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    alignment: str | None = None
    note: str | None = None

    @classmethod
    def joined(cls, parts: Sequence[ChunkText]) -> ChunkText:
        """The texts of a chunk's parts, in order."""
        return cls(
            tuple(segment for part in parts for segment in part.segments),
            tuple(dropped for part in parts for dropped in part.dropped),
            next((part.alignment for part in parts if part.alignment), None),
            next((part.note for part in parts if part.note), None),
        )

    def spoken_in(self, language: str) -> ChunkText:
        """The same, with the language set in every segment."""
        changes = {"language": language}
        return replace(self, segments=tuple(s.model_copy(update=changes) for s in self.segments))


def judged(
    segments: Sequence[Segment], scores: DecodingScores, speech: Sequence[tuple[float, float]]
) -> tuple[tuple[Segment, ...], tuple[Dropped, ...]]:
    """The segments with Whisper's scores and their flags, and those dropped as invented."""
    kept, dropped = [], []
    for segment in segments:
        flags = quality.flags(scores, segment.text, segment.words, speech)
        unheard = "no_speech" in flags and quality.is_hardly_spoken(segment.words, speech)
        if unheard or quality.is_invented(segment.text, flags, scores):
            dropped.append(
                Dropped(start=segment.start, end=segment.end, text=segment.text, flags=flags)
            )
            continue
        changes = {
            "flags": flags,
            "temperature": scores.temperature,
            "avg_logprob": scores.avg_logprob,
            "no_speech_prob": scores.no_speech_prob,
            "compression_ratio": scores.compression_ratio,
        }
        kept.append(segment.model_copy(update=changes))
    return tuple(kept), tuple(dropped)
