"""``run``: the service itself."""

from __future__ import annotations

import os
from argparse import Namespace

from modules.cli import translation
from modules.clock import SystemClock
from modules.config.loader import load_config
from modules.daemon.daemon import Daemon
from modules.daemon.first_run import FirstRun
from modules.logger import setup_logging


def run(options: Namespace) -> int:
    """Serve until a signal asks for the end; start again if the share was mounted meanwhile."""
    config = load_config(options.config, os.environ)
    translation.choose_wished(config.messages.language)
    setup_logging(config.logging.level)
    sample = options.first_run_sample
    first_run = FirstRun(sample, config.shared_directory) if sample else None
    while Daemon(config, SystemClock(), first_run).run():
        first_run = None
    return 0
