"""The daemon process: signals, start, and the order of stopping."""

from __future__ import annotations

import time
from functools import partial

from modules.api.forwarded import answer
from modules.api.server.access import Access
from modules.api.server.http_server import Server
from modules.clock import Clock
from modules.config.schema import Config
from modules.daemon.first_run import FirstRun
from modules.daemon.housekeeping import Housekeeping
from modules.daemon.signals import stop_signals
from modules.daemon.wiring import build, build_server
from modules.logger import get_logger
from modules.machine.processor import memory_limit, processor
from modules.recordings.lock import Ownership
from modules.service.replica_mail import ReplicaRequests
from modules.watching.open_writers import ignore_lease_signals
from modules.weights.engines import locate_for
from modules.weights.locate import ModelSource, needed_mb

log = get_logger("Daemon")

#: How often the periodic duties are done, in seconds.
_TICK_S = 0.5


class Daemon:
    """The whole service, once. ``run`` returns when a signal or ``stop`` asks for it."""

    def __init__(self, config: Config, clock: Clock, first_run: FirstRun | None = None) -> None:
        self._config = config
        self._clock = clock
        self._first_run = first_run
        #: Not an event: its lock may be held by the very thread that a signal interrupts.
        self._stopping = False
        self._core, self._clients = build(config, clock)
        self._housekeeping = Housekeeping(
            config.shared_directory, config.processing.stale_hours, clock, self._core,
            self._clients.service.promote, self._clients.responder.tick,
            self._clients.resumable.expire, self._clients.retention.look_soon, first_run,
            look=self._clients.look, heartbeat_s=config.standby.heartbeat_seconds,
        )  # fmt: skip

    def run(self) -> bool:
        """Serve until stopped. Answers whether to start again, as the share was replaced.

        Raises LockHeldError, StorageError, ModelError, TranscriberError.
        """
        with stop_signals(self.stop):
            self._run()
        log.info("Stopped")
        return self._housekeeping.share_replaced

    def stop(self) -> None:
        """Ask ``run`` to return. Safe from any thread and from a signal handler."""
        self._stopping = True

    def _run(self) -> None:
        core, whisperx = self._core, self._config.whisperx
        core.store.prepare()
        # Reported at start, not with the first file: weights that are not on this machine.
        self._report_machine(
            locate_for(whisperx, self._config.models_directory, whisperx.allow_download)
        )
        ignore_lease_signals()
        with Ownership(self._config, self._clock, "daemon", core.store.folder.fence) as owner:
            core.store.folder.remember()
            self._clients.uploads.prepare()
            server = build_server(self._config, core, self._clients)
            replicas = ReplicaRequests(
                self._config.shared_directory, partial(answer, server.app), self._clock
            )
            core.health.silent_s["replicas"] = lambda: replicas.silent_s
            self._warn_if_open()
            core.intake.recovery.recover()
            self._clients.one_time.sweep()
            self._clients.resumable.recover()
            self._housekeeping.obey_pause_flag()
            if self._first_run:
                self._first_run.drop_sample(self._config.shared_directory)
            try:
                self._clients.start()
                server.start()
                replicas.start()
                core.runner.start()
                core.watcher.start()
                log.info("Watching %s", self._config.shared_directory)
                while not (self._stopping or self._housekeeping.share_replaced):
                    time.sleep(_TICK_S)
                    if not self._stopping:
                        self._housekeeping.tick(owner)
            finally:
                replicas.stop()
                self._stop_parts(server)

    def _stop_parts(self, server: Server) -> None:
        """Waiting clients are answered and nothing new comes in, then what runs stops at its next
        chunk, then the rest."""
        log.info("Stopping")
        self._clients.waiting.close()
        self._core.events.wake_all()
        self._clients.gate.close()
        self._core.watcher.stop()
        self._core.runner.stop()
        server.stop()
        self._clients.stop()

    def _report_machine(self, source: ModelSource) -> None:
        """Log what it computes with; and, before memory is taken, that there is too little."""
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
