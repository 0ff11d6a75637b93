"""``manual/`` as the daemon uses it: moves there and back, and what lies in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modules.errors import TranscriberError, noted
from modules.jobs.job import Job
from modules.jobs.source import FileIdentity
from modules.recordings import manual, manual_return, settings_files
from modules.recordings.names import is_recording
from modules.recordings.results import Results, outputs_in
from modules.recordings.shared_folder import SharedFolder, has_identity
from modules.recordings.sidecars import RecordingPaths
from modules.recordings.state import job_to_json
from modules.recordings.state_store import StateStore
from modules.storage import beneath, transfer
from modules.storage.atomic import put_aside_unless, remove, storage_errors


class ManualFolder:
    """Each method raises StorageError while one of the two folders cannot be used."""

    def __init__(
        self, path: Path, folder: SharedFolder, states: StateStore, results: Results
    ) -> None:
        self.path = path
        beneath.guard(path)
        self._folder = folder
        self._states = states
        self._results = results

    def take(self, job: Job, explanation: str) -> Path:
        """Move a recording and its service files here, with a text that says why.

        Raises StorageError, also if another file took its name meanwhile; that one stays.
        """
        identity = job.source
        texts, outputs = self._results.texts(job.name)
        moved = manual.move(
            manual.Places(self._folder.path, self._folder.sidecars, texts),
            self.path,
            job.name,
            outputs,
            job_to_json(job) | {"moved_to_manual": True},
            explanation,
            is_same=lambda path: identity is None or has_identity(path, identity),
        )
        self._folder.prune(job.name)
        return moved

    def has(self, name: str) -> bool:
        """Whether a recording of this name lies here."""
        with storage_errors(self.path / name):
            return is_recording(name) and transfer.is_regular(self.path / name)

    def failures(self) -> list[manual.Failure]:
        """The recordings that lie here, by name."""
        return manual.listing(self.path)

    def failure(self, name: str) -> manual.Failure | None:
        """One recording, or None if it is not here."""
        return manual.failure(self.path, name) if self.has(name) else None

    def state_of(self, name: str) -> dict[str, Any]:
        """The state of a recording that lies here, empty if it has none."""
        return manual.state_of(self.path, name) if self.has(name) else {}

    def source_of(self, name: str) -> tuple[int, int] | None:
        """Size and mtime in nanoseconds that a recording had when it failed, if that is known."""
        source = self.state_of(name).get("source")
        try:
            identity = FileIdentity.model_validate(source) if source else None
        except ValueError:
            identity = None
        return (identity.size, identity.mtime_ns) if identity else None

    def was_moved(self, job: Job) -> bool:
        """Whether this very job ended here, with its recording."""
        with storage_errors(self.path / job.name):
            return manual.moved_before(self.path, job.name, job.job_id) is not None

    def bring_back(self, name: str, requested: Job | None = None) -> None:
        """Move a recording back into the share, without what was made from it.

        Its settings and corrections come along; where the share has some already, those hold.
        ``requested``: the new job, saved before the recording is there, so that no crash parts the
        two. A repeat resumes where the last one was interrupted. Raises TranscriberError if it is
        not here or the name is taken, StorageError.
        """
        if not self.has(name):
            raise TranscriberError(
                "file_not_found", noted("There is no file {name!r} in manual/.", name=name)
            )
        self._folder.require()
        if self._folder.is_taken(name) and not self._is_returned(name):
            raise _name_taken(name)
        if requested:
            target = self._folder.at(name)
            with storage_errors(target):
                beneath.make_folders(target.parent)
            self._states.save(requested)
        edits = RecordingPaths(name).edits
        with storage_errors(self.path / edits):
            has_edits = transfer.is_regular(self.path / edits)
        if has_edits:
            self._folder.ready(self._folder.sidecar_at(edits))
        shared, sidecars = self._folder.path, self._folder.sidecars
        if not manual_return.bring_back(self.path, shared, sidecars, name):
            if requested:
                self._states.drop_in_progress(name)
            raise _name_taken(name)
        left = self.path / edits
        with storage_errors(left):
            put_aside_unless(left, lambda _: False)  # the share has others already
        delete_under(self.path, name, ())

    def _is_returned(self, name: str) -> bool:
        shared = self._folder.path
        return self._folder.is_there(name) and manual_return.is_returned(self.path, shared, name)

    def end_return(self, name: str) -> None:
        """Remove from here what an interrupted return left."""
        manual_return.end_return(self.path, self._folder.path, name)
        with storage_errors(self.path / name):
            is_taken = transfer.is_taken(self.path / name)
        if not is_taken:
            paths = RecordingPaths(name)
            for left in (paths.checkpoint, paths.error_text, paths.state):
                remove(self.path / left)

    def set_aside(self, name: str) -> None:
        """Move a ``.in_progress`` without a recording, and its checkpoint, here."""
        paths = RecordingPaths(name)
        for sidecar in (paths.checkpoint, paths.state):
            manual_return.set_aside(self._folder.sidecars, self.path, sidecar)


def delete_under(root: Path, name: str, planned: Sequence[str]) -> list[str]:
    """Delete a recording under a folder with all that was made from it; answers what was there.

    ``planned``: texts that a run was about to write. Raises StorageError.
    """
    outputs = outputs_in(root, name)
    own = settings_files.own_files(root, name)
    texts = (*outputs, *planned, RecordingPaths(name).summary_text)
    names = dict.fromkeys([name, *texts, *own, *service_files(name)])
    return [each for each in names if remove(root / each)]


def service_files(name: str) -> tuple[str, ...]:
    """What we keep of a recording, in the order in which it is deleted."""
    paths = RecordingPaths(name)
    made = (paths.summary, paths.result, paths.edits)
    return (*made, paths.checkpoint, paths.error_text, paths.state)


def _name_taken(name: str) -> TranscriberError:
    return TranscriberError(
        "name_taken",
        noted("The shared folder has a file {name!r} already.", name=name),
        remedy=noted("Rename or delete that one first."),
    )
