"""How much memory the whole program takes with a model. Pure; what it says is an estimate.

Fitted to what was measured on two cores with MKL and with oneDNN: Whisper base in long recordings,
and models of random weights in the shapes of tiny, small, medium, large-v3 and turbo
(docs/decisions/0021, 0028). All figures are MiB.
"""

from __future__ import annotations

from collections.abc import Callable

#: The daemon, and the libraries that its child always loads.
_PROGRAM_MB = 60 + 190
#: What weights take in memory, as a multiple of their file, which holds 16 bits a number.
_INT8, _INT16, _FLOAT32 = 0.5, 1.0, 2.7
_FACTORS = {
    "auto": _INT8, "int8": _INT8, "int8_float32": _INT8, "int8_float16": _INT8, "int16": _INT16,
}  # fmt: skip
#: What one stream works with: a part that every model needs, and one that grows with the weights.
_STREAM_MB, _STREAM_PER_WEIGHTS = 150, 0.27
#: Files up to this size are of models whose weights are loaded twice if there are two streams, and
#: that decode several chunks at a time, which takes so much more for each stream.
_NARROW_MB, _TOGETHER_MB = 200, 120
#: What the encoder by OpenVINO takes besides, as a multiple of its share of the file: the numbers
#: as they are there, and those that it computes with.
_ENCODER_FACTORS = {"bfloat16": 2.2, "float32": 4.5}
#: torch and the network that tells voices apart.
_DIARIZATION_MB = 550


def least_mb(weights_mb: int) -> int:
    """With less than this not even a short recording can be done, whatever the settings are."""
    return round(_PROGRAM_MB + _INT8 * weights_mb + _stream_mb(weights_mb))


def encoder_mb(encoder: str, count: Callable[[], int]) -> float:
    """What an encoder takes besides the model, by ``whisperx.encoder``.

    ``count``: how many numbers it has; asked only where that matters.
    """
    factor = _ENCODER_FACTORS.get(encoder)
    return factor * 2 * count() / 2**20 if factor else 0.0


def expected_mb(
    weights_mb: int,
    compute_type: str,
    streams: int,
    diarize: bool = False,
    own_encoder_mb: float = 0.0,
) -> int:
    """The most that a recording of any length takes on a CPU, all processes together.

    ``own_encoder_mb``: see ``encoder_mb``. What ``auto`` makes of a narrow model takes as much with
    either encoder.
    """
    narrow = weights_mb <= _NARROW_MB
    copies = 2 if narrow and streams > 1 and not own_encoder_mb else 1
    weights = _FACTORS.get(compute_type, _FLOAT32) * copies * weights_mb
    work = streams * (_stream_mb(weights_mb) + (_TOGETHER_MB if narrow else 0))
    weights += own_encoder_mb
    return round(_PROGRAM_MB + weights + work + (_DIARIZATION_MB if diarize else 0))


def _stream_mb(weights_mb: int) -> float:
    return _STREAM_MB + _STREAM_PER_WEIGHTS * weights_mb
