"""Gives a file its name in the share: at once, and never over another file.

By a link; without links by a rename that replaces nothing. On the few file systems that have
neither, as some in user space, an empty file holds the name for an instant. A note says so before,
so that after a kill the next start does not take that file for a recording.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from modules.recordings.names import is_recording
from modules.storage import beneath
from modules.storage.atomic import remove, storage_errors, to_json, write_whole
from modules.storage.no_replace import NO_LINKS, UNKNOWN
from modules.storage.safe_open import read_model
from modules.storage.transfer import facts_of

_PREFIX = "holding-"
_NOTE_BYTES = 16 * 1024


class _Note(BaseModel):
    """The name that an empty file is about to hold. Others may write here, too."""

    model_config = ConfigDict(frozen=True, strict=True)
    name: str


class NewNames:
    """``folder``: of the notes; ``shared``: where the names are given. Raises StorageError."""

    def __init__(self, folder: Path, shared: Path) -> None:
        self._folder = folder
        self._shared = shared

    def give(self, path: Path, name: str) -> bool:
        """Move a file to a name in the share; False if that is taken. Raises OSError, too."""
        target = self._shared / name
        try:
            beneath.link(path, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            return self._give_without_links(path, name)
        beneath.unlink(path)
        return True

    def _give_without_links(self, path: Path, name: str) -> bool:
        try:
            beneath.rename_new(path, self._shared / name)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in UNKNOWN:
                raise
            return self._give_held(path, name)
        return True

    def _give_held(self, path: Path, name: str) -> bool:
        note = self._folder / f"{_PREFIX}{secrets.token_hex(8)}.json"
        write_whole(note, to_json(_Note(name=name).model_dump()))
        try:
            return _held_and_replaced(path, self._shared / name)
        finally:
            remove(note)

    def clean_up(self) -> None:
        """At start: remove the empty files that a killed process left, and the notes of them."""
        with storage_errors(self._folder):
            notes = [each for each in beneath.names_in(self._folder) if each.startswith(_PREFIX)]
        for each in notes:
            path = self._folder / each
            note = read_model(_Note, path, _NOTE_BYTES)
            if note and is_recording(note.name):
                self._remove_held(self._shared / note.name, path)
            remove(path)

    @staticmethod
    def _remove_held(held: Path, note: Path) -> None:
        """An empty file that was there before the note is somebody else's."""
        with storage_errors(held):
            facts, noted = facts_of(held), facts_of(note)
        is_empty = facts and stat.S_ISREG(facts.st_mode) and not facts.st_size
        if facts and noted and is_empty and facts.st_mtime_ns >= noted.st_mtime_ns:
            remove(held)


def _held_and_replaced(path: Path, target: Path) -> bool:
    try:
        os.close(beneath.descriptor(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    try:
        beneath.rename(path, target)
    except OSError:
        with contextlib.suppress(OSError):
            beneath.unlink(target)  # or each try would leave an empty recording
        raise
    return True
