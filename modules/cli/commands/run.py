"""``run``: the service itself."""

from __future__ import annotations

import os
from argparse import Namespace

from modules import PROGRAM
from modules.cli import translation
from modules.clock import SystemClock
from modules.config.loader import config_path, load_config
from modules.config.schema import Config
from modules.daemon.daemon import Daemon
from modules.daemon.first_run import FirstRun
from modules.daemon.standby import Standby
from modules.errors import LockHeldError
from modules.logger import get_logger, setup_logging
from modules.recordings.store import RecordingStore

log = get_logger("Start")


def run(options: Namespace) -> int:
    """Serve until a signal asks for the end; start again if the share was mounted meanwhile."""
    config = load_config(options.config, os.environ)
    translation.choose_wished(config.messages.language)
    setup_logging(config.logging.level)
    _say_where(options, config)
    sample = options.first_run_sample
    first_run = FirstRun(sample, config.shared_directory) if sample else None
    if options.standby:
        return _run_in_turn(config)
    while Daemon(config, SystemClock(), first_run).run():
        first_run = None
    return 0


def _run_in_turn(config: Config) -> int:
    """The same, once no other process owns the folder."""
    clock = SystemClock()
    RecordingStore.of(config).prepare()
    while Standby(config, clock).wait():
        try:
            if not Daemon(config, clock).run():
                return 0
        except LockHeldError as error:
            if error.code != "lock_held":  # but for another that was quicker
                raise
    return 0


def _say_where(options: Namespace, config: Config) -> None:
    """Before anything is created: a user who has configured nothing must learn where it will be."""
    file, _named = config_path(options.config, os.environ)
    if not os.path.lexists(file):
        log.info(
            "There is no %s, so the defaults hold; '%s config --write' writes it", file, PROGRAM
        )
    for folder in (config.shared_directory, config.manual_directory):
        if not os.path.lexists(folder):
            log.info("%s is not there and is created", folder)
