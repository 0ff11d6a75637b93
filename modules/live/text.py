"""The chunks of a session that are finished while it grows, in its checkpoint. See decision 48."""

from __future__ import annotations

import threading

from modules.config.settings import TranscriptionSettings
from modules.errors import StorageError
from modules.executors.live_protocol import Text, TextFailed, TextOrder
from modules.executors.local.output_bounds import OutputBounds, implausible
from modules.executors.protocol import Transcribe
from modules.jobs.job import SECONDS_MAX
from modules.live.sound_file import SoundFile
from modules.logger import get_logger
from modules.recordings.checkpoint import Begun, Checkpoint, Header, Writer
from modules.transcript.model import Chunk
from modules.weights.files import ModelSpec

log = get_logger("Live")

_TOLERANCE_S = 1.0


class SessionText:
    """``order`` and ``note`` do not touch the disk; ``save`` and ``close`` are for a thread
    that may wait for it. Thread-safe. Without a ``model`` nothing is done before the session has
    ended.
    """

    def __init__(
        self,
        settings: TranscriptionSettings,
        model: ModelSpec | None,
        sound: SoundFile,
        begun: Begun,
    ) -> None:
        self._settings = settings
        self._model = model
        self._sound = sound
        self._path = begun.path
        self._header = Header(settings=settings, source=begun.source)
        self._lock = threading.Lock()
        #: Up to here it is finished.
        self.position_s = 0.0
        self._language: str | None = None
        #: Of the present child: how many chunks came, and what it may say.
        self._received = 0
        self._bounds: OutputBounds | None = None
        self._unsaved: list[Chunk] = []
        #: No more chunks are taken; those that were taken are saved, unless the disk is at fault.
        self._is_over = model is None
        self._is_lost = False
        #: Held while the checkpoint is written.
        self._disk = threading.Lock()
        self._writer: Writer | None = None

    def order(self) -> TextOrder | None:
        """What the next child is to do: go on where the last one ended."""
        with self._lock:
            if self._is_over or self._model is None:
                return None
            self._received, self._bounds = 0, OutputBounds(self._task(self._model))
            return TextOrder(
                model=self._model, start_s=self.position_s, known_language=self._language
            )

    def _task(self, model: ModelSpec) -> Transcribe:
        """As if the sound were a recording of any length; how much there is ``note`` knows."""
        return Transcribe(
            task_id=0,
            path=bytes(self._sound.path),
            model=model,
            settings=self._settings,
            batch_size=1,
            start_s=self.position_s,
            max_duration_s=SECONDS_MAX,
        )

    def note(self, event: Text | TextFailed, received_s: float) -> None:
        """Keep a chunk. Raises WorkerError for what cannot be true."""
        if isinstance(event, TextFailed):
            self.give_up(f"WhisperX: {event.message}")
            return
        chunk = event.chunk
        with self._lock:
            if self._is_over or self._bounds is None:
                return
            self._received += 1
            if chunk.number != self._received or chunk.leg is not None:
                raise implausible(f"chunk {chunk.number}, where {self._received} was expected")
            if chunk.position_s > received_s + _TOLERANCE_S:
                raise implausible(f"a chunk up to {chunk.position_s:.0f} s of {received_s:.0f} s")
            self._bounds.check_chunk(chunk)
            self.position_s = chunk.position_s
            self._language = self._language or chunk.language
            self._unsaved.append(chunk)

    def save(self) -> None:
        """Write what came since the last call; a chunk is never there without its sound."""
        with self._disk:
            with self._lock:
                chunks, self._unsaved = self._unsaved, []
            if self._is_lost or not chunks:
                return
            try:
                self._sound.sync()
                if self._writer is None:
                    self._writer = Writer(self._path, self._header, Checkpoint())
                for chunk in chunks:
                    self._writer.append(chunk)
            except StorageError as error:
                self._is_lost = True
                self.give_up(str(error))

    def close(self) -> None:
        """Save the rest, and keep no more. May be called twice."""
        with self._lock:
            self._is_over = True
        self.save()
        with self._disk:
            self._is_lost = True
            if self._writer:
                self._writer.close()
                self._writer = None

    def give_up(self, why: str) -> None:
        """Have no more of it made before the session has ended."""
        with self._lock:
            was_over, self._is_over = self._is_over, True
        if not was_over:
            log.warning("The text of a live session is made after its end: %s", why)
