"""What an earlier run left in the share: found once, at start."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modules.errors import StorageError, TranscriberError
from modules.jobs.job import Job
from modules.logger import get_logger
from modules.recordings.names import is_visible_folder
from modules.recordings.relocation import is_sidecar, relocate, relocate_all
from modules.recordings.shared_folder import SharedFolder
from modules.recordings.sidecars import (
    IN_PROGRESS,
    STATE_BYTES_MAX,
    RecordingPaths,
    recording_of,
)
from modules.recordings.state import job_from_json
from modules.storage import beneath
from modules.storage.atomic import (
    TEMPORARY_PREFIX,
    own_folder,
    put_aside_unless,
    remove,
    storage_errors,
)
from modules.storage.safe_open import read_json
from modules.storage.transfer import facts_of, is_regular
from modules.storage.tree import files_below

log = get_logger("FileManager")


@dataclass(frozen=True)
class Found:
    """A ``.in_progress`` found at start: its job, and whether the recording is still there.

    ``moved``: it was marked for ``manual/``; ``failed``: it had failed for good.
    """

    job: Job
    has_recording: bool
    moved: bool
    failed: bool = False


class Recovery:
    """Each method raises StorageError while the share cannot be used."""

    def __init__(self, folder: SharedFolder, manual: Path) -> None:
        self._folder = folder
        self._manual = manual
        #: Folders in the share that could not be read at start.
        self.skipped: set[str] = set()

    def find_jobs(self, recursive: bool) -> list[Found]:
        """Every readable ``.in_progress``, as a job. Corrupt ones are set aside.

        Temporary files that a crash left behind are removed, and sidecars that were written under
        another configuration moved to where they belong now. A folder below the share that may not
        be read is skipped.
        """
        self._remove_leftovers()
        relocate_all(self._folder)
        found = self._walk_share(recursive)
        if self._folder.sidecars == self._folder.path:
            return found
        with storage_errors(self._folder.sidecars):
            below = [name for name in files_below(self._folder.sidecars) if _is_state(name)]
        wanted = (name for name in sorted(below) if recursive or "/" not in name)
        return [each for name in wanted for each in self._recover_one(name)]

    def _remove_leftovers(self) -> None:
        roots = [self._manual, self._folder.state]
        roots += {self._folder.texts} - {self._folder.path}
        with storage_errors(self._folder.state):
            for left in [root / name for root in roots for name in files_below(root)]:
                if left.name.startswith(TEMPORARY_PREFIX):
                    remove(left)

    def _walk_share(self, recursive: bool) -> list[Found]:
        """The states in the share, or none where they lie elsewhere."""
        found: list[Found] = []
        elsewhere = self._folder.sidecars != self._folder.path
        for folder in self._folders(recursive):
            if folder and not self._may_be_read(folder):
                denied = PermissionError(errno.EACCES, "denied", str(self._folder.at(folder)))
                self._skip(denied)
                continue
            for entry in self._entries(folder):
                name = f"{folder}/{entry}" if folder else entry
                if entry.startswith(TEMPORARY_PREFIX):
                    remove(self._folder.at(name))
                elif elsewhere and is_sidecar(name):
                    relocate(self._folder, self._folder.path, name)
                elif not elsewhere and _is_state(name):
                    found += self._recover_one(name)
        return found

    def overlooked(self, name: str) -> list[Found]:
        """The state of a recording whose folder could not be read at start."""
        if self.skipped.isdisjoint(folder.as_posix() for folder in Path(name).parents):
            return []
        return self._recover_one(RecordingPaths(name).state)

    def mtime_order(self, job: Job) -> int:
        """By which scanned recordings wait: when the file was changed, in nanoseconds; as it was
        known before if the file is not there, or may not be looked at. Raises StorageError."""
        path, facts = self._folder.at(job.name), None
        with storage_errors(path), contextlib.suppress(PermissionError):
            facts = facts_of(path)
        known_ns = job.source.mtime_ns if job.source else 0
        return facts.st_mtime_ns if facts else known_ns

    def _skip(self, error: OSError) -> None:
        """What may not be read is skipped; a disk that does not answer is no empty folder."""
        path = Path(error.filename or self._folder.path)
        # The share itself was listed a moment ago: skipping it would skip all of its subfolders.
        if not isinstance(error, PermissionError) or path == self._folder.path:
            with storage_errors(path):
                raise error
        log.warning("%s may not be read and is passed by", path)
        self.skipped.add(path.relative_to(self._folder.path).as_posix())

    def _may_be_read(self, folder: str) -> bool:
        """By trying: ``os.access`` takes a disk that does not answer for a no, too."""
        path = self._folder.at(folder)
        with storage_errors(path):
            try:
                beneath.names_in(path)
                with beneath.pinned_folder(path) as real:
                    os.lstat(f"{real}/.")
            except PermissionError:
                return False
        return True

    def _folders(self, recursive: bool) -> Iterator[str]:
        yield ""
        waiting = [""] if recursive else []
        while waiting:
            above = waiting.pop()
            path = self._folder.at(above)
            try:
                with beneath.scanned(path) as listed:
                    names = [e.name for e in listed if e.is_dir(follow_symlinks=False)]
            except OSError as error:
                self._skip(error)
                continue
            below = [f"{above}/{name}" if above else name for name in names]
            visible = [folder for folder in below if is_visible_folder(folder)]
            waiting += visible
            yield from visible

    def _entries(self, folder: str) -> list[str]:
        with storage_errors(self._folder.at(folder)):
            return sorted(beneath.names_in(self._folder.at(folder)))

    def _recover_one(self, sidecar: str) -> list[Found]:
        path = self._folder.sidecar_at(sidecar)
        with storage_errors(path):
            if not is_regular(path):
                return []
        try:
            with storage_errors(path):
                value = read_json(path, STATE_BYTES_MAX)
            name = recording_of(sidecar, value)
            job = job_from_json(name, value)
        except StorageError:
            raise
        except (TranscriberError, ValueError) as error:
            aside = self._folder.state / "corrupt" / path.name
            with storage_errors(aside):
                own_folder(aside.parent)
                put_aside_unless(aside, stat.S_ISREG)
                beneath.rename(path, aside)
            log.warning("%s was set aside as %s (%s)", sidecar, aside, error)
            return []
        moved, failed = bool(value.get("moved_to_manual")), value.get("status") == "error"
        return [Found(job, self._folder.is_there(name), moved, failed)]


def _is_state(name: str) -> bool:
    return name.endswith(IN_PROGRESS) and not name.rpartition("/")[2].startswith(".")
