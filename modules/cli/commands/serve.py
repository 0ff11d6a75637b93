"""``serve --replica``: requests answered by a process that does not own the folder."""

from __future__ import annotations

import os
from argparse import Namespace

from modules.cli import translation
from modules.cli.session import require_share
from modules.clock import SystemClock
from modules.config.loader import load_config
from modules.daemon.replica import Replica
from modules.logger import setup_logging


def run(options: Namespace) -> int:
    """Serve until a signal asks for the end. Raises StorageError, TranscriberError."""
    config = load_config(options.config, os.environ)
    translation.choose_wished(config.messages.language)
    setup_logging(config.logging.level)
    require_share(config)
    Replica(config, SystemClock()).run()
    return 0
