"""Which processes wait to take the folder over: a note of each, fresh as long as it waits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from modules.clock import Clock, iso, parse_time
from modules.config.settings import Frozen
from modules.errors import StorageError
from modules.recordings.lock import our_identity
from modules.recordings.names import STATE_FOLDER
from modules.storage import beneath
from modules.storage.atomic import own_folder, remove, storage_errors, to_json, write_own
from modules.storage.safe_open import read_model

_BELIEVED = timedelta(seconds=60)
_NOTE_BYTES_MAX = 4096
#: More are not read: others may write there, too.
_NOTES_MAX = 20


class _Note(Frozen):
    host: str
    pid: int
    heartbeat: str


@dataclass(frozen=True)
class Waiting:
    """A process that waits to take the folder over."""

    host: str
    pid: int


def folder(shared: Path) -> Path:
    return shared / STATE_FOLDER / "standbys"


class StandbyNote:
    """The note of this process. Each method raises StorageError."""

    def __init__(self, shared: Path, clock: Clock) -> None:
        self._clock = clock
        ours = our_identity()
        name = re.sub(r"[^A-Za-z0-9.-]", "_", ours["host"])[:100]
        self._path = folder(shared) / f"{name}-{ours['pid']}.json"
        self._has_tidied = False

    def write(self) -> None:
        with storage_errors(self._path):
            own_folder(self._path.parent)
            if not self._has_tidied:
                self._tidy()
        note = our_identity() | {"heartbeat": iso(self._clock.utc_now())}
        write_own(self._path, to_json(note))

    def remove(self) -> None:
        remove(self._path)

    def _tidy(self) -> None:
        """Remove what those left that were killed."""
        for name in beneath.names_in(self._path.parent):
            path = self._path.parent / name
            if name.endswith(".json") and not _is_fresh(_read(path), self._clock):
                remove(path)
        self._has_tidied = True


def waiting(shared: Path, clock: Clock) -> list[Waiting]:
    """Those whose note is fresh, by name; empty where it cannot be read."""
    try:
        names = sorted(beneath.names_in(folder(shared)))[:_NOTES_MAX]
    except OSError:
        return []
    return list(_fresh(shared, names, clock))


def _fresh(shared: Path, names: list[str], clock: Clock) -> Iterator[Waiting]:
    for name in names:
        note = _read(folder(shared) / name)
        if note and _is_fresh(note, clock):
            yield Waiting(note.host, note.pid)


def _read(path: Path) -> _Note | None:
    try:
        return read_model(_Note, path, _NOTE_BYTES_MAX)
    except StorageError:
        return None


def _is_fresh(note: _Note | None, clock: Clock) -> bool:
    beat = parse_time(note.heartbeat) if note else None
    return beat is not None and abs(clock.utc_now() - beat) < _BELIEVED
