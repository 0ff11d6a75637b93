"""The folder at one moment, with what the daemon says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from modules.cli.daemon_status import Owner, find_owner
from modules.cli.workers import workers_of
from modules.clock import Clock
from modules.config.schema import Config
from modules.errors import reason_of
from modules.jobs.estimates import Estimates
from modules.recordings.store import RecordingStore
from modules.service.folder_view.forecast import Waiting, forecast
from modules.service.folder_view.report import Report, Reporter
from modules.service.worker_view import WorkerView

#: Who holds the lock is found out by trying it, which is not worth doing each second. What the
#: workers do is asked by a file in the folder.
_OWNER_EVERY_S = 5.0


@dataclass
class Snapshot:
    """What one look saw. ``problem``: why the folder could not be looked at.

    ``workers``: those of a cluster; none where there is this machine's alone.
    """

    report: Report = field(default_factory=Report)
    waiting: Sequence[Waiting] = ()
    owner: Owner | None = None
    paused: bool = False
    problem: str | None = None
    workers: Sequence[WorkerView] = ()


class SnapshotReader:
    """Looks at the folder, again and again."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._files = RecordingStore.of(config)
        self._reporter = Reporter(config, self._files)
        self._settings = config.default_settings()
        self._owner: Owner | None = None
        self._owner_due = clock.monotonic()
        self._workers: Sequence[WorkerView] = ()

    def look(self) -> Snapshot:
        try:
            report = self._reporter.look()
            paused = self._files.pause_flag.exists()
            owner = self._owner_now()
        except OSError as error:
            return Snapshot(problem=reason_of(error))
        estimates = Estimates(self._files.folder.state / "speed.json")
        now = self._clock.utc_now()
        workers = self._config.tasks_at_once
        waiting = forecast(report.rows, estimates, self._settings, now, paused, workers=workers)
        return Snapshot(report, waiting, owner, paused, workers=self._workers)

    def _owner_now(self) -> Owner | None:
        if self._clock.monotonic() >= self._owner_due:
            self._owner_due = self._clock.monotonic() + _OWNER_EVERY_S
            self._owner = find_owner(self._config, self._clock)
            if self._config.workers.kind == "ray":
                self._workers = workers_of(self._config, self._clock, self._owner) or ()
        return self._owner
