"""What is kept of a job beside its recording: ``.in_progress`` and the checkpoint."""

from __future__ import annotations

import itertools
import stat
from pathlib import Path

from modules.config.settings import TranscriptionSettings
from modules.jobs.job import Job
from modules.recordings import checkpoint
from modules.recordings.shared_folder import SharedFolder
from modules.recordings.sidecars import STATE_BYTES_MAX, RecordingPaths
from modules.recordings.state import job_to_json
from modules.storage.atomic import put_aside_unless, remove, storage_errors, to_json, write_own
from modules.storage.transfer import is_taken


class StateStore:
    """Each method that touches the disk raises StorageError while the share cannot be used."""

    def __init__(self, folder: SharedFolder) -> None:
        self._folder = folder
        self.fence = folder.fence

    def save(self, job: Job) -> None:
        """Write the job's ``.in_progress``; without its last segments where they are too large."""
        self._folder.require()
        path = self._folder.ready(self._folder.sidecar_at(RecordingPaths(job.name).state))
        content = to_json(job_to_json(job))
        if len(content) > STATE_BYTES_MAX:
            content = to_json(job_to_json(job.evolve(last_segments=())))
        write_own(path, content)

    def drop(self, name: str) -> None:
        """Remove ``.in_progress`` and the checkpoint of a recording."""
        self._folder.require()  # or files that are away would pass for removed
        # In this order: what a crash in between leaves is found, and removed, at start.
        self.drop_checkpoint(name)
        remove(self._folder.sidecar_at(RecordingPaths(name).state))

    def drop_checkpoint(self, name: str) -> None:
        """Remove the checkpoint alone: it is about other bytes."""
        remove(self.checkpoint_path(name))

    def drop_in_progress(self, name: str) -> None:
        """Remove ``.in_progress`` alone; the checkpoint is kept for people to look at."""
        self._folder.require()
        remove(self._folder.sidecar_at(RecordingPaths(name).state))

    def has_begun(self, job: Job) -> bool:
        """Whether anything was tried or done for a job; then its settings stay as they are."""
        return bool(job.attempts) or _is_taken(self.checkpoint_path(job.name))

    def checkpoint_path(self, name: str) -> Path:
        return self._folder.sidecar_at(RecordingPaths(name).checkpoint)

    def read_checkpoint(self, job: Job) -> checkpoint.Checkpoint:
        """The finished chunks of this job; empty if they belong to other bytes or settings."""
        if job.source is None:
            return checkpoint.Checkpoint()
        header = checkpoint.Header(settings=job.settings, source=job.source)
        self._make_room(job.name)
        return checkpoint.read(self.checkpoint_path(job.name), header)

    def open_checkpoint(self, job: Job, sound: checkpoint.Checkpoint) -> checkpoint.Writer:
        """A writer that appends to the sound part."""
        assert job.source is not None
        self._folder.require()
        header = checkpoint.Header(settings=job.settings, source=job.source)
        self._make_room(job.name)
        path = self._folder.ready(self.checkpoint_path(job.name))
        return checkpoint.Writer(path, header, sound, self.fence)

    def adopt(self, name: str, settings: TranscriptionSettings, begun: checkpoint.Begun) -> None:
        """Make a checkpoint of chunks that were finished before the recording was there, unless
        they were made with other settings. It has no job yet."""
        header = checkpoint.Header(settings=settings, source=self._folder.identity(name))
        lines = checkpoint.carried(begun, header)
        first = next(lines, None)
        if first is not None:
            path = self._folder.ready(self.checkpoint_path(name))
            write_own(path, itertools.chain((first,), lines))

    def _make_room(self, name: str) -> None:
        """What is no file under the name of a checkpoint is not ours, and must not hold the job."""
        path = self.checkpoint_path(name)
        with storage_errors(path):
            put_aside_unless(path, stat.S_ISREG)


def _is_taken(path: Path) -> bool:
    with storage_errors(path):
        return is_taken(path)
