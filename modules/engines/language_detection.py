"""Detects the language of a recording in its first speech, and in parts of mixed recordings."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from modules.audio.chunking import (
    MAX_CHUNK_S,
    SAMPLE_RATE,
    AudioChunk,
    Cutting,
    halves,
    is_divisible,
)
from modules.engines.base import Engine

#: This much speech identifies a language well; if the first minute has less, that is used.
_ENOUGH_S, _PATIENCE_S = 10.0, 60.0
#: Where every chunk has a language of its own, a chunk should have only one.
CUTTING = Cutting(max_chunk_s=15.0, max_pause_s=1.0)
#: Below this probability a chunk may hold two languages; shorter speech identifies none well.
_CERTAIN, _DIVISIBLE_S = 0.9, 4.0
#: Below this probability it is a guess.
_LIKELY = 0.6

Group = list[AudioChunk]


@dataclass(frozen=True)
class Part:
    """A part of a chunk, (code, probability) of its language, and the encoder's output for it."""

    chunk: AudioChunk
    detected: tuple[str, float]
    encoded: Any


class LanguageDetector:
    """The ``language`` of a recording: given, or detected; None while it is not known.

    ``requested``: a code, ``auto``, or ``mixed``, where each chunk has a language of its own.
    ``known``: what ``auto`` detected in an earlier run. ``fast``: as in ``fast_mode``.
    ``detected``: (code, probability) of the first speech, also if another language was given.
    """

    def __init__(
        self, engine: Engine, requested: str, known: str | None, fast: bool = False
    ) -> None:
        self._engine = engine
        self._fast = fast
        self._mixed = requested == "mixed"
        self.language: str | None = known if requested == "auto" else None
        if requested not in ("auto", "mixed"):
            self.language = requested
        self.detected: tuple[str, float] | None = None
        only = engine.capabilities.only_language
        if only:
            self.language, self.detected = only, (only, 1.0)

    def grouped(self, groups: Iterable[Group]) -> Iterator[tuple[Group, Any]]:
        """The groups in order, each with the encoder's output if it was needed here already.

        Those with the first speech are held back until the language is known.
        """
        held: list[Group] = []
        for group in groups:
            if self.detected or self._mixed or not (held or _spoken(group)):
                yield group, None
                continue
            held.append(group)
            if self._is_enough(held):
                yield from self._decided(held)
                held = []
        yield from self._decided(held)

    def _is_enough(self, held: list[Group]) -> bool:
        return _telling(held) is not None

    def _decided(self, held: list[Group]) -> list[tuple[Group, Any]]:
        """The held groups, now that the language is known.

        By the chunks alone, not by how they are grouped: a run that goes on from a checkpoint, or
        while the recording grows, groups them in another way.
        """
        spoken = _telling(held) or [chunk for group in held for chunk in _spoken(group)]
        if not spoken:
            return [(group, None) for group in held]
        alone = next((g for g in held if len(spoken) == 1 and _spoken(g) == spoken), None)
        encoded = self._engine.encode(spoken if alone else [_joined(spoken)], self._fast)
        self.detected = self._engine.detect_language(encoded)
        self.language = self.language or self.detected[0]
        return [(group, encoded if group is alone else None) for group in held]

    def parts(self, chunk: AudioChunk, alive: Callable[[], None]) -> list[Part]:
        """A chunk of a mixed recording in parts of one language, in order.

        A chunk whose language is not certain is cut in its longest pause, again and again; a part
        without a clear language takes that of the nearest part that has one.
        """
        found = list(self._parts(chunk, alive))
        sure = [i for i, part in enumerate(found) if part.detected[1] >= _LIKELY]
        if not sure:
            return found
        nearest = [min(sure, key=lambda j: abs(i - j)) for i in range(len(found))]
        return [
            replace(part, detected=(found[near].detected[0], part.detected[1]))
            for part, near in zip(found, nearest, strict=True)
        ]

    def _parts(self, chunk: AudioChunk, alive: Callable[[], None]) -> Iterator[Part]:
        if not len(chunk.samples):
            return
        alive()
        encoded = self._engine.encode([chunk], self._fast)
        code, probability = self._engine.detect_language(encoded)
        divisible = len(chunk.speech) > 1 and chunk.speech_s >= _DIVISIBLE_S
        if probability < _CERTAIN and divisible and is_divisible(chunk):
            for part in halves(chunk):
                yield from self._parts(part, alive)
            return
        yield Part(chunk, (code, probability), encoded)


def _spoken(group: Group) -> Group:
    return [chunk for chunk in group if len(chunk.samples)]


def _telling(held: list[Group]) -> list[AudioChunk] | None:
    """The chunks with the first speech, as soon as there is enough of it; None before that."""
    spoken: list[AudioChunk] = []
    began_s = held[0][0].start_s if held else 0.0
    for chunk in itertools.chain.from_iterable(held):
        spoken += _spoken([chunk])
        speech_s = sum(each.speech_s for each in spoken)
        if speech_s >= _ENOUGH_S or chunk.position_s - began_s >= _PATIENCE_S:
            return spoken
    return None


def _joined(chunks: list[AudioChunk]) -> AudioChunk:
    """The beginning of what is spoken, as one chunk."""
    samples = np.concatenate([chunk.samples for chunk in chunks])
    return AudioChunk(0.0, 0.0, samples[: int(MAX_CHUNK_S * SAMPLE_RATE)])
