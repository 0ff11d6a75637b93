"""``retry``: failed recordings back from ``manual/``, ordered afresh."""

from __future__ import annotations

from argparse import Namespace
from gettext import gettext as _

from modules.cli.backend import Backend
from modules.cli.file_arguments import name_of_failure
from modules.cli.orders import order_each
from modules.cli.session import say
from modules.config.schema import Config


def run(options: Namespace) -> int:
    """1 if any of them could not be brought back. Raises LockHeldError, StorageError."""
    later = _("No daemon runs; the text is made when the service is next started.")
    return order_each(options, "retry command", _retry, later)


def _retry(text: str, config: Config, backend: Backend) -> bool:
    name = name_of_failure(text, config)
    backend.retry(name)
    say(_("{name}: back in the shared folder, and queued.").format(name=name))
    return True
