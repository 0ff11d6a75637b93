"""Outages, which no recording is to blame for: a full disk, an absent share, a missing model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from modules.clock import Clock
from modules.errors import (
    CODE_CHARS,
    DETAILS_CHARS,
    MESSAGE_CHARS,
    ModelError,
    StorageError,
    TranscriberError,
    shortened,
)
from modules.jobs.job import ErrorInfo
from modules.logger import get_logger

log = get_logger("Runner")


#: How long to wait before the next try, in seconds.
HOLD_S = 10.0

_SHARE_CODES = ("share_unavailable", "file_vanished")


Kind = Literal["share", "storage", "model", "worker"]


@dataclass(frozen=True)
class Standstill:
    """What keeps all workers from working, in plain words, and what it is about; or nothing."""

    reason: str | None = None
    kind: Kind | None = None

    @classmethod
    def of_pool(cls, problem: TranscriberError | None) -> Standstill:
        """There is no worker."""
        return cls(str(problem), "worker") if problem else cls()


class Outage:
    """Holds the queue while every file would fail for the same reason.

    ``check_writable`` raises StorageError while the share cannot be used.
    """

    def __init__(self, clock: Clock, check_writable: Callable[[], None]) -> None:
        self._clock = clock
        self._check_writable = check_writable
        self._error: TranscriberError | None = None
        self._again_at = 0.0

    @property
    def reason(self) -> str | None:
        """What the outage is, in plain words; None without one."""
        return str(self._error) if self._error else None

    @property
    def kind(self) -> Kind | None:
        """What it is about; None without one."""
        error = self._error
        if isinstance(error, StorageError):
            return "share" if error.code in _SHARE_CODES else "storage"
        if isinstance(error, ModelError):
            return "model"
        return "worker" if error else None

    @property
    def holds(self) -> bool:
        """Whether nothing is to be tried before the next look."""
        return self._error is not None and self._clock.monotonic() < self._again_at

    def note(self, error: TranscriberError) -> None:
        """Begin an outage with a failure that is not the file's own."""
        log.error("%s", error)
        if isinstance(error, StorageError) and self._is_usable():
            return  # one file cannot be read; the others can
        self._error = self._error or error
        self._again_at = self._clock.monotonic() + HOLD_S

    def blocks(self) -> bool:
        """Whether no file can be done at the moment. Looks again every ``HOLD_S`` seconds."""
        if self._error is None:
            return False
        if self._clock.monotonic() < self._again_at:
            return True
        if not self._is_usable():
            self._again_at = self._clock.monotonic() + HOLD_S
            return True
        if isinstance(self._error, StorageError):
            self.is_over()
        return False  # whether a model loads now is only known with the next file

    def is_over(self) -> None:
        """A file was accepted, or the share is back."""
        if self._error is not None:
            log.info("The outage is over, work goes on")
            self._error = None

    def _is_usable(self) -> bool:
        try:
            self._check_writable()
        except StorageError as error:
            self._error = error
            return False
        return True


def error_info(
    error: TranscriberError, attempt: int, timestamp: str, retry_after_s: float | None
) -> ErrorInfo:
    """An error as ``.in_progress`` has it."""
    return ErrorInfo(
        code=error.code[:CODE_CHARS],
        message=shortened(str(error), MESSAGE_CHARS),
        details=shortened(error.details, DETAILS_CHARS) if error.details else None,
        timestamp=timestamp,
        attempt=attempt,
        retry_after=retry_after_s,
    )
