"""Several lines of sound, the channels of stereo or whole tracks, mixed to the one that is heard.

A minute at a time: each minute is looked at before it is mixed, and only its own samples decide,
so that a run that goes on from a checkpoint hears the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from modules.audio.level import amplified, frame_levels, gain_db
from modules.audio.resampler import SAMPLE_RATE, Samples

#: (start, end) of speech in samples, in order.
Regions = list[tuple[int, int]]
Detector = Callable[[Samples], Regions]

MINUTE = 60 * SAMPLE_RATE
#: From this correlation on, two channels carry the same sound; below the other, they cancel out.
_ALIKE, _OPPOSED = 0.3, -0.5
#: A line whose level is so much lower than that of one that speaks does no harm, in dB.
_HARMLESS_DB = 30.0
#: And one that is so much lower than the other has nothing to be heard at all.
_SILENT_DB = 60.0
#: A line speaks if it has so much of the speech of the one that speaks most, or so many seconds.
_SHARE, _SPEAKS_S = 0.2, 2.0
#: Two tracks that speak at the same times, each this long, and not with the same voice, cannot be
#: understood together: mostly they are a film in two languages.
_RIVALS_S, _OVERLAP, _SAME_SCENE = 3.0, 0.75, 0.5
_FADE = SAMPLE_RATE // 20


def minutes(pieces: Iterable[Samples]) -> Iterator[Samples]:
    """The same samples ``(lines, n)`` in pieces of a minute; the last one may be shorter."""
    held: list[Samples] = []
    count = 0
    for piece in pieces:
        held.append(piece)
        count += piece.shape[1]
        while count >= MINUTE:
            joined = np.concatenate(held, axis=1)
            yield joined[:, :MINUTE].copy()
            held, count = [joined[:, MINUTE:]], count - MINUTE
    if count:
        yield np.concatenate(held, axis=1)


class Stereo:
    """Mixes the two channels of a track. ``silenced_s``: for how long each was left out."""

    def __init__(self, detect: Detector) -> None:
        self._detect = detect
        self.silenced_s = [0.0, 0.0]
        self._weights: list[float] | None = None

    def mixed(self, lines: Samples) -> Samples:
        """One minute, shape ``(2, n)``, as ``(n,)``."""
        before, self._weights = self._weights, self._choice(lines)
        return _weighted(lines, before or self._weights, self._weights)

    def _choice(self, lines: Samples) -> list[float]:
        alike = correlation(lines[0], lines[1])
        if alike is None or alike >= _ALIKE:
            return [0.5, 0.5]
        if alike <= _OPPOSED:
            return [0.5, -0.5]
        kept = _speaking(lines, _speech(lines, self._detect))
        for channel in range(2):
            if channel not in kept:
                self.silenced_s[channel] += lines.shape[1] / SAMPLE_RATE
        return [(channel in kept) / len(kept) for channel in range(2)]


class Tracks:
    """Mixes tracks, each as one line. ``left_out_s``: for how long all but the first were not
    heard, as they say the same in another language at the same time.
    """

    def __init__(self, detect: Detector) -> None:
        self._detect = detect
        self.left_out_s = 0.0
        self._weights: list[float] | None = None
        self._signs = 0  # minutes that speak for several languages, less those that do not

    def mixed(self, lines: Sequence[Samples]) -> Samples:
        """One minute of each, of equal length, as ``(n,)``."""
        joined = np.stack(lines)
        before, self._weights = self._weights, self._choice(joined)
        return _weighted(joined, before or self._weights, self._weights)

    def _choice(self, lines: Samples) -> list[float]:
        speech = _speech(lines, self._detect)
        rivals = _are_rivals(lines, speech)
        if rivals is not None:
            self._signs += 1 if rivals else -1
        if self._signs > 0:
            self.left_out_s += lines.shape[1] / SAMPLE_RATE
            return [1.0] + [0.0] * (len(lines) - 1)
        kept = _speaking(lines, speech)
        return [(number in kept) / len(kept) for number in range(len(lines))]


def correlation(left: Samples, right: Samples) -> float | None:
    """Of two channels, low tones aside; None if one of them is silent."""
    # The difference of neighbours takes hum and offsets away; every third is enough to tell.
    one, other = np.diff(left)[::3], np.diff(right)[::3]
    energy = float(np.dot(one, one)), float(np.dot(other, other))
    quiet = 10 ** (-_SILENT_DB / 10)
    if min(energy) <= quiet * max(energy):
        return None
    return float(np.dot(one, other)) / float(np.sqrt(energy[0] * energy[1]))


def _speech(lines: Samples, detect: Detector) -> list[Regions]:
    """Where each line speaks, however quiet it is."""
    return [detect(as_loud(line)) for line in lines]


def _speaking(lines: Samples, speech: Sequence[Regions]) -> list[int]:
    """The lines that are heard: those that speak, and those too quiet to disturb; all if none
    speaks.
    """
    speech_s = [seconds_of(regions) for regions in speech]
    most_s = max(speech_s)
    if not most_s:
        return list(range(len(lines)))
    levels = [float(np.percentile(frame_levels(line), 95)) for line in lines]
    least_s = min(_SPEAKS_S, _SHARE * most_s)
    speaks = [s >= least_s for s in speech_s]
    quiet = min(level for level, yes in zip(levels, speaks, strict=True) if yes) - _HARMLESS_DB
    return [i for i in range(len(lines)) if speaks[i] or levels[i] < quiet]


def _are_rivals(lines: Samples, speech: Sequence[Regions]) -> bool | None:
    """Whether tracks say the same in several languages; None if too little is said to tell."""
    masks = [_mask(regions, lines.shape[1]) for regions in speech[:2]]
    spoken = [float(mask.sum()) / 10 for mask in masks]
    if min(spoken) < _RIVALS_S:
        return None
    overlap = float((masks[0] & masks[1]).sum()) / 10 / min(spoken)
    envelopes = [10 ** (frame_levels(line) / 20) for line in lines[:2]]
    alike = float(np.corrcoef(envelopes[0], envelopes[1])[0, 1])
    return overlap > _OVERLAP and alike < _SAME_SCENE


def _mask(regions: Sequence[tuple[int, int]], count: int) -> NDArray[np.bool_]:
    """For each tenth of a second whether there is speech in it."""
    step = SAMPLE_RATE // 10
    mask = np.zeros(-(-count // step), dtype=bool)
    for start, end in regions:
        mask[start // step : -(-end // step)] = True
    return mask


def as_loud(line: Samples) -> Samples:
    gain = gain_db(frame_levels(line))
    return amplified(line, gain, gain)


def seconds_of(regions: Sequence[tuple[int, int]]) -> float:
    return sum(end - start for start, end in regions) / SAMPLE_RATE


def _weighted(lines: Samples, before: list[float], weights: list[float]) -> Samples:
    """The weighted sum; where the weights change it takes a moment, so that nothing clicks."""
    mixed = np.tensordot(np.asarray(weights, np.float32), lines, axes=1).astype(np.float32)
    if before != weights:
        fade = np.linspace(0, 1, min(_FADE, lines.shape[1]), dtype=np.float32)
        old = np.tensordot(np.asarray(before, np.float32), lines[:, : len(fade)], axes=1)
        mixed[: len(fade)] = old * (1 - fade) + mixed[: len(fade)] * fade
    return np.clip(mixed, -1.0, 1.0)
