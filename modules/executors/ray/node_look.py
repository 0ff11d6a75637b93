"""What a machine of the cluster has of what its workers need; run there, for ``doctor``.

Nothing here knows of Ray.
"""

from __future__ import annotations

import os
import platform
import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from modules import __version__
from modules.config.settings import Frozen
from modules.errors import ModelError
from modules.executors.ray.media import mapped
from modules.executors.ray.node_weights import on_this_node
from modules.executors.ray.node_worker import node_config
from modules.executors.ray.wire import Failure, Setup, Warm, failure_of
from modules.machine.processor import memory_free_mb
from modules.storage import beneath

_CHARS = 500
Text = Annotated[str, Field(max_length=_CHARS)]


class LookFor(Frozen):
    """``weights``: None if the service's own are not there; ``marker``: the path of a file that was
    just made in its shared folder, None if nothing can be written there."""

    setup: Setup
    weights: Warm | None
    marker: str | None


class Look(Frozen):
    """``share``: the folder as it is called there, and whether it is the service's."""

    node: Text
    version: Text
    python: Text
    free_mb: int
    weights: Literal["same", "unknown"] | Failure
    share: Literal["same", "other", "unknown"]
    folder: Annotated[str, Field(max_length=4096)]


def look(order: str) -> str:
    """The answer to a ``LookFor``, as JSON. Raises ValueError."""
    asked = LookFor.model_validate_json(order)
    config = node_config(asked.setup, os.environ)
    folder = config.shared_directory
    return Look(
        node=socket.gethostname(),
        version=__version__,
        python=platform.python_version(),
        free_mb=memory_free_mb(),
        weights=_weights(asked.weights, config.models_directory),
        share=_share(asked, folder),
        folder=str(folder),
    ).model_dump_json()


def _weights(order: Warm | None, models: Path) -> Literal["same", "unknown"] | Failure:
    if order is None:
        return "unknown"
    try:
        on_this_node(order.spec, order.sums, models)
    except ModelError as error:
        return failure_of(error)
    return "same"


def _share(asked: LookFor, folder: Path) -> Literal["same", "other", "unknown"]:
    if asked.marker is None:
        return "unknown"
    path = Path(os.fsdecode(mapped(os.fsencode(asked.marker), asked.setup.path_map)))
    beneath.guard(folder)
    try:
        beneath.lstat(path)
    except OSError:
        return "other"
    return "same"
