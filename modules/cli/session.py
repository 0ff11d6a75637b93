"""What the commands share: the configuration, a quiet log, and how they speak."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Mapping
from datetime import datetime
from gettext import gettext as _

from modules.cli import translation
from modules.cli.printable import printable
from modules.cli.shells import message_as_called
from modules.config.loader import load_config
from modules.config.schema import Config
from modules.errors import StorageError
from modules.logger import setup_logging
from modules.messages import in_locale


def configured(options: Namespace, overrides: Mapping[str, str] | None = None) -> Config:
    """The configuration; ``overrides`` are environment variables. Raises ConfigError.

    A command says itself what matters, so the log (on stderr) is silent unless it is at DEBUG.
    """
    config = load_config(options.config, {**os.environ, **(overrides or {})})
    translation.choose_wished(config.messages.language)
    setup_logging("DEBUG" if config.logging.level == "DEBUG" else "CRITICAL", sys.stderr)
    return config


def require_share(config: Config) -> None:
    """Raises StorageError if the shared folder is not there."""
    if not config.shared_directory.is_dir():
        raise StorageError(
            "share_unavailable",
            _("There is no shared folder {folder}.").format(folder=config.shared_directory),
            remedy=_("Check shared_directory and that it is mounted; the service creates it."),
        )


def say(text: str) -> None:
    """A line for the user; control characters in file names are spelled out."""
    print(printable(message_as_called(in_locale(text))), flush=True)


def complain(text: str) -> None:
    """A line about what went wrong, on stderr."""
    said = message_as_called(in_locale(text))
    print(printable(f"transcriber: {said}"), file=sys.stderr, flush=True)


def local_time(moment: datetime | None) -> str:
    """``2024-01-31 17:05`` on the user's clock; empty if not known."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M") if moment else ""


def length(seconds: float | None) -> str:
    """``1:02:03`` or ``2:03``; empty if not known."""
    if seconds is None:
        return ""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
