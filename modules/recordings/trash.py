"""``.transcriber/trash``: what retention removed, by the day, until it is deleted for good.

A file lies there under the name that it had in the share, so moving it back restores it. Where a
name is taken on a day, all that is moved together goes to a folder ``DAY (2)`` and so on.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from modules.recordings.shared_folder import SharedFolder
from modules.recordings.trash_readings import Readings
from modules.storage import beneath
from modules.storage.atomic import own_folder, storage_errors
from modules.storage.transfer import is_folder, is_regular, is_taken
from modules.storage.tree import remove_tree

_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?: \((\d{1,9})\))?")


class Trash:
    """Each method raises StorageError while the share cannot be used."""

    def __init__(self, folder: SharedFolder) -> None:
        self._share = folder
        self.path = folder.state / "trash"

    def put(self, files: Sequence[tuple[Path, str]], day: date, readings: Readings) -> set[str]:
        """Move files into the trash of a day, in their order; the names of all that were moved.

        Each is a file and the name that it gets. Nothing is moved before all is read that is known
        to need it. Raises NotReadError; tried again with the same readings, it goes on.
        """
        there = []
        for source, name in files:
            with storage_errors(source):
                if is_regular(source):
                    there.append((source, name))
        if not there:
            return readings.moved
        folder = self._folder_for(there, day, readings)
        with storage_errors(folder):
            for source, name in there:
                readings.require_copy(source, self._parent(folder, name))
        for source, name in there:
            with storage_errors(source):
                self._move(source, self._parent(folder, name) / name.rpartition("/")[2], readings)
            readings.folder = folder
            readings.moved.add(name)
        return readings.moved

    @staticmethod
    def _move(source: Path, target: Path, readings: Readings) -> None:
        """A crash may have come between a copy to another volume and the end of that move."""
        if is_taken(target) and readings.is_same(source, target):
            beneath.unlink(source)
        else:
            readings.move(source, target)

    def _folder_for(self, files: Sequence[tuple[Path, str]], day: date, readings: Readings) -> Path:
        """The first folder of a day in which no name is taken by another file.

        What was moved is missing from a later try, so the folder chosen for it comes first then.
        """
        self._share.require()
        chosen = [readings.folder] if readings.folder else []
        numbered = (self.path / _folder_name(day, number) for number in itertools.count(1))
        with storage_errors(self.path):
            own_folder(self.path)
            for folder in itertools.chain(chosen, numbered):
                own_folder(folder)
                if all(
                    not is_taken(folder / name) or readings.is_same(source, folder / name)
                    for source, name in files
                ):
                    break
        return folder

    @staticmethod
    def _parent(folder: Path, name: str) -> Path:
        """The folder of a name, which is made."""
        parent = (folder / name).parent
        beneath.make_folders(parent, 0o700)
        return parent

    def days(self) -> list[date]:
        """The days on which something came here, the first one first."""
        return sorted({day for day, _ in self._folders()})

    def folders(self) -> list[Path]:
        """Those of the days; each has the names of the share. A link in their place is none."""
        found = [self.path / _folder_name(*each) for each in self._folders()]
        with storage_errors(self.path):
            return [folder for folder in found if is_folder(folder)]

    def delete(self, day: date) -> int:
        """Delete what came on a day, for good; how many files that were."""
        deleted = 0
        for each in self._folders():
            if each[0] == day:
                path = self.path / _folder_name(*each)
                with storage_errors(path):
                    deleted += remove_tree(path)
        return deleted

    def _folders(self) -> list[tuple[date, int]]:
        """The day and the number of each folder."""
        self._share.require()
        with storage_errors(self.path):
            try:
                names = beneath.names_in(self.path)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(filter(None, map(_day_of, names)))


def _folder_name(day: date, number: int) -> str:
    return day.isoformat() if number == 1 else f"{day.isoformat()} ({number})"


def _day_of(name: str) -> tuple[date, int] | None:
    found = _DAY.fullmatch(name)
    if found is None:
        return None
    try:
        day, number = date.fromisoformat(found[1]), int(found[2] or 1)
    except ValueError:
        return None
    return (day, number) if _folder_name(day, number) == name else None
