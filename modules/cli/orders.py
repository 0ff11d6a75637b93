"""One order for each of several recordings, carried out by the daemon or by this process."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable

from modules.cli.backend import Backend, open_backend, refusal
from modules.cli.session import complain, configured, require_share, say
from modules.clock import SystemClock
from modules.config.schema import Config
from modules.errors import StorageError, TranscriberError, joined

#: Carries one out and says so; whether the daemon has to do something yet. Raises TranscriberError.
Order = Callable[[str, Config, Backend], bool]
#: Why one was refused, for a person.
Why = Callable[[str, Config, TranscriberError], str]


def order_each(
    options: Namespace,
    role: str,
    order: Order,
    without_daemon: str,
    why: Why = lambda text, config, error: refusal(error),
) -> int:
    """1 if any of ``options.files`` was refused. ``role``: see ``open_backend``.

    ``without_daemon``: said if something is left to do, and no daemon runs. Raises LockHeldError,
    StorageError.
    """
    config = configured(options)
    require_share(config)
    with open_backend(config, SystemClock(), role) as backend:
        left, failed = each(
            options.files,
            lambda text: order(text, config, backend),
            lambda text, error: why(text, config, error),
        )
    if left and not backend.has_daemon:
        say(without_daemon)
    return 1 if failed else 0


def each(
    texts: Iterable[str],
    order: Callable[[str], bool],
    why: Callable[[str, TranscriberError], str] = lambda text, error: refusal(error),
) -> tuple[int, int]:
    """For how many ``order`` was true, and how many were refused. Raises StorageError."""
    true = refused = 0
    for text in texts:
        try:
            true += order(text)
        except StorageError:
            raise  # nor would the others go well
        except TranscriberError as error:
            complain(joined(": ", text, why(text, error)))
            refused += 1
    return true, refused
