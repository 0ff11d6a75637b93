"""Tries the encoder of a model and prints how exact it is: one line of JSON.

``doctor`` runs it as a program, as the daemon's processes do not load what computes it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from modules.engines.whisperx.model import WINDOW, Model
from modules.weights.files import ModelSpec

_FRAMES = WINDOW // 160


def trial(spec: ModelSpec, threads: int) -> dict[str, Any]:
    """``encoder`` as in ``whisperx.encoder``, ``note`` as in results, and two relative errors.

    ``error`` is that of the encoder in use, ``ctranslate2_error`` that of CTranslate2's, against
    float32; both for noise, where they are as large as for speech.
    """
    model = Model(spec, threads)
    found: dict[str, Any] = {"encoder": model.encoder_kind, "note": model.note}
    if model.encoder is None and not model.is_narrow:
        return found  # exact numbers would take several times the memory of the model
    bands = model.whisper.feature_extractor.mel_filters.shape[0]
    noise = np.random.default_rng(0).uniform(-0.5, 1.0, (1, bands, _FRAMES)).astype(np.float32)
    exact = _exact(spec, threads, noise)
    if exact is not None:
        plain = np.asarray(model.whisper.encode(noise))
        used = model.encoder.encode(noise) if model.encoder else plain
        found |= {"error": _off(used, exact), "ctranslate2_error": _off(plain, exact)}
    return found


def _exact(spec: ModelSpec, threads: int, noise: Any) -> Any:
    """By OpenVINO in float32, which is equal to CTranslate2's within 0.00001; None without it."""
    try:
        from modules.engines.whisperx import encoder

        return encoder.Encoder(Path(spec.path), encoder.FLOAT32, threads).encode(noise)
    except (ImportError, RuntimeError, OSError, MemoryError):
        return None


def _off(found: Any, exact: Any) -> float:
    return round(float(np.linalg.norm(found - exact) / np.linalg.norm(exact)), 6)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--encoder", default="auto")
    parser.add_argument("--compute-type", default="int8")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    spec = ModelSpec(
        name=options.model.name,
        path=str(options.model),
        device="cpu",
        compute_type=options.compute_type,
        encoder=options.encoder,
    )
    print(json.dumps(trial(spec, options.threads)))


if __name__ == "__main__":
    main()
