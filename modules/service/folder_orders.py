"""Orders through the folder: small files in ``.transcriber/orders`` (decision 1).

So ``transcriber.py submit`` needs no address and no port, and an order that is left while no
daemon runs is found at the next start.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modules.clock import Clock, iso
from modules.errors import StorageError, TranscriberError, noted
from modules.intake.request import TranscriptionRequest
from modules.logger import get_logger
from modules.recordings.names import STATE_FOLDER, is_recording
from modules.service.mailbox import Mailbox

log = get_logger("Orders")

_SUFFIX = ".json"
_CLIENT_CHARS = 200
#: Orders that cannot be carried out, and would block those behind them. Where the settings beside
#: the file are at fault, the file itself waits for them like one that was found.
_DROPPED = frozenset(
    {"corrupt_sidecar", "file_not_found", "invalid_settings", "no_recording", "not_a_recording"}
)


def folder(shared: Path) -> Path:
    return shared / STATE_FOLDER / "orders"


def place(shared: Path, name: str, clock: Clock) -> str:
    """Leave an order for a recording in the share; returns the client id. Raises StorageError."""
    client = secrets.token_hex(16)
    order = {"filename": name, "client_id": client, "creation_time": iso(clock.utc_now())}
    Mailbox(folder(shared)).put(f"{client}{_SUFFIX}", order)
    return client


def carry_out(shared: Path, submit: Callable[[TranscriptionRequest], object | None]) -> None:
    """Submit the oldest orders that lie there, oldest first. Raises StorageError.

    Of several orders of one file the first is submitted: the others ask for the same text. At least
    once: an order is removed only after it was submitted, so a crash in between repeats it, and it
    joins the job that it made.
    """
    mailbox = Mailbox(folder(shared))
    orders: dict[str, list[tuple[str, str | None]]] = {}
    for file in mailbox.names((_SUFFIX,)):
        try:
            order = mailbox.read(file)
            if order is None:
                continue  # it was taken back
            name, client = _checked(order)
        except TranscriberError as error:
            if isinstance(error, StorageError):
                raise
            log.warning("An order was dropped: %s", error)
            mailbox.remove(file)
        else:
            orders.setdefault(name, []).append((file, client))
    for name, placed in orders.items():
        _carry_out(name, placed[0][1], submit)
        for file, _ in placed:
            mailbox.remove(file)


def _checked(order: Mapping[str, Any]) -> tuple[str, str | None]:
    """The recording and the client of an order. Raises TranscriberError."""
    name, client = order.get("filename"), order.get("client_id")
    if not isinstance(name, str) or not is_recording(name):
        shown = repr(name)[:100]
        raise TranscriberError(
            "not_a_recording", noted("{shown} is not the name of a recording.", shown=shown)
        )
    is_client = isinstance(client, str) and 0 < len(client) <= _CLIENT_CHARS
    return name, str(client) if is_client else None


def _carry_out(
    name: str, client: str | None, submit: Callable[[TranscriptionRequest], object | None]
) -> None:
    try:
        if submit(TranscriptionRequest(name, client=client)) is None:
            log.info("%s: ordered, but its result is there already", name)
    except TranscriberError as error:
        if error.code not in _DROPPED:
            raise
        log.warning("An order was dropped: %s", error)
    except ValueError as error:  # a name that cannot be judged would hold up the others
        log.warning("An order was dropped: %s", error)
