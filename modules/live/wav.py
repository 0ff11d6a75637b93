"""The header of a WAV file of 16-bit mono samples. Pure."""

from __future__ import annotations

import struct

SAMPLE_BYTES = 2
HEADER_BYTES = 44
#: What a size says that does not fit into its 32 bits: the sound goes on to the end of the file.
_UNKNOWN_SIZE = 0xFFFFFFFF


def header(rate: int, data_bytes: int) -> bytes:
    """The beginning of a file with so many bytes of samples, ``rate`` of them a second."""
    sizes = [min(size, _UNKNOWN_SIZE) for size in (data_bytes + HEADER_BYTES - 8, data_bytes)]
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", sizes[0], b"WAVE",
        b"fmt ", 16, 1, 1, rate, rate * SAMPLE_BYTES, SAMPLE_BYTES, 8 * SAMPLE_BYTES,
        b"data", sizes[1],
    )  # fmt: skip
