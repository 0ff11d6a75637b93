"""From packets to one line of 16 kHz mono samples that keeps the recording's own time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from modules.audio.errors import (
    bad_sample_rate,
    clock_time,
    inflated,
    no_sound_decoded,
    oversized_packet,
    too_long,
    too_many_channels,
)
from modules.audio.resampler import SAMPLE_RATE, Resampler, Samples
from modules.audio.source import Source

#: Containers whose timestamps are kept by clock and not derived from byte counts: only there does
#: a jump forward mean that sound is missing.
_CLOCKED = {"matroska", "webm", "mov", "mpegts", "mpeg", "asf", "flv", "ogg", "mp3"}
_GAP_S = 0.1
_BACKWARDS_S = 1.0
#: The longest gap that is believed where the container does not say how long the recording is.
_UNDECLARED_GAP_S = 60.0
_READ_FAILURES_MAX = 16
#: Fewer bytes per second than any codec needs, silence included: what is longer is nonsense.
BYTES_PER_S_MIN = 8


@dataclass(frozen=True)
class Limits:
    """What a recording may claim or turn out to be before it is refused."""

    max_duration_s: float = 24 * 3600.0
    max_channels: int = 64
    min_sample_rate: int = 1_000
    max_sample_rate: int = 768_000
    max_packet_mb: int = 64


@dataclass(frozen=True)
class Facts:
    """What the container says. ``duration_s``: of the whole, as far as it can be believed;
    ``sound_s``: where the sound itself should end, None if that is not known; ``cut_off``: the file
    stops in the middle of its own structure.
    """

    duration_s: float | None
    sound_s: float | None
    cut_off: bool
    format_name: str
    codec: str
    sample_rate: int
    channels: int
    has_video: bool


class Decoding:
    """One pass over a recording, from its first packet to its last.

    Broken packets are left out and counted; where the container keeps time, the hole becomes
    silence, so that what follows stays where it was. ``samples``: mono samples given out so far.
    """

    def __init__(
        self,
        source: Source,
        container: InputContainer,
        stream: AudioStream,
        limits: Limits,
        duration_s: float | None,
    ) -> None:
        self.samples = 0
        self.packets = 0
        self.corrupt = 0
        self.finished = False
        self._broken_off = False
        self._source = source
        self._container = container
        self._stream = stream
        self._limits = limits
        self._duration_s = duration_s
        self._mixer = Resampler()
        self._clock_s = 0.0  # seconds of input so far, silence that was put in included
        self._origin_s: float | None = None
        self._pcm = stream.codec_context.name.startswith("pcm_")
        self._clocked = bool(_CLOCKED & set(container.format.name.split(",")))

    def mono(self) -> Iterator[Samples]:
        """All samples as pieces of any length: float32, mono, 16 kHz, finite, within -1..1.

        Raises MediaError for a limit that is passed and for a file without any sound in it,
        StorageError if the file cannot be read.
        """
        # Each frame together with the next one: see _gap_before.
        frames = chain.from_iterable(self.decoded())
        for frame, following in pairwise(chain(frames, [None])):
            if frame is not None:
                yield from self._counted(self._in_time(frame, following))
        yield from self._counted(self._mixer.flush())
        if not self.samples:
            raise no_sound_decoded(f"{self.corrupt} of {self.packets} packets are damaged")
        self.finished = True

    def decoded(self) -> Iterator[list[AudioFrame]]:
        """The frames of each packet, checked against the limits; a broken packet has none."""
        for packet in self._packets():
            if packet.size > self._limits.max_packet_mb * 2**20:
                raise oversized_packet(packet.size)
            self.packets += 1
            yield self._decode(packet)
        yield self._decode(None)

    def damage(self, facts: Facts) -> str | None:
        """What is missing from the recording, in plain words; None if nothing is known to be."""
        notes = []
        if self.corrupt:
            notes.append(f"damaged pieces: {self.corrupt} of {self.packets}")
        end_s = self.samples / SAMPLE_RATE
        if self._broken_off or self._source.gave_up:
            notes.append(f"it could not be read beyond {clock_time(end_s)}")
        elif self.finished and _ends_before(end_s, facts.sound_s):
            said = clock_time(facts.sound_s or 0.0)
            notes.append(f"its sound ends at {clock_time(end_s)}, where {said} was announced")
        if facts.cut_off:
            notes.append("the file is cut off at its end")
        return f"The recording is incomplete: {'; '.join(notes)}." if notes else None

    def _packets(self) -> Iterator[Any]:
        failures = 0
        while failures < _READ_FAILURES_MAX:
            try:
                for packet in self._container.demux(self._stream):
                    if packet.size:  # PyAV ends with an empty one; decoded() flushes by itself
                        failures = 0
                        self._source.fruitful()
                        yield packet
                return
            except IndexError:
                return  # PyAV, at the end of a file in which more tracks appeared on the way
            except (av.FFmpegError, OSError):
                self._source.raise_failure()
                failures += 1
        self._broken_off = True

    def _decode(self, packet: Any) -> list[AudioFrame]:
        try:
            frames = self._stream.decode(packet)
        except (av.FFmpegError, OSError):
            self._source.raise_failure()
            self.corrupt += packet is not None
            return []
        # The last piece of PCM is shorter than the others, and FFmpeg calls that corrupt.
        if packet is not None and packet.is_corrupt and not self._pcm:
            self.corrupt += 1
        for frame in frames:
            check_shape(frame.sample_rate, frame.layout.nb_channels, self._limits)
        return frames

    def _in_time(self, frame: AudioFrame, following: AudioFrame | None) -> Iterator[Samples]:
        gap_s = self._gap_before(frame, following)
        if gap_s:
            yield from self._mixer.flush()
            self._clock_s += gap_s
            yield from _silence(round(self._clock_s * SAMPLE_RATE) - self.samples)
        self._clock_s += frame.samples / frame.sample_rate
        yield from self._mixer.mix(frame)

    def _gap_before(self, frame: AudioFrame, following: AudioFrame | None) -> float:
        """Seconds of silence due before this frame; 0 without credible timestamps."""
        pts_s = frame.time
        if not self._clocked or pts_s is None:
            return 0.0
        if self._origin_s is None:
            start: int | None = self._container.start_time  # PyAV has None for unknown
            self._origin_s = pts_s if start is None else start / 1e6
        gap_s = pts_s - self._origin_s - self._clock_s
        if -_BACKWARDS_S <= gap_s <= _GAP_S:
            return 0.0
        if following is not None and following.time is not None and following.time < pts_s:
            return 0.0  # one broken timestamp: the next frame is back in line
        if gap_s > 0 and self._credible(gap_s):
            return gap_s
        # The clock was set anew in the middle, or lies: count on from here.
        self._origin_s = pts_s - self._clock_s
        return 0.0

    def _credible(self, gap_s: float) -> bool:
        """A few bytes must not become days of silence."""
        end_s = self._clock_s + gap_s
        if end_s > self._limits.max_duration_s:
            return False
        if self._duration_s is None:
            return gap_s <= _UNDECLARED_GAP_S
        return end_s <= self._duration_s + 1.0

    def _counted(self, pieces: Iterator[Samples]) -> Iterator[Samples]:
        for piece in pieces:
            self.samples += len(piece)
            decoded_s = self.samples / SAMPLE_RATE
            if decoded_s > self._limits.max_duration_s:
                raise too_long(decoded_s, self._limits.max_duration_s)
            if decoded_s > longest_s(self._source.size):
                raise inflated(decoded_s, self._source.size)
            yield piece


def longest_s(size: int, bytes_per_s: float = BYTES_PER_S_MIN) -> float:
    """The longest recording that a file of so many bytes can hold."""
    return size / bytes_per_s + 60.0


def _ends_before(end_s: float, sound_s: float | None) -> bool:
    """Whether sound is missing at the end, and not just the padding of a codec."""
    return sound_s is not None and end_s < sound_s - max(0.5, 0.002 * sound_s)


def _silence(count: int) -> Iterator[Samples]:
    """``count`` zeros in pieces of at most ten seconds: a gap may be hours long."""
    while count > 0:
        piece = min(count, 10 * SAMPLE_RATE)
        yield np.zeros(piece, dtype=np.float32)
        count -= piece


def check_shape(sample_rate: int, channels: int, limits: Limits) -> None:
    """Raise MediaError for rates and channel counts that no recording has."""
    if channels > limits.max_channels:
        raise too_many_channels(channels, limits.max_channels)
    if not limits.min_sample_rate <= sample_rate <= limits.max_sample_rate:
        raise bad_sample_rate(sample_rate)
