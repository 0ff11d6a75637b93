"""Messages between the command line and the daemon: small JSON files in a folder of the share.

Others can write there: no link is followed, and nothing but small regular files is read.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modules.errors import TranscriberError
from modules.storage.atomic import parse_json, remove, storage_errors, to_json, write_whole
from modules.storage.safe_open import read_regular

LIMIT_BYTES = 64 * 1024
#: What cannot be a message: too large, a link, or not a file at all.
_NOT_A_MESSAGE = frozenset({errno.EFBIG, errno.ELOOP, errno.EINVAL})


class Mailbox:
    """Lists, reads and removes messages by file name. Every method raises StorageError."""

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.folder = folder
        self._limit_bytes = limit_bytes

    def put(self, name: str, message: Mapping[str, Any]) -> None:
        """Write a message, whole or not at all; the folder is made if it is missing."""
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / name, to_json(message))

    def names(self) -> list[str]:
        """The regular files in the folder, oldest first; none where there is no folder."""
        with storage_errors(self.folder):
            try:
                with os.scandir(self.folder) as listed:
                    entries = [e for e in listed if e.is_file(follow_symlinks=False)]
            except FileNotFoundError:
                return []
            entries.sort(key=lambda e: (e.stat(follow_symlinks=False).st_mtime_ns, e.name))
        return [entry.name for entry in entries]

    def read(self, name: str) -> dict[str, Any] | None:
        """A message; None if it is not there.

        Raises TranscriberError ``corrupt_sidecar`` if it is no JSON object of acceptable size.
        """
        content = self._content(name)
        return None if content is None else parse_json(content, name)

    def take(self, name: str) -> dict[str, Any] | None:
        """As ``read``, and the message is removed, even if it is corrupt."""
        content = self._content(name)
        if content is None:
            return None
        self.remove(name)
        return parse_json(content, name)

    def remove(self, name: str) -> bool:
        """Remove a message; False if it was not there."""
        return remove(self.folder / name)

    def age_s(self, name: str) -> float:
        """Seconds since a message was written."""
        with storage_errors(self.folder / name):
            return time.time() - (self.folder / name).lstat().st_mtime

    def _content(self, name: str) -> bytes | None:
        path = self.folder / name
        with storage_errors(path):
            try:
                return read_regular(path, self._limit_bytes)
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno not in _NOT_A_MESSAGE:
                    raise
                raise TranscriberError("corrupt_sidecar", f"{name}: {error.strerror}") from error
