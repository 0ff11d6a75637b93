"""One look over the shared folder, and one at a single file. Links are never followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from modules.errors import joined, noted, reason_of
from modules.storage import beneath
from modules.watching.stability import FileSample

ENDINGS_MAX = 50


@dataclass
class Scan:
    """What one walk saw: regular files by name, subfolders entered, subfolders skipped.

    ``problems``: what could not be read, one line each; nothing is known about those.
    ``passed_over``: how many files were not wanted and worth a word; ``examples``: one of them for
    each ending, of which there are ``ENDINGS_MAX`` at most.
    """

    files: dict[str, FileSample] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    passed_over: int = 0
    examples: dict[str, str] = field(default_factory=dict)

    def pass_over(self, name: str) -> None:
        self.passed_over += 1
        if len(self.examples) < ENDINGS_MAX:
            self.examples.setdefault(os.path.splitext(name)[1].lower(), name)


def scan(
    root: Path,
    *,
    recursive: bool,
    wants_file: Callable[[str], bool],
    wants_folder: Callable[[str], bool],
    is_skipped: Callable[[str], bool] = lambda name: False,
) -> Scan:
    """Walk the folder. Raises OSError if the root cannot be listed; the rest goes on without.

    ``is_skipped``: whether a file that is not wanted is worth a word.
    """
    seen, wanted = Scan(), _Wanted(wants_file, wants_folder, is_skipped)
    _scan_folder(root, "", seen, wanted)
    waiting = list(seen.skipped)
    while recursive and waiting:
        name = waiting.pop()
        seen.folders.append(name)
        before = len(seen.skipped)
        try:
            _scan_folder(root, name, seen, wanted)
        except OSError as error:
            seen.problems.append(joined(": ", name, reason_of(error)))
        waiting += seen.skipped[before:]
    if recursive:
        seen.skipped.clear()
    return seen


@dataclass(frozen=True)
class _Wanted:
    file: Callable[[str], bool]
    folder: Callable[[str], bool]
    is_skipped: Callable[[str], bool]


def _scan_folder(root: Path, folder: str, seen: Scan, wanted: _Wanted) -> None:
    with beneath.scanned(root / folder) as entries:
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    if wanted.folder(name):
                        seen.skipped.append(name)
                elif wanted.file(name):
                    if entry.is_file(follow_symlinks=False):
                        seen.files[name] = FileSample.of(entry.stat(follow_symlinks=False))
                elif wanted.is_skipped(name):
                    seen.pass_over(name)
            except FileNotFoundError:
                continue  # deleted since it was listed
            except OSError as error:
                seen.problems.append(joined(": ", name, reason_of(error)))
            except ValueError:
                seen.problems.append(joined(": ", name, noted("a name that cannot be judged")))


def look(root: Path, name: str) -> FileSample | None:
    """The file as it is now; None if there is no regular file of this name without links.

    Raises OSError where that is not known (a stale handle, an I/O error).
    """
    try:
        found = beneath.lstat(root / name)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return FileSample.of(found) if stat.S_ISREG(found.st_mode) else None
