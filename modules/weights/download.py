"""Fetch a model from the Hugging Face hub into the models directory, whole and checked.

The hub's address is that of ``HF_ENDPOINT``, as for every program that uses its library.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from modules.errors import ModelError, joined, noted, reason_of
from modules.weights.assemble import publish
from modules.weights.files import (
    MODEL_FILES,
    RECORDED_SUMS,
    damaged,
    home,
    lock_file,
    partial_folder,
    sha256_of,
    verify,
)
from modules.weights.locate import REPOSITORIES

#: Where the library keeps what it knows of each file that it fetched.
_NOTES = Path(".cache", "huggingface")
_SHA256, _GIT = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")
_MESSAGE_CHARS = 300


def download(size: str, models_directory: Path) -> Path:
    """Fetch a size into ``models_directory/faster-whisper-SIZE`` and return that.

    What came before an interruption is kept, and the next call goes on from there. Raises
    ModelError: ``model_download_failed``, ``model_damaged`` or ``model_not_written``.
    """
    target = home(size, models_directory)
    partial = partial_folder(target)
    try:
        models_directory.mkdir(parents=True, exist_ok=True)
        with FileLock(lock_file(target), timeout=0):
            _fetch(size, partial)
            _record_sums(size, partial)
            publish(partial, target, size)
            shutil.rmtree(partial, ignore_errors=True)  # another process was faster
    except Timeout as error:
        message = noted("Another process is fetching the Whisper model {size}.", size=size)
        raise ModelError("model_download_failed", message) from error
    except OSError as error:
        message = noted(
            "The model could not be written to {target}: {why}.",
            target=target,
            why=reason_of(error),
        )
        remedy = noted(
            "Make models_directory writable, with as much free space as the model needs."
        )
        raise ModelError("model_not_written", message, remedy=remedy) from error
    return target


def _fetch(size: str, folder: Path) -> None:
    from huggingface_hub import snapshot_download  # slow to import and seldom needed

    name, files = REPOSITORIES[size], list(MODEL_FILES)
    try:
        snapshot_download(name, allow_patterns=files, local_dir=folder)  # nosec B615 # hashed below
    except Exception as error:  # the hub raises its own family, and that of its HTTP client
        raise _failed(size, folder.parent, error) from error


def _failed(size: str, models_directory: Path, error: Exception) -> ModelError:
    from huggingface_hub import constants

    cause = _cause(error)
    words = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    why = " ".join(str(words).split())[:_MESSAGE_CHARS].rstrip(".")
    return ModelError(
        "model_download_failed",
        noted(
            "The Whisper model {size} could not be fetched from {endpoint}: {why}.",
            size=size,
            endpoint=constants.ENDPOINT,
            why=why,
        ),
        remedy=noted(
            "Try again where that address can be reached, or copy the folder {name} of another "
            "machine into {models_directory}.",
            name=home(size, models_directory).name,
            models_directory=models_directory,
        ),
    )


def _cause(error: BaseException) -> BaseException:
    """The first error of a chain: the hub's own texts speak of its cache, not of the network."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return error


def _record_sums(size: str, folder: Path) -> None:
    """Compare what came with what the hub announced, and remember it for ``verify``.

    Raises ModelError ``model_damaged``, and then nothing of it is kept.
    """
    sums: dict[str, str] = {}
    problems: list[str] = []
    for path in _files(folder):
        sums[path.name] = sha256_of(path)
        announced = _announced(folder, path.name)
        if announced and announced not in (sums[path.name], _git_hash(path)):
            wrong = noted("differs from what the hub announced ({announced})", announced=announced)
            problems.append(joined(": ", str(path), wrong))
    if not problems:
        (folder / RECORDED_SUMS).write_text(json.dumps(sums, indent=1), encoding="utf-8")
        problems += verify(folder, size)
    if problems:
        shutil.rmtree(folder, ignore_errors=True)
        raise damaged(size, problems, noted("Fetch it again."))
    shutil.rmtree(folder / _NOTES.parts[0], ignore_errors=True)


def _files(folder: Path) -> Iterator[Path]:
    return (folder / name for name in MODEL_FILES if (folder / name).is_file())


def _announced(folder: Path, name: str) -> str | None:
    """The hub's own hash of a file: SHA-256 of a large one, git's of a small one."""
    try:
        lines = (folder / _NOTES / "download" / f"{name}.metadata").read_text("utf-8").splitlines()
    except OSError:
        return None
    found = lines[1].strip() if len(lines) > 1 else ""
    return found if _SHA256.fullmatch(found) or _GIT.fullmatch(found) else None


def _git_hash(path: Path) -> str:
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
