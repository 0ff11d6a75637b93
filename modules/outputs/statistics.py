"""The figures of ``.result``: seconds, words, confidence, languages, speakers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from modules.transcript.model import Chunk, Dropped, Segment
from modules.transcript.transcript import Transcript


@dataclass
class Tally:
    """Sums over chunks and segments, counted in one pass over each."""

    #: The first chunk whose language was detected.
    detected: Chunk | None = None
    alignment: str | None = None
    #: Milliseconds spoken in each language.
    spoken: Counter[str] = field(default_factory=Counter)
    dropped: list[Dropped] = field(default_factory=list)
    speech_s: float = 0.0
    #: Speech that has no words in the text: where, and how much.
    wordless: list[tuple[float, float]] = field(default_factory=list)
    wordless_s: float = 0.0
    transcribed_s: float = 0.0
    texts: list[str] = field(default_factory=list)
    words: int = 0
    segments: int = 0
    confidence: float = 0.0
    confident: int = 0
    speakers: set[str] = field(default_factory=set)
    temperatures: set[float] = field(default_factory=set)
    doubtful: int = 0
    doubtful_s: float = 0.0
    flags: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, transcript: Transcript) -> Tally:
        tally = cls()
        for chunk in transcript.chunks:
            tally._add_chunk(chunk)
        tally.wordless.sort()  # of two legs that take turns
        for segment in transcript:
            tally._add_segment(segment)
        return tally

    @property
    def languages(self) -> list[str]:
        """The languages that it was transcribed in, the most spoken first."""
        return [language for language, _ in self.spoken.most_common()]

    def _add_chunk(self, chunk: Chunk) -> None:
        if self.detected is None and chunk.detected_language:
            self.detected = chunk
        self.alignment = self.alignment or chunk.alignment
        self.dropped += chunk.dropped
        self.speech_s += chunk.speech_s
        self.wordless += chunk.wordless
        self.wordless_s += chunk.wordless_s
        self.transcribed_s += chunk.speech_s if chunk.segments else 0.0
        for segment in chunk.segments:
            language = segment.language or chunk.language
            if language:
                self.spoken[language] += round(1000 * (segment.end - segment.start))

    def _add_segment(self, segment: Segment) -> None:
        self.segments += 1
        self.texts.append(segment.text)
        self.words += len(segment.text.split())
        known = [word.confidence for word in segment.words if word.confidence is not None]
        self.confidence += sum(known)
        self.confident += len(known)
        if segment.speaker:
            self.speakers.add(segment.speaker)
        if segment.temperature is not None:
            self.temperatures.add(segment.temperature)
        if segment.flags:
            self.doubtful += 1
            self.doubtful_s += segment.end - segment.start
            self.flags.update(segment.flags)
