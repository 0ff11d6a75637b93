"""Only the latest owner of the folder writes: each has a number, the epoch, that only grows.

An owner that stood still – stopped, or its machine asleep – does not know that another took its
place, and its lock may be gone or not. So it looks at the epoch before it writes, and holds a lock
of its own while it does; who takes its place waits for that lock (decision 54).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from modules.config.settings import Frozen
from modules.errors import StorageError, noted
from modules.storage import beneath
from modules.storage.atomic import put_aside_unless, storage_errors, to_json, write_own
from modules.storage.safe_open import read_model

_MODE = 0o600
_FILE_BYTES = 4096
#: Others hold the lock for the time of a few writes.
_PATIENCE_S = 10.0
_POLL_S = 0.01
#: Of file systems that know no locks: there the epoch is looked at all the same.
_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP})


class TakenOverError(StorageError):
    """Another owner took the folder over: for this process it is like a share that is away."""


class Epoch(Frozen):
    """What the file says: the number, and whose it is."""

    epoch: Annotated[int, Field(ge=0, lt=2**53)] = 0
    host: str = ""
    pid: int = 0


class Fence:
    """Stands before the writes of one process. Until it is armed, everything passes.

    Thread-safe.
    """

    def __init__(self, state: Path) -> None:
        self._file = state / "epoch.json"
        self._lock = state / "epoch.lock"
        self._mine: Epoch | None = None

    def arm(self, who: Mapping[str, Any], lock: Path | None = None) -> None:
        """Begin an epoch of our own: whoever wrote before no longer does. Raises StorageError.

        ``lock``: where the lock lies, None for beside the epoch. On a full disk the epoch stays
        what it is.
        """
        self._lock = lock or self._lock
        with self._locked(fcntl.LOCK_EX):
            self._mine = self._read()
            with contextlib.suppress(StorageError):
                self._mine = self._write(self._mine.epoch + 1, who)

    def shut_out(
        self, who: Mapping[str, Any], is_due: Callable[[], bool], then: Callable[[], None]
    ) -> bool:
        """End the epoch of the owner that there is, and do something before anybody can write.

        False, and nothing is done, unless ``is_due`` while nobody writes. Raises StorageError, also
        while somebody stands still in the middle of a write.
        """
        with self._locked(fcntl.LOCK_EX):
            if not is_due():
                return False
            self._write(self._read().epoch + 1, who)
            then()
        return True

    def check(self) -> None:
        """Raises TakenOverError if another owner came, StorageError if that is not known."""
        mine = self._mine
        if mine is None:
            return
        found = self._read()
        if found.epoch > mine.epoch:
            raise TakenOverError(
                "taken_over",
                noted(
                    "PID {pid} on {host} took this folder over while this program stood still.",
                    pid=found.pid,
                    host=found.host,
                ),
                remedy=noted("Nothing is lost; this program ends."),
            )

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Nobody takes the folder over meanwhile. Raises as ``check`` does."""
        if self._mine is None:
            yield
            return
        with self._locked(fcntl.LOCK_SH):
            self.check()
            yield

    def restore(self) -> None:
        """Write the epoch again where its file was deleted or spoilt. Raises StorageError."""
        mine = self._mine
        if mine is None or self._read().epoch >= mine.epoch:
            return
        with self._locked(fcntl.LOCK_EX):
            if self._read().epoch < mine.epoch:
                write_own(self._file, to_json(mine.model_dump()))

    def _read(self) -> Epoch:
        return read_model(Epoch, self._file, _FILE_BYTES) or Epoch()

    def _write(self, number: int, who: Mapping[str, Any]) -> Epoch:
        epoch = Epoch(epoch=number, host=str(who["host"]), pid=int(who["pid"]))
        write_own(self._file, to_json(epoch.model_dump()))
        return epoch

    @contextlib.contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        with storage_errors(self._lock):
            descriptor = self._open()
        try:
            with storage_errors(self._lock):
                _lock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        """The lock's file, which only we may open: who may open it may hold it."""
        put_aside_unless(self._lock, stat.S_ISREG)
        descriptor = beneath.descriptor(self._lock, os.O_RDWR | os.O_CREAT, _MODE)
        facts = os.fstat(descriptor)
        if facts.st_uid == os.getuid() and stat.S_IMODE(facts.st_mode) != _MODE:
            with contextlib.suppress(OSError):  # some shares know no modes
                os.fchmod(descriptor, _MODE)
        return descriptor


def _lock(descriptor: int, kind: int) -> None:
    """Raises OSError, EBUSY if somebody else holds it for long."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            if time.monotonic() > deadline:
                raise OSError(errno.EBUSY, "somebody else writes for too long") from error
        time.sleep(_POLL_S)
