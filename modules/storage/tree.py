"""The folders and files below one that others write to, however deep they are nested."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from modules.storage import beneath

#: So many folders a recording may lie below the share: each costs several looks at the disk.
FOLDERS_MAX = 64


def files_below(root: Path) -> Iterator[str]:
    """The names of all files below a folder, relative to it. No link is followed.

    A folder that cannot be listed is left out, except for ``root``: then OSError is raised.
    """
    waiting = [("", 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            with beneath.scanned(root / folder) as listed:
                entries = [(e.name, e.is_dir(follow_symlinks=False)) for e in listed]
        except OSError:
            if not folder:
                raise
            continue
        for entry, is_folder in entries:
            name = f"{folder}/{entry}" if folder else entry
            if not is_folder:
                yield name
            elif depth < FOLDERS_MAX:
                waiting.append((name, depth + 1))


def remove_tree(root: Path) -> int:
    """Delete a folder with everything in it; how many files that were. No link is followed.

    What disappears meanwhile is no error. Raises OSError.
    """
    count, waiting, folders = 0, [root], []
    while waiting:
        folder = waiting.pop()
        folders.append(folder)
        with beneath.scanned(folder) as listed:
            entries = [(folder / e.name, e.is_dir(follow_symlinks=False)) for e in listed]
        waiting += [path for path, is_folder in entries if is_folder]
        for path in (path for path, is_folder in entries if not is_folder):
            with contextlib.suppress(FileNotFoundError):
                beneath.unlink(path)
                count += 1
    for folder in reversed(folders):
        with contextlib.suppress(FileNotFoundError):
            beneath.remove_folder(folder)
    return count
