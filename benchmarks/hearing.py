"""The daemon's own worker, driven as the daemon drives it, and the words that it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from benchmarks.spoken import spoken
from modules.clock import SystemClock
from modules.config.schema import Config
from modules.executors.base import RunCallbacks
from modules.executors.local.executor import LocalExecutor
from modules.executors.tasks import model_of, task_for
from modules.transcript.model import Chunk, Segment, Word
from modules.transcript.transcript import segments_of
from tests.daemon_process import MODELS
from tests.speech import Language


@dataclass(frozen=True)
class HeardWord:
    """A normalised word of ours; times in seconds, None where they are not this word's alone."""

    word: str
    start_s: float | None
    end_s: float | None
    confidence: float | None
    doubtful: bool


class OwnWorker:
    """The WhisperX process of the daemon: base, int8, beam 5, temperature 0, the rest as shipped.

    Used as a context manager; the process is gone on leaving.
    """

    def __init__(self) -> None:
        self._config = Config(models_directory=MODELS)
        self._processor = LocalExecutor(self._config, SystemClock())

    def __enter__(self) -> OwnWorker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._processor.close()

    def segments(self, recording: Path, language: Language) -> list[Segment]:
        """The transcript of one recording. Raises TranscriberError."""
        settings = self._config.default_settings().model_copy(
            update={
                "model_size": "base", "compute_type": "int8", "device": "cpu",
                "beam_size": 5, "temperature": 0.0, "language": language,
            }
        )  # fmt: skip
        chunks: list[Chunk] = []
        self._processor.run(
            task_for(recording, settings, model_of(settings, self._config), self._config),
            RunCallbacks(on_chunk=chunks.append),
        )
        return list(segments_of(chunks))


def words_of(segments: Sequence[Segment], language: Language) -> list[HeardWord]:
    """The normalised words of the segments, in order.

    What becomes several words (``серо-карие``, ``25``) gives each of them its confidence but no
    time. A segment without words gives those of its text, with neither.
    """
    heard: list[HeardWord] = []
    for segment in segments:
        for word in _whole(segment) if segment.words else [Word(word=segment.text)]:
            parts = spoken(word.word, language).split()
            timed = len(parts) == 1
            heard += [
                HeardWord(
                    word=part,
                    start_s=word.start if timed else None,
                    end_s=word.end if timed else None,
                    confidence=word.confidence,
                    doubtful=bool(segment.flags),
                )
                for part in parts
            ]
    return heard


def _whole(segment: Segment) -> list[Word]:
    """The segment's words as its text parts them: some go on without a space, as in ``1-2``."""
    whole: list[Word] = []
    position = 0
    for word in segment.words:
        found = max(position, segment.text.find(word.word, position))
        if whole and found == position:
            whole[-1] = _put_together(whole[-1], word)
        else:
            whole.append(word)
        position = found + len(word.word)
    return whole


def _put_together(first: Word, second: Word) -> Word:
    known = [c for c in (first.confidence, second.confidence) if c is not None]
    return Word(
        word=first.word + second.word,
        start=first.start,
        end=second.end,
        confidence=min(known, default=None),
    )
