"""``manual/``: where recordings go that could not be transcribed, with all that belongs to them."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from modules.atomic import remove, storage_errors, sync_folder, to_json, write_whole
from modules.errors import StorageError
from modules.sidecars import ERROR_TEXT, IN_PROGRESS, sidecar_name


def move(
    shared: Path,
    manual: Path,
    name: str,
    belongings: Sequence[str],
    state: dict[str, Any],
    explanation: str,
) -> Path:
    """Move a recording and its belongings to ``manual/``, under names that are free there.

    ``state`` becomes the ``.in_progress`` there. The explanation is written first and the recording
    goes last: whatever interrupts, the recording is in one of the two places and a repeated move
    ends the same. Returns where the recording is now. Raises StorageError.
    """
    target = free_name(manual, name)
    folder = (manual / target).parent
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_whole(manual / sidecar_name(target, ERROR_TEXT), explanation.encode(errors="replace"))
    write_whole(manual / sidecar_name(target, IN_PROGRESS), to_json(state | {"filename": target}))
    for belonging in belongings:
        if belonging != sidecar_name(name, IN_PROGRESS) and (shared / belonging).is_file():
            renamed = target + belonging[len(name) :] if belonging.startswith(name) else belonging
            _transfer(shared / belonging, manual / free_name(manual, renamed))
    _transfer(shared / name, manual / target)
    remove(shared / sidecar_name(name, IN_PROGRESS))
    return manual / target


def set_aside(shared: Path, manual: Path, sidecar: str) -> Path:
    """Move a lone sidecar to ``manual/``."""
    target = manual / free_name(manual, sidecar)
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    _transfer(shared / sidecar, target)
    return target


def free_name(folder: Path, name: str) -> str:
    """``talk.mp3``, or ``talk (2).mp3`` where that is taken."""
    return next(n for n in _candidates(name) if not os.path.lexists(folder / n))


def _candidates(name: str) -> Iterator[str]:
    yield name
    stem, extension = os.path.splitext(name)
    number = 2
    while True:
        yield f"{stem} ({number}){extension}"
        number += 1


def _transfer(source: Path, target: Path) -> None:
    """Rename or, across volumes, copy, sync, verify, then unlink. Never over another file."""
    with storage_errors(source):
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "the name is taken", str(target))
        try:
            os.rename(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy_over(source, target)
        sync_folder(target.parent)
        sync_folder(source.parent)


def _copy_over(source: Path, target: Path) -> None:
    shutil.copy2(source, target)
    with open(target, "rb") as copy:
        os.fsync(copy.fileno())
        with open(source, "rb") as original:
            while block := original.read(2**20):
                if copy.read(len(block)) != block:
                    raise StorageError(
                        "copy_failed", f"The copy of {source} in {target.parent} is not the same."
                    )
    os.unlink(source)
