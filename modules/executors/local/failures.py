"""What the child reported, and what it failed to do, as the errors that they are here."""

from __future__ import annotations

from modules.errors import (
    CODE_CHARS,
    DETAILS_CHARS,
    MESSAGE_CHARS,
    MediaError,
    ModelError,
    StorageError,
    TranscriberError,
    WorkerError,
    shortened,
)
from modules.executors.protocol import Failed


def error_of(event: Failed) -> TranscriberError:
    """What the child reported, as the error that it is here."""
    kinds = {"media": MediaError, "model": ModelError, "storage": StorageError}
    kind = kinds.get(event.fault, WorkerError)
    return kind(
        event.code[:CODE_CHARS],
        shortened(event.message, MESSAGE_CHARS),
        details=shortened(event.details, DETAILS_CHARS) if event.details else None,
        permanent=event.permanent,
    )


def time_out(message: str) -> WorkerError:
    """The child has let a deadline pass; the message tells what it did not do."""
    return WorkerError("worker_hung", message)
