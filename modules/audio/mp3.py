"""Samples to an MP3 in which every browser seeks exactly: frames of one size, none of which needs
the ones before it, and a first frame that says how much sound the encoder put in front.

Source of that first frame: http://gabriel.mp3-tech.org/mp3infotag.html (the Info tag of LAME).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame

from modules.audio.resampler import SAMPLE_RATE, Samples

_BITS_PER_S = 32_000
_FRAME_SAMPLES = 576
FRAME_BYTES = _FRAME_SAMPLES // 8 * _BITS_PER_S // SAMPLE_RATE
#: MPEG 2, layer III, no checksum; 32 kbit/s at 16 kHz; mono, original.
_FRAME_HEAD = b"\xff\xf3\x48\xc4"
_SIDE_BYTES = 9
#: A decoder is so much late itself, which readers of the tag add to what it says.
_DECODER_DELAY = 529
_PADDING_MAX = 4095


class Mp3Encoder:
    """Mono sound at 16 kHz to frames of MP3; ``head`` belongs in front of them."""

    def __init__(self) -> None:
        codec = av.CodecContext.create("libmp3lame", "w")
        assert isinstance(codec, AudioCodecContext)
        codec.sample_rate, codec.layout, codec.format = SAMPLE_RATE, "mono", "fltp"
        codec.bit_rate = _BITS_PER_S
        codec.options = {"reservoir": "0"}
        self._codec = codec
        self._samples = self._frames = self._delay = 0

    def encode(self, samples: Samples) -> bytes:
        """The frames that these samples, shape ``(n,)``, fill up."""
        line = np.ascontiguousarray(samples, dtype=np.float32).reshape(1, -1)
        frame = AudioFrame.from_ndarray(line, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, self._samples
        self._samples += line.shape[1]
        return b"".join(self._frames_of(frame))

    def flush(self) -> bytes:
        """The rest, once all samples are encoded."""
        return b"".join(self._frames_of(None))

    def _frames_of(self, frame: AudioFrame | None) -> Iterator[bytes]:
        for packet in self._codec.encode(frame):
            if not self._frames and packet.pts is not None:
                self._delay = -packet.pts
            self._frames += 1
            yield bytes(packet)

    def head(self) -> bytes:
        """The first frame of the file, which is silent: how long it is, and what to leave out."""
        start = self._delay - _DECODER_DELAY
        end = self._frames * _FRAME_SAMPLES - start - self._samples
        info = struct.pack(">4sIII", b"Info", 0b11, self._frames, (self._frames + 1) * FRAME_BYTES)
        gaps = (start << 12) | max(0, min(_PADDING_MAX, end))
        lame = b"LAME3.100" + bytes([1, 0]) + bytes(8) + bytes([0, _BITS_PER_S // 1000])
        lame += gaps.to_bytes(3, "big") + bytes(4) + struct.pack(">IH", 0, 0)
        frame = _FRAME_HEAD + bytes(_SIDE_BYTES) + info + lame
        frame += struct.pack(">H", _crc16(frame))
        return frame.ljust(FRAME_BYTES, b"\0")


def _crc16(data: bytes) -> int:
    """CRC-16/ARC, as the tag has it."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value
