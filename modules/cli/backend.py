"""``retry``, ``redo``, ``summarize`` and ``delete``, carried out by the running daemon or by this
very process.

Without a daemon the command takes the daemon's place for a moment: it holds the same lock, takes in
what an earlier run left, and uses the same ``TranscriptionService``. So the rules are in one place,
and no daemon can start in the middle (decision 17).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from modules.cli.daemon_status import daemon_runs
from modules.clock import Clock
from modules.config.schema import Config
from modules.errors import LockHeldError, StorageError, TranscriberError, noted
from modules.recordings.lock import Ownership
from modules.service import folder_orders, folder_requests

if TYPE_CHECKING:
    from modules.service.service import TranscriptionService
    from modules.service.summary_view import SummaryView


class Backend(Protocol):
    """Where recordings can be brought back, redone and deleted. All raise TranscriberError."""

    has_daemon: bool

    def retry(self, name: str) -> None:
        """Take a recording out of ``manual/`` and order it afresh."""

    def redo(self, name: str, wishes: Mapping[str, str]) -> str:
        """Transcribe a recording anew; what became of the order, as in ``Submitted``."""

    def summarize(self, name: str) -> str:
        """Have its text summarised; how it then stands with the summary."""

    def delete(self, name: str) -> dict[str, Any]:
        """Delete it with all that was made from it; what was deleted, in the words of the API."""


@contextlib.contextmanager
def open_backend(config: Config, clock: Clock, role: str) -> Iterator[Backend]:
    """The daemon if one runs, or we ourselves. ``role``: what the owner's note says of us.

    Raises LockHeldError if another process holds the folder, StorageError.
    """
    with contextlib.ExitStack() as held:
        backend: Backend = _RequestingBackend(config, clock)
        if not daemon_runs(config, clock):
            try:
                backend = held.enter_context(_acting(config, clock, role))
            except LockHeldError:
                if not daemon_runs(config, clock):  # one may have been started meanwhile
                    raise
        yield backend


#: What is refused most, in the user's language and without the API's advice.
_REFUSALS = {
    "file_not_found": noted("there is no such recording in that folder"),
    "name_taken": noted(
        "the shared folder has a file of this name already; rename or delete that one first"
    ),
    "not_a_recording": noted("this is not the name of a recording that the service looks at"),
}


def refusal(error: TranscriberError) -> str:
    """Why something was not done."""
    known = _REFUSALS.get(error.code)
    return known or error.text


class _RequestingBackend:
    """Sends requests to the daemon through the folder."""

    has_daemon = True

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock

    def retry(self, name: str) -> None:
        self._ask("retry", name)

    def redo(self, name: str, wishes: Mapping[str, str]) -> str:
        return str(self._ask("redo", name, wishes).get("outcome"))

    def summarize(self, name: str) -> str:
        return str(self._ask("summarize", name).get("state"))

    def delete(self, name: str) -> dict[str, Any]:
        return self._ask("delete", name)

    def _ask(
        self, action: str, name: str, wishes: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        request: dict[str, Any] = {"action": action, "filename": name}
        if wishes:
            request["settings"] = dict(wishes)
        return folder_requests.ask(
            self._config.shared_directory,
            request,
            self._clock,
            lambda: daemon_runs(self._config, self._clock),
        )


class _DirectBackend:
    """The parts of a daemon that is never started. Only under the lock."""

    has_daemon = False

    def __init__(
        self, service: TranscriptionService, summaries: SummaryView, owner: Ownership
    ) -> None:
        self._service = service
        self._summaries = summaries
        self._owner = owner

    def retry(self, name: str) -> None:
        self._owner.beat()
        self._service.retry(name, None)

    def redo(self, name: str, wishes: Mapping[str, str]) -> str:
        self._owner.beat()
        return self._service.redo(name, wishes).outcome

    def summarize(self, name: str) -> str:
        self._owner.beat()
        return self._summaries.make(name).view.state

    def delete(self, name: str) -> dict[str, Any]:
        self._owner.beat()
        return folder_requests.removal(self._service.delete(name))


@contextlib.contextmanager
def _acting(config: Config, clock: Clock, role: str) -> Iterator[Backend]:
    from modules.daemon.wiring import build  # takes a second, and is only needed without a daemon

    with Ownership(config, clock, role) as owner:
        core, clients = build(config, clock)
        try:
            core.store.prepare()
            core.intake.recovery.recover()
            _read_orders(clients.service, config)
            yield _DirectBackend(clients.service, clients.summaries, owner)
        finally:
            clients.index.close()


def _read_orders(service: TranscriptionService, config: Config) -> None:
    """So that none is left for a recording that is deleted. Raises StorageError."""
    try:
        folder_orders.carry_out(config.shared_directory, service.promote)
    except StorageError:
        raise
    except TranscriberError:
        return  # settings beside a recording are wrong: its order waits until they are corrected
