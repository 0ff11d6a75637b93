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

from modules.errors import StorageError, noted
from modules.storage import beneath
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


def is_folder(path: Path) -> bool:
    """Whether a folder is there, and no link to one. Raises OSError if that is not known."""
    facts = facts_of(path)
    return facts is not None and stat.S_ISDIR(facts.st_mode)


def is_taken(path: Path) -> bool:
    """Whether anything has this name. ``os.path.lexists`` says no to an I/O error, too."""
    return facts_of(path) is not None


def facts_of(path: Path) -> os.stat_result | None:
    try:
        return beneath.lstat(path)
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
        copied = is_regular(target) and are_equal(shared / name, target)
        target = target if copied else manual / free_name(manual, wanted)
    transfer(shared / name, target)
    return True


def transfer(source: Path, target: Path) -> None:
    """Rename or, across volumes, copy, sync, verify, then unlink. Never over another file."""
    with storage_errors(source):
        if is_taken(target):
            if not are_equal(source, target):
                raise FileExistsError(errno.EEXIST, "the name is taken", str(target))
            beneath.unlink(source)  # an earlier move came as far as the copy
            return
        try:
            beneath.rename(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy_over(source, target)
        sync_folder(target.parent)
        sync_folder(source.parent)


def _copy_over(source: Path, target: Path) -> None:
    """The copy gets its name once it is whole, so that a crash leaves no half of a recording."""
    copy = whole_copy(source, target.parent)
    try:
        give_name(copy, target)
        sync_folder(target.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            beneath.unlink(copy)
        raise
    beneath.unlink(source)


def whole_copy(source: Path, folder: Path) -> Path:
    """A synced and verified copy, under a temporary name. Raises StorageError, OSError."""
    copy = folder / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}"
    try:
        _copy(source, copy)
        if not are_equal(source, copy):
            raise StorageError(
                "copy_failed",
                noted(
                    "The copy of {source} in {parent} is not the same.",
                    source=source,
                    parent=folder,
                ),
            )
    except BaseException:
        with contextlib.suppress(OSError):
            beneath.unlink(copy)
        raise
    return copy


def _copy(source: Path, copy: Path) -> None:
    """Content, mode and times, of what is a regular file while it is copied."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with open_regular(source) as left, open(beneath.descriptor(copy, flags, 0o600), "wb") as right:
        shutil.copyfileobj(left, right, _PIECE_BYTES)
        right.flush()
        facts = os.fstat(left.fileno())
        os.fchmod(right.fileno(), stat.S_IMODE(facts.st_mode))
        os.utime(right.fileno(), ns=(facts.st_atime_ns, facts.st_mtime_ns))
        os.fsync(right.fileno())


def give_name(copy: Path, target: Path) -> None:
    """Raises OSError, FileExistsError if the name was taken while the copy was made."""
    try:
        beneath.link(copy, target)
    except FileExistsError:
        raise
    except OSError as error:  # a volume that knows no links
        if is_taken(target):
            raise FileExistsError(errno.EEXIST, "the name is taken", str(target)) from error
        beneath.rename(copy, target)
    else:
        beneath.unlink(copy)


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
