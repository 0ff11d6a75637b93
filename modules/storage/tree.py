"""The folders and files below one that others write to, however deep they are nested."""

from __future__ import annotations

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
