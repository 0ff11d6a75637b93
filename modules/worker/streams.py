"""Keeps the model's streams busy: a thread each, and results in the order of the recording."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from modules.audio.chunking import AudioChunk, Cutting
from modules.config.settings import TranscriptionSettings
from modules.engines.base import DecodingOptions, Engine, Progress
from modules.engines.language_detection import CUTTING, LanguageDetector
from modules.transcript.chunk_text import ChunkText
from modules.transcript.coverage import seconds_of, wordless
from modules.transcript.model import Chunk
from modules.worker import legs
from modules.worker.rehearing import Rehearing
from modules.worker.sharing import Kind, Sharing

#: Chunks that wait behind the running ones, so that a stream is never idle.
_WAITING = 1

Group = list[AudioChunk]


@dataclass(frozen=True)
class Finished:
    """A chunk's text, the language it was decoded in, and the one that was detected in it."""

    text: ChunkText
    language: str
    detected: str | None = None
    probability: float | None = None


def cutting_of(settings: TranscriptionSettings, engine: Engine) -> Cutting:
    """How recordings with these settings are cut into chunks."""
    longest_s = engine.capabilities.longest_chunk_s
    return CUTTING if settings.language == "mixed" else Cutting(max_chunk_s=longest_s)


def event_of(
    chunk: AudioChunk, result: Finished, task_id: int, number: int, read_fraction: float = 0.0
) -> Chunk:
    """What is reported of a finished chunk."""
    missing = wordless(chunk.speech, result.text.segments)
    return Chunk(
        task_id=task_id,
        number=number,
        start_s=chunk.start_s,
        position_s=chunk.position_s,
        leg=chunk.leg,
        speech_s=round(chunk.speech_s, 3),
        wordless=missing,
        wordless_s=round(seconds_of(chunk.speech, missing), 3),
        segments=legs.said_by(chunk.leg, result.text.segments),
        dropped=result.text.dropped,
        language=result.language or None,
        detected_language=result.detected,
        language_probability=result.probability,
        alignment=result.text.alignment,
        read_fraction=read_fraction,
    )


_Future = Future[list[Finished] | None]


class ChunkTranscriber:
    """Transcribes groups of chunks in the language of the recording; used from several threads."""

    def __init__(
        self,
        engine: Engine,
        languages: LanguageDetector,
        settings: TranscriptionSettings,
        should_stop: Callable[[], bool],
        progress: Progress,
        sharing: Sharing,
        kind: Kind = "file",
    ) -> None:
        self._engine = engine
        self._kind: Kind = kind
        self._sharing = sharing
        self._languages = languages
        self._settings = settings
        self._should_stop = should_stop
        self._progress = progress
        self._rehearing = Rehearing(engine, settings, progress)

    def transcribe(self, group: Group, encoded: Any) -> list[Finished] | None:
        """The texts of a group; silent chunks have none. None after a request to stop.

        Once it returns None, it does so for every later group.
        """
        alone = self._sharing.is_live and encoded is None
        found: list[Finished] = []
        for part in [[chunk] for chunk in group] if alone else [group]:
            finished = self._in_turn(part, encoded)
            if finished is None:
                return None
            found += finished
        return found

    def _in_turn(self, group: Group, encoded: Any) -> list[Finished] | None:
        if self._should_stop():
            return None
        with self._sharing.turn(
            self._kind, self._engine.streams, self._progress, self._should_stop
        ) as goes_on:
            return self._finished(group, encoded) if goes_on else None

    def _finished(self, group: Group, encoded: Any) -> list[Finished]:
        language = self._languages.language
        if language is None:
            return [self._by_languages(chunk) for chunk in group]
        options = DecodingOptions(language, self._settings)
        spoken = [chunk for chunk in group if len(chunk.samples)]
        found = self._engine.transcribe(spoken, options, self._progress, encoded) if spoken else ()
        texts = (
            self._rehearing.improved(chunk, text, language)
            for chunk, text in zip(spoken, found, strict=True)
        )
        detected = self._languages.detected or (None, None)
        return [
            Finished(next(texts) if len(chunk.samples) else ChunkText(), language, *detected)
            for chunk in group
        ]

    def _by_languages(self, chunk: AudioChunk) -> Finished:
        """A chunk of a mixed recording: each part in its own language."""
        texts, found = [], []
        for part in self._languages.parts(chunk, self._progress):
            code, probability = part.detected
            options = DecodingOptions(code, self._settings)
            [text] = self._engine.transcribe([part.chunk], options, self._progress, part.encoded)
            texts.append(text.spoken_in(code))
            found.append((part.chunk.speech_s, code, probability))
        _, language, best = max(found, default=(0.0, "", None))
        return Finished(ChunkText.joined(texts), language, language or None, best)


def in_order(
    groups: Iterable[tuple[Group, Any]],
    streams: int,
    transcribe: Callable[[Group, Any], list[Finished] | None],
    on_all_submitted: Callable[[], None],
) -> Generator[tuple[Group, list[Finished] | None], None, None]:
    """Each group with what ``transcribe`` returned for it. Close it if it is not used up.

    ``on_all_submitted`` is called before each wait once the last group is in progress.
    """
    running: deque[tuple[Group, _Future]] = deque()
    with ThreadPoolExecutor(streams, thread_name_prefix="stream") as pool:
        for group, encoded in groups:
            running.append((group, pool.submit(transcribe, group, encoded)))
            while running and (len(running) > streams + _WAITING or running[0][1].done()):
                yield _first(running)
        while running:
            on_all_submitted()
            yield _first(running)


def _first(running: deque[tuple[Group, _Future]]) -> tuple[Group, list[Finished] | None]:
    group, future = running.popleft()
    return group, future.result()
