"""Weights on a node: found by their name, and refused unless they are the daemon's, byte for byte.

Otherwise a text would depend on the machine that happened to make it.
"""

from __future__ import annotations

import socket
from pathlib import Path

from modules.config.types import MODEL_SIZES
from modules.errors import ModelError, noted
from modules.executors.ray.wire import Sums
from modules.weights.files import ModelSpec
from modules.weights.locate import present
from modules.weights.store import prepare
from modules.weights.sums import sums_of

_PREFIX = "faster-whisper-"


def on_this_node(spec: ModelSpec, sums: Sums, models_directory: Path) -> ModelSpec:
    """The same model with its folder on this machine.

    Without ``sums`` there are no files to compare, and the folder is taken as it is named. Raises
    ModelError: ``node_weights_missing``, ``node_weights_differ``.
    """
    if not sums:
        return spec
    folder = _found(spec, models_directory)
    if folder is None:
        raise ModelError(
            "node_weights_missing",
            noted(
                "The machine {node} does not have the model {name}.",
                node=socket.gethostname(),
                name=spec.name,
            ),
            remedy=noted("Copy its folder to {folder} there.", folder=models_directory / spec.name),
        )
    try:
        there = sums_of(folder)
    except OSError as error:
        raise _differ(spec, folder, str(error)) from error
    different = [name for name, known in sums.items() if there.get(name) != known]
    if different:
        raise _differ(spec, folder, ", ".join(different))
    return spec.model_copy(update={"path": str(folder)})


def _differ(spec: ModelSpec, folder: Path, which: str) -> ModelError:
    return ModelError(
        "node_weights_differ",
        noted(
            "The machine {node} has other weights for {name} than the daemon, and gets no work.",
            node=socket.gethostname(),
            name=spec.name,
        ),
        details=f"{folder}: {which}",
        remedy=noted("Copy the daemon's folder to {folder} there.", folder=folder),
    )


def _found(spec: ModelSpec, models_directory: Path) -> Path | None:
    """Where the model is, by its name; last where it is on the daemon's machine."""
    for folder in (models_directory / spec.name, models_directory / spec.engine):
        if folder.is_dir():
            return folder  # of the one or the other, as the engines differ in how they name it
    size = spec.name.removeprefix(_PREFIX)
    if spec.name.startswith(_PREFIX) and size in MODEL_SIZES:
        source = present(size, models_directory)
        if source:
            return prepare(source, models_directory)
    same = Path(spec.path)
    return same if same.is_dir() else None
