"""When the sound of a frame belongs, by the timestamps of the container: gaps, drift, leaps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from av.audio.frame import AudioFrame

from modules.audio.resampler import SAMPLE_RATE, Samples

#: A frame that begins so much later than the one before it ended: sound is missing in between.
_GAP_S = 0.1
#: From so much difference between sound and timestamps on, the sound is stretched, by at most this
#: share: no ear and no model notices.
_DRIFT_S, _STRETCH_MAX = 0.1, 0.1
#: Sound that lags behind by more than this is no slow clock: pieces of it are missing.
_DRIFT_MAX_S = 0.5
_BACKWARDS_S = 1.0
#: The longest gap that is believed where the container does not say how long the recording is.
_UNDECLARED_GAP_S = 3600.0


@dataclass(frozen=True)
class Place:
    """What is due before a frame, in seconds: silence, and how much later (or, negative, earlier)
    than its own length says the sound up to its end should end.
    """

    silence_s: float = 0.0
    lag_s: float = 0.0


class Timeline:
    """Follows the frames of a track. ``origin_s``: the timestamp at which the recording begins.

    ``is_credible(end_s)``: whether the recording may last until there. ``start_only``: timestamps
    are counted from bytes, so that only the first one says anything.
    """

    def __init__(
        self,
        origin_s: Callable[[float], float],
        is_credible: Callable[[float], bool],
        duration_known: bool,
        start_only: bool = False,
    ) -> None:
        self._start_only = start_only
        self._origin_of = origin_s
        self._is_credible = is_credible
        self._duration_known = duration_known
        self._origin_s: float | None = None
        self._due_s: float | None = None  # the timestamp at which the next frame should begin
        self._clock_s = 0.0  # seconds of input so far, silence that was put in included

    @property
    def samples(self) -> int:
        """How many samples there should be by now."""
        return round(self._clock_s * SAMPLE_RATE)

    def place(self, frame: AudioFrame, following: AudioFrame | None) -> Place:
        """Where this frame belongs; ``following`` tells a broken timestamp from a new clock."""
        place = self._place(frame, following)
        self._clock_s += place.silence_s + frame.samples / frame.sample_rate
        return place

    def stretched(self, by_s: float) -> None:
        """The sound was made longer by so much."""
        self._clock_s += by_s

    def _place(self, frame: AudioFrame, following: AudioFrame | None) -> Place:
        pts_s = frame.time
        if pts_s is None:
            return Place()
        if self._origin_s is None:
            self._origin_s = self._origin_of(pts_s - self._clock_s)
        leap_s = 0.0 if self._due_s is None else pts_s - self._due_s
        lag_s = pts_s - self._origin_s - self._clock_s
        began = self._due_s is None
        self._due_s = pts_s + frame.samples / frame.sample_rate
        if self._start_only and not began:
            return Place()
        if lag_s <= _GAP_S and lag_s >= -_BACKWARDS_S:
            return Place(lag_s=lag_s)
        if following is not None and _is_broken(pts_s, lag_s, following.time, self._due_s):
            return Place()
        if 0 < lag_s <= _DRIFT_MAX_S and leap_s <= _GAP_S and not began:
            return Place(lag_s=lag_s)
        if lag_s > 0 and self._believes(lag_s):
            return Place(silence_s=lag_s)
        # The clock was set anew in the middle, or lies: count on from here.
        self._origin_s = pts_s - self._clock_s
        return Place()

    def _believes(self, gap_s: float) -> bool:
        """A few bytes must not become days of silence."""
        if not self._duration_known and gap_s > _UNDECLARED_GAP_S:
            return False
        return self._is_credible(self._clock_s + gap_s)


def _is_broken(pts_s: float, lag_s: float, next_s: float | None, due_s: float) -> bool:
    """Whether one timestamp leaps, forwards or backwards, and the next is back in line."""
    if next_s is None:
        return False
    return next_s < pts_s or (lag_s < 0 and lag_s + next_s - due_s >= -_BACKWARDS_S)


def stretch(piece: Samples, lag_s: float) -> tuple[Samples, float]:
    """The samples ``(lines, n)`` made longer or shorter against a clock that differs, and by how
    many seconds. A difference that a buffer explains changes nothing.
    """
    count = piece.shape[1]
    if abs(lag_s) <= _DRIFT_S or not count:
        return piece, 0.0
    most = int(count * _STRETCH_MAX)
    wanted = count + max(-most, min(most, round(lag_s * SAMPLE_RATE)))
    if wanted == count:
        return piece, 0.0
    at = np.linspace(0, count - 1, wanted)
    lines = [np.interp(at, np.arange(count), line) for line in piece]
    return np.asarray(lines, dtype=np.float32), (wanted - count) / SAMPLE_RATE
