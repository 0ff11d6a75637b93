"""The text of a live session while it grows: made as that of a file, as far as cuts are certain.

What is left when the session ends, the last minute or so, is done by the job of its recording,
which goes on from these chunks. See decision 48.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator

from modules.audio.chunking import AudioChunk, chunks
from modules.audio.growing import growing_blocks
from modules.audio.vad import detector
from modules.engines.base import Engine
from modules.engines.language_detection import LanguageDetector
from modules.executors.live_protocol import (
    LiveEvent,
    OpenSession,
    Text,
    TextFailed,
    TextOrder,
    Working,
)
from modules.worker.pipes import OpenFile
from modules.worker.sharing import Sharing
from modules.worker.streams import ChunkTranscriber, cutting_of, event_of

#: How often it is looked whether the engine is to be given back; how often progress is reported.
_TICK_S, _SIGN_S = 0.5, 1.0
_MESSAGE_CHARS = 500


class _InterruptedError(Exception):
    """The engine is withdrawn, or the session is over."""


class GrowingText:
    """Transcribes one session in a thread of its own, until ``stop``. ``emit`` must not block.

    ``order`` is that of ``command``.
    """

    def __init__(
        self,
        command: OpenSession,
        order: TextOrder,
        sound: OpenFile,
        sharing: Sharing,
        emit: Callable[[LiveEvent], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._number = command.session
        self._rate = command.rate
        self._settings = command.settings
        self._sound = sound
        self._sharing = sharing
        self._emit = emit
        self._monotonic = monotonic
        #: When it was last said that it works; None while it rests.
        self._signed_at: float | None = None
        self._model = order.model
        self._position_s = order.start_s
        self._language = order.known_language
        self._sent = 0
        self._samples = command.samples
        self._is_over = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="live-text", daemon=True)
        self._thread.start()

    def hear(self, samples: int) -> None:
        """So many samples are there."""
        with self._changed:
            self._samples = max(self._samples, samples)
            self._changed.notify_all()

    def stop(self) -> None:
        """Send nothing more. Returns at once; the thread ends with the chunk in hand."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> None:
        """After ``stop``."""
        self._thread.join()

    # --- the thread ---

    def _run(self) -> None:
        try:
            while not self._is_over:
                self._with_engine()
        except Exception as error:  # noqa: BLE001 - the boundary of a session's text
            message = (str(error) or repr(error))[:_MESSAGE_CHARS]
            self._emit(TextFailed(session=self._number, message=message))

    def _with_engine(self) -> None:
        """For as long as the engine is there. Nothing may keep it alive behind that."""
        with self._sharing.lease(self._model, lambda: self._is_over) as engine:
            if engine is not None:
                try:
                    self._transcribe(engine)
                except _InterruptedError:
                    pass
                finally:
                    self._rest()

    def _transcribe(self, engine: Engine) -> None:
        """From where it is, until the engine is withdrawn. Raises _InterruptedError."""
        settings = self._settings
        engine.check(settings)
        languages = LanguageDetector(engine, settings.language, self._language, settings.fast_mode)

        def should_stop() -> bool:
            return self._is_over or not self._sharing.is_offered(engine)

        transcriber = ChunkTranscriber(
            engine, languages, settings, should_stop, self._progress, self._sharing, "growing"
        )
        blocks = growing_blocks(
            self._sound.descriptor,
            self._rate,
            lambda count: self._more_than(count, should_stop),
            self._position_s,
        )
        find_speech = detector(settings, engine.device)
        planned = chunks(blocks, find_speech, self._position_s, cutting_of(settings, engine))
        for group, encoded in languages.grouped(self._begun(planned)):
            finished = transcriber.transcribe(group, encoded)
            if finished is None:
                return
            for chunk, result in zip(group, finished, strict=True):
                self._sent += 1
                event = event_of(chunk, result, self._number, self._sent)
                self._position_s = event.position_s
                self._language = self._language or event.language
                if not self._is_over:
                    self._emit(Text(session=self._number, chunk=event))
            self._rest()

    def _begun(self, planned: Iterable[AudioChunk]) -> Iterator[list[AudioChunk]]:
        for chunk in planned:
            self._progress()
            yield [chunk]

    def _progress(self) -> None:
        """Say that it works, and is getting on."""
        now = self._monotonic()
        if self._signed_at is None or now - self._signed_at >= _SIGN_S:
            self._signed_at = now
            self._emit(Working(session=self._number, lane="text"))

    def _rest(self) -> None:
        if self._signed_at is not None:
            self._signed_at = None
            self._emit(Working(session=self._number, lane="text", busy=False))

    def _more_than(self, count: int, should_stop: Callable[[], bool]) -> int:
        """How many samples there are, once they are more. Raises _InterruptedError."""
        with self._changed:
            while True:
                if should_stop():
                    raise _InterruptedError
                if self._samples > count:
                    return self._samples
                self._rest()
                self._changed.wait(_TICK_S)
