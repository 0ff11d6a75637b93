"""``run``: the service itself."""

from __future__ import annotations

import os
from argparse import Namespace

from modules.clock import Clock, SystemClock
from modules.config.loader import load_config
from modules.config.schema import Config
from modules.daemon.daemon import Daemon
from modules.daemon.first_run import FirstRun
from modules.errors import TranscriberError
from modules.logger import get_logger, setup_logging
from modules.recordings.lock import Ownership
from modules.service.folder_responder import FolderResponder

log = get_logger("FolderRequests")

_COMPLAINT_S = 60.0


def run(options: Namespace) -> int:
    """Serve until a signal asks for the end; anew where the share was mounted meanwhile."""
    config = load_config(options.config, os.environ)
    setup_logging(config.logging.level)
    sample = options.first_run_sample
    first_run = FirstRun(sample, config.shared_directory) if sample else None
    while Service(config, SystemClock(), first_run).run():
        first_run = None
    return 0


class Service(Daemon):
    """The daemon, which also does what the command line asks of it through the folder."""

    def __init__(self, config: Config, clock: Clock, first_run: FirstRun | None = None) -> None:
        super().__init__(config, clock, first_run)
        self._clerk = FolderResponder(config.shared_directory, self.service, self.scheduler, clock)

    def _tick(self, owner: Ownership) -> None:
        super()._tick(owner)
        if not self.watcher.available or self._replaced:
            return
        try:
            self._clerk.tick()
        except TranscriberError as error:
            if self._is_due("complaint", _COMPLAINT_S):
                log.warning("The shared folder cannot be used just now: %s", error)
