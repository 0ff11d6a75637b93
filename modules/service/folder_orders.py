"""Orders that reach the daemon through the folder: small files in ``.transcriber/orders``.

So ``transcriber.py submit`` needs no address and no port, and an order that is given while no
daemon runs is found at the next start.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from modules.clock import Clock, iso
from modules.errors import TranscriberError
from modules.intake.intake import Intake, TranscriptionRequest
from modules.logger import get_logger
from modules.recordings.names import STATE_FOLDER
from modules.storage.atomic import parse_json, remove, storage_errors, to_json, write_whole

log = get_logger("Orders")

_SUFFIX = ".json"


def folder(shared: Path) -> Path:
    return shared / STATE_FOLDER / "orders"


def place(shared: Path, name: str, clock: Clock) -> str:
    """Leave an order for a recording in the share; returns the client id. Raises StorageError."""
    client = secrets.token_hex(16)
    with storage_errors(folder(shared)):
        folder(shared).mkdir(parents=True, exist_ok=True)
    order = {"filename": name, "client_id": client, "creation_time": iso(clock.utc_now())}
    write_whole(folder(shared) / f"{client}{_SUFFIX}", to_json(order))
    return client


#: Orders that cannot be carried out, and would stand in the way of those behind them.
_DROPPED = frozenset({"corrupt_sidecar", "file_not_found", "not_a_recording", "invalid_settings"})


def carry_out(shared: Path, intake: Intake) -> None:
    """Take in every order that lies there, oldest first. Raises StorageError."""
    with storage_errors(folder(shared)):
        try:
            with os.scandir(folder(shared)) as listed:
                entries = [e for e in listed if e.name.endswith(_SUFFIX)]
            entries = [e for e in entries if e.is_file(follow_symlinks=False)]
            entries.sort(key=lambda entry: entry.stat(follow_symlinks=False).st_mtime_ns)
        except FileNotFoundError:
            return
    for entry in entries:
        path = Path(entry.path)
        try:
            with storage_errors(path):
                order = parse_json(path.read_bytes(), entry.name)
            _carry_out(order, intake)
        except TranscriberError as error:
            # Wrong settings beside the file: it waits for them as a found one.
            if error.code in _DROPPED:
                log.warning("An order was dropped: %s", error)
            else:
                raise
        # Only now: a crash in between repeats the order, which joins the job it made.
        remove(path)


def _carry_out(order: dict[str, object], intake: Intake) -> None:
    name, client = str(order.get("filename")), str(order.get("client_id") or "")
    if intake.order(TranscriptionRequest(name, client=client or None)) is None:
        log.info("%s: ordered, but its result is there already", name)
