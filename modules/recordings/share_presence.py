"""Is the shared folder there, and is it ours? Only then does absence mean anything."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from modules.logger import get_logger
from modules.recordings.names import STATE_FOLDER

log = get_logger("Watcher")


class SharePresence:
    """Remembers whether the folder had our state folder in it, and what is wrong with it now.

    ``problem``: why it is unavailable, None while it is available.
    """

    def __init__(self, root: Path, require: Callable[[], None] = lambda: None) -> None:
        """``require`` raises StorageError while another folder that belongs to it is away."""
        self._root = root
        self._require = require
        # It may be unmounted by the first rescan; an empty mount point must not be taken for it.
        self._had_marker = os.path.isdir(root / STATE_FOLDER)
        self.problem: str | None = None

    @property
    def available(self) -> bool:
        return self.problem is None

    def is_there(self) -> bool:
        """At this very instant, by one cheap look."""
        return os.path.isdir(self._root / STATE_FOLDER if self._had_marker else self._root)

    def check_marker(self, still_known: Iterable[str]) -> None:
        """Raises OSError for an empty mount point: it looks like a share with all files deleted.

        StorageError for another folder that is away.

        ``still_known``: files that are as they were; with one of them there, only the
        state folder was deleted, and it is made anew.
        """
        self._require()
        marker = self._root / STATE_FOLDER
        if os.path.isdir(marker):
            self._had_marker = True
        elif self._had_marker:
            if next(iter(still_known), None) is None:
                hint = "not mounted, or deleted by hand: then make it anew"
                raise FileNotFoundError(0, f"its {STATE_FOLDER} folder is missing ({hint})")
            log.warning("%s was deleted from %s and is made anew", STATE_FOLDER, self._root)
            marker.mkdir(exist_ok=True)

    def note(self, problem: str | None) -> bool:
        """Take the outcome of a rescan; answers whether it came or went, and logs that."""
        changed = (problem is None) != self.available
        if changed and problem is not None:
            log.error("%s is unavailable, waiting for it: %s", self._root, problem)
        elif changed:
            log.info("%s is available again", self._root)
        self.problem = problem
        return changed
