"""From the packets of one track to its samples at 16 kHz, which keep the recording's own time."""

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
from av.stream import Discard, Disposition, Stream

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
from modules.audio.timeline import Place, Timeline, stretch
from modules.audio.tracks import Track
from modules.config.media_types import demuxers
from modules.messages import joined, noted

_CLOCKED = demuxers(clocked=True)
_READ_FAILURES_MAX = 16
#: Fewer bytes per second than any codec needs, silence included: what is longer is nonsense.
BYTES_PER_S_MIN = 8
#: An MP3 frame refers to those before it. Where two files were joined, or the first bytes are lost,
#: the next frame counts as damaged, though no sound is missing.
_SEAMS_MAX = 2


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
    ``cut_off``: the file stops in the middle of its own structure; ``tracks``: all that can be
    decoded.
    """

    duration_s: float | None
    cut_off: bool
    format_name: str
    codec: str
    sample_rate: int
    channels: int
    has_video: bool
    tracks: tuple[Track, ...]


class Decoding:
    """One pass over a track, from its first packet to its last.

    Broken packets are left out and counted; where the container keeps time, the hole becomes
    silence, so that what follows stays where it was. ``samples``: samples given out so far.
    ``lines``: how many lines of samples there are: 2 for stereo, whose channels are not mixed yet.
    ``broken_off``: whether reading failed before the end, in an ``earlier`` part of the same
    recording, too, whose samples and damages are counted on.
    """

    def __init__(
        self,
        source: Source,
        container: InputContainer,
        stream: AudioStream,
        limits: Limits,
        duration_s: float | None,
        lines: int | None = None,
        earlier: Decoding | None = None,
    ) -> None:
        self.samples: int = earlier.samples if earlier else 0
        self.packets: int = earlier.packets if earlier else 0
        self.corrupt: int = earlier.corrupt if earlier else 0
        self.broken_off: bool = earlier.broken_off if earlier else False
        self._before = self.samples
        self.finished = False
        self._torn_end = False
        self.lines = lines or lines_of(stream.codec_context.channels)
        self._source = source
        self._container = container
        self._stream = stream
        self._limits = limits
        self._duration_s = duration_s
        self._mixer = Resampler(self.lines)
        self._is_mp3 = stream.codec_context.name.startswith("mp3")
        self._pcm = stream.codec_context.name.startswith("pcm_")
        self._earliest_s: float | None = None
        counted = not _CLOCKED & set(container.format.name.split(","))
        self._timeline = Timeline(
            self._origin, self._credible, duration_s is not None, start_only=counted
        )

    def sound(self) -> Iterator[Samples]:
        """All samples as pieces of any length: float32, 16 kHz, finite, within -1..1, shape
        ``(lines, n)``.

        Raises MediaError for a limit that is passed and for a file without any sound in it,
        StorageError if the file cannot be read.
        """
        # Each frame together with the next one: see Timeline.place.
        frames = chain.from_iterable(self.decoded())
        for frame, following in pairwise(chain(frames, [None])):
            if frame is not None:
                yield from self._counted(self._in_time(frame, following))
        yield from self._counted(self._mixer.flush())
        if self.samples == self._before:
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

    def damage(self, sound_s: float | None, cut_off: bool) -> str | None:
        """What is missing from the recording, in plain words; None if nothing is known to be.

        ``sound_s``: where the sound should end, if that is known. ``cut_off``: as in ``Facts``.
        """
        notes = []
        end_s = self.samples / SAMPLE_RATE
        seams = _SEAMS_MAX if self._is_mp3 and not self._torn_end else 0
        if self.corrupt > seams:
            notes.append(
                noted("damaged pieces: {count} of {all}", count=self.corrupt, all=self.packets)
            )
        if self.broken_off or self._source.gave_up:
            notes.append(noted("it could not be read beyond {time}", time=clock_time(end_s)))
        elif self.finished and _ends_before(end_s, sound_s):
            said = clock_time(sound_s or 0.0)
            notes.append(
                noted(
                    "its sound ends at {end}, where {announced} was announced",
                    end=clock_time(end_s),
                    announced=said,
                )
            )
        if cut_off:
            notes.append(noted("the file is cut off at its end"))
        if not notes:
            return None
        return noted("The recording is incomplete: {what}.", what=joined("; ", *notes))

    def _packets(self) -> Iterator[Any]:
        failures = 0
        while failures < _READ_FAILURES_MAX:
            try:
                for packet in self._container.demux():
                    if packet.size and self._is_ours(packet):  # PyAV ends with an empty one
                        failures = 0
                        self._source.fruitful()
                        yield packet
                return
            except IndexError:
                return  # PyAV, at the end of a file in which more tracks appeared on the way
            except (av.FFmpegError, OSError):
                self._source.raise_failure()
                failures += 1
        self.broken_off = True

    def _is_ours(self, packet: Any) -> bool:
        """Whether a packet belongs to the track; until its first, those of others tell when the
        recording begins, which FFmpeg cannot say of a picture that it may not decode.
        """
        ours: bool = packet.stream.index == self._stream.index
        if self.packets:
            return ours
        time = packet.dts if packet.pts is None else packet.pts
        others = not ours and is_heard_or_seen(packet.stream)
        if others and time is not None and packet.time_base is not None:
            begins_s = max(0.0, float(time * packet.time_base))
            known_s = begins_s if self._earliest_s is None else self._earliest_s
            self._earliest_s = min(begins_s, known_s)
        if ours:
            for other in self._container.streams:
                if other.index != self._stream.index:
                    other.discard = Discard.all
        return ours

    def _origin(self, first_s: float) -> float:
        """The timestamp at which the recording begins: the earliest of any track."""
        start: int | None = self._container.start_time  # PyAV has None for unknown
        known = [first_s] if start is None else [start / 1e6]
        return min(known if self._earliest_s is None else [*known, self._earliest_s])

    def _decode(self, packet: Any) -> list[AudioFrame]:
        try:
            frames = self._stream.decode(packet)
        except (av.FFmpegError, OSError, ValueError):
            self._source.raise_failure()
            self._count(packet, True)
            return []
        # The last piece of PCM is shorter than the others, and FFmpeg calls that corrupt.
        self._count(packet, packet is not None and packet.is_corrupt and not self._pcm)
        for frame in frames:
            check_shape(frame.sample_rate, frame.layout.nb_channels, self._limits)
        return frames

    def _count(self, packet: Any, corrupt: bool) -> None:
        if packet is not None:
            self.corrupt += corrupt
            self._torn_end = corrupt

    def _in_time(self, frame: AudioFrame, following: AudioFrame | None) -> Iterator[Samples]:
        place = self._timeline.place(frame, following)
        if place.silence_s:
            yield from self._mixer.flush()
            before = self._timeline.samples - round(frame.samples / frame.sample_rate * SAMPLE_RATE)
            yield from _silence(before - self.samples, self.lines)
        yield from self._stretched(self._mixer.mix(frame), place)

    def _stretched(self, pieces: Iterator[Samples], place: Place) -> Iterator[Samples]:
        lag_s = place.lag_s
        for piece in pieces:
            longer, by_s = stretch(piece, lag_s)
            self._timeline.stretched(by_s)
            lag_s -= by_s
            yield longer

    def _credible(self, end_s: float) -> bool:
        """Whether the recording may last until there."""
        declared_s = self._limits.max_duration_s if self._duration_s is None else self._duration_s
        return end_s <= min(self._limits.max_duration_s, declared_s + 1.0)

    def _counted(self, pieces: Iterator[Samples]) -> Iterator[Samples]:
        for piece in pieces:
            self.samples += piece.shape[1]
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


def _silence(count: int, lines: int) -> Iterator[Samples]:
    """``count`` zeros in pieces of at most ten seconds: a gap may be hours long."""
    while count > 0:
        piece = min(count, 10 * SAMPLE_RATE)
        yield np.zeros((lines, piece), dtype=np.float32)
        count -= piece


def lines_of(channels: int) -> int:
    """2 for stereo, whose channels are looked at before they are mixed; 1 for all else."""
    return 2 if channels == 2 else 1


def is_heard_or_seen(stream: Stream) -> bool:
    """Whether this is sound or a film, rather than a cover picture, subtitles or data."""
    if stream.type == "video":
        return not stream.disposition & Disposition.attached_pic
    return stream.type == "audio"


def check_shape(sample_rate: int, channels: int, limits: Limits) -> None:
    """Raise MediaError for rates and channel counts that no recording has."""
    if channels > limits.max_channels:
        raise too_many_channels(channels, limits.max_channels)
    if not limits.min_sample_rate <= sample_rate <= limits.max_sample_rate:
        raise bad_sample_rate(sample_rate)
