"""Moves of files between folders and volumes: nothing is written over, nothing is lost halfway."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from modules.errors import StorageError
from modules.storage.atomic import TEMPORARY_PREFIX, storage_errors, sync_folder
from modules.storage.safe_open import open_regular

#: Bytes in a file name that every common file system allows.
NAME_MAX = 255


_PIECE_BYTES = 2**20


def is_regular(path: Path) -> bool:
    """Whether a file is there, and no link: its target must not be copied to another volume.

    Raises OSError if that is not known; no file is left behind for it.
    """
    facts = facts_of(path)
    return facts is not None and stat.S_ISREG(facts.st_mode)


def is_taken(path: Path) -> bool:
    """Whether anything has this name. ``os.path.lexists`` says no to an I/O error, too."""
    return facts_of(path) is not None


def facts_of(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return None
        raise


def free_name(folder: Path, name: str) -> str:
    """``talk.mp3``, or ``talk (2).mp3`` where that is taken."""
    return next(n for n in names_like(name) if not is_taken(folder / n))


def names_like(name: str) -> Iterator[str]:
    """``talk.mp3``, ``talk (2).mp3`` and so on; each fits into a file system."""
    yield name
    folder, slash, base = name.rpartition("/")
    stem, extension = os.path.splitext(base)
    number = 2
    while True:
        ending = f" ({number}){extension}"
        room = NAME_MAX - len(os.fsencode(ending))
        cut = stem
        if len(os.fsencode(stem)) > room:
            cut = os.fsencode(stem)[:room].decode("utf-8", errors="ignore")
        yield folder + slash + cut + ending
        number += 1


def take_along(shared: Path, manual: Path, name: str, wanted: str) -> bool:
    """Move what belongs to a recording under a name that is free; False if it is not there."""
    target = manual / wanted
    with storage_errors(target):
        if not is_regular(shared / name):
            return False
        # An earlier move may have come as far as the copy.
        copied = target.is_file() and are_equal(shared / name, target)
        target = target if copied else manual / free_name(manual, wanted)
    transfer(shared / name, target)
    return True


def transfer(source: Path, target: Path) -> None:
    """Rename or, across volumes, copy, sync, verify, then unlink. Never over another file."""
    with storage_errors(source):
        if is_taken(target):
            if not are_equal(source, target):
                raise FileExistsError(errno.EEXIST, "the name is taken", str(target))
            os.unlink(source)  # an earlier move came as far as the copy
            return
        try:
            os.rename(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy_over(source, target)
        sync_folder(target.parent)
        sync_folder(source.parent)


def _copy_over(source: Path, target: Path) -> None:
    """The copy gets its name once it is whole, so that a crash leaves no half of a recording."""
    copy = target.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}"
    try:
        shutil.copy2(source, copy)
        with open(copy, "rb") as copied:
            os.fsync(copied.fileno())
        if not are_equal(source, copy):
            raise StorageError(
                "copy_failed", f"The copy of {source} in {target.parent} is not the same."
            )
        _give_name(copy, target)
        sync_folder(target.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            copy.unlink()
        raise
    os.unlink(source)


def _give_name(copy: Path, target: Path) -> None:
    """Raises FileExistsError if the name was taken while the copy was made."""
    try:
        os.link(copy, target)
    except FileExistsError:
        raise
    except OSError as error:  # a volume that knows no links
        if is_taken(target):
            raise FileExistsError(errno.EEXIST, "the name is taken", str(target)) from error
        os.rename(copy, target)
    else:
        os.unlink(copy)


def are_equal(left: Path, right: Path) -> bool:
    """Whether two regular files have the same bytes. Unlike filecmp, it looks each time."""
    facts = [facts_of(path) for path in (left, right)]
    if not all(each and stat.S_ISREG(each.st_mode) for each in facts):
        return False
    with open_regular(left) as one, open_regular(right) as other:
        while piece := one.read(_PIECE_BYTES):
            if piece != other.read(_PIECE_BYTES):
                return False
        return not other.read(1)
