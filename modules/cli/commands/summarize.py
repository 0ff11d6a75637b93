"""``summarize``: finished texts get a summary, or a new one in place of one that failed."""

from __future__ import annotations

from argparse import Namespace
from gettext import gettext as _

from modules.cli.backend import open_backend, refusal
from modules.cli.file_arguments import name_in_share
from modules.cli.session import complain, configured, require_share, say
from modules.clock import SystemClock
from modules.errors import StorageError, TranscriberError, joined, noted

_STATES = {
    "done": noted("{name}: its summary is there, and fits the text."),
    "making": noted("{name}: its summary is being made."),
    "none": noted("{name}: its text is by another program, and cannot be summarised."),
}
_WAITS = noted("{name}: will be summarised.")


def run(options: Namespace) -> int:
    """1 if any of them has no text. Raises LockHeldError, StorageError."""
    config, clock = configured(options), SystemClock()
    require_share(config)
    done, failed = 0, 0
    with open_backend(config, clock, "summarize command") as backend:
        for text in options.files:
            try:
                state = backend.summarize(name := name_in_share(text, config))
            except StorageError:
                raise
            except TranscriberError as error:
                complain(joined(": ", text, refusal(error)))
                failed += 1
            else:
                say(_(_STATES.get(state, _WAITS)).format(name=name))
                done += state not in _STATES
    if done and not backend.has_daemon:
        say(_("No daemon runs; the summary is made when the service is next started."))
    return 1 if failed else 0
