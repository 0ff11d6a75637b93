"""How loud a recording is, twenty times a second, for a picture of it."""

from __future__ import annotations

import numpy as np

from modules.audio.resampler import SAMPLE_RATE, Samples

PER_S = 20
_STEP = SAMPLE_RATE // PER_S


class Peaks:
    """Turns blocks of samples, shape ``(n,)``, into a byte for each twentieth of a second: the
    largest absolute value in it, 255 for full scale."""

    def __init__(self) -> None:
        self._rest: Samples = np.zeros(0, dtype=np.float32)

    def add(self, samples: Samples) -> bytes:
        """The peaks that are complete with these samples."""
        joined = np.concatenate((self._rest, samples))
        whole = len(joined) - len(joined) % _STEP
        self._rest = joined[whole:].copy()
        return _peaks(joined[:whole])

    def flush(self) -> bytes:
        """The last one, which may be of a shorter time."""
        rest, self._rest = self._rest, self._rest[:0]
        return _peaks(np.pad(rest, (0, _STEP - len(rest)))) if len(rest) else b""


def _peaks(samples: Samples) -> bytes:
    highest = np.abs(samples).reshape(-1, _STEP).max(axis=1, initial=0.0)
    return bytes(np.clip(np.rint(highest * 255), 0, 255).astype(np.uint8))
