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
from modules.errors import TranscriberError
from modules.intake.request import TranscriptionRequest
from modules.logger import get_logger
from modules.recordings.names import STATE_FOLDER
from modules.service.mailbox import Mailbox

log = get_logger("Orders")

_SUFFIX = ".json"
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
    """Submit every order that lies there, oldest first. Raises StorageError.

    At least once: an order is removed only after it was submitted, so a crash in between repeats
    it, and it joins the job that it made.
    """
    mailbox = Mailbox(folder(shared))
    for file in mailbox.names():
        if not file.endswith(_SUFFIX):
            continue
        try:
            order = mailbox.read(file)
            if order is not None:
                _carry_out(order, submit)
        except TranscriberError as error:
            if error.code not in _DROPPED:
                raise
            log.warning("An order was dropped: %s", error)
        except ValueError as error:  # a name that cannot be judged would hold up the others
            log.warning("An order was dropped: %s", error)
        mailbox.remove(file)


def _carry_out(
    order: Mapping[str, Any], submit: Callable[[TranscriptionRequest], object | None]
) -> None:
    name, client = str(order.get("filename")), str(order.get("client_id") or "")
    if submit(TranscriptionRequest(name, client=client or None)) is None:
        log.info("%s: ordered, but its result is there already", name)
