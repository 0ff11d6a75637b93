"""The sound of a live session: read from a file that grows, with the speech in it as it comes.

Only the newest half minute is in memory. Lives in the child process.
"""

from __future__ import annotations

import os

import numpy as np
from av.audio.frame import AudioFrame
from faster_whisper.vad import get_vad_model

from modules.audio.chunking import SAMPLE_RATE, Samples, quietest
from modules.audio.resampler import Resampler
from modules.audio.vad import MIN_PAUSE_MS, MIN_SPEECH_MS, thresholds
from modules.config.settings import TranscriptionSettings
from modules.errors import StorageError, noted

#: Silero hears windows of this length, each with the end of the one before.
_WINDOW, _CONTEXT = 512, 64
_MIN_PAUSE = MIN_PAUSE_MS * SAMPLE_RATE // 1000
MIN_SPEECH = MIN_SPEECH_MS * SAMPLE_RATE // 1000
#: So much is read at once, in seconds.
_BLOCK_S = 0.1

Span = tuple[int, int]


class GrowingSound:
    """Raw signed 16 bit mono sound as 16 kHz float samples, in blocks.

    ``descriptor`` stays the caller's; ``start`` is the first sample, at ``rate`` a second.
    """

    def __init__(self, descriptor: int, rate: int, start: int) -> None:
        self._descriptor = descriptor
        self._rate = rate
        self._block = round(rate * _BLOCK_S)
        #: So many samples of the file were read.
        self.position = start
        self._resampler = Resampler(frame_size=0) if rate != SAMPLE_RATE else None

    def read(self, until: int) -> Samples | None:
        """The next block, shorter where ``until``, a sample of the file, comes first; None there.

        Raises StorageError.
        """
        count = min(self._block, until - self.position)
        if count <= 0:
            return None
        raw = os.pread(self._descriptor, 2 * count, 2 * self.position)
        if len(raw) < 2 * count:
            message = noted("The sound of a live session is not all in its file.")
            raise StorageError("live_sound_missing", message)
        self.position += count
        values = np.frombuffer(raw, dtype="<i2")
        if self._resampler is None:
            return values.astype(np.float32) / np.float32(32768)
        frame = AudioFrame.from_ndarray(values.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = self._rate
        parts = [part[0] for part in self._resampler.mix(frame)]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)


class StreamingDetector:
    """Speech by Silero's model as sound comes in, by the rules that hold for files."""

    def __init__(self, settings: TranscriptionSettings) -> None:
        self._onset, self._offset = thresholds(settings)
        self._state = np.zeros((1, 1, 128), dtype=np.float32)
        self._cell = np.zeros((1, 1, 128), dtype=np.float32)
        self._rest = np.zeros(_CONTEXT, dtype=np.float32)
        #: So many samples were heard.
        self.position = 0
        #: Where speech was, where the latest began, and since when it may be over.
        self.ended: list[Span] = []
        self.began: int | None = None
        self.silent_from: int | None = None

    def hear(self, samples: Samples) -> None:
        self._rest = np.concatenate([self._rest, samples])
        count = (len(self._rest) - _CONTEXT) // _WINDOW
        if count < 1:
            return
        inputs = np.lib.stride_tricks.sliding_window_view(self._rest, _CONTEXT + _WINDOW)
        found, self._state, self._cell = get_vad_model().session.run(
            None,
            {
                "input": np.ascontiguousarray(inputs[::_WINDOW][:count]),
                "h": self._state,
                "c": self._cell,
            },
        )
        self._rest = self._rest[count * _WINDOW :].copy()
        for probability in np.ravel(found):
            self._notice(float(probability))
            self.position += _WINDOW

    def spans(self) -> list[Span]:
        """All speech that is still known; what goes on ends where it may be over, or now."""
        if self.began is None:
            return list(self.ended)
        end = self.position if self.silent_from is None else self.silent_from
        return [*self.ended, (self.began, end)]

    def forget(self, before: int) -> None:
        self.ended = [span for span in self.ended if span[1] > before]
        if self.began is not None:
            self.began = max(self.began, before)

    def _notice(self, probability: float) -> None:
        if probability >= self._onset:
            self.silent_from = None
            self.began = self.position if self.began is None else self.began
        elif self.began is not None and probability < self._offset:
            if self.silent_from is None:
                self.silent_from = self.position
            if self.position - self.silent_from >= _MIN_PAUSE:
                if self.silent_from - self.began > MIN_SPEECH:
                    self.ended.append((self.began, self.silent_from))
                self.began = self.silent_from = None


class LiveSound:
    """The newest sound of a session and the speech in it; positions are 16 kHz samples from where
    it began."""

    def __init__(self, source: GrowingSound, settings: TranscriptionSettings) -> None:
        self._source = source
        self._detector = StreamingDetector(settings)
        self._held = np.zeros(0, dtype=np.float32)
        #: The first sample that is in memory.
        self._first = 0

    @property
    def position(self) -> int:
        """So much was heard."""
        return self._first + len(self._held)

    def listen(self, until: int) -> bool:
        """Hear the next block of the file up to its sample ``until``; False if there is none."""
        block = self._source.read(until)
        if block is None:
            return False
        self._held = np.concatenate([self._held, block])
        self._detector.hear(block)
        return True

    def speech(self) -> list[Span]:
        """Where there is speech in what is in memory."""
        return [(a, b) for a, b in self._detector.spans() if b - a > MIN_SPEECH]

    def silent_for(self) -> int:
        """How long there has been no speech; 0 while there is, all if there was none."""
        detector = self._detector
        if detector.began is not None:
            since = detector.silent_from
            return 0 if since is None else detector.position - since
        return detector.position - (detector.ended[-1][1] if detector.ended else 0)

    def samples(self, begin: int, end: int) -> Samples:
        return self._held[begin - self._first : end - self._first].copy()

    def quietest(self, begin: int, end: int) -> int:
        """The quietest moment of a stretch."""
        return self._first + quietest(self._held, begin - self._first, end - self._first)

    def forget(self, before: int) -> None:
        """Drop what lies before."""
        if before > self._first:
            self._held = self._held[before - self._first :].copy()
            self._first = before
            self._detector.forget(before)
