"""With which settings a found file is transcribed; it waits while those beside it are wrong."""

from __future__ import annotations

import math

from modules.clock import Clock, iso
from modules.jobs.job import ErrorInfo, Job, Priority, Status
from modules.jobs.scheduler import Scheduler
from modules.recordings.settings_files import SettingsError
from modules.recordings.state_store import StateStore
from modules.runner.held_settings import HeldSettings
from modules.runner.outage import HOLD_S, error_info


class SettingsChoice:
    """Gives jobs their settings, and wakes those that waited once the settings are right."""

    def __init__(
        self, scheduler: Scheduler, states: StateStore, held: HeldSettings, clock: Clock
    ) -> None:
        self._scheduler = scheduler
        self._states = states
        self._held = held
        self._clock = clock

    def apply(self, job: Job) -> Job | None:
        """A found file as the settings beside it want it; None if it waits until they are right.

        A requested file has them from its request; one that has begun keeps those it began with.
        Raises StorageError.
        """
        if job.priority is Priority.API or self._states.has_begun(job):
            return job
        try:
            chosen = self._held.settings_for(job.name)
        except SettingsError as error:
            # Woken by ``poll``, so that it does not come and go meanwhile.
            changes = {"error": self._info(job, error), "not_before": math.inf}
            self._scheduler.release(job.name, Status.WAITING, error.in_short, **changes)
            kept = self._scheduler.get(job.name)
            if kept and kept.priority is Priority.API:  # requested at this very moment
                self._scheduler.wake(kept.name, "ordered", error=None)
            return None
        return self._scheduler.update(
            # A request that promoted it meanwhile has brought its own settings.
            job.name,
            lambda j: j if j.priority is Priority.API else j.evolve(settings=chosen, error=None),
        )

    def poll(self) -> None:
        """Wake the files whose settings were corrected, or are wrong in another way."""
        for name, error in self._held.changes(self._waits):
            job = self._scheduler.get(name)
            if job:
                info = self._info(job, error) if error else None
                self._scheduler.wake(name, "the settings beside it were changed", error=info)

    def _waits(self, name: str) -> bool:
        job = self._scheduler.get(name)
        if job is None or job.priority is Priority.API or job.attempts:
            return False
        return job.status in (Status.QUEUED, Status.WAITING)

    def _info(self, job: Job, error: SettingsError) -> ErrorInfo:
        return error_info(error, job.attempt_number, iso(self._clock.utc_now()), HOLD_S)
