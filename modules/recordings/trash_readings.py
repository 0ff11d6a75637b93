"""What a move to the trash has to read whole: copies to another volume, and comparisons.

A move happens while no request is taken, and reading takes as long as the disks do. So the move
asks for what was read before. What is missing ends it, is read while nobody waits, and the move is
tried again; if the file has changed since, it is read anew.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from modules.errors import StorageError, TranscriberError, noted
from modules.storage import beneath
from modules.storage.atomic import storage_errors, sync_folder
from modules.storage.transfer import are_equal, facts_of, give_name, is_regular, whole_copy

#: A file that keeps changing is read so often before a move is given up until the next look.
_TRIES = 3

_State: TypeAlias = tuple[int, int, int, int] | None


class NotReadError(TranscriberError):
    """A move needs a reading first: of ``source`` alone, to copy it, or together with ``other``."""

    def __init__(self, source: Path, folder: Path, other: Path | None = None) -> None:
        super().__init__("not_read", noted("{file} must be read first.", file=source.name))
        self.source = source
        self.folder = folder
        self.other = other


@dataclass(frozen=True)
class _Copy:
    state: _State
    path: Path


class Readings:
    """Those for the move of one recording; to be closed after it.

    Belongs to one thread. Each method raises StorageError.
    """

    def __init__(self) -> None:
        self._copies: dict[Path, _Copy] = {}
        self._equal: dict[tuple[Path, Path], tuple[_State, _State, bool]] = {}
        #: Folders whose files cannot be renamed into the trash.
        self._far: set[Path] = set()
        #: What has come to the trash, and the folder there: the rest goes to the same one.
        self.moved: set[str] = set()
        self.folder: Path | None = None
        self._tries: Counter[tuple[Path, Path | None]] = Counter()

    def close(self) -> None:
        """Delete the copies that were not used."""
        for source in list(self._copies):
            self._discard(source)

    def read(self, missing: NotReadError) -> None:
        """What a move misses; takes as long as the files are large."""
        source, other = missing.source, missing.other
        self._tries[source, other] += 1
        if self._tries[source, other] > _TRIES:
            raise StorageError(
                "file_changed", noted("{file} changes while it is copied.", file=source.name)
            )
        with storage_errors(source):
            if other is not None:
                states = _state(source), _state(other)
                self._equal[source, other] = (*states, are_equal(source, other))
            elif is_regular(source):
                self._discard(source)
                state = _state(source)
                self._copies[source] = _Copy(state, whole_copy(source, missing.folder))

    def is_same(self, source: Path, target: Path) -> bool:
        """Whether two files have the same content. Raises NotReadError, OSError."""
        states = _state(source), _state(target)
        if not is_regular(target) or not all(states) or _size(states[0]) != _size(states[1]):
            return False
        known = self._equal.get((source, target))
        if known is None or known[:2] != states:
            raise NotReadError(source, target.parent, target)
        return known[2]

    def require_copy(self, source: Path, folder: Path) -> None:
        """Raises NotReadError if the file is known to need a copy, and has none. OSError, too."""
        if self._is_far(source.parent, folder) and self._copy_of(source) is None:
            raise NotReadError(source, folder)

    def _is_far(self, folder: Path, target: Path) -> bool:
        """Two mounts of one volume have one number; of those only a rename tells."""
        if folder not in self._far and beneath.device_of(folder) != beneath.device_of(target):
            self._far.add(folder)
        return folder in self._far

    def move(self, source: Path, target: Path) -> None:
        """To a free name, without reading. Raises NotReadError, OSError."""
        try:
            beneath.rename(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._far.add(source.parent)
            self._put_copy(source, target)
        else:
            sync_folder(target.parent)
        sync_folder(source.parent)

    def _put_copy(self, source: Path, target: Path) -> None:
        copy = self._copy_of(source)
        if copy is None:
            raise NotReadError(source, target.parent)
        give_name(copy, target)
        del self._copies[source]
        sync_folder(target.parent)
        beneath.unlink(source)

    def _copy_of(self, source: Path) -> Path | None:
        """The copy of a file as it is now."""
        copy = self._copies.get(source)
        return copy.path if copy and copy.state == _state(source) else None

    def _discard(self, source: Path) -> None:
        copy = self._copies.pop(source, None)
        if copy:
            with contextlib.suppress(OSError):  # it goes with the trash of its day
                beneath.unlink(copy.path)


def _state(path: Path) -> _State:
    facts: os.stat_result | None = facts_of(path)
    return (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns) if facts else None


def _size(state: _State) -> int | None:
    return state[2] if state else None
