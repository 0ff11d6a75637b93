"""Calls to the system for paths in which others may write, followed through real folders only.

Whoever may write into the share may put a link where a subfolder was, between any two looks of
ours, and what lies elsewhere would be read, overwritten or deleted. So no path below a guarded
folder is given to the kernel whole. Its folders are opened one after the other, none through a
link, and whatever is done is done in the last of them, wherever its name leads by then.
Each function raises OSError; ENOTDIR for a link on the way.
Sources: open(2), O_NOFOLLOW and O_PATH; proc_pid_fd(5).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from modules.storage import no_replace

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_guarded: set[Path] = set()


def guard(root: Path) -> None:
    """From now on, follow no link below this folder. Its own path may lead through links."""
    _guarded.add(root)


@contextlib.contextmanager
def pinned(path: Path) -> Iterator[str]:
    """The same file by a path that no rename and no link bends, valid inside the ``with``.

    Its last part may be a link. A path that is below no guarded folder stays as it is.
    """
    root, parts = _below(path)
    if len(parts) < 2:
        yield os.fspath(path)
    else:
        with _opened(root, parts[:-1], path) as folder:
            yield f"{folder}/{path.name}"


@contextlib.contextmanager
def pinned_folder(path: Path) -> Iterator[str]:
    """The same for a folder, whose last part must be no link either."""
    root, parts = _below(path)
    if not parts:
        yield os.fspath(path)
    else:
        with _opened(root, parts, path) as folder:
            yield folder


def _below(path: Path) -> tuple[Path, tuple[str, ...]]:
    """The nearest guarded folder above a path, and what of the path is below it."""
    for root in path.parents:
        if root in _guarded:
            return root, path.parts[len(root.parts) :]
    return path, ()


@contextlib.contextmanager
def _opened(root: Path, folders: tuple[str, ...], path: Path) -> Iterator[str]:
    if ".." in folders:
        raise OSError(errno.EINVAL, "leads out of its folder", os.fspath(path))
    with contextlib.ExitStack() as stack:
        opened = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
        stack.callback(os.close, opened)
        for folder in folders:
            try:
                opened = os.open(folder, _FOLDER, dir_fd=opened)
            except OSError as error:
                error.filename = os.fspath(path)
                raise
            stack.callback(os.close, opened)
        real = f"/proc/self/fd/{opened}"
        try:
            yield real
        except OSError as error:  # it names the path that people know
            for name in ("filename", "filename2"):
                if str(getattr(error, name)).startswith(real):
                    setattr(error, name, os.fspath(path))
            raise


def descriptor(path: Path, flags: int, mode: int = 0o644) -> int:
    """``os.open`` that follows no link in the last part of the path either, and never waits."""
    with pinned(path) as real:
        return os.open(real, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode)


def lstat(path: Path) -> os.stat_result:
    with pinned(path) as real:
        return os.lstat(real)


@contextlib.contextmanager
def scanned(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    """The entries of a folder, valid inside the ``with``."""
    with pinned_folder(folder) as real, os.scandir(real) as entries:
        yield entries


def names_in(folder: Path) -> list[str]:
    with pinned_folder(folder) as real:
        return os.listdir(real)


def folder_changed_ns(folder: Path) -> int:
    """When an entry of a folder was last made, renamed or deleted."""
    with pinned_folder(folder) as real:
        return os.stat(f"{real}/.").st_mtime_ns


def device_of(folder: Path) -> int:
    """The number of the file system that new files in a folder belong to.

    A folder's and never a file's: an overlay may give files the number of the layer below it.
    """
    with pinned_folder(folder) as real:
        return os.stat(f"{real}/.").st_dev


def rename(source: Path, target: Path) -> None:
    """Replaces what has the name, except a folder."""
    with pinned(source) as old, pinned(target) as new:
        os.rename(old, new)


def rename_new(source: Path, target: Path) -> None:
    """The same in one step that replaces nothing. Raises FileExistsError for a taken name, and
    EINVAL, ENOSYS or EOPNOTSUPP where the file system has no such step."""
    with pinned(source) as old, pinned(target) as new:
        no_replace.rename_unless_taken(old, new)


def link(source: Path, target: Path) -> None:
    """Raises FileExistsError if the name is taken."""
    with pinned(source) as old, pinned(target) as new:
        os.link(old, new)


def unlink(path: Path) -> None:
    with pinned(path) as real:
        os.unlink(real)


def remove_folder(path: Path) -> None:
    """Raises OSError unless it is an empty folder."""
    with pinned(path) as real:
        os.rmdir(real)


def make_folders(path: Path, mode: int = 0o777) -> None:
    """Make a folder with those above it, as far as they are missing."""
    root, parts = _below(path)
    if not parts:
        path.mkdir(mode, parents=True, exist_ok=True)
    for folder in (root.joinpath(*parts[: n + 1]) for n in range(len(parts))):
        with contextlib.suppress(FileExistsError), pinned(folder) as real:
            os.mkdir(real, mode)
    with pinned_folder(path):  # or it is no folder
        pass
