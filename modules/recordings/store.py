"""The files of the daemon inside the share and ``manual/``, by what they are for.

Names are paths relative to the share, with ``/``. Every method that touches the disk raises
StorageError while the folder cannot be used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from modules.errors import StorageError
from modules.recordings import spellings
from modules.recordings.edits import Edits
from modules.recordings.ignored import IgnoredFiles
from modules.recordings.listening_copies import ListeningCopies
from modules.recordings.manual_folder import ManualFolder, delete_under
from modules.recordings.recovery import Recovery
from modules.recordings.results import Results
from modules.recordings.settings_files import RecordingSettings
from modules.recordings.shared_folder import SharedFolder, identity_of
from modules.recordings.sidecars import RecordingPaths
from modules.recordings.state_store import StateStore
from modules.recordings.summary_files import SummaryFiles
from modules.storage.atomic import remove, storage_errors


class RecordingStore:
    """Wires the parts together once; callers use the part that they need."""

    def __init__(self, shared: Path, manual_directory: Path) -> None:
        self.folder = SharedFolder(shared)
        self.states = StateStore(self.folder)
        self.results = Results(self.folder)
        self.edits = Edits(self.folder)
        self.summaries = SummaryFiles(self.folder)
        self.manual = ManualFolder(manual_directory, self.folder, self.states, self.results)
        self.settings = RecordingSettings(self.folder, manual_directory)
        self.ignored = IgnoredFiles(self.folder)
        self.recovery = Recovery(self.folder, manual_directory)
        self.listening = ListeningCopies(self.folder)
        #: While this file exists no job is started; so a pause survives a restart.
        self.pause_flag = self.folder.state / "paused"

    def prepare(self) -> None:
        """Create the folders that must be there."""
        for folder in (self.folder.path, self.manual.path, self.folder.state):
            with storage_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)

    def meant(self, name: str, *, paths: bool = False) -> str:
        """The recording that a client means by a name, here or in ``manual/``.

        See ``spellings``. Raises TranscriberError ``ambiguous_name``.
        """
        return spellings.meant(name, (self.folder.path, self.manual.path), paths=paths)

    def delete(self, name: str, planned: Sequence[str]) -> list[str]:
        """Delete a recording, here and in ``manual/``, with every file that was made from it.

        ``planned``: texts that a run was about to write. Returns what was there, names in the
        share as they are, those in manual with its folder in front. The recording goes first, so
        that an interrupted deletion does not leave it to be transcribed again.
        """
        self.folder.require()
        fingerprints = self._fingerprints(name)
        deleted = delete_under(self.folder.path, name, planned)
        prefix = self.manual.path.name
        deleted += [f"{prefix}/{n}" for n in delete_under(self.manual.path, name, ())]
        with contextlib.suppress(StorageError):
            for fingerprint in fingerprints:
                self.listening.forget(fingerprint)
        return deleted

    def _fingerprints(self, name: str) -> list[str]:
        """Of the recordings of this name, here and in ``manual/``."""
        found = []
        for folder in (self.folder.path, self.manual.path):
            with contextlib.suppress(StorageError):
                found.append(identity_of(folder / name).fingerprint)
        return found

    def drop_leftovers(self, name: str) -> None:
        """Remove what an earlier life of a recording left, here and in ``manual/``."""
        self.states.drop(name)
        remove(self.folder.at(RecordingPaths(name).error_text))
        self.manual.end_return(name)
