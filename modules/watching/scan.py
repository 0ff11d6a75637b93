"""One look over the shared folder, and one at a single file. Links are never followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from modules.watching.stability import FileSample


@dataclass
class Scan:
    """What one walk saw: regular files by name, subfolders entered, subfolders skipped.

    ``problems``: what could not be read, one line each; nothing is known about those.
    """

    files: dict[str, FileSample] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def scan(
    root: Path,
    *,
    recursive: bool,
    wants_file: Callable[[str], bool],
    wants_folder: Callable[[str], bool],
) -> Scan:
    """Walk the folder. Raises OSError if the root cannot be listed; the rest goes on without."""
    seen = Scan()
    _scan_folder(root, "", seen, wants_file, wants_folder)
    waiting = list(seen.skipped)
    while recursive and waiting:
        name = waiting.pop()
        seen.folders.append(name)
        before = len(seen.skipped)
        try:
            _scan_folder(root, name, seen, wants_file, wants_folder)
        except OSError as error:
            seen.problems.append(f"{name}: {error.strerror}")
        waiting += seen.skipped[before:]
    if recursive:
        seen.skipped.clear()
    return seen


def _scan_folder(
    root: Path,
    folder: str,
    seen: Scan,
    wants_file: Callable[[str], bool],
    wants_folder: Callable[[str], bool],
) -> None:
    with os.scandir(root / folder) as entries:
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    if wants_folder(name):
                        seen.skipped.append(name)
                elif wants_file(name) and entry.is_file(follow_symlinks=False):
                    seen.files[name] = FileSample.of(entry.stat(follow_symlinks=False))
            except FileNotFoundError:
                continue  # deleted since it was listed
            except OSError as error:
                seen.problems.append(f"{name}: {error.strerror}")
            except ValueError as error:  # a name that cannot be judged
                seen.problems.append(f"{name}: {error}")


def look(root: Path, name: str) -> FileSample | None:
    """The file as it is now; None if there is no regular file of this name without links.

    Raises OSError where that is not known (a stale handle, an I/O error).
    """
    folder = name.rpartition("/")[0]
    try:
        while folder:
            if not stat.S_ISDIR(os.lstat(root / folder).st_mode):
                return None
            folder = folder.rpartition("/")[0]
        found = os.lstat(root / name)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return FileSample.of(found) if stat.S_ISREG(found.st_mode) else None
