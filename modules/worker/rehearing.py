"""Hears a chunk again whose speech is not all in its text: in parts, and in its own language.

Whisper passes over speech in another language than it was told, and sometimes over a sentence.
"""

from __future__ import annotations

from modules.audio.chunking import AudioChunk, halves, is_divisible
from modules.config.settings import TranscriptionSettings
from modules.engines.base import DecodingOptions, Engine, Progress
from modules.transcript.chunk_text import ChunkText
from modules.transcript.coverage import Span, seconds_of, wordless

#: How often a chunk is cut in two, and how much more speech must have words for it to count.
_DEPTH, _GAIN_S = 2, 1.0
#: Shorter speech is not heard in another language: a guess would be as likely as not.
_LEAST_S = 2.0
#: Another language is taken from this probability on, and a text in it from this confidence on.
_LIKELY, _CONFIDENT = 0.7, -0.8
#: And from this one on, a part is heard in it at once.
_SURE = 0.9


class Rehearing:
    """Improves texts of chunks; used from several threads, as it has no state."""

    def __init__(self, engine: Engine, settings: TranscriptionSettings, progress: Progress) -> None:
        self._engine = engine
        self._settings = settings
        self._progress = progress

    def improved(
        self, chunk: AudioChunk, text: ChunkText, language: str, depth: int = _DEPTH
    ) -> ChunkText:
        """The text, or a better one if speech of this chunk has no words in it."""
        missing = wordless(chunk.speech, text.segments)
        if not missing or not self._engine.capabilities.skips_speech:
            return text
        self._progress()
        missing_s = seconds_of(chunk.speech, missing)
        if missing_s > chunk.speech_s - _LEAST_S:  # there is next to nothing in the text
            other = self._in_its_language(chunk, language)
            if other:
                return other
        if not depth or not is_divisible(chunk) or chunk.speech_s < 2 * _LEAST_S:
            return text
        parts = []
        for part in halves(chunk):
            found = self._in_its_language(part, language, _SURE)
            if found is None:
                [found] = self._engine.transcribe([part], self._options(language), self._progress)
            parts.append(self.improved(part, found, language, depth - 1))
        joined = ChunkText.joined(parts)
        return joined if self._missing_s(chunk, joined) < missing_s - _GAIN_S else text

    def _in_its_language(
        self, chunk: AudioChunk, language: str, least: float = _LIKELY
    ) -> ChunkText | None:
        """The text in the language that is spoken, if that is another and the text is convincing.

        ``task: translate`` makes English of any language, so that is the language of the text.
        """
        if self._engine.capabilities.only_language or chunk.speech_s < _LEAST_S:
            return None
        encoded = self._engine.encode([chunk])
        code, probability = self._engine.detect_language(encoded)
        if code == language or probability < least:
            return None
        [text] = self._engine.transcribe([chunk], self._options(code), self._progress, encoded)
        sure = text.segments and all(
            not segment.flags
            and segment.avg_logprob is not None
            and segment.avg_logprob >= _CONFIDENT
            for segment in text.segments
        )
        if not sure or self._missing_s(chunk, text) > chunk.speech_s / 2:
            return None
        return text.spoken_in(code)

    def _missing_s(self, chunk: AudioChunk, text: ChunkText) -> float:
        spans: tuple[Span, ...] = wordless(chunk.speech, text.segments)
        return seconds_of(chunk.speech, spans)

    def _options(self, language: str) -> DecodingOptions:
        return DecodingOptions(language, self._settings)
