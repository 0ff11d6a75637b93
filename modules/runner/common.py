"""What all runners of a daemon share, and what is remembered whichever worker a file was with."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping

from modules.clock import Clock
from modules.config.schema import Config
from modules.executors.base import HandOut
from modules.jobs.job import Job
from modules.jobs.scheduler import Scheduler
from modules.recordings.state_writer import StateWriter
from modules.recordings.store import RecordingStore
from modules.runner.growth import Growth
from modules.runner.held_settings import HeldSettings
from modules.runner.publishing import Publisher
from modules.runner.settings_choice import SettingsChoice
from modules.runner.source_check import SourceCheck
from modules.runner.unreadable import UnreadableFiles


class Common:
    """Collaborators and memory of the runners. What is kept by name is only of files in hand.

    ``look_again(name)`` is called for a file that is no longer what its job was about: the watcher
    reports it again once it is complete. ``compute_types``: as ``Capabilities`` has them.
    """

    def __init__(
        self,
        config: Config,
        scheduler: Scheduler,
        store: RecordingStore,
        publisher: Publisher,
        writer: StateWriter,
        clock: Clock,
        look_again: Callable[[str], None],
        compute_types: Callable[[], Mapping[str, tuple[str, ...]]],
    ) -> None:
        self.config = config
        self.scheduler = scheduler
        self.store = store
        self.publisher = publisher
        self.writer = writer
        self.clock = clock
        self.look_again = look_again
        self.held = HeldSettings(config, store.settings, clock, compute_types)
        self.settings = SettingsChoice(scheduler, store.states, self.held, clock)
        self.sources = SourceCheck(scheduler, store.folder, store.states, writer, look_again)
        self.unreadable = UnreadableFiles(scheduler, store.folder, clock)
        self.growth = Growth(store.folder, config.processing.growth_wait_seconds, clock)
        #: Files whose child died while it had prefetched the next one: retried without prefetch.
        self.without_prefetch: set[str] = set()
        #: A file that must hold still for a moment before it has a job.
        self.expected: str | None = None
        self._epoch = uuid.uuid4().hex
        self._polling = threading.Lock()

    def poll(self) -> None:
        """Look whether what a person had to do for a waiting file was done."""
        if not self._polling.acquire(blocking=False):
            return  # another runner looks at this moment
        try:
            self.settings.poll()
            self.unreadable.poll()
        finally:
            self._polling.release()

    def handout_of(self, job: Job) -> HandOut:
        """Names the calling thread's present run of a job."""
        order = self.scheduler.order_of(job.name)
        assert order is not None, "only the runner that took a job hands it out"
        return HandOut(job.job_id, self._epoch, order)

    def forget(self, name: str) -> None:
        """The job is over."""
        self.without_prefetch.discard(name)
        self.growth.forget(name)
