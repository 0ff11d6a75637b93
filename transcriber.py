#!/usr/bin/env python3
"""The door of audio-transcriber: reads the command line and maps errors to exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from modules.errors import ConfigError, LockHeldError, ModelError, StorageError, TranscriberError

#: Exit codes as in sysexits.h.
EXIT_CODES: tuple[tuple[type[TranscriberError], int], ...] = (
    (ConfigError, 78),
    (LockHeldError, 75),
    (StorageError, 74),
    (ModelError, 69),
    (TranscriberError, 1),
)
VERSION = "0.1.0"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except TranscriberError as error:
        print(f"transcriber: {error}", file=sys.stderr)
        return next(code for kind, code in EXIT_CODES if isinstance(error, kind))
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="transcriber.py",
        description="Turns recordings that are dropped into a folder into text, with WhisperX.",
        epilog="Without a command the service runs. Exit codes: 0 all is well, 1 it failed, "
        "69 a model is missing, 74 a folder cannot be used, 75 another one is running, "
        "78 the configuration is wrong.",
    )
    parser.add_argument("--version", action="version", version=f"audio-transcriber {VERSION}")
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: config.yaml")
    parser.set_defaults(command=_run, first_run_sample=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    run = commands.add_parser("run", help="watch the shared folder (this is the default)")
    run.add_argument(
        "--first-run-sample", type=Path, metavar="FILE",
        help="put this recording into a shared folder that was never used, and print its text",
    )  # fmt: skip
    run.set_defaults(command=_run)
    return parser


def _run(options: argparse.Namespace) -> int:
    from modules.clock import SystemClock
    from modules.config_loader import load_config
    from modules.daemon import Daemon
    from modules.first_run import FirstRun
    from modules.logger import setup_logging

    config = load_config(options.config, os.environ)
    setup_logging(config.logging.level)
    sample = options.first_run_sample
    first_run = FirstRun(sample, config.shared_directory) if sample else None
    Daemon(config, SystemClock(), first_run).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
