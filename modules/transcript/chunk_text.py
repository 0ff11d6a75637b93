"""What came of a chunk: its segments with their flags, and what nobody said. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from modules.transcript import quality
from modules.transcript.model import Dropped, Segment
from modules.transcript.quality import DecodingScores


@dataclass(frozen=True)
class ChunkText:
    """What came of one chunk; ``alignment`` names where the word times are from."""

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
        """The same, with its language noted in every segment."""
        told = {"language": language}
        return replace(self, segments=tuple(s.model_copy(update=told) for s in self.segments))


def judged(
    segments: Sequence[Segment], figures: DecodingScores, speech: Sequence[tuple[float, float]]
) -> tuple[tuple[Segment, ...], tuple[Dropped, ...]]:
    """The segments with Whisper's figures and their flags, and those that nobody said."""
    kept, dropped = [], []
    for segment in segments:
        flags = quality.flags(figures, segment.text, segment.words, speech)
        if quality.is_invented(segment.text, flags, figures):
            dropped.append(
                Dropped(start=segment.start, end=segment.end, text=segment.text, flags=flags)
            )
            continue
        told = {
            "flags": flags,
            "temperature": figures.temperature,
            "avg_logprob": figures.avg_logprob,
            "no_speech_prob": figures.no_speech_prob,
            "compression_ratio": figures.compression_ratio,
        }
        kept.append(segment.model_copy(update=told))
    return tuple(kept), tuple(dropped)
