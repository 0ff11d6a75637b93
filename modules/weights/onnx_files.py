"""The files of the engines that run on onnxruntime: which there must be, and who publishes them.

Nothing here is fetched. The user puts the files into a folder.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modules.errors import ModelError, noted

#: What the engines need besides the weights.
PACKAGE = "onnx_asr"
INSTALL = "pip install -r requirements-onnx.lock"
_CONFIG = "config.json"
#: No configuration of a model is larger.
_CONFIG_BYTES_MAX = 2**20


@dataclass(frozen=True)
class OnnxFiles:
    """The files of an engine. ``weights``: any one of these, the preferred first; ``others``: all.

    ``published``: where its makers offer them; ``licence``: under which they do.
    """

    weights: tuple[str, ...]
    others: tuple[str, ...]
    published: str
    licence: str


FILES: dict[str, OnnxFiles] = {
    "t-one": OnnxFiles(
        ("model.onnx",), (_CONFIG,), "https://huggingface.co/t-tech/T-one", "Apache-2.0"
    ),
    # The makers publish it for PyTorch (github.com/salute-developers/GigaAM); these files are their
    # weights in the form of ONNX, by the author of onnx-asr.
    "gigaam": OnnxFiles(
        ("v3_e2e_ctc.int8.onnx", "v3_e2e_ctc.onnx"),
        ("v3_e2e_ctc_vocab.txt", _CONFIG),
        "https://huggingface.co/istupakov/gigaam-v3-onnx",
        "MIT",
    ),
}


def weights_in(folder: Path, engine: str) -> str | None:
    """The name of the file with the weights; None if none of them is there."""
    return next((name for name in FILES[engine].weights if _is_filled(folder / name)), None)


def missing(folder: Path, engine: str) -> list[str]:
    """The names of the files that the engine needs and the folder lacks, or has empty."""
    wanted = FILES[engine]
    lacking = [name for name in wanted.others if not _is_filled(folder / name)]
    if weights_in(folder, engine) is None:
        lacking.insert(0, " or ".join(wanted.weights))
    return lacking


def require(folder: Path, engine: str) -> None:
    """Raises ModelError unless the engine can be loaded from the folder."""
    if importlib.util.find_spec(PACKAGE) is None:
        raise ModelError(
            "engine_not_installed",
            noted(
                "The engine {engine} needs a package that is not installed: onnx-asr.",
                engine=engine,
            ),
            remedy=noted("Run `{command}`.", command=INSTALL),
        )
    for problem in problems(folder, engine):
        wanted = FILES[engine]
        raise ModelError(
            "model_missing",
            problem,
            remedy=noted(
                "Put the files from {published} ({licence}) into it.",
                published=wanted.published,
                licence=wanted.licence,
            ),
        )


def problems(folder: Path, engine: str) -> Iterator[str]:
    """What keeps the engine from being loaded from the folder."""
    if engine == "gigaam" and _is_first_gigaam(folder):
        yield noted(
            "The folder {folder} has GigaAM v1, whose licence (CC BY-NC-SA) forbids commercial "
            "use; it is not loaded.",
            folder=folder,
        )
    elif not folder.is_dir():
        yield noted(
            "There is no folder {folder} with the weights of {engine}.",
            folder=folder,
            engine=engine,
        )
    elif lacking := missing(folder, engine):
        yield noted(
            "The folder {folder} lacks {lacking}.", folder=folder, lacking=", ".join(lacking)
        )


def _is_first_gigaam(folder: Path) -> bool:
    if any(_is_filled(path) for path in _listed(folder) if path.name.startswith("v1_")):
        return True
    try:
        with (folder / _CONFIG).open("rb") as file:
            found = json.loads(file.read(_CONFIG_BYTES_MAX))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and str(found.get("version", "")).startswith("v1")


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _is_filled(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:  # a folder that we may not read: for us the file is not there
        return False
