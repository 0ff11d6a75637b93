"""Recordings that come over HTTP: written where nothing scans, then named in one step."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO

from modules.errors import TranscriberError, noted
from modules.recordings.new_names import NewNames
from modules.storage import beneath
from modules.storage.atomic import TEMPORARY_PREFIX, own_folder, remove, storage_errors, sync_folder
from modules.storage.transfer import is_taken, names_like


class Uploads:
    """``folder`` lies in the share, so that landing is a rename. Thread-safe.

    ``on_landed(name, state)`` is called with the size, mtime in nanoseconds and inode of each file.
    """

    def __init__(
        self,
        folder: Path,
        shared: Path,
        on_landed: Callable[[str, tuple[int, int, int]], None] = lambda name, state: None,
    ) -> None:
        self.folder = folder
        self._shared = shared
        self._on_landed = on_landed
        self._names = NewNames(folder, shared)

    def prepare(self) -> None:
        """Make the folder, and remove what a crash left in it. Raises StorageError."""
        with storage_errors(self.folder):
            own_folder(self.folder)
            left = [self.folder / name for name in beneath.names_in(self.folder)]
        self._names.clean_up()
        for path in left:
            if path.name.startswith(TEMPORARY_PREFIX):
                remove(path)

    def open(self) -> IO[bytes]:
        """A new file for an upload that begins; its ``name`` is its path."""
        own_folder(self.folder)
        path = self.folder / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
        return open(path, "x+b", opener=lambda _, flags: beneath.descriptor(path, flags))

    def land(
        self,
        file: IO[bytes],
        name: str,
        *,
        rename: bool,
        before: Callable[[str], None] = lambda name: None,
    ) -> str:
        """Put a whole upload into the share; returns its name there, a free one with ``rename``.

        The file is closed: nobody writes it any more when it gets its name. Never over another
        file. ``before`` is called with each name before it is tried. Raises TranscriberError
        ``name_taken``, StorageError.
        """
        path = Path(file.name)
        with storage_errors(path):
            file.flush()
            os.fsync(file.fileno())
            facts = os.fstat(file.fileno())
            file.close()
            for candidate in names_like(name):
                if not is_taken(self._shared / candidate):
                    before(candidate)
                    if self._names.give(path, candidate):
                        self._note_landed(candidate, facts)
                        return candidate
                if not rename:
                    break
        raise name_taken(name)

    def _note_landed(self, name: str, facts: os.stat_result) -> None:
        sync_folder(self._shared)
        self._on_landed(name, (facts.st_size, facts.st_mtime_ns, facts.st_ino))

    def discard(self, file: IO[bytes]) -> None:
        """Close an upload, and delete it unless it has landed."""
        with contextlib.suppress(OSError):  # what it still holds has no room on a full disk
            file.close()
        with contextlib.suppress(OSError):
            beneath.unlink(Path(file.name))


def name_taken(name: str) -> TranscriberError:
    return TranscriberError(
        "name_taken",
        noted("The shared folder has a file {name!r} already.", name=name),
        remedy=noted("Choose another name, or send if_exists=rename."),
    )
