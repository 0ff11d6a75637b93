"""Puts it together: wiring, signals, the beat of small duties, and the order of stopping."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from modules.api.app import create_app
from modules.api.server.access import Access
from modules.api.server.admission import Admission
from modules.api.server.http_server import Server
from modules.api.services import Services
from modules.clock import Clock
from modules.config.schema import Config
from modules.daemon.first_run import FirstRun
from modules.daemon.health import KINDS, Health
from modules.delivery.webhooks import Webhooks
from modules.errors import TranscriberError
from modules.executors.local.executor import LocalExecutor
from modules.intake.intake import Intake
from modules.jobs.estimates import Estimates
from modules.jobs.events import Events
from modules.jobs.index import JobIndex
from modules.jobs.job import Job
from modules.jobs.scheduler import Scheduler
from modules.logger import get_logger
from modules.machine.processor import memory_limit, processor
from modules.recordings.lock import HEARTBEAT_S, Ownership
from modules.recordings.state_writer import StateWriter
from modules.recordings.store import RecordingStore
from modules.recordings.uploads import Uploads
from modules.runner.publishing import Publisher
from modules.runner.runner import Runner
from modules.service import folder_orders
from modules.service.job_events import JobEvents
from modules.service.metrics import Metrics, Observation
from modules.service.request_checks import RequestChecks
from modules.service.service import TranscriptionService
from modules.service.status import StatusReader
from modules.service.submission import Submission
from modules.service.waiting import Waiting
from modules.watching.open_writers import ignore_lease_signals
from modules.watching.watcher import Watcher
from modules.weights.locate import ModelSource, locate, needed_mb

log = get_logger("Daemon")

#: How often orders in the folder are looked for, in seconds.
_TICK_S = 0.5
#: Threads and connections for requests that are answered at once.
THREADS = 16
CONNECTIONS = 500
_COMPLAINT_S = 60.0


class Daemon:
    """The whole service, once. ``run`` returns when a signal or ``stop`` asked it to."""

    def __init__(self, config: Config, clock: Clock, first_run: FirstRun | None = None) -> None:
        self._config = config
        self._clock = clock
        self._stopping = threading.Event()
        self._replaced = False
        self.files = RecordingStore(config.shared_directory, config.manual_directory)
        self.events = Events()
        self.scheduler = Scheduler(clock, self._on_change, self._on_progress)
        self.journal = StateWriter(self.files.states, self.scheduler.get)
        self.intake = Intake(
            config, self.scheduler, self.files, self.journal, clock,
            is_complete=lambda name: self.watcher.holds(name),
            look_again=lambda name: self.watcher.forget(name),
            is_same_share=self.files.folder.is_same,
            on_ended=self._on_ended_before,
        )  # fmt: skip
        self.processor = LocalExecutor(config, clock)
        self.watcher = Watcher(
            config.shared_directory,
            self.intake,
            clock,
            recursive=config.watch.recursive,
            events=config.watch.events,
            rescan_s=config.watch.rescan_seconds,
            settle_s=config.watch.settle_seconds,
            stable_s=config.watch.stable_seconds,
            excluded=(config.manual_directory,),
        )
        publisher = Publisher(self.files.folder, self.files.results)
        self.runner = Runner(
            config, self.scheduler, self.processor, self.files, publisher, self.journal, clock,
            look_again=self.watcher.forget,
        )  # fmt: skip
        self.health = Health(
            config.shared_directory, self.scheduler, self.processor, self.runner, self.watcher
        )
        self._build_services()
        self._first_run = first_run
        self._due: dict[str, float] = {}
        self._started = clock.monotonic()

    def _build_services(self) -> None:
        """What clients use, and what follows from events."""
        config, clock, state = self._config, self._clock, self.files.folder.state
        self.register = JobIndex(state / "jobs.sqlite")
        self.waiting = Waiting(clock, config.api.max_waiting)
        self.metrics = Metrics(self._observe)
        folder = state / "callbacks"
        self.callbacks = Webhooks(folder, config.callbacks, clock, self.metrics.callback)
        self.uploads = Uploads(state / "uploads", config.shared_directory)
        estimates = Estimates(state / "speed.json")
        self.job_events = JobEvents(
            config, self.register, estimates, self.callbacks, self.metrics, clock
        )
        # Waiting clients are woken after it was noted how the job ended.
        self.events.hooks += [self.job_events.on_event, self.waiting.on_event]
        requests, files = self.intake.requests, self.files
        checks = RequestChecks(
            config, requests, files.settings, self.register, self.callbacks.check,
            lambda: self.processor.capabilities.compute_types,
        )  # fmt: skip
        status = StatusReader(self.scheduler, files, self.register, estimates)
        submission = Submission(
            config, self.scheduler, files, requests, checks, status, self.register, self.waiting
        )
        self.service = TranscriptionService(
            self.scheduler, files, requests, checks, status, submission, self.register, clock
        )

    def _serve(self) -> Server:
        """The HTTP server, bound to its port. Raises TranscriberError."""
        api = self._config.api
        app = create_app(
            Services(
                self._config,
                self.service,
                self.events,
                self.waiting,
                self.metrics,
                self.uploads,
                self.health.report,
            )
        )
        holding = api.max_waiting + api.max_listeners
        return Server(
            app,
            api.host,
            api.port,
            spool=self.uploads.folder,
            # Whoever waits or listens keeps a thread; the others must never queue behind them.
            threads=holding + THREADS,
            connection_limit=holding + CONNECTIONS,
            idle_timeout_s=api.request_timeout_seconds,
            admit=Admission(app, api).admit,
        )

    def _observe(self) -> Observation:
        report = self.health.report()
        worker = self.processor.status
        return Observation(
            queue_length=report["queue_length"],
            paused=report["paused"],
            memory_mb={
                "daemon": report["memory_usage_mb"] - worker.memory_mb,
                "worker": worker.memory_mb,
            },
            restarts=dict(worker.restarts),
            waiting_clients=self.waiting.taken,
            listeners=self.events.listeners,
            healthy=report["status"] != "unhealthy",
            troubles={kind: kind in report["troubles"] for kind in KINDS},
        )

    def run(self) -> bool:
        """Serve until stopped. Answers whether to begin anew, as another folder lies there now.

        Raises LockHeldError, StorageError, ModelError, TranscriberError.
        """
        previous = self._take_signals()
        try:
            self._run()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        log.info("Stopped")
        return self._replaced

    def _run(self) -> None:
        self.files.prepare()
        # Said at start, not at the first file: weights that are nowhere to be had.
        self._report_machine(
            locate(
                self._config.whisperx.model_size,
                self._config.models_directory,
                self._config.whisperx.allow_download,
            )
        )
        ignore_lease_signals()
        with Ownership(self._config, self._clock, "daemon") as owner:
            self.files.folder.remember()
            self.uploads.prepare()
            server = self._serve()
            self._warn_if_open()
            self.intake.recovery.recover()
            self._obey_pause_flag()
            if self._first_run:
                self._first_run.drop_sample(self._config.shared_directory)
            try:
                self.callbacks.start()
                server.start()
                self.runner.start()
                self.watcher.start()
                log.info("Watching %s", self._config.shared_directory)
                while not self._stopping.wait(_TICK_S):
                    self._tick(owner)
            finally:
                log.info("Stopping")
                # Nobody waits any more and nothing new comes in, then what runs stops at its next
                # chunk, then the rest.
                self.waiting.close()
                self.events.wake_all()
                self.watcher.stop()
                self.runner.stop()
                server.stop()
                self.callbacks.stop()
                self.register.close()

    def stop(self) -> None:
        """Ask ``run`` to return. Safe from any thread and from a signal handler."""
        self._stopping.set()

    # --- inside ---

    def _on_change(self, job: Job) -> None:
        self.journal.record_if_possible(job)
        self.events.publish("transition", job)

    def _on_ended_before(self, job: Job) -> None:
        """A job of an earlier run, whose end a crash kept from being noted."""
        self.job_events.note_end(job)

    def _on_progress(self, job: Job) -> None:
        self.events.publish("progress", job)

    def _tick(self, owner: Ownership) -> None:
        """Small duties. None of them may end the daemon: the folder may come and go."""
        try:
            if not self.watcher.available:
                return
            self.files.folder.remember()
            if not self.files.folder.is_same():
                # Mounted since, with an earlier life in it that must not pass for leftovers.
                log.warning("Another folder lies at %s now", self._config.shared_directory)
                self._replaced = True
                self.stop()
                return
            if self._is_due("heartbeat", HEARTBEAT_S):
                if not self.files.folder.state.is_dir():
                    self.watcher.poke()  # it finds out whether it was deleted
                    return
                owner.beat()
                self.journal.catch_up()
            self._obey_pause_flag()
            folder_orders.carry_out(self._config.shared_directory, self.service.submit)
            if self._first_run:
                self._first_run.show_when_done(self.files)
            self._set_orphans_aside()
        except (OSError, TranscriberError) as error:
            if self._is_due("complaint", _COMPLAINT_S):
                log.warning("The shared folder cannot be used just now: %s", error)

    def _obey_pause_flag(self) -> None:
        wanted = self.files.pause_flag.exists()
        if not wanted and not self.files.folder.state.is_dir():
            return  # the share is away, which says nothing
        if wanted and not self.scheduler.paused:
            self.scheduler.pause()
        elif not wanted and self.scheduler.paused:
            self.scheduler.resume()

    def _set_orphans_aside(self) -> None:
        up_s = self._clock.monotonic() - self._started
        orphans = self.intake.recovery.orphans
        if not orphans or up_s < self._config.processing.stale_hours * 3600:
            return
        for name in list(orphans):
            if self.scheduler.get(name) is None and not self.files.folder.is_there(name):
                self.files.manual.set_aside(name)
                log.warning("%s: its state was set aside, the recording never came back", name)
            orphans.pop(name, None)

    def _is_due(self, duty: str, every_s: float) -> bool:
        now = self._clock.monotonic()
        if now < self._due.get(duty, now):
            return False
        self._due[duty] = now + every_s
        return True

    def _take_signals(self) -> dict[signal.Signals, Any]:
        """SIGINT and SIGTERM ask for the end; the handlers only set a flag."""

        def on_signal(number: int, frame: FrameType | None) -> None:
            self._stopping.set()

        return {n: signal.signal(n, on_signal) for n in (signal.SIGINT, signal.SIGTERM)}

    def _report_machine(self, source: ModelSource) -> None:
        """What it computes with; and, before any memory is taken, that there is too little."""
        limit, needed = memory_limit(), needed_mb(source, self._config.whisperx)
        expected = f"up to about {needed} MB for {source.name}" if needed else "not known"
        log.info("Processor: %s; memory: %s, %d MB allowed", processor(), expected, limit.mb)
        if needed and needed > limit.mb:
            log.warning(
                "%s allows %d MB of memory, and %s may need %d MB: long recordings may fail. "
                "Allow more, or set a smaller whisperx.model_size",
                limit.source, limit.mb, source.name, needed,
            )  # fmt: skip

    def _warn_if_open(self) -> None:
        host, access = self._config.api.host, Access(self._config.api)
        if not access.required and host not in ("127.0.0.1", "localhost", "::1"):
            log.warning(
                "Anybody who reaches %s can use this program: api.host is not a loopback address "
                "and no api.key is set",
                host,
            )
