"""Cut a stream of samples into chunks of speech. Pure: the voice detector is passed in.

Everything after a cut depends only on the samples after it. So a run that goes on from a
checkpoint cuts, and therefore transcribes, exactly as an undisturbed one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
MAX_CHUNK_S = 30.0
#: A chunk never spans a longer pause: Whisper tends to stop, or to invent, at one.
MAX_PAUSE_S = 3.0
#: How far beyond a full chunk the detector looks, to see whether speech goes on there.
LOOK_AHEAD_S = 1.0
#: Where speech has no pause at all, the cut falls on the quietest moment of this last stretch.
FORCED_CUT_S = 5.0

Samples = npt.NDArray[np.float32]
#: (start, end) of speech in samples, in order, without overlap.
SpeechDetector = Callable[[Samples], list[tuple[int, int]]]


@dataclass(frozen=True)
class AudioChunk:
    """``samples``: mono, 16 kHz, at most 30 s, shape ``(n,)``; empty for a stretch of silence.

    ``start_s`` is where the samples begin, ``position_s`` how far the recording is covered.
    """

    start_s: float
    position_s: float
    samples: Samples
    speech_s: float = 0.0


class SampleBuffer:
    """A window over a stream of blocks; holds no more than what was asked for."""

    def __init__(self, blocks: Iterator[Samples]) -> None:
        self._blocks = blocks
        self._window: Samples = np.zeros(0, dtype=np.float32)
        self.ended = False

    def peek(self, count: int) -> Samples:
        """The next ``count`` samples, fewer only if the stream has ended."""
        parts = [self._window]
        held = len(self._window)
        while held < count and not self.ended:
            block = next(self._blocks, None)
            if block is None:
                self.ended = True
            else:
                parts.append(block)
                held += len(block)
        if len(parts) > 1:
            self._window = np.concatenate(parts)
        return self._window[:count]

    def at_end(self, count: int) -> bool:
        """True if nothing follows the next ``count`` samples."""
        self.peek(count + 1)
        return self.ended and len(self._window) <= count

    def drop(self, count: int) -> None:
        # A copy, or the view would keep the whole old window in memory.
        self._window = self._window[count:].copy()


def chunks(
    blocks: Iterator[Samples], detect: SpeechDetector, start_s: float = 0.0
) -> Iterator[AudioChunk]:
    """Chunks of speech in order, with stretches of silence between them as empty chunks.

    ``blocks`` begins at ``start_s`` of the recording. The last chunk's ``position_s`` is the end.
    """
    position = round(start_s * SAMPLE_RATE)
    buffer = SampleBuffer(blocks)
    window_size = _samples(MAX_CHUNK_S + LOOK_AHEAD_S)
    while True:
        window = buffer.peek(window_size)
        if len(window) == 0:
            return
        last = buffer.at_end(window_size)
        begin, end, speech = _next_chunk(window, detect(window), last)
        advance = len(window) if last and end == begin else end
        yield AudioChunk(
            start_s=(position + begin) / SAMPLE_RATE,
            position_s=(position + advance) / SAMPLE_RATE,
            samples=window[begin:end].copy(),
            speech_s=speech / SAMPLE_RATE,
        )
        position += advance
        buffer.drop(advance)


def _samples(seconds: float) -> int:
    return int(seconds * SAMPLE_RATE)


def _next_chunk(window: Samples, speech: list[tuple[int, int]], last: bool) -> tuple[int, int, int]:
    """(begin, end, samples of speech) of the first chunk in the window; begin == end: silence."""
    if not speech:
        end = len(window) if last else len(window) - _samples(LOOK_AHEAD_S)
        return end, end, 0
    begin = speech[0][0]
    if not last and begin > _samples(LOOK_AHEAD_S):
        # Look again from where speech begins, so that the chunk gets its full length.
        return begin, begin, 0
    taken = _regions_that_fit(speech, begin, None if last else len(window))
    if taken:
        end = taken[-1][1]
        return begin, end, sum(stop - start for start, stop in taken)
    end = _quietest_moment(window, begin, speech[0][1])
    return begin, end, end - begin


def _regions_that_fit(
    speech: list[tuple[int, int]], begin: int, open_end: int | None
) -> list[tuple[int, int]]:
    """Regions up to the first long pause or the full chunk; never one that the window cuts off."""
    taken: list[tuple[int, int]] = []
    for start, end in speech:
        too_long = end - begin > _samples(MAX_CHUNK_S)
        cut_off = open_end is not None and end >= open_end
        paused = taken and start - taken[-1][1] > _samples(MAX_PAUSE_S)
        if too_long or cut_off or paused:
            break
        taken.append((start, end))
    return taken


def _quietest_moment(window: Samples, begin: int, end: int) -> int:
    """Where to cut speech that has no pause: the quietest tenth of a second near the 30 s mark."""
    limit = min(begin + _samples(MAX_CHUNK_S), end)
    frame = SAMPLE_RATE // 10
    first = max(begin + frame, limit - _samples(FORCED_CUT_S))
    count = (limit - first) // frame
    if count < 1:
        return limit
    frames = window[first : first + count * frame].reshape(count, frame)
    quietest = int(np.argmin(np.square(frames).mean(axis=1)))
    return first + quietest * frame + frame // 2
