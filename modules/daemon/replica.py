"""A process that answers requests beside the owner of the folder: reads itself, passes orders on.

It takes no lock, writes no state, and opens no file of the owner's but to read it. The application
is the daemon's own, over parts that look at the folder in place of a queue.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from typing import Any, NoReturn

import psutil

from modules.api.app import create_app
from modules.api.replica import Ask, make_replica, not_on_replica, passed_on
from modules.api.server.admission import Admission
from modules.api.server.cors import Cors
from modules.api.server.http_server import Server
from modules.api.server.refusals import Refusal, refusal_of
from modules.api.services import Services
from modules.clock import Clock
from modules.config.schema import Config
from modules.config.settings import TranscriptionSettings
from modules.daemon.signals import stop_signals
from modules.errors import StorageError
from modules.intake.request import TranscriptionRequest
from modules.jobs.estimates import Estimates
from modules.jobs.events import Events
from modules.jobs.queue_reader import JobLookup, QueueReader
from modules.jobs.thread_loop import ThreadLoop
from modules.logger import get_logger
from modules.recordings.lock import has_owner
from modules.recordings.names import is_recording
from modules.recordings.store import RecordingStore
from modules.recordings.uploads import Uploads
from modules.service import replica_mail
from modules.service.answers import Text
from modules.service.editing import Editing
from modules.service.folder_queue import FolderEvents, FolderQueue
from modules.service.listening import Listening
from modules.service.metrics import Metrics, Observation
from modules.service.request_checks import RequestChecks
from modules.service.service import TranscriptionService
from modules.service.status import StatusReader
from modules.service.submission import Submission
from modules.service.summary_view import SummaryView
from modules.service.task_list import TaskList
from modules.service.waiting import Disconnected, Waiting
from modules.storage import beneath

log = get_logger("Replica")

_TICK_S, _FAILED_S, _STOP_S = 0.5, 10.0, 10.0
_THREADS, _CONNECTIONS = 16, 500
_ABSENT: Any = None


class _NoIndex:
    """Job ids that are not in the folder are asked of the owner."""

    def find(self, job_id: str) -> None:
        return None

    def latest(self, name: str) -> None:
        return None


class _CopiesThatAreThere(Listening):
    """Copies for listening are made by the owner."""

    def _wanted(self, order: object) -> NoReturn:
        raise not_on_replica()


class _Service(TranscriptionService):
    """Orders that come with an upload are passed on once it has landed."""

    folder_queue: QueueReader
    ask: Ask
    defaults: TranscriptionSettings

    @property
    def paused(self) -> bool:
        return self.folder_queue.paused

    def check(self, request: TranscriptionRequest) -> TranscriptionSettings:
        """Only the name: the owner checks the rest, and refuses what has landed then."""
        self._checks.check_name(request.name)
        return self.defaults

    def transcribe(
        self, request: TranscriptionRequest, wait: bool | None, disconnected: Disconnected
    ) -> NoReturn:
        order = {"filename": request.name, **request.wishes, "force": request.force}
        if request.job_id:
            order["job_id"] = request.job_id
        if request.callback_urls:
            order["callback_url"] = request.callback_urls[0]
        raise passed_on(self.ask, order)


class _Submission(Submission):
    """Nothing is promoted without an owner."""

    def _promote(self, name: str) -> NoReturn:
        raise replica_mail.OwnerAwayError


class Replica:
    """The process. ``run`` returns when a signal or ``stop`` asks for it."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._stopping = False
        self._store = RecordingStore.of(config)
        self._queue = FolderQueue(config, self._store, clock)
        self._events = Events()
        self._waiting = Waiting(clock, 0)
        place = f"{os.uname().nodename}-{os.getpid()}".replace("/", "_")
        self._uploads = Uploads(
            self._store.folder.state / "replica-uploads" / place, config.shared_directory
        )

    def run(self) -> None:
        """Serve until stopped. Raises StorageError, TranscriberError."""
        self._store.folder.require()
        self._uploads.prepare()
        server = self._server()
        events = FolderEvents(self._queue, self._events, self._store.results.is_done)
        loop = ThreadLoop(
            "folder events", events.tick, lambda: log.exception("Events cannot be told"),
            failure_pause_s=_FAILED_S,
        )  # fmt: skip
        with stop_signals(self.stop):
            server.start()
            loop.start()
            log.info("Answering beside the owner of %s", self._config.shared_directory)
            try:
                while not self._stopping:
                    time.sleep(_TICK_S)
            finally:
                log.info("Stopping")
                self._waiting.close()
                self._events.wake_all()
                server.stop()
                loop.stop(_STOP_S)
                with contextlib.suppress(OSError):
                    beneath.remove_folder(self._uploads.folder)
        log.info("Stopped")

    def stop(self) -> None:
        """Ask ``run`` to return. Safe from any thread and from a signal handler."""
        self._stopping = True

    def _ask(self, request: replica_mail.Forwarded) -> replica_mail.Reply:
        return replica_mail.ask(
            self._config.shared_directory, request, self._clock, self._has_owner
        )

    def _has_owner(self) -> bool:
        return has_owner(self._config, self._clock)

    def _finished(self, key: str) -> Text | None:
        name = self._store.meant(key) if not is_recording(key) else key
        try:
            result = self._store.results.read(name) if is_recording(name) else None
        except StorageError:
            return None
        done = result is not None and self._store.results.is_result_of(name, result)
        return Text(name, result) if result is not None and done else None

    def _server(self) -> Server:
        api = self._config.api
        app = create_app(self._services())
        make_replica(app, self._ask, self._finished)
        return Server(
            app, api.host, api.port, spool=self._uploads.folder,
            threads=api.max_listeners + _THREADS,
            connection_limit=api.max_listeners + _CONNECTIONS,
            idle_timeout_s=api.request_timeout_seconds,
            admit=Admission(app, api).admit, cors=Cors(api).headers, admit_upgrade=_no_upgrade,
        )  # fmt: skip

    def _services(self) -> Services:
        config, store, clock = self._config, self._store, self._clock
        queue, index = self._queue, _NoIndex()
        estimates = Estimates(store.folder.state / "speed.json")
        status = StatusReader(queue, store, index, estimates)
        checks = _checks(config, store, index)
        submission = _Submission(
            config, queue, store, _ABSENT, checks, status, index, self._waiting
        )
        service = _Service(_ABSENT, store, _ABSENT, checks, status, submission, _ABSENT, clock)
        service.folder_queue, service.ask = queue, self._ask
        service.defaults = config.default_settings()
        editing = Editing(
            store, clock, config.output.txt_timestamps, lambda name: None,
            language=config.messages.language,
        )  # fmt: skip
        return Services(
            config, service, TaskList(config, store, queue, status, clock), editing, _ABSENT,
            self._events, self._waiting, Metrics(_nothing_observed), self._uploads, _ABSENT,
            _ABSENT, _CopiesThatAreThere(config, store, clock), _ABSENT, SummaryView(store, None),
            self._health, _ABSENT, _ABSENT,
        )  # fmt: skip

    def _health(self) -> dict[str, Any]:
        """The answer of ``/health``: of what this process is for, which is to read."""
        reasons, broken, running = [], None, None
        try:
            self._store.folder.require()
            jobs, running = self._queue.jobs(), self._queue.running
        except (StorageError, OSError) as error:
            jobs, broken = [], f"the shared folder is unavailable: {error}"
        has_owner = broken is None and self._has_owner()
        if broken is None and not has_owner:
            reasons.append("no service works on the folder; texts can be read")
        return {
            "status": "unhealthy" if broken else "degraded" if reasons else "healthy",
            "reasons": [broken] if broken else reasons,
            "troubles": ["share"] if broken else [] if has_owner else ["worker"],
            "whisperx_available": has_owner,
            "models_loaded": [],
            "memory_usage_mb": int(psutil.Process().memory_info().rss / 2**20),
            "paused": broken is None and self._queue.paused,
            "queue_length": len(jobs),
            "processing": running.name if running else None,
            "processing_all": [running.name] if running else [],
        }


def _checks(config: Config, store: RecordingStore, index: JobLookup) -> RequestChecks:
    return RequestChecks(config, _ABSENT, store.settings, index, lambda url: None, dict)


def _no_upgrade(path: str, query: str, headers: Mapping[str, str]) -> Refusal | None:
    """Live sessions are held by the owner."""
    is_web_socket = headers.get("upgrade", "").lower() == "websocket"
    return refusal_of(not_on_replica()) if is_web_socket else None


def _nothing_observed() -> Observation:
    return Observation(0, False, {}, {}, 0, 0, True, {}, {})
