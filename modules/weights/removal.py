"""Remove a model from the models directory. No network is asked, and nothing else is touched."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from modules.errors import ModelError, noted, reason_of
from modules.weights.files import PACKAGED, home, lock_file, partial_folder
from modules.weights.locate import REPOSITORIES, Origin, present


def folders_of(size: str, models_directory: Path) -> Iterator[Path]:
    """What lies in the models directory under one of the names of a size, whole or not."""
    names = (home(size, models_directory).name, REPOSITORIES[size].split("/")[1])
    for name in dict.fromkeys(names):
        if os.path.lexists(models_directory / name):
            yield models_directory / name


def remove(size: str, models_directory: Path) -> list[Path]:
    """Remove a size; the folders that are gone. Of a link, the link alone.

    Raises ModelError: ``model_missing``, which says where else it is, ``model_not_removed``.
    """
    folders = list(folders_of(size, models_directory))
    if not folders:
        raise _elsewhere(size, models_directory)
    for folder in folders:
        try:
            _remove(folder)
        except OSError as error:
            message = noted(
                "{folder} could not be removed: {why}.",
                folder=folder,
                why=reason_of(error),
            )
            raise ModelError("model_not_removed", message) from error
    _drop_leftovers(size, models_directory)
    return folders


def _drop_leftovers(size: str, models_directory: Path) -> None:
    """What a download that was broken off has left."""
    own = home(size, models_directory)
    shutil.rmtree(partial_folder(own), ignore_errors=True)
    with contextlib.suppress(OSError):
        lock_file(own).unlink()


def _remove(folder: Path) -> None:
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink()
        return
    # Out of the way first: half a model must not be found under the name of one.
    doomed = folder.with_name(f".{folder.name}.removed-{os.getpid()}")
    folder.rename(doomed)
    shutil.rmtree(doomed)


def _elsewhere(size: str, models_directory: Path) -> ModelError:
    source = present(size, models_directory)
    message = noted(
        "There is no Whisper model {size} in {models_directory}.",
        size=size,
        models_directory=models_directory,
    )
    remedy = None
    if source and source.origin is Origin.HUB_CACHE:
        remedy = noted(
            "It is in the cache of the Hugging Face hub, which other programs use: {folder}.",
            folder=source.folder,
        )
    elif source:
        names = " ".join(r.partition("==")[0] for r in PACKAGED[size].requirement.split())
        remedy = noted("It comes with installed packages: {names}.", names=names)
    return ModelError("model_missing", message, remedy=remedy)
