"""The files of the daemon inside the share and ``manual/``, by what they are for.

Names are paths relative to the share, with ``/``. Every method that touches the disk raises
StorageError while the folder cannot be used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from modules.config.schema import Config
from modules.config.settings import TranscriptionSettings
from modules.errors import StorageError
from modules.recordings import settings_files, spellings
from modules.recordings.edits import Edits, fingerprint_of
from modules.recordings.ignored import IgnoredFiles
from modules.recordings.left_failures import LeftFailures
from modules.recordings.listening_copies import ListeningCopies
from modules.recordings.manual_folder import ManualFolder, delete_under, service_files
from modules.recordings.present_subtitles import PresentSubtitles
from modules.recordings.recovery import Recovery
from modules.recordings.results import Results, result_in
from modules.recordings.settings_files import RecordingSettings
from modules.recordings.shared_folder import SharedFolder, identity_of
from modules.recordings.sidecars import RecordingPaths
from modules.recordings.state_store import StateStore
from modules.recordings.summary_files import SummaryFiles
from modules.recordings.trash import Trash
from modules.storage.atomic import remove, storage_errors


class RecordingStore:
    """Wires the parts together once; callers use the part that they need."""

    def __init__(
        self,
        shared: Path,
        manual_directory: Path,
        texts: Path | None = None,
        *,
        hidden: bool = False,
        skips_by: TranscriptionSettings | None = None,
    ) -> None:
        """``texts`` and ``hidden``: see ``SharedFolder``; ``skips_by``: ``PresentSubtitles``."""
        self.folder = SharedFolder(shared, texts, hidden=hidden)
        self.states = StateStore(self.folder)
        self.results = Results(self.folder)
        self.edits = Edits(self.folder)
        self.summaries = SummaryFiles(self.folder)
        self.manual = ManualFolder(manual_directory, self.folder, self.states, self.results)
        self.left = LeftFailures(self.folder, self.states)
        self.settings = RecordingSettings(self.folder, manual_directory)
        self.subtitles = PresentSubtitles(self.folder, self.results, self.settings, skips_by)
        self.ignored = IgnoredFiles(self.folder)
        self.recovery = Recovery(self.folder, manual_directory)
        self.listening = ListeningCopies(self.folder)
        self.trash = Trash(self.folder)
        #: While this file exists no job is started; so a pause survives a restart.
        self.pause_flag = self.folder.state / "paused"

    @classmethod
    def of(cls, config: Config) -> RecordingStore:
        """That of a configuration."""
        return cls(
            config.shared_directory,
            config.manual_directory,
            config.output.directory,
            hidden=config.output.result == "hidden",
            skips_by=config.default_settings() if config.processing.skip_if_subtitles else None,
        )

    def prepare(self) -> None:
        """Create the folders that must be there."""
        found = self.folder
        needed = (found.path, self.manual.path, found.state, found.texts, found.sidecars)
        for folder in dict.fromkeys(needed):
            with storage_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
        self.folder.prepare_texts()

    def meant(self, name: str, *, paths: bool = False) -> str:
        """The recording that a client means by a name, here or in ``manual/``.

        See ``spellings``. Raises TranscriberError ``ambiguous_name``.
        """
        folders = dict.fromkeys((self.folder.path, self.folder.sidecars, self.manual.path))
        return spellings.meant(name, tuple(folders), paths=paths)

    def delete(self, name: str, planned: Sequence[str]) -> list[str]:
        """Delete a recording, here, in ``manual/`` and in the trash, with all made from it.

        ``planned``: texts that a run was about to write. Returns what was there, names in the
        share as they are, those elsewhere with the folder in front. The recording goes first, so
        that an interrupted deletion does not leave it to be transcribed again.
        """
        self.folder.require()
        fingerprints = self._fingerprints(name)
        roots = (self.folder.path, self.folder.sidecars, self.manual.path)
        meant = {each for root in roots for each in _recordings_in(root, name)}
        deleted = self._delete_here(name, planned)
        prefix = self.manual.path.name
        deleted += [f"{prefix}/{n}" for n in delete_under(self.manual.path, name, ())]
        deleted += self._delete_in_trash(name, meant)
        with contextlib.suppress(StorageError):
            for fingerprint in fingerprints:
                self.listening.forget(fingerprint)
        return deleted

    def _delete_here(self, name: str, planned: Sequence[str]) -> list[str]:
        folder, (texts, listed) = self.folder, self.results.texts(name)
        files = [folder.at(name), *(texts / each for each in listed)]
        files += map(folder.text_at, (*planned, RecordingPaths(name).summary_text))
        files += map(folder.at, settings_files.own_files(folder.path, name))
        files += map(folder.sidecar_at, service_files(name))
        deleted = [folder.shown(path) for path in dict.fromkeys(files) if remove(path)]
        folder.prune(name)
        return deleted

    def _delete_in_trash(self, name: str, meant: set[str]) -> list[str]:
        """What retention took of the recordings that are meant, by their fingerprints, or of any
        of this name; not of another one that had it once."""
        deleted = []
        for day in self.trash.folders():
            found = _recordings_in(day, name)
            if not meant or not found or meant & found:
                prefix = day.relative_to(self.folder.path).as_posix()
                deleted += [f"{prefix}/{each}" for each in delete_under(day, name, ())]
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
        paths = RecordingPaths(name)
        remove(self.folder.sidecar_at(paths.error_text))
        if self.folder.sidecars != self.folder.path:  # it may come from manual/ with all its files
            for left in (paths.checkpoint, paths.error_text, paths.state):
                # Looked at first: films may lie on a read-only disk, which refuses any removal.
                if self.folder.is_taken(left):
                    remove(self.folder.at(left))
        self.manual.end_return(name)


def _recordings_in(root: Path, name: str) -> set[str]:
    """The fingerprints of the recordings that what lies under a folder is of: of the one that is
    there, and of the one that the text was made from."""
    found = set()
    with contextlib.suppress(StorageError):
        found.add(identity_of(root / name).fingerprint)
    of_text = fingerprint_of(result_in(root, name) or {})
    return found | {of_text} if of_text else found
