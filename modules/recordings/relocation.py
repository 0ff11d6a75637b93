"""Sidecars that were written under another configuration, moved to where they are looked for now.

At start, before anything is concluded from their absence: without them a recording would be new.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from modules.errors import StorageError
from modules.logger import get_logger
from modules.recordings.names import is_recording
from modules.recordings.shared_folder import SharedFolder
from modules.recordings.sidecars import (
    CHECKPOINT,
    EDITS,
    IN_PROGRESS,
    RESULT,
    SUMMARY,
    RecordingPaths,
)
from modules.storage.atomic import storage_errors
from modules.storage.transfer import is_folder, is_regular, is_taken, transfer
from modules.storage.tree import files_below

log = get_logger("FileManager")

_SUFFIXES = (RESULT, IN_PROGRESS, EDITS, SUMMARY)


def is_sidecar(name: str) -> bool:
    """Whether a name can be that of what we keep of a recording."""
    folder, slash, last = name.rpartition("/")
    if last.startswith(".") and last.endswith(CHECKPOINT):
        return _may_be_recording(folder + slash + last[1:].removesuffix(CHECKPOINT))
    return any(
        _may_be_recording(name.removesuffix(each)) for each in _SUFFIXES if name.endswith(each)
    )


def relocate(folder: SharedFolder, place: Path, sidecar: str) -> None:
    """Move one from an earlier place. What cannot be moved, or is there twice, stays and is said.

    The text about a failure goes with the state that it explains.
    """
    names = [sidecar]
    if sidecar.endswith(IN_PROGRESS):
        names.append(RecordingPaths(sidecar.removesuffix(IN_PROGRESS)).error_text)
    for name in names:
        source, target = place / name, folder.sidecar_at(name)
        try:
            with storage_errors(source):
                if not is_regular(source):
                    continue
                if is_taken(target):
                    log.warning("%s is left where it is: %s is there, too", source, target)
                    continue
            transfer(source, folder.ready(target))
            log.info("%s was moved to %s", source, target.parent)
        except StorageError as error:
            log.warning("%s could not be moved to %s: %s", source, target.parent, error)


def relocate_all(folder: SharedFolder) -> None:
    """Move those in earlier places but the share, which is walked anyway. Raises StorageError."""
    for place in folder.earlier_places:
        if place != folder.path:
            for name in list(_sidecars_below(place)):
                relocate(folder, place, name)


def _sidecars_below(place: Path) -> Iterator[str]:
    with storage_errors(place):
        if is_folder(place):
            yield from filter(is_sidecar, files_below(place))


def _may_be_recording(name: str) -> bool:
    """A name that was cut has lost its ending."""
    return is_recording(name) or "~" in name
