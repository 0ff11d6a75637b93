"""What the watcher reports: a file is complete, was replaced, or was deleted. Thread-safe."""

from __future__ import annotations

import threading
from collections.abc import Callable

from modules.clock import Clock
from modules.config.schema import Config
from modules.errors import StorageError, noted
from modules.intake.new_job import job_of_file, job_of_replaced_file
from modules.intake.recovery import JobRecovery
from modules.intake.requests import Requests
from modules.jobs.job import Cause, Job, Status
from modules.jobs.scheduler import Scheduler
from modules.logger import get_logger
from modules.recordings.state_writer import StateWriter
from modules.recordings.store import RecordingStore
from modules.watching.stability import FileSample

log = get_logger("Intake")


class Intake:
    """The watcher's sink; ``requests`` takes in what clients ask for, ``recovery`` earlier jobs.

    ``is_complete(name)``: whether the watcher has reported the file as it is now.
    ``look_again(name)`` makes it report the file once more. ``is_same_share()``: False while
    another folder is mounted at the share's path. ``on_ended``: see ``JobRecovery``.
    ``on_placed(name, state)`` is called for a file that came back whole from ``manual/``.
    """

    def __init__(
        self,
        config: Config,
        scheduler: Scheduler,
        files: RecordingStore,
        writer: StateWriter,
        clock: Clock,
        *,
        is_complete: Callable[[str], bool],
        look_again: Callable[[str], None],
        is_same_share: Callable[[], bool],
        on_ended: Callable[[Job], None],
        on_placed: Callable[[str, tuple[int, int, int]], None] = lambda name, state: None,
    ) -> None:
        self._config = config
        self._scheduler = scheduler
        self._files = files
        self._writer = writer
        self._clock = clock
        self._look_again = look_again
        self._is_same_share = is_same_share
        #: One file or request becomes a job at a time. Taken before the writer's lock.
        self._one_at_a_time = threading.Lock()
        self.recovery = JobRecovery(
            config, scheduler, files, clock, look_again=look_again, on_ended=on_ended
        )
        self.requests = Requests(
            scheduler, files, writer, clock, self.recovery, self._one_at_a_time,
            is_complete=is_complete, look_again=look_again, require_same_share=self._require_share,
            on_placed=on_placed,
        )  # fmt: skip

    def on_complete(self, name: str, sample: FileSample) -> None:
        """A file is complete and was not seen in this state before."""
        job = self._scheduler.get(name)
        if job is None:
            if not self.recovery.take_up_orphan(name):
                self._take_in(name)
        elif job.status is Status.ARRIVING:
            self._scheduler.arrived(name)
        elif self._matters_now(job) and not self._is_same(job, sample):
            self._start_over(job)

    def on_deleted(self, name: str) -> None:
        """A file was deleted or renamed by hand; the share itself is there."""
        if self._scheduler.get(name) is None:
            if self._config.processing.failed == "leave" and self._files.left.is_kept(name):
                self._files.left.forget(name)
            return
        with self._writer.quiet():
            # First, because it can fail: then the watcher reports it once more.
            self._files.states.drop(name)
            self._scheduler.cancel(name, Cause.GONE)

    @staticmethod
    def _matters_now(job: Job) -> bool:
        """For a job that only waits its turn, the runner looks when that comes."""
        return job.status is Status.RUNNING or job.waits_for_growth

    def _take_in(self, name: str) -> None:
        """A file without a job: a new one, unless its result is there already."""
        try:
            # Not while a request takes the same file in: its state would be taken for a leftover.
            with self._one_at_a_time:
                if self.recovery.job_of(name) or self._files.results.is_done(name):
                    return
                self._require_share()
                if self._is_passed_over(name):
                    return
                # All jobs of this run are in the queue: what lies beside the file is a leftover.
                self._files.drop_leftovers(name)
                # The settings beside it are read when its turn comes.
                settings = self._config.default_settings()
                self._scheduler.submit(job_of_file(name, settings, self._clock.utc_now()))
        except StorageError as error:
            log.warning("%s: looking again: %s", name, error)
            self._look_again(name)

    def _is_passed_over(self, name: str) -> bool:
        """Whether it is no recording, has subtitles, or failed and has not changed since."""
        if self._files.ignored.look(name):
            return True
        if subtitles := self._files.subtitles.beside(name):
            log.info("%s is skipped: it has subtitles already (%s)", name, subtitles)
            return True
        return self._config.processing.failed == "leave" and bool(self._files.left.state_of(name))

    def _require_share(self) -> None:
        """What lies in another folder is no leftover. Raises StorageError."""
        if not self._is_same_share():
            raise StorageError("share_unavailable", noted("Another folder is mounted there."))

    def _start_over(self, job: Job) -> None:
        """The file was replaced, or has grown: the run is dropped, and the file is new work."""
        with self._writer.quiet():
            self._files.states.drop(job.name)
            self._scheduler.cancel(job.name, Cause.REPLACED)
            kept = self._scheduler.submit(job_of_replaced_file(job))
            self._writer.record_if_possible(kept)

    def _is_same(self, job: Job, sample: FileSample) -> bool:
        """By size and mtime; where only the mtime differs, by the content."""
        source = job.source
        if source is None or (source.size, source.mtime_ns) == (sample.size, sample.mtime_ns):
            return True
        if sample.size != source.size or not self._files.folder.is_there(job.name):
            return False
        return source.surely_same_as(self._files.folder.identity(job.name))
