"""Raw sound, 16-bit little-endian samples at 16 kHz, mono, made a WAV file while it lands."""

from __future__ import annotations

import os
from typing import IO

from modules.errors import TranscriberError, noted

_RATE_HZ, _SAMPLE_BYTES = 16_000, 2
_HEADER_BYTES = 44
#: What a size says that does not fit: the sound goes on to the end of the file.
_UNKNOWN_SIZE = 0xFFFFFFFF


def header(data_bytes: int = _UNKNOWN_SIZE) -> bytes:
    """The beginning of a WAV file with so many bytes of samples."""
    format_ = [(1, 2), (1, 2), (_RATE_HZ, 4), (_RATE_HZ * _SAMPLE_BYTES, 4), (_SAMPLE_BYTES, 2)]
    fields = b"".join(_number(*field) for field in [*format_, (8 * _SAMPLE_BYTES, 2)])
    whole = _number(data_bytes + _HEADER_BYTES - 8, 4)
    return (
        b"RIFF" + whole + b"WAVEfmt " + _number(len(fields), 4) + fields
        + b"data" + _number(data_bytes, 4)
    )  # fmt: skip


def finish(file: IO[bytes]) -> None:
    """Put the true sizes into the header that the file begins with; half a sample is cut off.

    Raises TranscriberError ``no_recording`` if there are no samples.
    """
    data_bytes = file.seek(0, os.SEEK_END) - _HEADER_BYTES
    data_bytes -= data_bytes % _SAMPLE_BYTES
    if data_bytes <= 0:
        raise TranscriberError(
            "no_recording",
            noted("audio_file: has no sound in it."),
            remedy=noted(
                "With encode=false, send raw samples: 16 bits, little-endian, 16 kHz, mono."
            ),
        )
    file.truncate(_HEADER_BYTES + data_bytes)
    file.seek(0)
    file.write(header(data_bytes))
    file.seek(0)


def _number(value: int, size: int) -> bytes:
    return min(value, (1 << 8 * size) - 1).to_bytes(size, "little")
