"""Word times by whisperx's wav2vec2 alignment. Lives in the child process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from modules.audio.chunking import SAMPLE_RATE, AudioChunk
from modules.errors import WorkerError, noted
from modules.machine import allocator
from modules.transcript.model import Word
from modules.transcript.sentences import joined


class Aligner:
    """Word times by whisperx's own wav2vec2 alignment, for languages whose model is on the disk.

    A model is a folder ``LANGUAGE/`` in ``directory``, in the Hugging Face format.
    """

    ATTENTION = "attention"

    def __init__(self, directory: Path, device: str) -> None:
        self._directory = directory
        self._device = device
        self._models: dict[str, tuple[Any, Any]] = {}
        self._lock = threading.Lock()

    def refine(
        self, words: list[Word], chunk: AudioChunk, language: str | None
    ) -> tuple[list[Word], str, str | None]:
        """(words, where their times are from, a note if that is worse than it could be).

        ``language`` is None if the words are not those that were spoken, but a translation.
        """
        if language is None:
            return words, self.ATTENTION, "alignment: translated words are timed by attention"
        folder = self._directory / language
        if not folder.is_dir():
            note = f"alignment: no model for {language}, words are timed by attention"
            return words, self.ATTENTION, note
        try:
            with self._lock:
                return self._aligned(words, chunk, language, folder), "wav2vec2", None
        except Exception as error:  # noqa: BLE001 - the text is there; only its times are worse
            note = f"alignment: the model for {language} failed, words are timed by attention"
            return words, self.ATTENTION, f"{note} ({error})"

    def own(
        self, segments: list[dict[str, Any]], chunk: AudioChunk, language: str
    ) -> tuple[list[dict[str, Any]], str | None]:
        """whisperx's segments of a chunk with their words, as its command makes them.

        (the segments as they came, a note) where there is no model for the language, or it fails.
        """
        folder = self._directory / language
        if not folder.is_dir():
            return segments, f"alignment: no model for {language}, words have no times"
        try:
            with self._lock:
                return self._found(segments, chunk, language, folder)["segments"], None
        except Exception as error:  # noqa: BLE001 - the text is there; only its times are missing
            note = f"alignment: the model for {language} failed, words have no times"
            return segments, f"{note} ({error})"

    def _found(
        self, segments: list[dict[str, Any]], chunk: AudioChunk, language: str, folder: Path
    ) -> dict[str, Any]:
        from whisperx import alignment

        # It would fetch NLTK's sentence splitter from the network, only to group words that are
        # grouped here by ``sentences`` anyway.
        alignment.nltk_load = lambda resource: _OneSentence()
        if language not in self._models:
            with allocator.loading():
                self._models[language] = alignment.load_align_model(
                    language, self._device, model_name=str(folder), model_cache_only=True
                )
        model, metadata = self._models[language]
        found: dict[str, Any] = alignment.align(
            segments, model, metadata, chunk.samples, self._device
        )
        return found

    def _aligned(
        self, words: list[Word], chunk: AudioChunk, language: str, folder: Path
    ) -> list[Word]:
        seconds = len(chunk.samples) / SAMPLE_RATE
        asked = [{"text": joined(words), "start": 0.0, "end": seconds}]
        found = self._found(asked, chunk, language, folder)["word_segments"]
        if len(found) != len(words):
            raise WorkerError(
                "alignment_mismatch",
                noted(
                    "{aligned} words aligned, {spoken} were spoken",
                    aligned=len(found),
                    spoken=len(words),
                ),
            )
        return [
            word.model_copy(
                update={
                    "start": chunk.start_s + float(timing["start"]),
                    "end": chunk.start_s + float(timing["end"]),
                }
            )
            if "start" in timing and "end" in timing
            else word
            for word, timing in zip(words, found, strict=True)
        ]


class _OneSentence:
    """A sentence splitter that does not split."""

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]
