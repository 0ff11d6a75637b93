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
from modules.weights.ct2_file import UnknownFormatError

BFLOAT16, FLOAT32 = "bfloat16", "float32"

_EPSILON = 1e-5
#: A tenth of a second.
_FIRST_FRAMES = 10
#: oneDNN can be held to an older instruction set. Below these it would imitate bfloat16, which
#: takes 60 times as long.
_HELD = "ONEDNN_MAX_CPU_ISA"
_WITH_BFLOAT16 = ("ALL", "DEFAULT", "BF16", "FP16", "AMX", "AVX10", "VNNI_2")


class EncoderError(RuntimeError):
    """The encoder cannot be built of this model, or on this machine."""


def chosen(wanted: str) -> str | None:
    """The precision for ``whisperx.encoder``; None for CTranslate2's encoder.

    Without bfloat16 OpenVINO is not faster on every processor (docs/decisions/0028).
    """
    if wanted != "auto":
        return wanted
    return BFLOAT16 if has_bfloat16() else None


def has_bfloat16() -> bool:
    """Whether the processor computes with it."""
    held = os.environ.get(_HELD, "ALL").upper()
    can = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "BF16" in can and any(word in held for word in _WITH_BFLOAT16)


class Encoder:
    """Compiled for this processor when it is constructed, which takes less than a second for base.

    ``precision``: BFLOAT16 or FLOAT32. Several threads may call ``encode``; they take turns, as
    each uses all ``threads``. Raises EncoderError.
    """

    def __init__(self, folder: Path, precision: str, threads: int) -> None:
        self.precision = precision
        self._lock = threading.Lock()
        settings = {
            "INFERENCE_PRECISION_HINT": ov.Type.bf16 if precision == BFLOAT16 else ov.Type.f32,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # other programs may want the same cores
        }
        try:
            weights = tensors.read(folder / "model.bin", "encoder/")
            compiled = ov.Core().compile_model(graph(weights), "CPU", settings)
            self._request = compiled.create_infer_request()
            # Kernels are made in the first run: what fails there should fail now.
            bands = weights["conv1/weight"].shape[1]
            self._request.infer({0: np.zeros((1, bands, _FIRST_FRAMES), np.float32)})
        except (UnknownFormatError, KeyError, RuntimeError) as error:
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
    return _Graph(weights).model()


class _Graph:
    """Builds the operations, from the lowest up."""

    def __init__(self, weights: Mapping[str, Array]) -> None:
        self._weights = weights
        self._heads = int(weights["num_heads"])
        names = {name.split("/")[0] for name in weights if name.startswith("layer_")}
        self._layers = len(names - {"layer_norm"})

    def model(self) -> ov.Model:
        bands = self._weights["conv1/weight"].shape[1]
        mel = ops.parameter(ov.PartialShape([1, bands, -1]), np.float32, "mel")
        x = ops.gelu(self._convolved(mel, "conv1", stride=1), "erf")
        x = ops.gelu(self._convolved(x, "conv2", stride=2), "erf")
        x = self._at_positions(ops.transpose(x, _numbers(0, 2, 1)))
        for layer in range(self._layers):
            attention, ffn = f"layer_{layer}/self_attention", f"layer_{layer}/ffn"
            x = ops.add(x, self._attended(self._normed(x, f"{attention}/layer_norm"), attention))
            wide = self._linear(self._normed(x, f"{ffn}/layer_norm"), f"{ffn}/linear_0")
            x = ops.add(x, self._linear(ops.gelu(wide, "erf"), f"{ffn}/linear_1"))
        return ov.Model([self._normed(x, "layer_norm")], [mel], "whisper-encoder")

    def _constant(self, name: str, shape: tuple[int, ...] | None = None) -> Any:
        """In float32; where the file has float16 it is kept so, and widened when it is used."""
        values = self._weights[name]
        constant = ops.constant(values if shape is None else values.reshape(shape))
        if values.dtype == np.float32:
            return constant
        widened = ops.convert(constant, np.float32)
        widened.get_rt_info()["decompression_0"] = ""  # or it would be widened now, and both kept
        return widened

    def _convolved(self, x: Any, name: str, stride: int) -> Any:
        made = ops.convolution(x, self._constant(f"{name}/weight"), [stride], [1], [1], [1])
        return ops.add(made, self._constant(f"{name}/bias", (1, -1, 1)))

    def _at_positions(self, x: Any) -> Any:
        name, one = "position_encodings/encodings", _numbers(1)
        encodings = self._constant(name, (1, *self._weights[name].shape))
        frames = ops.slice(ops.shape_of(x), one, _numbers(2), one)
        return ops.add(x, ops.slice(encodings, _numbers(0), frames, one, one))

    def _linear(self, x: Any, name: str) -> Any:
        made = ops.matmul(x, self._constant(f"{name}/weight"), False, True)
        return ops.add(made, self._constant(f"{name}/bias"))

    def _normed(self, x: Any, name: str) -> Any:
        even = ops.mvn(x, _numbers(-1), True, _EPSILON, "inside_sqrt")
        scaled = ops.multiply(even, self._constant(f"{name}/gamma"))
        return ops.add(scaled, self._constant(f"{name}/beta"))

    def _attended(self, x: Any, name: str) -> Any:
        """Self-attention; one matrix holds those of queries, keys and values."""
        width = self._weights[f"{name}/linear_1/weight"].shape[0]
        split = _numbers(1, -1, 3, self._heads, width // self._heads)
        mixed = ops.reshape(self._linear(x, f"{name}/linear_0"), split, False)
        parts = ops.split(ops.transpose(mixed, _numbers(2, 0, 3, 1, 4)), np.array(0), 3)
        query, key, value = (ops.squeeze(part, _numbers(0)) for part in parts.outputs())
        seen = ops.scaled_dot_product_attention(query, key, value)
        joined = ops.transpose(seen, _numbers(0, 2, 1, 3))
        return self._linear(ops.reshape(joined, _numbers(1, -1, width), False), f"{name}/linear_1")


def _numbers(*values: int) -> Any:
    return np.array(values, np.int64)
