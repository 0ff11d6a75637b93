"""Is the file of a job still the one that the job is about?"""

from __future__ import annotations

from collections.abc import Callable

from modules.jobs.job import Cause, Job, Priority, Progress, Status
from modules.jobs.scheduler import Scheduler
from modules.recordings.present_subtitles import PresentSubtitles
from modules.recordings.shared_folder import SharedFolder
from modules.recordings.state_store import StateStore
from modules.recordings.state_writer import StateWriter


class SourceCheck:
    """Ends jobs whose file was deleted, and sends those whose file was replaced back to arrive.

    ``look_again(name)`` is called for a file that is no longer what its job was about: the watcher
    reports it again once it is complete.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        folder: SharedFolder,
        states: StateStore,
        writer: StateWriter,
        look_again: Callable[[str], None],
    ) -> None:
        self._scheduler = scheduler
        self._folder = folder
        self._states = states
        self._writer = writer
        self._look_again = look_again

    def current(self, job: Job, ran: bool = False) -> Job | None:
        """The job, with the identity of its file known; None if it ended here or was cancelled.

        ``ran``: the file was read from end to end since it was checked before. StorageError.
        """
        if not self._folder.is_there(job.name):
            self.deleted(job)
            return None
        identity = self._folder.identity(job.name)
        known = job.source or identity
        if not (known.surely_same_as(identity) if ran else known.same_as(identity)):
            self._replaced(job)
            return None
        if known.mtime_ns == identity.mtime_ns:
            identity = known  # one read during a write would describe a file that never existed
        return self._scheduler.update(job.name, lambda j: j.evolve(source=identity))

    def is_skipped(self, job: Job, subtitles: PresentSubtitles) -> bool:
        """Whether a found one has subtitles by now; then its job ends here. Raises StorageError."""
        if job.priority is not Priority.SCAN or job.attempts or not subtitles.beside(job.name):
            return False
        with self._writer.quiet():
            if not self._scheduler.still_runs(job.name):
                return True
            self._states.drop(job.name)
            cause = Cause.HAS_SUBTITLES
            self._scheduler.release(job.name, Status.CANCELLED, cause, cause=cause)
        return True

    def deleted(self, job: Job) -> None:
        """Deleted or renamed by hand: not the file's fault, and nothing is left to do."""
        with self._writer.quiet():
            self._scheduler.cancel(job.name, Cause.GONE)
            # What cannot be removed now is removed later; there is no job any more to wait for it.
            self._writer.clear(job.name, with_checkpoint=True)
        # Back already, it would look to the watcher as if it had never been away.
        self._look_again(job.name)

    def _replaced(self, job: Job) -> None:
        """Another file has this name: what was done is void, and it waits until it is complete."""
        with self._writer.quiet():
            # First, because it can fail; then the job is held, and looked at again.
            self._states.drop(job.name)
            self._scheduler.release(
                job.name,
                Status.ARRIVING,
                "the file was replaced",
                source=None,
                uploaded=False,
                attempts=(),
                nodes_lost=0,
                position_s=0.0,
                last_segments=(),
                progress=Progress(),
                outputs=(),
                error=None,
            )
            kept = self._scheduler.get(job.name)
            if kept:
                self._writer.record_if_possible(kept)
        self._look_again(job.name)
