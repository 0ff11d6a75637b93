"""Sound of any rate, format and layout to 16 kHz mono."""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from modules.errors import MediaError

Samples = NDArray[np.float32]

SAMPLE_RATE = 16_000


class Resampler:
    """Frames of any rate, format and layout to float32 mono at 16 kHz."""

    def __init__(self) -> None:
        self._shape: tuple[str, str, int] | None = None
        self._resampler: AudioResampler | None = None
        self._averages = False

    def mix(self, frame: AudioFrame) -> Iterator[Samples]:
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape:  # some broadcasts change from stereo to 5.1 in the middle
            yield from self.flush()
            self._start(frame, shape)
        frame.pts = None  # time is kept by Decoding; the resampler only counts samples
        yield from self._push(_average(frame) if self._averages else frame)

    def flush(self) -> Iterator[Samples]:
        """What the filter still holds. The next frame starts a new one."""
        if self._resampler is not None:
            yield from self._push(None)
        self._resampler = self._shape = None

    def _start(self, frame: AudioFrame, shape: tuple[str, str, int]) -> None:
        self._shape = shape
        # FFmpeg knows how to mix named layouts; of 12 microphones in a WAV it knows nothing.
        self._averages = frame.layout.nb_channels > 2 and "channels" in frame.layout.name
        # Without rematrix_maxval a float mix of two equal channels comes out over full scale.
        # frame_size: one array a second instead of fifty; that alone doubles the speed.
        self._resampler = AudioResampler(
            "flt",
            "mono",
            SAMPLE_RATE,
            frame_size=SAMPLE_RATE,
            options={"rematrix_maxval": "1.0"},
        )

    def _push(self, frame: AudioFrame | None) -> Iterator[Samples]:
        assert self._resampler is not None
        try:
            pieces = self._resampler.resample(frame)
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(
                "no_sound_decoded",
                "The sound of the recording cannot be converted.",
                details=str(error),
                remedy="Export the recording again as MP3 or WAV.",
            ) from error
        for piece in pieces:
            yield _clean(piece.to_ndarray().reshape(-1).astype(np.float32, copy=False))


def _clean(samples: Samples) -> Samples:
    """A float WAV may hold NaN, infinity or values far over full scale."""
    finite: Samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(finite, -1.0, 1.0)


def _average(frame: AudioFrame) -> AudioFrame:
    """All channels alike, as mono float."""
    channels = frame.layout.nb_channels
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, channels).T
    scaled = values.astype(np.float64)
    if values.dtype.kind == "u":
        scaled = scaled / 128 - 1  # the only unsigned samples that FFmpeg has are of 8 bits
    elif values.dtype.kind == "i":
        scaled /= 2 ** (8 * values.dtype.itemsize - 1)
    mean = np.ascontiguousarray(scaled.mean(axis=0, keepdims=True), dtype=np.float32)
    mixed = AudioFrame.from_ndarray(mean, format="flt", layout="mono")
    mixed.sample_rate = frame.sample_rate
    return mixed
