"""Whisper's encoder by OpenVINO, from the weights in a CTranslate2 folder.

CTranslate2's decoder takes the encoder's output as an array, so another library may compute it:
faster and more exactly (docs/decisions/0028). Sources: Whisper's ``AudioEncoder``, OpenVINO's
operations and the properties of its CPU plugin.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from modules.engines.whisperx import tensors
from modules.engines.whisperx.tensors import Array

BFLOAT16, FLOAT32 = "bfloat16", "float32"

_TYPES = {BFLOAT16: ov.Type.bf16, FLOAT32: ov.Type.f32}
_EPSILON = 1e-5
#: oneDNN can be held to an instruction set; below these it would imitate bfloat16, 60 times slower.
_HELD = "ONEDNN_MAX_CPU_ISA"
_WITH_BFLOAT16 = ("ALL", "DEFAULT", "BF16", "FP16", "AMX", "AVX10", "VNNI_2")


class EncoderError(RuntimeError):
    """The encoder cannot be built of this model, or on this machine."""


def native_precision() -> str:
    """bfloat16 where the processor computes with it, which takes half the time; else float32."""
    held = os.environ.get(_HELD, "ALL").upper()
    can = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    allowed = any(word in held for word in _WITH_BFLOAT16)
    return BFLOAT16 if allowed and "BF16" in can else FLOAT32


def chosen(wanted: str, narrow: bool) -> str | None:
    """The precision for ``whisperx.encoder``; None where CTranslate2's is better, or asked for.

    In a wide model float32 would take four times the memory of int8 for little speed.
    """
    if wanted == "ctranslate2":
        return None
    if wanted != "auto":
        return wanted
    native = native_precision()
    return native if narrow or native == BFLOAT16 else None


class Encoder:
    """Compiled for this processor when it is constructed, which takes less than a second for base.

    ``precision``: BFLOAT16 or FLOAT32. Several threads may call ``encode``; they take turns, as
    each uses all ``threads``. Raises EncoderError.
    """

    def __init__(self, folder: Path, precision: str, threads: int) -> None:
        self.precision = precision
        self._lock = threading.Lock()
        settings = {
            "INFERENCE_PRECISION_HINT": _TYPES[precision],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
        }
        try:
            weights = tensors.read(folder / "model.bin", "encoder/")
            compiled = ov.Core().compile_model(graph(weights), "CPU", settings)
            self._request = compiled.create_infer_request()
        except (tensors.UnknownFormatError, KeyError, RuntimeError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else str(error).strip()
            raise EncoderError(what.splitlines()[-1]) from error

    def encode(self, features: Any) -> Array:
        """``features``: float32, ``(1, n_mels, frames)``, two frames for each of the result's.

        Returns float32, ``(1, frames // 2, width)``. Raises EncoderError.
        """
        with self._lock:
            try:
                self._request.infer({0: features})
            except RuntimeError as error:
                raise EncoderError(str(error)) from error
            return np.array(self._request.get_output_tensor(0).data)


def graph(weights: Mapping[str, Array]) -> ov.Model:
    """The encoder of ``weights``, for any number of frames; names as CTranslate2 gives them."""
    heads, layers = int(weights["num_heads"]), _layers(weights)
    bands = weights["conv1/weight"].shape[1]
    mel = ops.parameter(ov.PartialShape([1, bands, -1]), np.float32, "mel")
    x = ops.gelu(_convolved(mel, weights, "conv1", stride=1), "erf")
    x = ops.gelu(_convolved(x, weights, "conv2", stride=2), "erf")
    x = _at_positions(ops.transpose(x, _numbers(0, 2, 1)), weights)
    for layer in range(layers):
        attention, ffn = f"layer_{layer}/self_attention", f"layer_{layer}/ffn"
        normed = _normed(x, weights, f"{attention}/layer_norm")
        x = ops.add(x, _attended(normed, weights, attention, heads))
        wide = _linear(_normed(x, weights, f"{ffn}/layer_norm"), weights, f"{ffn}/linear_0")
        x = ops.add(x, _linear(ops.gelu(wide, "erf"), weights, f"{ffn}/linear_1"))
    return ov.Model([_normed(x, weights, "layer_norm")], [mel], "whisper-encoder")


def _layers(weights: Mapping[str, Array]) -> int:
    return len(
        {name.split("/")[0] for name in weights if name.startswith("layer_")} - {"layer_norm"}
    )


def _constant(values: Array) -> Any:
    """In float32, made of float16 where the file has that, without keeping both."""
    constant = ops.constant(values)
    if values.dtype == np.float32:
        return constant
    widened = ops.convert(constant, np.float32)
    widened.get_rt_info()["decompression_0"] = ""  # or it would be widened once and kept
    return widened


def _numbers(*values: int) -> Any:
    return np.array(values, np.int64)


def _convolved(x: Any, weights: Mapping[str, Array], name: str, stride: int) -> Any:
    made = ops.convolution(x, _constant(weights[f"{name}/weight"]), [stride], [1], [1], [1])
    return ops.add(made, _constant(weights[f"{name}/bias"][np.newaxis, :, np.newaxis]))


def _at_positions(x: Any, weights: Mapping[str, Array]) -> Any:
    encodings = _constant(weights["position_encodings/encodings"][np.newaxis])
    one = _numbers(1)
    frames = ops.slice(ops.shape_of(x), one, _numbers(2), one)
    return ops.add(x, ops.slice(encodings, _numbers(0), frames, one, one))


def _linear(x: Any, weights: Mapping[str, Array], name: str) -> Any:
    made = ops.matmul(x, _constant(weights[f"{name}/weight"]), False, True)
    return ops.add(made, _constant(weights[f"{name}/bias"]))


def _normed(x: Any, weights: Mapping[str, Array], name: str) -> Any:
    even = ops.mvn(x, _numbers(-1), True, _EPSILON, "inside_sqrt")
    scaled = ops.multiply(even, _constant(weights[f"{name}/gamma"]))
    return ops.add(scaled, _constant(weights[f"{name}/beta"]))


def _attended(x: Any, weights: Mapping[str, Array], name: str, heads: int) -> Any:
    """Self-attention; one matrix holds those of queries, keys and values."""
    width = weights[f"{name}/linear_1/weight"].shape[0]
    mixed = _linear(x, weights, f"{name}/linear_0")
    mixed = ops.reshape(mixed, _numbers(1, -1, 3, heads, width // heads), False)
    parts = ops.split(ops.transpose(mixed, _numbers(2, 0, 3, 1, 4)), np.array(0), 3)
    query, key, value = (ops.squeeze(part, _numbers(0)) for part in parts.outputs())
    seen = ops.scaled_dot_product_attention(query, key, value)
    joined = ops.reshape(ops.transpose(seen, _numbers(0, 2, 1, 3)), _numbers(1, -1, width), False)
    return _linear(joined, weights, f"{name}/linear_1")
