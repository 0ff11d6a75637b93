"""One recording in the child: decode, find speech, transcribe, diarize, and report each step."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from modules.audio.batching import batches, fair_share
from modules.audio.chunking import AudioChunk, Cutting, chunks
from modules.audio.recording import Hearing, Limits, Recording, open_recording
from modules.audio.vad import detector
from modules.diarization.diarizer import Diarized
from modules.engines.base import Engine
from modules.engines.language_detection import LanguageDetector
from modules.executors.protocol import Done, Started, Stopped, Transcribed
from modules.machine import allocator
from modules.transcript.model import PARTIAL, LeftOut
from modules.worker import legs
from modules.worker.heartbeat import Heartbeat, beating
from modules.worker.pipes import Assignment, Inbox, Outbox
from modules.worker.sharing import Sharing
from modules.worker.streams import (
    ChunkTranscriber,
    Finished,
    Group,
    cutting_of,
    event_of,
    in_order,
)

#: Whisper hears so much at once.
_SHORT_S = 30.0


class Transcription:
    """One task. ``prefetch`` is called when its last chunks are in progress."""

    def __init__(
        self,
        assignment: Assignment,
        engine: Engine,
        diarize: Callable[..., Diarized | None],
        inbox: Inbox,
        outbox: Outbox,
        prefetch: Callable[[], None] = lambda: None,
        sharing: Sharing | None = None,
    ) -> None:
        command = self._command = assignment.command
        engine.check(command.settings)
        self._file = assignment.recording
        self._settings = command.settings
        self._engine = engine
        self._diarize = diarize
        self._inbox = inbox
        self._outbox = outbox
        self._prefetch = prefetch
        self._sharing = sharing or Sharing()
        self._recording: Recording | None = None
        self._groups: Iterator[tuple[Group, Any]] | None = None
        #: Groups that were transcribed ahead, in order.
        self._ahead: list[tuple[Group, list[Finished] | None]] = []
        #: Seconds of processor time that they took.
        self._cpu_s = 0.0
        self._find_speech = detector(command.settings, engine.device)
        self._languages = LanguageDetector(
            engine, command.settings.language, command.known_language, command.settings.fast_mode
        )
        self._notes: dict[str, None] = {engine.note: None} if engine.note else {}
        #: Whether the channels are transcribed apart.
        self._is_split = False
        self._position_s = max(command.legs or (command.start_s,))
        self._sent = 0
        self._heartbeat = Heartbeat(outbox)

    def prepare(self, whole: bool = False) -> None:
        """Open the recording and detect the language of its first speech, so ``run`` need not.

        ``whole``: transcribe it too, if it is so short that one stream does it anyway. Without a
        task id it sends no events, and hears of no stop. Raises TranscriberError.
        """
        began_cpu = time.process_time()
        self._recording = self._open()
        try:
            groups = self._grouped(self._recording)
            first = list(itertools.islice(groups, 1))
            duration_s = self._recording.duration_s
            if whole and duration_s is not None and duration_s <= _SHORT_S:
                self._ahead = [(g, self._transcriber().transcribe(g, e)) for g, e in first]
                first = []
            self._groups = itertools.chain(first, groups)
            if whole:  # nothing else takes time of the processor meanwhile
                self._cpu_s = time.process_time() - began_cpu
        except BaseException:
            self.close()
            raise

    def number(self, task_id: int) -> None:
        """The prefetched recording has become a task of this number."""
        self._command = self._command.model_copy(update={"task_id": task_id})

    def close(self) -> None:
        """Close the file, if it was opened and never run."""
        self._groups = None
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
            done = self._done(recording, began_cpu)
            self._outbox.send(done or Stopped(task_id=self._command.task_id))

    def _done(self, recording: Recording, began_cpu: float) -> Done | None:
        """Transcribe and diarize; None if the parent asked to stop."""
        if not self._transcribe(recording):
            return None
        if recording.partial:
            self._notes[f"{PARTIAL}{recording.partial}"] = None
        duration_s = max(self._position_s, recording.decoded_s)
        found: Diarized | None = Diarized(method=legs.METHOD if self._is_split else None)
        if self._settings.diarize and not self._is_split:
            found = self._speakers(recording, duration_s)
        if found is None:
            return None
        return Done(
            task_id=self._command.task_id,
            chunks=self._sent,
            duration_s=duration_s,
            turns=tuple(found.turns),
            diarization=found.method,
            notes=tuple(self._notes),
            left_out=_left_out(recording),
            cpu_seconds=round(self._cpu_s + time.process_time() - began_cpu, 3),
        )

    # --- text ---

    def _transcribe(self, recording: Recording) -> bool:
        """Send every chunk, in order. False if the parent asked to stop before the end."""
        groups, self._groups = self._groups or self._grouped(recording), None
        transcribe = self._transcriber().transcribe
        results = in_order(groups, self._engine.streams, transcribe, self._prefetch)
        ahead, self._ahead = self._ahead, []
        with contextlib.closing(results):
            for group, finished in itertools.chain(ahead, results):
                if finished is None:
                    return False
                for chunk, result in zip(group, finished, strict=True):
                    self._send(chunk, result, recording.read_fraction)
        return True

    def _transcriber(self) -> ChunkTranscriber:
        """Not to be kept: it refers back to this object, and the two would hold the engine's
        weights until the garbage collector came by."""
        return ChunkTranscriber(
            self._engine,
            self._languages,
            self._settings,
            self._is_stopped,
            self._report_alive,
            self._sharing,
        )

    def _grouped(self, recording: Recording) -> Iterator[tuple[Group, Any]]:
        """Groups of chunks, in order, each with the encoder's output if that is known already."""
        mixed = self._settings.language == "mixed"
        stream = self._stream(recording, cutting_of(self._settings, self._engine))
        groups = batches(
            stream,
            lambda chunk: self._batch_size(recording, chunk),
            lambda chunk: not mixed and self._engine.can_batch(chunk, self._settings.fast_mode),
        )
        return self._languages.grouped(groups)

    def _stream(self, recording: Recording, cutting: Cutting) -> Iterator[AudioChunk]:
        """The chunks of the recording, or of its two channels in turns."""
        command, start_s = self._command, self._command.start_s
        if self._settings.channels == "split":
            why = legs.why_together(command, recording, self._report_alive)
            self._is_split = why is None
            if why:
                self._notes[f"channels: not told apart, {why}"] = None
        if self._is_split:
            return legs.leg_chunks(
                command, recording, self._find_speech, cutting, self._report_alive
            )
        blocks = beating(recording.blocks(start_s), self._report_alive)
        return chunks(blocks, self._find_speech, start_s, cutting)

    def _batch_size(self, recording: Recording, chunk: AudioChunk) -> int:
        """How many chunks go through the model at once, from this one on."""
        if self._sharing.is_live:
            return 1
        if self._engine.on_gpu:
            return self._command.batch_size
        left_s = recording.duration_s and recording.duration_s - chunk.start_s
        return fair_share(left_s, self._engine.streams, self._engine.batch_size)

    def _send(self, chunk: AudioChunk, result: Finished, read_fraction: float) -> None:
        if result.text.note:
            self._notes[result.text.note] = None
        self._position_s = max(self._position_s, chunk.position_s)
        self._sent += 1
        self._outbox.send(event_of(chunk, result, self._command.task_id, self._sent, read_fraction))

    # --- speakers ---

    def _speakers(self, recording: Recording, duration_s: float) -> Diarized | None:
        """Who speaks when, in a second pass; None if the parent asked to stop.

        If this fails, the result has no speakers, but all of the text.
        """
        self._outbox.send(
            Transcribed(
                task_id=self._command.task_id,
                chunks=self._sent,
                duration_s=duration_s,
                notes=tuple(self._notes),
                left_out=_left_out(recording),
            )
        )
        settings = self._settings
        allocator.give_back()  # there is room for both, but not on every machine
        try:
            found = self._diarize(
                self._engine,
                recording.blocks,
                self._find_speech,
                settings.min_speakers,
                settings.max_speakers,
                self._goes_on,
            )
        except Exception as error:  # noqa: BLE001 - reported in the result
            self._notes[f"diarization: failed, speakers are not told apart ({error})"] = None
            return Diarized()
        if found and found.note:
            self._notes[found.note] = None
        return found

    # --- stop and progress ---

    def _goes_on(self) -> bool:
        """Whether the parent has not asked to stop; reports progress, too."""
        self._report_alive()
        return not self._is_stopped()

    def _is_stopped(self) -> bool:
        number = self._command.task_id
        return number > 0 and self._inbox.stopped(number)

    def _report_alive(self) -> None:
        if self._command.task_id:
            self._heartbeat.beat()

    def _open(self) -> Recording:
        limits = Limits(max_duration_s=self._command.max_duration_s)
        settings = self._settings
        hearing = Hearing(
            self._find_speech,
            settings.audio_tracks,
            settings.language,
            as_they_are=settings.channels == "mix",
        )
        return open_recording(self._file.descriptor, limits, hearing)


def _left_out(recording: Recording) -> tuple[LeftOut, ...]:
    return tuple(LeftOut(**asdict(part)) for part in recording.left_out)
