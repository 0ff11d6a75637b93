"""The way back from ``manual/``."""

from __future__ import annotations

import os
from pathlib import Path

from modules.errors import StorageError
from modules.recordings.sidecars import RecordingPaths
from modules.storage import beneath
from modules.storage.atomic import remove, storage_errors, sync_folder
from modules.storage.transfer import (
    are_equal,
    facts_of,
    free_name,
    is_regular,
    is_taken,
    take_along,
    transfer,
)


def bring_back(manual: Path, shared: Path, sidecars: Path, name: str) -> bool:
    """Move a recording back, what people wrote about it first, so that it never begins without.

    That are its settings and the corrections of its text; those that are there already stay.
    False, with nothing done, if its name is taken there.
    """
    paths = RecordingPaths(name)
    with storage_errors(shared / name):
        beneath.make_folders((shared / name).parent)
        written = [
            (manual / own, folder / own)
            for own, folder in ((paths.settings, shared), (paths.edits, sidecars))
            if is_regular(manual / own) and not is_taken(folder / own)
        ]
    for own, target in written:
        transfer(own, target)
    if _bring_recording(manual, shared, name):
        return True
    for own, target in written:
        transfer(target, own)
    return False


def _bring_recording(manual: Path, shared: Path, name: str) -> bool:
    if end_return(manual, shared, name):
        return True
    with storage_errors(shared / name):
        try:
            # A link does not replace a file that is put there at this very moment.
            beneath.link(manual / name, shared / name)
        except FileExistsError:
            return False
        except OSError:  # another volume, or one that knows no links
            return _sent(manual / name, shared / name)
        beneath.unlink(manual / name)
        sync_folder((shared / name).parent)
    return True


def _sent(source: Path, target: Path) -> bool:
    """Whether it could be transferred; False if the name is taken, also meanwhile."""
    try:
        transfer(source, target)
    except StorageError:
        with storage_errors(target):
            theirs = is_taken(target) and not are_equal(source, target)
        if theirs:
            return False
        raise
    return True


def end_return(manual: Path, shared: Path, name: str) -> bool:
    """Unlink here what is there as well; False, with nothing done, if it is not. StorageError."""
    if not is_returned(manual, shared, name):
        return False
    remove(manual / name)
    return True


def is_returned(manual: Path, shared: Path, name: str) -> bool:
    """Whether a recording is in both places: its return came as far as the link or the copy.

    A copy keeps the file's time; who lays the same recording there again has another one.
    """
    with storage_errors(manual / name):
        here, there = facts_of(manual / name), facts_of(shared / name)
        if here is None or there is None:
            return False
        if os.path.samestat(here, there):
            return here.st_nlink > 1  # with one name alone, both folders are the same
        known = (here.st_mtime_ns, here.st_size) == (there.st_mtime_ns, there.st_size)
        return known and are_equal(manual / name, shared / name)


def set_aside(shared: Path, manual: Path, sidecar: str) -> Path | None:
    """Move a lone sidecar to ``manual/``; None if it is not there."""
    with storage_errors(manual / sidecar):
        target = manual / free_name(manual, sidecar)
        beneath.make_folders(target.parent)
    return target if take_along(shared, manual, sidecar, sidecar) else None
