"""Figures of a tree of files."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

_WORTH_A_WORD = 2**20


def _files(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every regular file once, also where several names lead to it."""
    known = set()
    for folder, _, names in os.walk(root):
        for path in (Path(folder, name) for name in names):
            found = path.lstat()
            if stat.S_ISREG(found.st_mode) and (found.st_dev, found.st_ino) not in known:
                known.add((found.st_dev, found.st_ino))
                yield path, found


def size_mb(root: Path) -> int:
    """In MB of 10^6."""
    return sum(found.st_size for _, found in _files(root)) // 10**6


def largest(folder: Path, number: int = 12) -> list[tuple[str, int]]:
    """The entries of a folder by size."""
    entries = [(path.name, size_mb(path)) for path in folder.iterdir() if path.is_dir()]
    return sorted(entries, key=lambda entry: -entry[1])[:number]


def twice(root: Path) -> list[list[str]]:
    """The files of 1 MiB and more with the same content, but for those that packages bring along.

    Several packages have the same library with them, each its own.
    """
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path, found in _files(root):
        if found.st_size >= _WORTH_A_WORD:
            by_size[found.st_size].append(path)
    by_content: dict[str, list[str]] = defaultdict(list)
    for paths in (paths for paths in by_size.values() if len(paths) > 1):
        for path in paths:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            by_content[digest].append(str(path.relative_to(root)))
    several = [names for names in by_content.values() if len(names) > 1]
    return [names for names in several if not all("/site-packages/" in name for name in names)]


def closed_to_others(root: Path, places: Sequence[str]) -> list[str]:
    """What not every user can read; of folders, what not everybody can enter."""
    found = []
    for place in places:
        top = root / place
        walked = [top] if top.is_file() else [top, *top.rglob("*")]
        for path in (path for path in walked if not path.is_symlink()):
            needed = 0o005 if path.is_dir() else 0o004
            if path.stat().st_mode & needed != needed:
                found.append(str(path.relative_to(root)))
    return found
