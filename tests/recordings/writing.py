"""Writes recordings as PyAV's encoders and muxers can: tracks, layouts, timestamps, films."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
from av.stream import Disposition

from tests.recordings.sound import RATE, Samples

#: No date, no random number, no version of the encoder in the file.
BITEXACT = {"fflags": "+bitexact"}
_SIZE, _FRAMES_PER_S = (96, 64), 25


@dataclass(frozen=True)
class Track:
    """One track. ``sound``: ``(n,)``, or ``(channels, n)`` in the order of ``layout``.

    ``place``: where a packet goes that belongs at this second; None: it is left out.
    """

    sound: Samples
    codec: str = "aac"
    rate: int = 48_000
    layout: str = "mono"
    bits_per_s: int = 0
    language: str = ""
    title: str = ""
    disposition: Disposition | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    place: Callable[[float], float | None] = lambda second: second


def late(seconds: float) -> Callable[[float], float | None]:
    """Packets that come so much later."""
    return lambda second: second + seconds


def gap(at_s: float, seconds: float) -> Callable[[float], float | None]:
    """Nothing for so long, from this second on: a connection that was lost."""
    return lambda second: second if second < at_s else second + seconds


def clock(factor: float) -> Callable[[float], float | None]:
    """Timestamps by a clock that is faster or slower than the samples."""
    return lambda second: second * factor


def written(
    container: str,
    tracks: Sequence[Track],
    film: str = "",
    film_s: float = 0.0,
    options: Mapping[str, str] | None = None,
) -> bytes:
    """The bytes of a file. ``film``: the codec of its black picture; none without."""
    buffer = io.BytesIO()
    with av.open(
        buffer, "w", format=container, options=BITEXACT, container_options=dict(options or {})
    ) as output:
        packets = []
        picture = _picture(output, film) if film else None
        streams = [_stream(output, track) for track in tracks]
        if picture is not None:
            longest = max(track.sound.shape[-1] for track in tracks) / RATE
            packets += _black(picture, film_s or longest)
        for track, stream in zip(tracks, streams, strict=True):
            packets += _encoded(track, stream)
        for packet in sorted(packets, key=lambda each: float(each.dts * each.time_base)):
            output.mux(packet)
    return buffer.getvalue()


def _stream(output: Any, track: Track) -> Any:
    stream = output.add_stream(track.codec, rate=track.rate, layout=track.layout)
    stream.codec_context.options = {"flags": "+bitexact", "strict": "-2", **track.options}
    if track.bits_per_s:
        stream.bit_rate = track.bits_per_s
    for key in ("language", "title"):
        if value := getattr(track, key):
            stream.metadata[key] = value
    if track.disposition is not None:
        stream.disposition = track.disposition
    return stream


def _encoded(track: Track, stream: Any) -> list[Any]:
    sound = np.atleast_2d(track.sound)
    resampler = av.AudioResampler(format=stream.format, layout=track.layout, rate=track.rate)
    found = []
    for start in range(0, sound.shape[1], RATE):
        # Packed: PyAV cannot fill eight planes and more.
        piece = np.ascontiguousarray(sound[:, start : start + RATE].T, dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(piece.reshape(1, -1), "flt", track.layout)
        frame.sample_rate, frame.pts = RATE, start
        for part in resampler.resample(frame):
            found += stream.encode(part)
    for part in resampler.resample(None):
        found += stream.encode(part)
    found += stream.encode(None)
    # The last one of FLAC is empty: it only brings the sum of all samples.
    return [packet for packet in found if packet.size and _is_placed(packet, track)]


def _is_placed(packet: Any, track: Track) -> bool:
    second = track.place(float(packet.pts * packet.time_base))
    if second is not None:
        packet.pts = packet.dts = round(second / packet.time_base)
    return second is not None


def _picture(output: Any, codec: str) -> Any:
    stream = output.add_stream(codec, rate=_FRAMES_PER_S)
    stream.width, stream.height = _SIZE
    stream.pix_fmt = "yuv420p"
    stream.codec_context.options = {"flags": "+bitexact"}
    return stream


def _black(stream: Any, seconds: float) -> list[Any]:
    found = []
    for number in range(round(seconds * _FRAMES_PER_S)):
        frame = av.VideoFrame(*_SIZE, "yuv420p")
        for plane, value in zip(frame.planes, (16, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts = number
        found += stream.encode(frame)
    return [*found, *stream.encode(None)]
