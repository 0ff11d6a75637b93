"""One pass over the newest sound of a session: its language, its words, what it took."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from modules.config.settings import TranscriptionSettings
from modules.engines.base import DecodingOptions, Engine
from modules.transcript.agreement import spaced
from modules.transcript.model import Flag, Segment, Word
from modules.worker.live_utterance import Heard, Pass

#: With so much speech a language that is this probable will not change; with more any, in seconds.
_SOME_S, _PROBABLE, _ENOUGH_S = 3.0, 0.8, 10.0
#: A text with one of these signs is not shown while somebody speaks.
_DOUBTS: frozenset[Flag] = frozenset(
    ("repetition", "low_probability", "no_speech", "filler", "outside_speech")
)
#: A text with one of these signs is in no final: live, nobody can look at it twice.
_NOT_SPEECH: frozenset[Flag] = frozenset(("no_speech", "filler", "outside_speech"))


class SpokenLanguage:
    """The language of a session: given, known from before, or settled by what is heard."""

    def __init__(self, settings: TranscriptionSettings, known: str | None) -> None:
        self._mixed = settings.language == "mixed"
        self._settled: str | None = known if settings.language == "auto" else None
        if settings.language not in ("auto", "mixed"):
            self._settled = settings.language
        self._utterance = -1

    def of(self, what: Pass, engine: Engine, encoded: Any) -> tuple[str, bool]:
        """The language of a pass, and whether that is settled."""
        if self._mixed and what.utterance != self._utterance:  # each has its own
            self._settled, self._utterance = None, what.utterance
        only = engine.capabilities.only_language or self._settled
        if only:
            return only, True
        code, probability = engine.detect_language(encoded)
        speech_s = what.chunk.speech_s
        if speech_s >= _ENOUGH_S or (speech_s >= _SOME_S and probability >= _PROBABLE):
            self._settled = code
        return code, self._settled is not None


def heard_by(
    engine: Engine, what: Pass, language: SpokenLanguage, settings: TranscriptionSettings
) -> Heard:
    """Transcribe what a pass is about: greedily, or as a file is where it may be the final."""
    began = time.monotonic()
    chunk = what.chunk
    if not chunk.speech:
        return Heard(settled=False)
    is_partial = what.kind == "partial"
    is_quick = is_partial or what.is_quick
    encoded = engine.encode([chunk], is_quick or settings.fast_mode)
    code, is_settled = language.of(what, engine, encoded)
    options = DecodingOptions(code, settings)
    if is_quick:
        text = engine.listen(chunk, options, encoded)
    else:
        text = engine.transcribe([chunk], options, encoded=encoded)[0]
    unwanted = _DOUBTS if is_partial else _NOT_SPEECH
    kept = [s for s in text.segments if not unwanted.intersection(s.flags)]
    words = tuple(spaced(_timed(kept)))
    is_settled = is_settled or what.kind == "final"
    return Heard(words, code, is_settled, time.monotonic() - began)


def _timed(segments: Sequence[Segment]) -> list[Segment]:
    """The segments; one that has a word without times is one word."""
    return [
        segment
        if segment.words and all(w.start is not None and w.end is not None for w in segment.words)
        else segment.model_copy(update={"words": (_one_word(segment),)})
        for segment in segments
    ]


def _one_word(segment: Segment) -> Word:
    return Word(
        word=segment.text, start=segment.start, end=segment.end, confidence=segment.confidence
    )
