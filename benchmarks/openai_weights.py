"""Whisper's weights as OpenAI publishes them (a ``.pt`` file), from a CTranslate2 folder.

Only for programs that want both beside each other. Nothing is lost: the numbers are copied. Names
are those of OpenAI's ``whisper/model.py``; CTranslate2 keeps queries, keys and values as one
matrix, and a bias of zeros where Whisper has none.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from modules.engines.whisperx import tensors
from modules.engines.whisperx.tensors import Array


def write(folder: Path, target: Path) -> None:
    """Raises UnknownFormatError and OSError."""
    import torch

    weights = tensors.read(folder / "model.bin", "")
    state = {name: torch.from_numpy(np.array(it)) for name, it in _state(weights)}
    torch.save({"dims": dimensions(weights), "model_state_dict": state}, target)


def dimensions(weights: Mapping[str, Array]) -> dict[str, int]:
    width, bands, _ = weights["encoder/conv1/weight"].shape
    text_width = weights["decoder/embeddings/weight"].shape[1]
    return {
        "n_mels": bands,
        "n_audio_ctx": len(weights["encoder/position_encodings/encodings"]),
        "n_audio_state": width,
        "n_audio_head": width // 64,
        "n_audio_layer": _layers(weights, "encoder"),
        "n_vocab": len(weights["decoder/embeddings/weight"]),
        "n_text_ctx": len(weights["decoder/position_encodings/encodings"]),
        "n_text_state": text_width,
        "n_text_head": text_width // 64,
        "n_text_layer": _layers(weights, "decoder"),
    }


def alignment_heads(folder: Path) -> str:
    """The heads that tell the times of words, as OpenAI's table writes them."""
    pairs = json.loads((folder / "config.json").read_text(encoding="utf-8"))["alignment_heads"]
    size = dimensions(tensors.read(folder / "model.bin", ""))
    table = np.zeros((size["n_text_layer"], size["n_text_head"]), dtype=bool)
    for layer, head in pairs:
        table[layer, head] = True
    return base64.b85encode(gzip.compress(table.tobytes())).decode("ascii")


def _layers(weights: Mapping[str, Array], part: str) -> int:
    found = {name.split("/")[1] for name in weights if name.startswith(f"{part}/layer_")}
    return len(found - {"layer_norm"})


def _state(weights: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
    for conv in ("conv1", "conv2"):
        yield from _linear(weights, f"encoder/{conv}", f"encoder.{conv}")
    for part, last in (("encoder", "ln_post"), ("decoder", "ln")):
        positions = weights[f"{part}/position_encodings/encodings"]
        yield f"{part}.positional_embedding", positions
        yield from _norm(weights, f"{part}/layer_norm", f"{part}.{last}")
        for layer in range(_layers(weights, part)):
            ours, theirs = f"{part}/layer_{layer}", f"{part}.blocks.{layer}"
            yield from _self_attention(weights, f"{ours}/self_attention", f"{theirs}.attn")
            if part == "decoder":
                yield from _cross_attention(weights, f"{ours}/attention", f"{theirs}.cross_attn")
            yield from _norm(weights, f"{ours}/ffn/layer_norm", f"{theirs}.mlp_ln")
            yield from _linear(weights, f"{ours}/ffn/linear_0", f"{theirs}.mlp.0")
            yield from _linear(weights, f"{ours}/ffn/linear_1", f"{theirs}.mlp.2")
    yield "decoder.token_embedding.weight", weights["decoder/embeddings/weight"]


def _linear(weights: Mapping[str, Array], ours: str, theirs: str) -> Iterator[tuple[str, Array]]:
    yield f"{theirs}.weight", weights[f"{ours}/weight"]
    yield f"{theirs}.bias", weights[f"{ours}/bias"]


def _norm(weights: Mapping[str, Array], ours: str, theirs: str) -> Iterator[tuple[str, Array]]:
    yield f"{theirs}.weight", weights[f"{ours}/gamma"]
    yield f"{theirs}.bias", weights[f"{ours}/beta"]


def _self_attention(
    weights: Mapping[str, Array], ours: str, theirs: str
) -> Iterator[tuple[str, Array]]:
    yield from _norm(weights, f"{ours}/layer_norm", f"{theirs}_ln")
    yield from _split(weights, f"{ours}/linear_0", theirs, ("query", "key", "value"))
    yield from _linear(weights, f"{ours}/linear_1", f"{theirs}.out")


def _cross_attention(
    weights: Mapping[str, Array], ours: str, theirs: str
) -> Iterator[tuple[str, Array]]:
    yield from _norm(weights, f"{ours}/layer_norm", f"{theirs}_ln")
    yield from _linear(weights, f"{ours}/linear_0", f"{theirs}.query")
    yield from _split(weights, f"{ours}/linear_1", theirs, ("key", "value"))
    yield from _linear(weights, f"{ours}/linear_2", f"{theirs}.out")


def _split(
    weights: Mapping[str, Array], ours: str, theirs: str, names: tuple[str, ...]
) -> Iterator[tuple[str, Array]]:
    matrices = np.split(weights[f"{ours}/weight"], len(names))
    biases = np.split(weights[f"{ours}/bias"], len(names))
    for name, matrix, bias in zip(names, matrices, biases, strict=True):
        yield f"{theirs}.{name}.weight", matrix
        if name != "key":
            yield f"{theirs}.{name}.bias", bias
