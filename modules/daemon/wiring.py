"""The one place that knows which collaborator each part of the daemon gets."""

from __future__ import annotations

from collections.abc import Callable

from modules.api.app import create_app
from modules.api.resumable.metadata import UploadMetadata
from modules.api.server.admission import Admission
from modules.api.server.cors import Cors
from modules.api.server.http_server import Server
from modules.api.server.patches import PatchAdmission
from modules.api.services import Services
from modules.clock import Clock
from modules.config.schema import Config
from modules.daemon.deliveries import Deliveries, build_deliveries
from modules.daemon.health import Health, observe
from modules.daemon.live_wiring import build_live
from modules.daemon.part_probes import build_part_states
from modules.daemon.parts import Clients, Core
from modules.daemon.pool import build_pool
from modules.executors.base import WorkerPool
from modules.intake.intake import Intake
from modules.jobs.estimates import Estimates
from modules.jobs.events import Events
from modules.jobs.index import JobIndex
from modules.jobs.job import Job
from modules.jobs.scheduler import Scheduler
from modules.live.sessions import LiveSessions
from modules.recordings.partial_uploads import PartialUploads
from modules.recordings.state_writer import StateWriter
from modules.recordings.store import RecordingStore
from modules.recordings.uploads import Uploads
from modules.runner.common import Common
from modules.runner.publishing import Publisher
from modules.runner.runners import Runners
from modules.search.index import SearchIndex
from modules.service.editing import Editing
from modules.service.folder_responder import FolderResponder
from modules.service.job_events import JobEvents
from modules.service.listening import Listening
from modules.service.metrics import Metrics
from modules.service.one_time_uploads import OneTimeUploads
from modules.service.request_checks import RequestChecks
from modules.service.resumable_uploads import ResumableUploads
from modules.service.retention import Retention
from modules.service.service import TranscriptionService
from modules.service.status import StatusReader
from modules.service.submission import Submission
from modules.service.summary_view import SummaryView
from modules.service.task_list import TaskList
from modules.service.text_search import TextSearch, reader
from modules.service.text_stream import TextStreams
from modules.service.text_writer import TextWriter
from modules.service.waiting import Waiting
from modules.service.worker_view import Workers
from modules.watching.watcher import Watcher

#: Threads and connections for requests that are answered at once.
THREADS = 16
CONNECTIONS = 500


def build(config: Config, clock: Clock) -> tuple[Core, Clients]:
    """Everything but the HTTP server. Nothing is started, and no file is touched but the index."""
    clients: Clients
    pool, executor = build_pool(config, clock)
    core = build_core(
        config,
        clock,
        pool,
        # A job of an earlier run, whose end a crash kept from being noted.
        on_ended=lambda job: clients.job_events.note_end(job),
    )
    clients = build_clients(config, clock, core)
    if executor and config.live.enabled:
        executor.serve_live(clients.live)
    return core, clients


def build_core(
    config: Config, clock: Clock, pool: WorkerPool, on_ended: Callable[[Job], None]
) -> Core:
    """``on_ended`` gets the jobs of an earlier run that had ended, found at start."""
    store = RecordingStore.of(config)
    events = Events()

    def on_change(job: Job) -> None:
        writer.record_if_possible(job)
        events.publish("transition", job)

    scheduler = Scheduler(clock, on_change, lambda job: events.publish("progress", job))
    writer = StateWriter(store.states, scheduler.get)
    watcher: Watcher
    intake = Intake(
        config, scheduler, store, writer, clock,
        is_complete=lambda name: watcher.holds(name),
        look_again=lambda name: watcher.forget(name),
        is_same_share=store.folder.is_same,
        on_placed=lambda name, state: watcher.note_placed(name, state),
        on_ended=on_ended,
    )  # fmt: skip
    runner: Runners
    watch = config.watch
    watcher = Watcher(
        config.shared_directory, intake, clock, recursive=watch.recursive, events=watch.events,
        rescan_s=watch.rescan_seconds, settle_s=watch.settle_seconds,
        stable_s=watch.stable_seconds, excluded=(config.manual_directory,),
        on_settling=lambda name: runner.expect(name), require=store.folder.require_texts,
    )  # fmt: skip
    common = Common(
        config, scheduler, store, Publisher(store, config.messages.language), writer, clock,
        look_again=watcher.forget, compute_types=lambda: pool.capabilities.compute_types,
    )  # fmt: skip
    runner = Runners(common, pool)
    health = Health(config.shared_directory, scheduler, pool, runner, watcher)
    health.silent_s.update(runner=lambda: runner.silent_s, watcher=lambda: watcher.silent_s)
    return Core(store, events, scheduler, writer, intake, pool, watcher, runner, health)


def build_clients(config: Config, clock: Clock, core: Core) -> Clients:
    state, requests = core.store.folder.state, core.intake.requests
    index = JobIndex(state / "jobs.sqlite")
    estimates = Estimates(state / "speed.json")
    waiting = Waiting(clock, config.api.max_waiting)
    live: LiveSessions
    workers: Workers
    metrics = Metrics(
        lambda: observe(core.health, workers, waiting.taken, core.events.listeners, live)
    )
    deliveries = build_deliveries(config, clock, core.store, core.health, metrics)
    uploads = Uploads(
        state / "uploads", config.shared_directory, on_landed=core.watcher.note_placed
    )
    job_events = JobEvents(
        config, index, estimates, deliveries.webhooks, deliveries.receivers, metrics, clock
    )
    search = _search(config, core)
    # Waiting clients are woken after it was noted how the job ended.
    core.events.hooks += [job_events.on_event, waiting.on_event, search.on_event]
    status = StatusReader(core.scheduler, core.store, index, estimates)
    service, submission = _service(config, clock, core, index, deliveries, status, waiting)
    tasks = TaskList(config, core.store, core.scheduler, status, clock)
    editing, text_writer = _editing(config, clock, core, search)
    summaries = SummaryView(core.store, deliveries.summaries)
    one_time = _one_time(config, core, service, _streams(config, clock, core, submission, waiting))
    listening = _listening(config, clock, core)
    retention = Retention(config, core.store, requests, clock, metrics.retention)
    live, gate = build_live(config, clock, core.store, uploads, service)
    core.health.silent_s["live"] = lambda: live.silent_s
    parts = build_part_states(config, clock, core, search, live)
    workers = Workers(core.pool, core.runner.seats, lambda: len(live.all()), clock)
    responder = FolderResponder(
        config.shared_directory, service, core.scheduler, summaries, workers, clock
    )
    return Clients(
        index, waiting, metrics, deliveries, uploads, one_time,
        _resumable(config, clock, uploads, service), job_events, service, tasks, search, editing,
        text_writer, responder, summaries, listening, retention, live, gate, parts, workers,
    )  # fmt: skip


def _search(config: Config, core: Core) -> TextSearch:
    folder = core.store.folder
    index = SearchIndex(folder.state / "search.sqlite")
    return TextSearch(config, index, reader(core.store), folder.sidecars)


def _service(
    config: Config,
    clock: Clock,
    core: Core,
    index: JobIndex,
    deliveries: Deliveries,
    status: StatusReader,
    waiting: Waiting,
) -> tuple[TranscriptionService, Submission]:
    scheduler, store, requests = core.scheduler, core.store, core.intake.requests
    checks = RequestChecks(
        config, requests, store.settings, index, deliveries.webhooks.check,
        lambda: core.pool.capabilities.compute_types,
    )  # fmt: skip
    submission = Submission(config, scheduler, store, requests, checks, status, index, waiting)
    service = TranscriptionService(
        scheduler, store, requests, checks, status, submission, index, clock
    )
    return service, submission


def _editing(
    config: Config, clock: Clock, core: Core, search: TextSearch
) -> tuple[Editing, TextWriter]:
    writer: TextWriter
    store = core.store
    editing = Editing(
        store, clock, config.output.txt_timestamps, lambda name: writer.note(name),
        language=config.messages.language,
    )  # fmt: skip
    writer = TextWriter(
        store.folder.state / "edited", editing.write_texts, clock, store.edits.are_there,
        on_written=search.look_soon,
    )  # fmt: skip
    core.events.hooks.append(writer.on_event)
    return editing, writer


def _streams(
    config: Config, clock: Clock, core: Core, submission: Submission, waiting: Waiting
) -> TextStreams:
    scheduler, states, events = core.scheduler, core.store.states, core.events
    return TextStreams(config.api, submission, scheduler, states, events, waiting, clock)


def _one_time(
    config: Config, core: Core, service: TranscriptionService, streams: TextStreams
) -> OneTimeUploads:
    keeps = config.api.keep_openai_uploads
    return OneTimeUploads(keeps, core.scheduler, core.store, service, streams)


def _listening(config: Config, clock: Clock, core: Core) -> Listening:
    listening = Listening(config, core.store, clock)
    core.health.silent_s["listening"] = lambda: listening.silent_s
    return listening


def _resumable(
    config: Config, clock: Clock, uploads: Uploads, service: TranscriptionService
) -> ResumableUploads:
    shared = config.shared_directory
    store = PartialUploads(uploads.folder, shared, clock)
    metadata = UploadMetadata(config.whisperx.language)
    return ResumableUploads(shared, store, uploads, service, metadata)


def _services_of(config: Config, core: Core, clients: Clients) -> Services:
    return Services(
        config,
        clients.service,
        clients.tasks,
        clients.editing,
        clients.search,
        core.events,
        clients.waiting,
        clients.metrics,
        clients.uploads,
        clients.one_time,
        clients.resumable,
        clients.listening,
        clients.live,
        clients.summaries,
        core.health.report,
        clients.parts,
        clients.workers,
    )


def build_server(config: Config, core: Core, clients: Clients) -> Server:
    """The HTTP server, bound to its port. Raises TranscriberError."""
    api = config.api
    app = create_app(_services_of(config, core, clients))
    holding = api.max_waiting + api.max_listeners
    return Server(
        app,
        api.host,
        api.port,
        spool=clients.uploads.folder,
        # A client that waits or listens keeps a thread; the others must never queue behind them.
        threads=holding + THREADS,
        connection_limit=holding + CONNECTIONS,
        idle_timeout_s=api.request_timeout_seconds,
        admit=Admission(
            app,
            api,
            on_wrong_key=clients.metrics.wrong_key,
            patches=PatchAdmission(clients.resumable),
        ).admit,
        cors=Cors(api).headers,
        admit_upgrade=clients.gate.admit,
    )
