"""Messages between the command line and the daemon: small JSON files in a folder of the share.

Others can write there: no link is followed, and nothing but small regular files is read.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modules.clock import Clock
from modules.errors import TranscriberError, noted, reason_of
from modules.storage import beneath
from modules.storage.atomic import (
    parse_json,
    put_aside_unless,
    remove,
    storage_errors,
    to_json,
    write_whole,
)
from modules.storage.safe_open import read_regular

LIMIT_BYTES = 64 * 1024
#: How many messages are read in one look, and how many files are looked at to find the oldest.
BATCH = 200
_LISTED_MAX = 5000
#: How often it is looked for an answer, and whether whoever is to write it still runs, in seconds.
_POLL_S, _ALIVE_EVERY_S = 0.05, 1.0
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
            self._require_own_folder()
            beneath.make_folders(self.folder)
        write_whole(self.folder / name, to_json(message))

    def names(self, endings: tuple[str, ...], most: int = BATCH) -> list[str]:
        """The oldest regular files with such names, oldest first; none where there is no folder.

        At most ``most``, out of the first ``_LISTED_MAX`` that are found: the others are for the
        next look, so that nothing else starves.
        """
        with storage_errors(self.folder):
            self._require_own_folder()
            try:
                with beneath.scanned(self.folder) as listed:
                    files = (e for e in listed if e.name.endswith(endings))
                    regular = (e for e in files if e.is_file(follow_symlinks=False))
                    found = [(_mtime_ns(e), e.name) for e in itertools.islice(regular, _LISTED_MAX)]
            except FileNotFoundError:
                return []
        return [name for _, name in sorted(found)[:most]]

    def wait_for(
        self, name: str, clock: Clock, is_alive: Callable[[], bool], timeout_s: float
    ) -> dict[str, Any] | None:
        """Take a message once it is there; None if it did not come in time, or if whoever is to
        write it no longer runs."""
        now = clock.monotonic()
        deadline, check_due = now + timeout_s, now + _ALIVE_EVERY_S
        while now < deadline:
            answer = self.take(name)
            if answer is not None:
                return answer
            if now >= check_due:
                check_due = now + _ALIVE_EVERY_S
                if not is_alive():
                    return None
            time.sleep(_POLL_S)
            now = clock.monotonic()
        return None

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
            return time.time() - beneath.lstat(self.folder / name).st_mtime

    def _require_own_folder(self) -> None:
        """What is removed here must not be the files of a folder that a link leads to."""
        put_aside_unless(self.folder, stat.S_ISDIR)

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
                raise TranscriberError(
                    "corrupt_sidecar",
                    noted("{file} cannot be read: {problem}", file=name, problem=reason_of(error)),
                ) from error


def _mtime_ns(entry: os.DirEntry[str]) -> int:
    """When a file was written; 0 if it was removed since it was listed."""
    try:
        return entry.stat(follow_symlinks=False).st_mtime_ns
    except FileNotFoundError:
        return 0
