"""One recording in the child: decode, find speech, keep the streams busy, tell who speaks."""

from __future__ import annotations

import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.audio.batching import batches, fair_share
from modules.audio.chunking import AudioChunk, Cutting, Samples, chunks
from modules.audio.decoder import Limits
from modules.audio.recording import Recording, open_recording
from modules.audio.vad import detector
from modules.diarization.diarizer import Diarized
from modules.engines.language_detection import CUTTING, LanguageDetector
from modules.engines.whisperx.engine import Decoding, Engine
from modules.executors.protocol import Alive, Done, Started, Stopped, Transcribe, Transcribed
from modules.machine import allocator
from modules.transcript.chunk_text import ChunkText
from modules.transcript.model import Chunk
from modules.worker.pipes import Inbox, Outbox

#: How often a sign of life is given, at most.
_TELL_S = 1.0
#: Chunks that wait behind the running ones, so that a stream never stands idle.
_AHEAD = 1


@dataclass(frozen=True)
class Finished:
    """A chunk's text, the language it was decoded in, and the one that its speech seems to be."""

    text: ChunkText
    language: str
    heard: str | None = None
    probability: float | None = None


class Transcription:
    """One order: decode, find speech, and keep the model's streams busy, results in order."""

    def __init__(
        self,
        command: Transcribe,
        engine: Engine,
        diarize: Callable[..., Diarized | None],
        inbox: Inbox,
        outbox: Outbox,
        work_ahead: Callable[[], None] = lambda: None,
    ) -> None:
        self._command = command
        self._work_ahead = work_ahead
        self._recording: Recording | None = None
        self._groups: Iterator[tuple[list[AudioChunk], Any]] | None = None
        self._diarize = diarize
        self._detect = detector(command.settings, engine.device)
        self._settings = command.settings
        self._engine = engine
        self._inbox = inbox
        self._outbox = outbox
        self._listener = LanguageDetector(
            engine, command.settings.language, command.known_language, command.settings.fast_mode
        )
        self._notes: dict[str, None] = {}
        self._position_s = command.start_s
        self._sent = 0
        self._told_at = time.monotonic()

    def prepare(self) -> None:
        """Open the recording and hear its first speech, so that ``run`` need not.

        While its order has no number it gives no sign of life. Raises TranscriberError.
        """
        self._recording = self._open()
        try:
            groups = self._heard(self._recording)
            self._groups = itertools.chain(list(itertools.islice(groups, 1)), groups)
        except BaseException:
            self.close()
            raise

    def number(self, task_id: int) -> None:
        """The prefetched recording has become a task of this number."""
        self._command = self._command.model_copy(update={"task_id": task_id})

    def close(self) -> None:
        """Let go of the file, if it was opened and never run."""
        if self._recording:
            self._recording.close()

    def run(self) -> None:
        """Raises TranscriberError; sends ``done``, or ``stopped`` if the parent asked to stop."""
        began_cpu = time.process_time()
        with self._recording or self._open() as recording:
            self._outbox.send(
                Started(
                    task_id=self._command.task_id,
                    duration_s=recording.duration_s,
                    format=recording.format_name,
                    codec=recording.codec,
                )
            )
            if not self._transcribe(recording):
                self._outbox.send(Stopped(task_id=self._command.task_id))
                return
            if recording.partial:
                self._notes[f"partial: {recording.partial}"] = None
            duration_s = max(self._position_s, recording.decoded_s)
            told = self._speakers(recording, duration_s) if self._settings.diarize else Diarized()
            if told is None:
                self._outbox.send(Stopped(task_id=self._command.task_id))
                return
            self._outbox.send(
                Done(
                    task_id=self._command.task_id,
                    chunks=self._sent,
                    duration_s=duration_s,
                    turns=tuple(told.turns),
                    diarization=told.method,
                    notes=tuple(self._notes),
                    cpu_seconds=round(time.process_time() - began_cpu, 3),
                )
            )

    def _speakers(self, recording: Recording, duration_s: float) -> Diarized | None:
        """Who speaks when, in a second pass; None if the parent asked to stop.

        Whatever goes wrong here costs the speakers, never the text.
        """
        self._outbox.send(
            Transcribed(
                task_id=self._command.task_id,
                chunks=self._sent,
                duration_s=duration_s,
                notes=tuple(self._notes),
            )
        )
        asked = self._settings
        allocator.give_back()  # there is room for both, but not on every machine
        try:
            found = self._diarize(
                self._engine,
                recording.blocks,
                self._detect,
                asked.min_speakers,
                asked.max_speakers,
                self._goes_on,
            )
        except Exception as error:  # noqa: BLE001 - told in the result
            self._notes[f"diarization: failed, speakers are not told apart ({error})"] = None
            return Diarized()
        if found and found.note:
            self._notes[found.note] = None
        return found

    def _goes_on(self) -> bool:
        """Whether nobody asked to stop; a sign of life, too."""
        self._sign_of_life()
        return not self._inbox.stopped(self._command.task_id)

    def _open(self) -> Recording:
        limits = Limits(max_duration_s=self._command.max_duration_s)
        return open_recording(Path(os.fsdecode(self._command.path)), limits)

    def _transcribe(self, recording: Recording) -> bool:
        """Send every chunk, in order. False if the parent asked to stop before the end."""
        running: deque[tuple[list[AudioChunk], Future[list[Finished] | None]]] = deque()
        with ThreadPoolExecutor(self._engine.streams, thread_name_prefix="stream") as pool:
            for group, encoded in self._groups or self._heard(recording):
                running.append((group, pool.submit(self._finish, group, encoded)))
                while running and (len(running) > self._engine.streams + _AHEAD or _ready(running)):
                    if not self._hand_over(*running.popleft(), recording):
                        return False
            while running:
                self._work_ahead()
                if not self._hand_over(*running.popleft(), recording):
                    return False
        return True

    def _heard(self, recording: Recording) -> Iterator[tuple[list[AudioChunk], Any]]:
        """Groups of chunks for the model, in order, with the encoder's output where it is known."""
        mixed = self._settings.language == "mixed"
        blocks = recording.blocks(self._command.start_s)
        cutting = CUTTING if mixed else Cutting()
        stream = chunks(self._alive(blocks), self._detect, self._command.start_s, cutting)
        groups = batches(
            stream,
            lambda chunk: self._together(recording, chunk),
            lambda chunk: not mixed and self._engine.joins(chunk, self._settings.fast_mode),
        )
        return self._listener.heard_first(groups)

    def _together(self, recording: Recording, chunk: AudioChunk) -> int:
        """How many chunks go through the model at once, from this one on."""
        if self._engine.on_gpu:
            return self._command.batch_size
        left_s = recording.duration_s and recording.duration_s - chunk.start_s
        return fair_share(left_s, self._engine.streams, self._engine.together)

    def _alive(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        """The recording's blocks, with a sign of life now and then: decoding is progress too."""
        for block in blocks:
            self._sign_of_life()
            yield block

    def _sign_of_life(self) -> None:
        """At most once a second."""
        now = time.monotonic()
        if self._command.task_id and now - self._told_at > _TELL_S:
            self._told_at = now
            self._outbox.send(Alive())

    def _finish(self, group: list[AudioChunk], encoded: Any) -> list[Finished] | None:
        """The texts of a group of chunks; silent ones have none. Runs in a stream's thread.

        None if the parent asked to stop before it began: then none of the later ones begins.
        """
        if self._inbox.stopped(self._command.task_id):
            return None
        spoken = [chunk for chunk in group if len(chunk.samples)]
        if self._listener.language is None:
            return [self._by_languages(chunk) for chunk in group]
        decoding = Decoding(self._listener.language, self._settings)
        texts = iter(
            self._engine.transcribe(spoken, decoding, encoded, self._sign_of_life) if spoken else ()
        )
        return [
            Finished(
                next(texts) if len(chunk.samples) else ChunkText(),
                self._listener.language,
                *(self._listener.heard or (None, None)),
            )
            for chunk in group
        ]

    def _by_languages(self, chunk: AudioChunk) -> Finished:
        """A chunk of a mixed recording: each part in its own language."""
        texts, found = [], []
        for part in self._listener.parts(chunk, self._sign_of_life):
            how = Decoding(part.heard[0], self._settings)
            heard = self._engine.transcribe([part.chunk], how, part.encoded, self._sign_of_life)
            texts.append(heard[0].spoken_in(part.heard[0]))
            found.append((part.chunk.speech_s, *part.heard))
        _, language, probability = max(found, default=(0.0, "", None))
        return Finished(ChunkText.joined(texts), language, language or None, probability)

    def _hand_over(
        self,
        group: list[AudioChunk],
        finished: Future[list[Finished] | None],
        recording: Recording,
    ) -> bool:
        """Send the group's texts. False if it was left for the next run."""
        results = finished.result()
        if results is None:
            return False
        for chunk, result in zip(group, results, strict=True):
            if result.text.note:
                self._notes[result.text.note] = None
            self._position_s = chunk.position_s
            self._sent += 1
            self._outbox.send(
                Chunk(
                    task_id=self._command.task_id,
                    number=self._sent,
                    start_s=chunk.start_s,
                    position_s=chunk.position_s,
                    speech_s=round(chunk.speech_s, 3),
                    segments=result.text.segments,
                    dropped=result.text.dropped,
                    language=result.language or None,
                    detected_language=result.heard,
                    language_probability=result.probability,
                    alignment=result.text.alignment,
                    read_fraction=recording.read_fraction,
                )
            )
        return True


def _ready(running: deque[tuple[list[AudioChunk], Future[list[Finished] | None]]]) -> bool:
    return running[0][1].done()
