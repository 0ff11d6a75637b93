"""For how many days this program has itself seen something unchanged.

A clock may be wrong by years, and file times are whatever tools set. So days are counted, one at
a time: a clock that jumps ahead counts one, and days on which the program did not run count none.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modules.clock import Clock
from modules.errors import StorageError, TranscriberError
from modules.logger import get_logger
from modules.storage.atomic import storage_errors, to_json, write_own
from modules.storage.safe_open import read_json

log = get_logger("Retention")

#: A new date within less running time than this since the last one is a slip of the clock.
SHORTEST_DAY_S = 12 * 3600.0
_BYTES_MAX = 256 * 2**20


class _Sight(BaseModel):
    """``since``: the count when it was first seen as it is; ``changed``: its state then."""

    model_config = ConfigDict(frozen=True, strict=True)
    since: int = Field(ge=0, lt=2**53)
    changed: int = Field(ge=-(2**63), lt=2**63)


class _Ledger(BaseModel):
    """The file. ``count``: days counted so far; ``day``: the date that was counted last."""

    model_config = ConfigDict(strict=True)
    count: int = Field(default=0, ge=0, lt=2**53)
    day: str = ""
    seen: dict[str, _Sight] = Field(default_factory=dict)


class SeenDays:
    """Kept in ``path``. ``load`` comes first. Not thread-safe: one thread drives it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._ledger: _Ledger | None = None
        self._counted_at: float | None = None
        self._changed = False

    def count_day(self, now: datetime) -> None:
        """Count one more day if it is one. Raises StorageError if the file cannot be read now."""
        ledger = self._ledger = self._ledger or self._read()
        today, moment = now.date().isoformat(), self._clock.monotonic()
        if today == ledger.day:
            return
        ran_s = None if self._counted_at is None else moment - self._counted_at
        if today > ledger.day and (ran_s is None or ran_s >= SHORTEST_DAY_S):
            ledger.count += 1
            self._counted_at = moment
        elif today > ledger.day:
            return  # it is counted once enough time has passed
        ledger.day, self._changed = today, True

    def days(self, key: str, changed: int) -> int:
        """How many days it has been seen, since ``changed`` grew last; 0 at first sight."""
        ledger = self._known()
        sight = ledger.seen.get(key)
        if sight is None or changed > sight.changed:
            sight = ledger.seen[key] = _Sight(since=ledger.count, changed=changed)
            self._changed = True
        return max(0, ledger.count - sight.since)

    def forget(self, key: str) -> None:
        """It is not there: should it come back, its days begin anew."""
        self._changed |= self._known().seen.pop(key, None) is not None

    def keep_only(self, wanted: Callable[[str], bool]) -> None:
        for key in [key for key in self._known().seen if not wanted(key)]:
            self.forget(key)

    def save(self) -> None:
        """Write down what is new. Raises StorageError."""
        if self._changed:
            write_own(self._path, to_json(self._known().model_dump()))
            self._changed = False

    def _known(self) -> _Ledger:
        if self._ledger is None:
            raise RuntimeError("count_day comes first")
        return self._ledger

    def _read(self) -> _Ledger:
        """What cannot be understood counts as nothing seen: then everything is kept for longer."""
        with storage_errors(self._path):
            try:
                return _Ledger.model_validate(read_json(self._path, _BYTES_MAX))
            except FileNotFoundError:
                return _Ledger()
            except StorageError:
                raise
            except (TranscriberError, ValidationError) as error:
                log.warning("%s cannot be used, so days are counted anew: %s", self._path, error)
                return _Ledger()
