"""Sound of any rate, format and layout to one or two lines of 16 kHz float samples."""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np
from av.audio.frame import AudioFrame, format_dtypes
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from modules.errors import MediaError, noted

Samples = NDArray[np.float32]

SAMPLE_RATE = 16_000


class Resampler:
    """Frames of any rate, format and layout to float32 at 16 kHz, shape ``(lines, n)``.

    ``lines``: 2 keeps the channels of stereo apart, 1 mixes all. A frame of another number of
    channels than ``lines`` is mixed by FFmpeg's rules, or evenly where it has none. Arrays have
    ``frame_size`` samples; 0: whatever comes of a frame.
    """

    # One array a second instead of fifty; that alone doubles the speed.
    def __init__(self, lines: int = 1, frame_size: int = SAMPLE_RATE) -> None:
        self._lines = lines
        self._frame_size = frame_size
        self._shape: tuple[str, str, int] | None = None
        self._resampler: AudioResampler | None = None
        self._evenly = False

    def mix(self, frame: AudioFrame) -> Iterator[Samples]:
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape:  # some broadcasts change from stereo to 5.1 in the middle
            yield from self.flush()
            self._shape = shape
            # FFmpeg knows how to mix named layouts; of 12 microphones in a WAV it knows nothing,
            # and of ambisonic sound or of two rear loudspeakers alone it makes an error.
            self._evenly = not _is_mixable(frame, self._lines)
            self._start()
        frame.pts = None  # time is kept by Decoding; the resampler only counts samples
        yield from self._push(_evenly(frame, self._lines) if self._evenly else frame)

    def flush(self) -> Iterator[Samples]:
        """What the filter still holds. The next frame starts a new one."""
        if self._resampler is not None:
            yield from self._push(None)
        self._resampler = self._shape = None

    def _start(self) -> None:
        # Without rematrix_maxval a float mix of two equal channels comes out over full scale.
        self._resampler = AudioResampler(
            "flt",
            _layout(self._lines),
            SAMPLE_RATE,
            frame_size=self._frame_size or None,
            options={"rematrix_maxval": "1.0"},
        )

    def _push(self, frame: AudioFrame | None) -> Iterator[Samples]:
        assert self._resampler is not None
        try:
            pieces = self._resampler.resample(frame)
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(
                "no_sound_decoded",
                noted("The sound of the recording cannot be converted."),
                details=str(error),
                remedy=noted("Export the recording again as MP3 or WAV."),
            ) from error
        for piece in pieces:
            values = piece.to_ndarray().reshape(-1, self._lines).T
            yield _clean(np.ascontiguousarray(values, dtype=np.float32))


def _clean(samples: Samples) -> Samples:
    """A float WAV may hold NaN, infinity or values far over full scale."""
    finite: Samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(finite, -1.0, 1.0)


def _layout(lines: int) -> str:
    return "mono" if lines == 1 else "stereo"


def _is_mixable(frame: AudioFrame, lines: int) -> bool:
    """Whether FFmpeg converts this layout; tried with silence, so that no sound is lost by it."""
    layout = frame.layout
    if layout.nb_channels > 2 and "channels" in layout.name:
        return False  # it would take microphones for loudspeakers
    try:
        blank = AudioFrame(format=frame.format.name, layout=layout.name, samples=1024)
        blank.sample_rate = frame.sample_rate
        AudioResampler("flt", _layout(lines), SAMPLE_RATE).resample(blank)
    except (av.FFmpegError, ValueError):
        return False
    return True


def _evenly(frame: AudioFrame, lines: int) -> AudioFrame:
    """All channels alike, as float; of ambisonic sound the first, which has all directions."""
    values = _floats(frame)
    if "ambisonic" in frame.layout.name:
        values = values[:1]
    if len(values) != lines:
        values = np.tile(values.mean(axis=0, keepdims=True), (lines, 1))
    packed = np.ascontiguousarray(values.T.reshape(1, -1), dtype=np.float32)
    mixed = AudioFrame.from_ndarray(packed, format="flt", layout=_layout(lines))
    mixed.sample_rate = frame.sample_rate
    return mixed


def _floats(frame: AudioFrame) -> NDArray[np.float64]:
    """Samples within -1..1, shape ``(channels, n)``."""
    count = frame.layout.nb_channels
    kind = np.dtype(format_dtypes[frame.format.name])
    if frame.format.is_planar:
        # PyAV sees more planes than there are where a frame has eight or more, and its to_ndarray
        # would read memory that nobody has.
        lines = [np.frombuffer(bytes(plane), kind) for plane in frame.planes[:count]]
        values = np.stack(lines)[:, : frame.samples]
    else:
        packed = np.frombuffer(bytes(frame.planes[0]), kind)
        values = packed[: frame.samples * count].reshape(-1, count).T
    scaled = values.astype(np.float64)
    if kind.kind == "u":
        return scaled / 128 - 1  # the only unsigned samples that FFmpeg has are of 8 bits
    if kind.kind == "i":
        scaled /= 2 ** (8 * kind.itemsize - 1)
    return scaled
