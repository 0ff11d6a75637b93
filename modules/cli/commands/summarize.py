"""``summarize``: finished texts get a summary, or a new one in place of one that failed."""

from __future__ import annotations

from argparse import Namespace
from gettext import gettext as _

from modules.cli.backend import Backend
from modules.cli.file_arguments import name_in_share
from modules.cli.orders import order_each
from modules.cli.session import say
from modules.config.schema import Config
from modules.errors import noted

_STATES = {
    "done": noted("{name}: its summary is there, and fits the text."),
    "making": noted("{name}: its summary is being made."),
    "none": noted("{name}: its text is by another program, and cannot be summarised."),
}
_WAITS = noted("{name}: will be summarised.")


def run(options: Namespace) -> int:
    """1 if any of them has no text. Raises LockHeldError, StorageError."""
    later = _("No daemon runs; the summary is made when the service is next started.")
    return order_each(options, "summarize command", _summarize, later)


def _summarize(text: str, config: Config, backend: Backend) -> bool:
    name = name_in_share(text, config)
    state = backend.summarize(name)
    say(_(_STATES.get(state, _WAITS)).format(name=name))
    return state not in _STATES
