"""Tiny ONNX models with the inputs and outputs of T-one and of GigaAM v3, made here.

They know no speech. They hear how loud it is, and write a token for each level, so that a test can
say with tones or noise what is to be read. Silence is the blank between two tokens.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

RATE = 16_000
Samples = NDArray[np.float32]
#: The mean of a sine without its sign.
_MEAN = 2 / np.pi
#: What T-one's tokens are: letters, a space, and the blank behind them.
LETTERS = ("д", "а", "н", "е", "т", " ")
#: And GigaAM's: parts of words, of which some begin one, and punctuation.
PARTS = ("\u2581Да", "\u2581не", "т", ",", ".")
#: The amplitude of the sound that is heard as the first token, and of each one after it.
_FIRST, _STEP = 0.03, 1.7
#: Sound that is so much louder is as near to one token as to the next.
BETWEEN = _STEP**0.5
#: T-one takes 0.3 s of 8 kHz at a time, and gives ten frames of it.
_TONE_CHUNK, _TONE_FRAMES, _TONE_STATE = 2400, 10, 8
#: The rows of the matrix that makes a model slow.
_SLOW = 700
#: So that silence has a logarithm.
_OFFSET = 20.0


def require_tiny_models() -> None:
    """Skip the running test where they cannot be made or loaded; under CI, fail it."""
    missing = [name for name in ("onnx", "onnx_asr") if importlib.util.find_spec(name) is None]
    if not missing:
        return
    reason = f"not installed: {', '.join(missing)} (requirements-dev.lock)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def level(token: int) -> float:
    """The amplitude that stands for a token."""
    return _FIRST * _STEP**token


def tone(tokens: Sequence[int | None], seconds: float = 0.24) -> Samples:
    """What T-one's stand-in reads: a tone of 1 kHz for each token, silence for None. 16 kHz."""
    wave = np.sin(2 * np.pi * 1000 / RATE * np.arange(round(seconds * RATE)))
    return _said(tokens, wave)


def noise(tokens: Sequence[int | None], seconds: float = 0.24) -> Samples:
    """What GigaAM's stand-in reads, whose features are of all pitches: noise."""
    signs = np.random.default_rng(7).choice([-1.0, 1.0], round(seconds * RATE))
    return _said(tokens, signs)


def _said(tokens: Sequence[int | None], wave: NDArray[np.float64]) -> Samples:
    parts = [(0.0 if token is None else level(token)) * wave for token in tokens]
    return np.concatenate(parts).astype(np.float32)


def t_one(folder: Path, slow: bool = False) -> Path:
    """``model.onnx`` and ``config.json``, as t-tech/T-one has them.

    ``slow``: with work to do, so that a test can kill it in the middle of a recording.
    """
    from onnx import TensorProto, helper

    folder.mkdir(parents=True, exist_ok=True)
    frame = _TONE_CHUNK // _TONE_FRAMES
    # The blank comes last in the vocabulary.
    heard = [*(32767 * level(t) * _MEAN for t in range(len(LETTERS))), 0.0]
    nodes = [
        helper.make_node("Cast", ["signal"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Abs", ["float"], ["loud"]),
        helper.make_node("Reshape", ["loud", "by_frame"], ["frames"]),
        helper.make_node("ReduceMean", ["frames", "last"], ["levels"], keepdims=1),
        helper.make_node("Add", ["levels", "offset"], ["above"]),
        helper.make_node("Log", ["above"], ["log"]),
        *(_work("log", "worked") if slow else []),
        *_nearest("worked" if slow else "log", "logprobs"),
        helper.make_node("Identity", ["state"], ["state_next"]),
    ]
    constants = [
        helper.make_tensor("by_frame", TensorProto.INT64, [3], [-1, _TONE_FRAMES, frame]),
        helper.make_tensor("last", TensorProto.INT64, [1], [2]),
        helper.make_tensor("offset", TensorProto.FLOAT, [], [_OFFSET]),
        *(_matrix() if slow else []),
        _centres(np.log(np.asarray(heard) + _OFFSET)),
        _sharpness(),
    ]
    _save(
        folder / "model.onnx",
        nodes,
        constants,
        inputs={
            "signal": (TensorProto.INT32, ["batch", _TONE_CHUNK, 1]),
            "state": (TensorProto.FLOAT16, ["batch", _TONE_STATE]),
        },
        outputs={
            "logprobs": (TensorProto.FLOAT, ["batch", _TONE_FRAMES, len(LETTERS) + 1]),
            "state_next": (TensorProto.FLOAT16, ["batch", _TONE_STATE]),
        },
    )
    config = {
        "model_type": "t-one-ctc",
        "decoder_params": {"vocabulary": list(LETTERS)},
        "pad_token_id": len(LETTERS),
        "encoder_params": {"reduction_kernel_size": 3},
    }
    (folder / "config.json").write_text(json.dumps(config, ensure_ascii=False), encoding="utf-8")
    return folder


def gigaam(folder: Path, name: str = "v3_e2e_ctc.int8.onnx") -> Path:
    """The files of istupakov/gigaam-v3-onnx that the engine needs."""
    from onnx import TensorProto, helper

    folder.mkdir(parents=True, exist_ok=True)
    centres = [_mel_level(level(t)) for t in range(len(PARTS))]
    nodes = [
        helper.make_node("ReduceMean", ["features", "bands"], ["mean"], keepdims=1),
        helper.make_node(
            "AveragePool", ["mean"], ["pooled"], kernel_shape=[4], strides=[4], ceil_mode=1
        ),
        helper.make_node("Transpose", ["pooled"], ["levels"], perm=[0, 2, 1]),
        *_nearest("levels", "log_probs"),
        helper.make_node("Identity", ["feature_lengths"], ["ignored"]),
    ]
    constants = [
        helper.make_tensor("bands", TensorProto.INT64, [1], [1]),
        _centres(np.asarray([*centres, centres[0] - 3.0])),
        _sharpness(),
    ]
    _save(
        folder / name,
        nodes,
        constants,
        inputs={
            "features": (TensorProto.FLOAT, ["batch", 64, "time"]),
            "feature_lengths": (TensorProto.INT64, ["batch"]),
        },
        outputs={
            "log_probs": (TensorProto.FLOAT, ["batch", "frames", len(PARTS) + 1]),
            "ignored": (TensorProto.INT64, ["batch"]),
        },
    )
    lines = [f"{token} {number}" for number, token in enumerate([*PARTS, "<blk>"])]
    (folder / "v3_e2e_ctc_vocab.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    config = {"model_type": "gigaam", "version": "v3", "features_size": 64, "subsampling_factor": 4}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def _mel_level(amplitude: float) -> float:
    """The mean of GigaAM's features for noise of this amplitude."""
    from onnx_asr.preprocessors.numpy_preprocessor import GigaamPreprocessorNumpy

    noise = np.random.default_rng(1).choice([-amplitude, amplitude], RATE).astype(np.float32)
    features, _ = GigaamPreprocessorNumpy("gigaam_v3")(noise[None], np.asarray([RATE]))
    return float(features.mean())


def _work(levels: str, out: str) -> list[Any]:
    """The same levels, after a multiplication of large matrices that depends on them."""
    from onnx import helper

    return [
        helper.make_node("ReduceMax", [levels], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "matrix"], ["scaled"]),
        helper.make_node("MatMul", ["scaled", "matrix"], ["product"]),
        helper.make_node("ReduceMax", ["product"], ["largest"], keepdims=0),
        helper.make_node("Mul", ["largest", "nothing"], ["zero"]),
        helper.make_node("Add", [levels, "zero"], [out]),
    ]


def _matrix() -> list[Any]:
    from onnx import TensorProto, helper, numpy_helper

    made = np.random.default_rng(3).random((_SLOW, _SLOW), dtype=np.float32)
    return [
        numpy_helper.from_array(made, "matrix"),
        helper.make_tensor("nothing", TensorProto.FLOAT, [], [0.0]),
    ]


def _nearest(levels: str, out: str) -> list[Any]:
    """Log-probabilities of the tokens: the nearer, the likelier. ``levels``: ``(b, t, 1)``."""
    from onnx import helper

    return [
        helper.make_node("Sub", [levels, "centres"], ["distance"]),
        helper.make_node("Mul", ["distance", "distance"], ["squared"]),
        helper.make_node("Mul", ["squared", "sharpness"], ["logits"]),
        helper.make_node("LogSoftmax", ["logits"], [out], axis=-1),
    ]


def _centres(logs: NDArray[np.float64]) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor("centres", TensorProto.FLOAT, [1, 1, len(logs)], logs.tolist())


def _sharpness() -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor("sharpness", TensorProto.FLOAT, [], [-40.0])


def _save(
    path: Path,
    nodes: list[Any],
    constants: list[Any],
    inputs: dict[str, Any],
    outputs: dict[str, Any],
) -> None:
    import onnx
    from onnx import helper

    graph = helper.make_graph(
        nodes,
        path.stem.replace(".", "_"),
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
        initializer=constants,
    )
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
