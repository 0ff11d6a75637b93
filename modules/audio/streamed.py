"""Sound in a container that is decoded while it arrives, from a pipe. Lives in a child process.

Unlike ``recording.py`` this can look at every byte once only, and does not know how many follow:
what is missing or damaged is left out, and nothing is put in its place.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard

from modules.audio.decoder import Limits, check_shape
from modules.audio.errors import no_audio, no_sound_decoded, oversized_packet
from modules.audio.probe import AUDIO_DECODERS
from modules.audio.resampler import Resampler, Samples
from modules.errors import MediaError, noted

__all__ = ["DEMUXERS", "Limits", "Pipe", "samples_of"]

#: Demuxers by the ending of a recording of that kind.
DEMUXERS = {
    "webm": "matroska", "mkv": "matroska", "ogg": "ogg", "mp4": "mov", "m4a": "mov", "wav": "wav",
    "flac": "flac", "mp3": "mp3",
}  # fmt: skip
#: FFmpeg reads ahead before it says what there is; of live sound as little as it can.
_PROBE_BYTES = "4096"
_BUFFER_BYTES = 32 * 1024
#: Of packets one after the other; then the sound is given up.
_DAMAGED_MAX = 100


class Pipe:
    """A file-like object for PyAV that cannot be sought in. ``on_wait(n)``: ``n`` bytes were read,
    and the next are not there yet."""

    def __init__(self, descriptor: int, on_wait: Callable[[int], None]) -> None:
        self._descriptor = descriptor
        self._on_wait = on_wait
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._position = 0

    def read(self, count: int) -> bytes:
        if not self._poll.poll(0):
            self._on_wait(self._position)
        data = os.read(self._descriptor, min(count, _BUFFER_BYTES))
        self._position += len(data)
        return data


def samples_of(pipe: Pipe, kind: str, limits: Limits) -> Iterator[bytes]:
    """Signed 16 bit little-endian mono samples, 16,000 a second, as they can be decoded.

    ``kind``: a key of ``DEMUXERS``. Raises MediaError.
    """
    mixer = Resampler(frame_size=0)
    found = False
    with _opened(pipe, kind) as container:
        try:
            for frame in _frames(container, _track(container), limits):
                found = True
                yield from map(_as_16_bit, mixer.mix(frame))
        except (av.FFmpegError, OSError) as error:
            raise unreadable(kind, str(error)) from error
        yield from map(_as_16_bit, mixer.flush())
    if not found:
        raise no_sound_decoded("no packet of the stream could be decoded")


def _opened(pipe: Pipe, kind: str) -> InputContainer:
    options = {
        "protocol_whitelist": "none", "codec_whitelist": AUDIO_DECODERS,
        "probesize": _PROBE_BYTES, "analyzeduration": "1", "fflags": "nobuffer",
    }  # fmt: skip
    try:
        return av.open(
            pipe, "r", format=DEMUXERS[kind], container_options=options,
            metadata_errors="replace", buffer_size=_BUFFER_BYTES,
        )  # fmt: skip
    except (av.FFmpegError, OSError, ValueError) as error:
        raise unreadable(kind, str(error)) from error


def unreadable(kind: str, details: str) -> MediaError:
    """The refusal of a stream that is not what its first bytes say."""
    return MediaError(
        "not_media",
        noted("The sound begins like {kind}, but cannot be read as it arrives.", kind=kind),
        details=details,
    )


def _track(container: InputContainer) -> AudioStream:
    stream = container.streams.best("audio")
    if not isinstance(stream, AudioStream) or stream.codec_context is None:
        raise no_audio()
    stream.codec_context.thread_count = 1
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    return stream


def _frames(container: InputContainer, stream: AudioStream, limits: Limits) -> Iterator[AudioFrame]:
    damaged = 0
    for packet in container.demux(stream):
        if packet.size > limits.max_packet_mb * 2**20:
            raise oversized_packet(packet.size)
        try:
            decoded = stream.decode(packet)
        except (av.FFmpegError, OSError, ValueError):
            decoded, damaged = [], damaged + 1
            if damaged > _DAMAGED_MAX:
                raise no_sound_decoded(f"{damaged} damaged packets in a row") from None
        for frame in decoded:
            damaged = 0
            check_shape(frame.sample_rate, frame.layout.nb_channels, limits)
            yield frame


def _as_16_bit(samples: Samples) -> bytes:
    values = np.clip(np.rint(samples[0] * 32768), -32768, 32767)
    return bytes(values.astype("<i2"))
