"""``.transcriber/trash``: what retention removed, by the day, until it is deleted for good.

A file lies there under the name that it had in the share, so moving it back restores it.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from modules.recordings.shared_folder import SharedFolder
from modules.storage import beneath
from modules.storage.atomic import own_folder, storage_errors
from modules.storage.transfer import are_equal, free_name, is_folder, is_regular, transfer
from modules.storage.tree import remove_tree

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class Trash:
    """Each method raises StorageError while the share cannot be used."""

    def __init__(self, folder: SharedFolder) -> None:
        self._share = folder
        self.path = folder.state / "trash"

    def put(self, source: Path, name: str, day: date) -> bool:
        """Move a file into the trash of a day, under a name; False if it is not there.

        Where the name is taken in that trash, it gets a number.
        """
        with storage_errors(source):
            if not is_regular(source):
                return False
        folder = self._folder_of(day, name)
        with storage_errors(folder):
            target = folder / name.rpartition("/")[2]
            # A crash may have come between a copy to another volume and the end of that move.
            if not are_equal(source, target):
                target = folder / free_name(folder, target.name)
        transfer(source, target)
        return True

    def _folder_of(self, day: date, name: str) -> Path:
        """The folder for a name, which is made."""
        self._share.require()
        with storage_errors(self.path):
            own_folder(self.path)
            own_folder(self.path / day.isoformat())
            folder = (self.path / day.isoformat() / name).parent
            beneath.make_folders(folder, 0o700)
        return folder

    def days(self) -> list[date]:
        """The days on which something came here, the first one first."""
        self._share.require()
        with storage_errors(self.path):
            try:
                names = beneath.names_in(self.path)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(filter(None, map(_day_of, names)))

    def folders(self) -> list[Path]:
        """Those of the days; each has the names of the share. A link in their place is none."""
        found = [self.path / day.isoformat() for day in self.days()]
        with storage_errors(self.path):
            return [folder for folder in found if is_folder(folder)]

    def delete(self, day: date) -> int:
        """Delete what came on a day, for good; how many files that were."""
        path = self.path / day.isoformat()
        with storage_errors(path):
            return remove_tree(path)


def _day_of(name: str) -> date | None:
    try:
        return date.fromisoformat(name) if _DAY.fullmatch(name) else None
    except ValueError:
        return None
