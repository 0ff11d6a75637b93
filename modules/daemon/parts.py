"""What the daemon consists of; ``wiring.py`` puts it together."""

from __future__ import annotations

from dataclasses import dataclass

from modules.api.live.gate import LiveGate
from modules.daemon.deliveries import Deliveries
from modules.daemon.health import Health
from modules.executors.base import WorkerPool
from modules.intake.intake import Intake
from modules.jobs.events import Events
from modules.jobs.index import JobIndex
from modules.jobs.scheduler import Scheduler
from modules.live.sessions import LiveSessions
from modules.recordings.state_writer import StateWriter
from modules.recordings.store import RecordingStore
from modules.recordings.uploads import Uploads
from modules.runner.runners import Runners
from modules.service.editing import Editing
from modules.service.folder_responder import FolderResponder
from modules.service.job_events import JobEvents
from modules.service.listening import Listening
from modules.service.metrics import Metrics
from modules.service.one_time_uploads import OneTimeUploads
from modules.service.part_states import PartStates
from modules.service.resumable_uploads import ResumableUploads
from modules.service.retention import Retention
from modules.service.service import TranscriptionService
from modules.service.summary_view import SummaryView
from modules.service.task_list import TaskList
from modules.service.text_search import TextSearch
from modules.service.text_writer import TextWriter
from modules.service.waiting import Waiting
from modules.service.worker_view import Workers
from modules.watching.watcher import Watcher


@dataclass(frozen=True)
class Core:
    """What brings a file from the folder to its published result."""

    store: RecordingStore
    events: Events
    scheduler: Scheduler
    writer: StateWriter
    intake: Intake
    pool: WorkerPool
    watcher: Watcher
    runner: Runners
    health: Health


@dataclass(frozen=True)
class Clients:
    """What clients use, and what follows when a job ends."""

    index: JobIndex
    waiting: Waiting
    metrics: Metrics
    deliveries: Deliveries
    uploads: Uploads
    one_time: OneTimeUploads
    resumable: ResumableUploads
    job_events: JobEvents
    service: TranscriptionService
    tasks: TaskList
    search: TextSearch
    editing: Editing
    text_writer: TextWriter
    responder: FolderResponder
    summaries: SummaryView
    listening: Listening
    retention: Retention
    live: LiveSessions
    gate: LiveGate
    parts: PartStates
    workers: Workers

    def look(self) -> None:
        """See how the parts and the workers are, so that it is known since when."""
        self.parts.look()
        self.workers.views()

    def start(self) -> None:
        """Start the threads of what works by itself. Raises StorageError."""
        self.deliveries.start()
        self.text_writer.start()
        self.listening.start()
        self.search.start()
        self.retention.start()
        self.live.start()
        self.gate.start()

    def stop(self) -> None:
        """Join them, and close what is open."""
        self.live.stop()
        self.retention.stop()
        self.listening.stop()
        self.deliveries.stop()
        self.text_writer.stop()
        self.search.stop()
        self.index.close()
