"""Make weights usable: put parts together, or fetch them. Nothing here imports the heavy libraries.

``python -m modules.weights.store base`` puts Whisper base in place.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from modules import PACKAGE
from modules.config.types import MODEL_SIZES
from modules.config.user_folders import data_folder
from modules.errors import ModelError, noted
from modules.weights.assemble import assemble
from modules.weights.download import download
from modules.weights.files import (
    MODEL_FILES,
    damaged,
    home,
    installed_parts,
    verify,
    without_sum,
)
from modules.weights.locate import REPOSITORIES, ModelSource, Origin, locate


def prepare(source: ModelSource, models_directory: Path) -> Path:
    """A folder that a model can be loaded from: joined or downloaded first, if need be."""
    if source.folder is not None:
        return source.folder
    if source.origin is Origin.PARTS:
        return assemble(source.size, models_directory)
    return _download(source.size)


def _download(size: str) -> Path:
    """Fetch the size's repository into the hub's cache, and hash what came.

    Raises ``model_download_failed`` or ``model_damaged``.
    """
    from huggingface_hub import snapshot_download  # slow to import and seldom needed

    name, files = REPOSITORIES[size], list(MODEL_FILES)
    try:
        fetched = snapshot_download(name, allow_patterns=files)  # nosec B615 # hashed below
    except Exception as error:  # the hub raises its own family, and that of its HTTP client
        message = noted(
            "The Whisper model {size} could not be downloaded: {error}", size=size, error=error
        )
        raise ModelError("model_download_failed", message) from error
    folder = Path(fetched)
    problems = verify(folder, size)
    if problems:
        raise damaged(
            size,
            problems,
            noted("Remove {folder}, then it is fetched again.", folder=folder.parent.parent),
        )
    return folder


def provide(size: str, models_directory: Path, allow_download: bool) -> str:
    """Make the size usable, check it, and say in a sentence where it is.

    Here a download goes into the models directory, and takes the place of damaged files. Raises
    ModelError.
    """
    source = _found(size, models_directory, allow_download)
    folder = _in_place(source, models_directory)
    problems = verify(folder, size)
    if problems and allow_download and source.origin is Origin.DIRECTORY:
        folder = download(size, models_directory)
        problems = verify(folder, size)
    if problems:
        raise damaged(
            size, problems, noted("Move {folder} away and run this command again.", folder=folder)
        )
    checked = "all files are there" if without_sum(folder, size) else "checksums are right"
    text = f"The Whisper model {size} is in {folder} (found in: {source.origin}); {checked}."
    kept = sorted(models_directory.glob(f"{home(size, models_directory).name}.old-*"))
    return text + "".join(f" What stood there before is kept in {old}." for old in kept)


def _found(size: str, models_directory: Path, allow_download: bool) -> ModelSource:
    try:
        return locate(size, models_directory, allow_download)
    except ModelError as error:
        if error.code != "model_damaged":
            raise
        if installed_parts(size):
            return ModelSource(size, Origin.PARTS, None)
        if allow_download:
            return ModelSource(size, Origin.DOWNLOAD, None)
        raise


def _in_place(source: ModelSource, models_directory: Path) -> Path:
    if source.origin is Origin.DOWNLOAD:
        return download(source.size, models_directory)
    return prepare(source, models_directory)


# --- the command ------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 if the model is in place, 1 with the reason if not."""
    parser = argparse.ArgumentParser(prog=f"python -m {PACKAGE}.weights.store", description=__doc__)
    parser.add_argument("size", choices=MODEL_SIZES, metavar="SIZE", help=", ".join(MODEL_SIZES))
    parser.add_argument("--directory", type=Path, default=data_folder(os.environ) / "models")
    parser.add_argument("--download", action="store_true", help="ask the Hugging Face hub too")
    chosen = parser.parse_args(arguments)
    try:
        print(provide(chosen.size, chosen.directory, chosen.download))
    except ModelError as error:
        print("\n".join(filter(None, (str(error), error.details))), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
