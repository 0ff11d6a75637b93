"""Recordings that failed and are left where they are: their state says so until they change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modules.errors import StorageError, TranscriberError
from modules.jobs.job import Job
from modules.jobs.source import FileIdentity
from modules.recordings.manual import Failure
from modules.recordings.shared_folder import SharedFolder
from modules.recordings.sidecars import ERROR_TEXT_BYTES_MAX, STATE_BYTES_MAX, RecordingPaths
from modules.recordings.state import shown
from modules.recordings.state_store import StateStore
from modules.storage.atomic import remove, storage_errors, write_own
from modules.storage.safe_open import read_json, read_regular
from modules.storage.transfer import is_regular


class LeftFailures:
    """Each method raises StorageError while the share cannot be used."""

    def __init__(self, folder: SharedFolder, states: StateStore) -> None:
        self._folder = folder
        self._states = states

    def note(self, job: Job, explanation: str) -> None:
        """Keep why a recording failed. The text is there before the state says so.

        What was done of it goes: whoever tries it again begins anew.
        """
        path = self._folder.ready(self._error_text(job.name))
        write_own(path, explanation.encode(errors="replace"))
        self._states.save(job)
        self._states.drop_checkpoint(job.name)

    def state_of(self, name: str) -> dict[str, Any]:
        """The ``.in_progress`` of a recording that failed and is still the same; empty if it is
        none."""
        content = self._read(name)
        try:
            source = FileIdentity.model_validate(content.get("source"))
        except ValueError:
            return {}
        return content if self._folder.is_still(name, source) else {}

    def of(self, name: str) -> Failure | None:
        """What is known of one that failed; None if there is nothing, or it has changed since."""
        state = self.state_of(name)
        if not state:
            return None
        size = self._folder.state_of(name)[0]
        return Failure(name, size, shown(state), self._explanation(name), is_left=True)

    def forget(self, name: str) -> None:
        """A recording is gone: nothing is kept of its failure."""
        self._states.drop(name)
        remove(self._error_text(name))

    def is_kept(self, name: str) -> bool:
        """Whether a failure is kept of a recording, be that there or not."""
        return bool(self._read(name))

    def _read(self, name: str) -> dict[str, Any]:
        path = self._folder.sidecar_at(RecordingPaths(name).state)
        with storage_errors(path):
            try:
                content = read_json(path, STATE_BYTES_MAX) if is_regular(path) else {}
            except StorageError:
                raise
            except TranscriberError:
                return {}
        is_failure = content.get("status") == "error" and not content.get("moved_to_manual")
        return content if is_failure else {}

    def _error_text(self, name: str) -> Path:
        return self._folder.sidecar_at(RecordingPaths(name).error_text)

    def _explanation(self, name: str) -> str | None:
        try:
            text = read_regular(self._error_text(name), ERROR_TEXT_BYTES_MAX)
        except OSError:
            return None
        return text.decode("utf-8", "replace")
