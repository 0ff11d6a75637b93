"""What the API calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modules.config.schema import Config
from modules.jobs.events import Events
from modules.live.sessions import LiveSessions
from modules.recordings.uploads import Uploads
from modules.service.editing import Editing
from modules.service.listening import Listening
from modules.service.metrics import Metrics
from modules.service.one_time_uploads import OneTimeUploads
from modules.service.part_states import PartStates
from modules.service.resumable_uploads import ResumableUploads
from modules.service.service import TranscriptionService
from modules.service.summary_view import SummaryView
from modules.service.task_list import TaskList
from modules.service.text_search import TextSearch
from modules.service.waiting import Waiting
from modules.service.worker_view import Workers


@dataclass(frozen=True)
class Services:
    """What the blueprints call; ``report_health`` is the answer of ``/health``.

    ``workers``: None on a replica, which has none.
    """

    config: Config
    service: TranscriptionService
    tasks: TaskList
    editing: Editing
    search: TextSearch
    events: Events
    waiting: Waiting
    metrics: Metrics
    uploads: Uploads
    one_time: OneTimeUploads
    resumable: ResumableUploads
    listening: Listening
    live: LiveSessions
    summaries: SummaryView
    report_health: Callable[[], dict[str, Any]]
    parts: PartStates
    workers: Workers | None
