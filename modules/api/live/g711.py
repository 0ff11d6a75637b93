"""Telephone sound: the 8 bits of ITU-T G.711, each as 16 bits."""

from __future__ import annotations

import struct
from collections.abc import Callable


def _mu_law(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def _a_law(code: int) -> int:
    code ^= 0x55
    exponent, magnitude = (code & 0x70) >> 4, (code & 0x0F) << 4
    magnitude += 8 if exponent == 0 else 0x108
    magnitude <<= max(0, exponent - 1)
    return magnitude if code & 0x80 else -magnitude


def _decoder(value_of: Callable[[int], int]) -> Callable[[bytes], bytes]:
    """From codes to signed 16 bit little-endian samples; by translation, which is done in C."""
    pairs = [struct.pack("<h", value_of(code)) for code in range(256)]
    low, high = (bytes(pair[half] for pair in pairs) for half in (0, 1))

    def decode(data: bytes) -> bytes:
        samples = bytearray(2 * len(data))
        samples[0::2], samples[1::2] = data.translate(low), data.translate(high)
        return bytes(samples)

    return decode


mu_law, a_law = _decoder(_mu_law), _decoder(_a_law)
