"""Cut a stream of samples into chunks of speech. Pure: the voice detector is passed in.

Everything after a cut depends only on the samples after it. So a run that goes on from a
checkpoint cuts, and therefore transcribes, exactly as an undisturbed one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
MAX_CHUNK_S = 30.0
#: How far beyond a full chunk the detector looks, to see whether speech goes on there.
LOOK_AHEAD_S = 1.0
#: Where speech has no pause at all, the cut falls on the quietest moment of this last stretch.
FORCED_CUT_S = 5.0
#: No part of a chunk is shorter.
MIN_PART_S = 1.0
#: The level below which there is silence; and as a share of the loud parts, -54 dB.
_SILENT, _SILENT_SHARE = 1e-4, 2e-3
#: A tenth of a second.
FRAME = SAMPLE_RATE // 10

Samples = npt.NDArray[np.float32]
#: (start, end) of speech in samples, in order, without overlap.
SpeechDetector = Callable[[Samples], list[tuple[int, int]]]


@dataclass(frozen=True)
class Cutting:
    """How to cut, in seconds. A chunk is at most ``max_chunk_s`` long and spans no pause above
    ``max_pause_s``, as Whisper tends to stop, or to invent, at one. ``pad_s`` is left around speech
    where there is room, for what is said softly.
    """

    max_chunk_s: float = MAX_CHUNK_S
    max_pause_s: float = 3.0
    pad_s: float = 0.4


@dataclass(frozen=True)
class AudioChunk:
    """``samples``: mono, 16 kHz, at most 30 s, shape ``(n,)``; empty for a stretch of silence.

    ``start_s`` is where the samples begin, ``position_s`` how far the recording is covered.
    ``speech``: where there is speech in the recording, (start, end) in seconds, without padding.
    """

    start_s: float
    position_s: float
    samples: Samples
    speech: tuple[tuple[float, float], ...] = ()

    @property
    def speech_s(self) -> float:
        """Seconds of speech."""
        return sum(end - start for start, end in self.speech)


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
    blocks: Iterator[Samples],
    detect: SpeechDetector,
    start_s: float = 0.0,
    cutting: Cutting = Cutting(),
) -> Iterator[AudioChunk]:
    """Chunks of speech in order, with stretches of silence between them as empty chunks.

    ``blocks`` begins at ``start_s`` of the recording. The last chunk's ``position_s`` is the end.
    """
    position = round(start_s * SAMPLE_RATE)
    buffer = SampleBuffer(blocks)
    window_size = _samples(cutting.max_chunk_s + LOOK_AHEAD_S)
    while True:
        window = buffer.peek(window_size)
        if len(window) == 0:
            return
        last = buffer.at_end(window_size)
        speech = detect(window)
        padded = _padded(speech, _samples(cutting.pad_s), len(window))
        begin, end = _next_chunk(window, padded, last, cutting)
        advance = len(window) if last and end == begin else end
        yield AudioChunk(
            start_s=(position + begin) / SAMPLE_RATE,
            position_s=(position + advance) / SAMPLE_RATE,
            samples=window[begin:end].copy(),
            speech=tuple(
                ((position + max(a, begin)) / SAMPLE_RATE, (position + min(b, end)) / SAMPLE_RATE)
                for a, b in speech
                if a < end and b > begin
            ),
        )
        position += advance
        buffer.drop(advance)


def is_divisible(chunk: AudioChunk) -> bool:
    """Whether ``halves`` would be long enough to hold more than a word."""
    return len(chunk.samples) >= _samples(2 * MIN_PART_S)


def halves(chunk: AudioChunk) -> tuple[AudioChunk, AudioChunk]:
    """A chunk that ``is_divisible``, cut in two: in its longest pause, else at a quiet moment."""
    length = len(chunk.samples)
    least = _samples(MIN_PART_S)
    offset = round(chunk.start_s * SAMPLE_RATE)
    edges = [round(time * SAMPLE_RATE) - offset for region in chunk.speech for time in region]
    pauses = [
        (after - before, (before + after) // 2)
        for before, after in zip(edges[1:-1:2], edges[2::2], strict=True)
        if least <= (before + after) // 2 <= length - least
    ]
    first, last = max(length // 4, least), min(length * 3 // 4, length - least)
    cut = max(pauses)[1] if pauses else quietest(chunk.samples, first, last)
    return _part(chunk, 0, cut), _part(chunk, cut, length)


def audible(chunk: AudioChunk) -> tuple[tuple[float, float], ...]:
    """Where a chunk is not silent, (start, end) in seconds of the recording: silence is digital, or
    lies far below both speech and any noise that a microphone has.
    """
    step = SAMPLE_RATE // 100
    count = len(chunk.samples) // step
    if not count:
        return ()
    levels = np.sqrt(np.square(chunk.samples[: count * step].reshape(count, step)).mean(axis=1))
    floor = max(_SILENT, float(np.percentile(levels, 95)) * _SILENT_SHARE)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], levels > floor, [False]))))
    times = [chunk.start_s + int(edge) / 100 for edge in edges]
    return tuple(zip(times[::2], times[1::2], strict=True))


def _part(chunk: AudioChunk, begin: int, end: int) -> AudioChunk:
    start_s = chunk.start_s + begin / SAMPLE_RATE
    end_s = chunk.start_s + end / SAMPLE_RATE
    inside = ((max(a, start_s), min(b, end_s)) for a, b in chunk.speech)
    speech = tuple((a, b) for a, b in inside if a < b)
    return AudioChunk(start_s, end_s, chunk.samples[begin:end], speech)


def _samples(seconds: float) -> int:
    return int(seconds * SAMPLE_RATE)


def _padded(speech: list[tuple[int, int]], pad: int, length: int) -> list[tuple[int, int]]:
    """The regions with ``pad`` samples around each; neighbours share a gap that is too small."""
    room = [a - b for (_, b), (a, _) in itertools.pairwise(speech)]
    before = [pad, *(min(pad, gap - gap // 2) for gap in room)]
    after = [*(min(pad, gap // 2) for gap in room), pad]
    return [
        (max(0, start - first), min(length, end + then))
        for (start, end), first, then in zip(speech, before, after, strict=False)
    ]


def _next_chunk(
    window: Samples, speech: list[tuple[int, int]], last: bool, cutting: Cutting
) -> tuple[int, int]:
    """(begin, end) of the first chunk in the window, in samples; begin == end: silence."""
    if not speech:
        end = len(window) if last else len(window) - _samples(LOOK_AHEAD_S)
        return end, end
    begin = speech[0][0]
    if not last and begin > _samples(LOOK_AHEAD_S):
        # Look again from where speech begins, so that the chunk gets its full length.
        return begin, begin
    taken = _regions_that_fit(speech, begin, None if last else len(window), cutting)
    if taken:
        return begin, taken[-1][1]
    return begin, _quietest_moment(window, begin, speech[0][1], cutting)


def _regions_that_fit(
    speech: list[tuple[int, int]], begin: int, open_end: int | None, cutting: Cutting
) -> list[tuple[int, int]]:
    """Regions up to the first long pause or the full chunk; never one that the window cuts off."""
    taken: list[tuple[int, int]] = []
    longest = _samples(cutting.max_pause_s - 2 * cutting.pad_s)  # of which the padding is no part
    for start, end in speech:
        too_long = end - begin > _samples(cutting.max_chunk_s)
        cut_off = open_end is not None and end >= open_end
        paused = taken and start - taken[-1][1] > longest
        if too_long or cut_off or paused:
            break
        taken.append((start, end))
    return taken


def _quietest_moment(window: Samples, begin: int, end: int, cutting: Cutting) -> int:
    """Where to cut speech that has no pause: the quietest tenth of a second near its limit."""
    limit = min(begin + _samples(cutting.max_chunk_s), end)
    return quietest(window, max(begin + FRAME, limit - _samples(FORCED_CUT_S)), limit)


def quietest(samples: Samples, first: int, limit: int) -> int:
    """The middle of the quietest tenth of a second in a stretch; its end if it is shorter."""
    count = (limit - first) // FRAME
    if count < 1:
        return limit
    frames = samples[first : first + count * FRAME].reshape(count, FRAME)
    index = int(np.argmin(np.square(frames).mean(axis=1)))
    return first + index * FRAME + FRAME // 2
