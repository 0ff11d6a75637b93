"""``retry``: failed recordings back from ``manual/``, ordered afresh."""

from __future__ import annotations

from argparse import Namespace
from gettext import gettext as _

from modules.cli.backend import open_backend, refusal
from modules.cli.file_arguments import name_of_failure
from modules.cli.session import complain, configured, require_share, say
from modules.clock import SystemClock
from modules.errors import StorageError, TranscriberError, joined


def run(options: Namespace) -> int:
    """1 if any of them could not be brought back. Raises LockHeldError, StorageError."""
    config, clock = configured(options), SystemClock()
    require_share(config)
    done, failed = 0, 0
    with open_backend(config, clock, "retry command") as backend:
        for text in options.files:
            try:
                backend.retry(name := name_of_failure(text, config))
            except StorageError:
                raise
            except TranscriberError as error:
                complain(joined(": ", text, refusal(error)))
                failed += 1
            else:
                say(_("{name}: back in the shared folder, and queued.").format(name=name))
                done += 1
    if done and not backend.has_daemon:
        say(_("No daemon runs; the text is made when the service is next started."))
    return 1 if failed else 0
